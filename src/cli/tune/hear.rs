//! Runs all candidate gates through the engine at once. Each is a rule of its own, so its events are those that the daemon would
//! report with it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;

use super::recordings::Labelled;
use super::subjects::Tuned;
use crate::cli::progress::progress;
use crate::cli::{Failure, exit, say};
use crate::detect::rule::{Gate, Rule};
use crate::evaluate::matching::{Span, united};
use crate::event::EndReason;
use crate::model::Model;
use crate::model::onnx::Runtime;
use crate::recording::{self, Engine, Listening, RecordingError};

/// The events of one gate in one recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GateEvents {
    /// The confirmed events.
    pub events: Vec<Span>,
    /// The number of further events that were announced and then taken back.
    pub n_taken_back: usize,
}

/// The events of all gates in one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// For each tuned label, for each of its gates.
    pub by_gate: Vec<Vec<GateEvents>>,
    /// The length of the recording in seconds.
    pub lasts_s: f64,
}

/// Runs every gate of every label over every recording, several recordings at a time.
///
/// # Errors
/// A sentence for each recording that could not be read to its end, or the reason why the engine does not run.
pub fn hear(
    model: &Model,
    runtime: &Runtime,
    threads: usize,
    tuned: &[Tuned],
    gates: &[Vec<Gate>],
    recordings: &[Labelled],
    listening: Listening,
) -> Result<Vec<Observed>, Failure> {
    let rules: Vec<Rule> = tuned
        .iter()
        .zip(gates)
        // Candidates are not merged with each other.
        .flat_map(|(tuned, gates)| gates.iter().map(|gate| Rule { gate: *gate, merge: false, ..tuned.rule.clone() }))
        .collect();
    let n_frames = recordings.iter().map(|recording| recording.n_frames).sum::<Option<u64>>();
    let progress = progress(format!("{} recordings", recordings.len()), n_frames);
    let next = AtomicUsize::new(0);
    let observed = Mutex::new(vec![None; recordings.len()]);
    let work = || -> Result<(), Failure> {
        let mut engine = Engine::open(model, runtime, 1)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(recording) = recordings.get(at) else { return Ok(()) };
            let heard = match one(&mut engine, model, &rules, (recording, listening), &progress) {
                Ok(heard) => Ok(heard),
                Err(error) if error.is_fatal() => {
                    next.store(recordings.len(), Ordering::Relaxed);
                    return Err(error.into());
                }
                Err(error) => Err(error.to_string()),
            };
            observed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[at] = Some(heard);
        }
    };
    let workers = threads.clamp(1, recordings.len().max(1));
    std::thread::scope(|scope| {
        // If the system gives fewer threads, those share all recordings.
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..workers).filter_map(start).collect();
        let mut result = work();
        for other in others {
            let joined = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(joined);
        }
        result
    })?;
    progress.finish_and_clear();
    let mut heard = Vec::new();
    let mut sentences = Vec::new();
    for result in observed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_iter().flatten() {
        match result {
            Ok(observed) => heard.push(split(observed, gates)),
            Err(sentence) => sentences.push(sentence),
        }
    }
    if sentences.is_empty() { Ok(heard) } else { Err(Failure::new(sentences.join("\n"), exit::FAILED)) }
}

/// The events of every rule in one recording, and its length in seconds.
fn one(
    engine: &mut Engine,
    model: &Model,
    rules: &[Rule],
    (recording, listening): (&Labelled, Listening),
    progress: &ProgressBar,
) -> Result<(Vec<GateEvents>, f64), RecordingError> {
    let path = &recording.path;
    let mut decoder = recording::open(path, listening)?;
    let mut ear = recording::ear(path, &decoder, model, rules.to_vec())?;
    let mut heard = vec![GateEvents::default(); rules.len()];
    engine.hear(
        path,
        &mut decoder,
        &mut ear,
        |n| progress.inc(n),
        |ear, detection| {
            if let Some(ended) = recording::ended(ear, &detection) {
                let heard = &mut heard[detection.rule];
                match ended.reason {
                    EndReason::Unconfirmed => heard.n_taken_back += 1,
                    _ => heard.events.push(Span { onset_s: ended.onset_s, offset_s: ended.offset_s }),
                }
            }
            Ok(())
        },
    )?;
    recording::remarks(path, &decoder).iter().for_each(|sentence| say(format_args!("mimid: {sentence}")));
    for heard in &mut heard {
        heard.events = united(std::mem::take(&mut heard.events));
    }
    let lasts_s = ear.end_of_input().unwrap_or(0) as f64 / f64::from(ear.model_rate_hz());
    Ok((heard, lasts_s))
}

/// The events of the rules, divided by label.
fn split((heard, lasts_s): (Vec<GateEvents>, f64), gates: &[Vec<Gate>]) -> Observed {
    let mut heard = heard.into_iter();
    Observed { by_gate: gates.iter().map(|gates| heard.by_ref().take(gates.len()).collect()).collect(), lasts_s }
}
