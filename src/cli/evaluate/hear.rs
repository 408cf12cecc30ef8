//! Runs the engine over the recordings, as `mimid scan` does, and takes what the measures need of each: the confirmed events of each
//! label, and how its counts for the PSDS change with the threshold.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;

use super::classes::Classes;
use super::material::{Judged, Material};
use crate::cli::progress::progress;
use crate::cli::scan::curve::ROW_MS;
use crate::cli::{Failure, exit, say};
use crate::detect::rule::Rule;
use crate::ear::Ear;
use crate::evaluate::matching::Span;
use crate::evaluate::psds::{Change, Curve, PSDS1, PSDS2, Scenario, changes};
use crate::evaluate::timing::HeardEvent;
use crate::event::EndReason;
use crate::model::Model;
use crate::model::onnx::Runtime;
use crate::recording::{self, Engine, Listening, RecordingError};

/// The scenarios of the PSDS.
pub const SCENARIOS: [Scenario; 2] = [PSDS1, PSDS2];

/// What was heard in a recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// The events of each label.
    pub events: Vec<Vec<HeardEvent>>,
    /// For each of [`SCENARIOS`], the changes of each label's counts; `None` where the scores are not known.
    pub changes: Option<[Vec<Vec<Change>>; 2]>,
}

/// What all recordings have in common.
pub struct Hearing<'a> {
    /// The model.
    pub model: &'a Model,
    /// The rules in force.
    pub rules: &'a [Rule],
    /// The labels that are judged.
    pub classes: &'a Classes<'a>,
    /// How recordings are heard.
    pub listening: Listening,
}

/// What was heard in a recording and its length in seconds, or a sentence that says why it could not be heard.
type Outcome = Result<(Heard, f64), String>;

/// Hears every recording, several at a time, and gives each its length.
///
/// # Errors
/// A sentence for each recording that could not be read to its end, or the reason why the engine does not run.
pub fn hear(hearing: &Hearing, (runtime, threads): (&Runtime, usize), material: &mut Material) -> Result<Vec<Heard>, Failure> {
    let recordings = &material.recordings;
    let n_frames = recordings.iter().map(|recording| recording.n_frames).sum::<Option<u64>>();
    let progress = progress(format!("{} recordings", recordings.len()), n_frames);
    let of_labels = hearing.classes.of_labels();
    let next = AtomicUsize::new(0);
    let all: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; recordings.len()]);
    let work = || -> Result<(), Failure> {
        let mut engine = Engine::open(hearing.model, runtime, 1)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(recording) = recordings.get(at) else { return Ok(()) };
            let heard = match one(hearing, &of_labels, &mut engine, recording, &progress) {
                Ok(heard) => Ok(heard),
                Err(error) if error.is_fatal() => {
                    next.store(recordings.len(), Ordering::Relaxed);
                    return Err(error.into());
                }
                Err(error) => Err(error.to_string()),
            };
            all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[at] = Some(heard);
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
    let all = all.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (mut heard, mut sentences) = (Vec::new(), Vec::new());
    for (recording, result) in material.recordings.iter_mut().zip(all.into_iter().flatten()) {
        match result {
            Ok((one, lasts_s)) => {
                recording.lasts_s = lasts_s;
                heard.push(one);
            }
            Err(sentence) => sentences.push(sentence),
        }
    }
    if sentences.is_empty() { Ok(heard) } else { Err(Failure::new(sentences.join("\n"), exit::FAILED)) }
}

/// Hears one recording; also gives its length in seconds.
fn one(
    hearing: &Hearing,
    of_labels: &[Vec<usize>],
    engine: &mut Engine,
    recording: &Judged,
    progress: &ProgressBar,
) -> Result<(Heard, f64), RecordingError> {
    let path = recording.path.as_path();
    let mut decoder = recording::open(path, hearing.listening)?;
    let mut ear = recording::ear(path, &decoder, hearing.model, hearing.rules.to_vec())?;
    ear.keep_curves(hearing.model.labels.len());
    let n_classes = hearing.classes.len();
    let mut events: Vec<Vec<HeardEvent>> = vec![Vec::new(); n_classes];
    engine.hear(
        path,
        &mut decoder,
        &mut ear,
        |n| progress.inc(n),
        |ear, detection| {
            let Some(ended) = recording::ended(ear, &detection).filter(|ended| ended.reason != EndReason::Unconfirmed) else {
                return Ok(());
            };
            let announced_s = ended.event.announced as f64 / f64::from(ear.model_rate_hz());
            let event =
                HeardEvent { span: Span { onset_s: ended.onset_s, offset_s: ended.offset_s }, announced_s: Some(announced_s) };
            // The other labels of the event are names of it, too.
            let rules = detection.also.iter().copied().chain([detection.rule]);
            let mut classes: Vec<usize> = rules.flat_map(|rule| hearing.classes.of_members(&ear.rules()[rule].members)).collect();
            classes.sort_unstable();
            classes.dedup();
            classes.into_iter().for_each(|class| events[class].push(event));
            Ok(())
        },
    )?;
    recording::remarks(path, &decoder).iter().for_each(|sentence| say(format_args!("mimid: {sentence}")));
    let lasts_s = ear.end_of_input().unwrap_or(0) as f64 / f64::from(ear.model_rate_hz());
    let recording = Judged { lasts_s, ..recording.clone() };
    let truth: Vec<Vec<Span>> = (0..n_classes).map(|class| recording.truth(class)).collect();
    let curves = curves(&ear, of_labels, n_classes);
    let of_scenario = |scenario: Scenario| {
        let of_class = |class: usize| {
            let others: Vec<(usize, &[Span])> = truth
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != class)
                .map(|(other, spans)| (other, spans.as_slice()))
                .collect();
            changes(&curves[class], &truth[class], &others, &scenario)
        };
        (0..n_classes).map(of_class).collect()
    };
    Ok((Heard { events, changes: Some(SCENARIOS.map(of_scenario)) }, lasts_s))
}

/// The curve of each label that is judged: in the rows of `mimid scan --scores`, with its digits, the highest score of the model's labels
/// that count for it.
fn curves(ear: &Ear, of_labels: &[Vec<usize>], n_classes: usize) -> Vec<Curve> {
    let rate_hz = u64::from(ear.model_rate_hz());
    let row_samples = rate_hz * ROW_MS / 1_000;
    let end = ear.end_of_input().unwrap_or(0).max(1);
    let n_rows = usize::try_from(end.div_ceil(row_samples)).unwrap_or(usize::MAX);
    let mut segments: Vec<Vec<(usize, usize, f64)>> = vec![Vec::new(); n_classes];
    for span in ear.curves() {
        // A segment belongs to the rows whose middle it covers.
        let half = row_samples / 2;
        let from = (span.onset + 1).saturating_sub(half).div_ceil(row_samples);
        let to = if span.offset < half { 0 } else { (span.offset - half) / row_samples + 1 };
        let [from, to] = [from, to].map(|row| usize::try_from(row).unwrap_or(usize::MAX).min(n_rows));
        let score = (f64::from(span.score) * 1e5).round() / 1e5;
        of_labels[span.label].iter().filter(|_| from < to).for_each(|class| segments[*class].push((from, to, score)));
    }
    let mut rows = vec![0.0f64; n_rows];
    let curve = |segments: Vec<(usize, usize, f64)>| {
        rows.fill(0.0);
        for (from, to, score) in segments {
            rows[from..to].iter_mut().for_each(|row| *row = row.max(score));
        }
        let mut curve = Curve::default();
        for (row, score) in rows.iter().enumerate() {
            let to = ((row as u64 + 1) * row_samples).min(end) as f64 / rate_hz as f64;
            curve.push((to * 1e3).round() / 1e3, *score);
        }
        curve
    };
    segments.into_iter().map(curve).collect()
}
