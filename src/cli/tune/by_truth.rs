//! `mimid tune --truth`: finds thresholds and releases from recordings whose sounds are known.
//!
//! The configuration is written last, in one step. A failure before that leaves it as it was.

use std::io::{self, Write};

use super::recordings::{self, Absent, Labelled, TruthFaults};
use super::report::Report;
use super::subjects::Subjects;
use super::{Args, hear, original, outcome};
use crate::cli::{Failure, exit, load};
use crate::config::Loaded;
use crate::evaluate::matching::Rule;
use crate::model::hierarchy::LabelHierarchy;
use crate::model::onnx::{self, Runtime};
use crate::tune::choose::Goal;

/// A day in seconds.
const DAY_S: f64 = 86_400.0;

/// Tunes by the recordings, and prints or writes the outcome.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Loaded { raw, config, model, .. } = load(&args.config)?;
    let labels = &model.labels;
    let original = original(args)?;
    let label = |name: &str| labels.find(name).ok_or_else(|| labels.unknown(name));
    let files = (args.files.as_slice(), Absent::Refused);
    let mut recordings = recordings::read(&args.truth, files, args.listening.listening(), label, "tune").map_err(wrong)?;
    let subjects = Subjects::new(&raw, &config, labels, &LabelHierarchy::new(labels), &recordings);
    let gates: Vec<Vec<_>> = subjects.tuned.iter().map(outcome::gates).collect();
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    let observed =
        hear::hear(&model, &runtime, config.model.n_threads(), &subjects.tuned, &gates, &recordings, args.listening.listening())?;
    let lengths = observed.iter().map(|observed| observed.lasts_s);
    check_ends(&mut recordings, lengths.clone(), args)?;

    let hours = lengths.sum::<f64>() / 3_600.0;
    let (rule, goal) = match args.false_alarms_per_day {
        None => (Rule::Collar(args.collar_ms / 1_000.0), Goal::F1),
        Some(per_day) => (Rule::Overlap, Goal::FalseAlarms(per_day * hours * 3_600.0 / DAY_S)),
    };
    let outcomes = outcome::choose(&subjects, &recordings, &observed, rule, goal);
    let changed = outcomes.iter().filter(|outcome| outcome.is_set());
    let wanted: Vec<_> = changed.map(|outcome| (&outcome.tuned.rule, outcome.gate)).collect();
    let assignments = outcome::assignments(&original, &wanted, labels)?;
    let plan = original.plan(&assignments.concat(), labels)?;
    let report = Report {
        goal: args.false_alarms_per_day,
        collar_ms: args.collar_ms,
        n_recordings: recordings.len(),
        hours,
        labels,
        outcomes: &outcomes,
    };
    let mut out = io::stdout().lock();
    match (args.write, args.json) {
        (false, false) => out.write_all(report.fragment(&assignments).as_bytes())?,
        (false, true) => report.json(&mut out, None)?,
        (true, is_json) => {
            let diff = plan.diff();
            if is_json {
                io::stderr().write_all(diff.as_bytes())?;
            } else {
                writeln!(out, "{}\n{diff}", report.sentences().join("\n"))?;
            }
            out.flush()?;
            let sentence = super::write(&plan)?;
            match is_json {
                true => report.json(&mut out, Some(plan.path()))?,
                false => writeln!(out, "{sentence}")?,
            }
        }
    }
    Ok(out.flush()?)
}

/// Checks events against the ends of those recordings whose length became known only when they were decoded.
fn check_ends(recordings: &mut [Labelled], lengths: impl Iterator<Item = f64>, args: &Args) -> Result<(), Failure> {
    let mut faults = TruthFaults::default();
    for (recording, lasts_s) in recordings.iter_mut().zip(lengths).filter(|(recording, _)| recording.n_frames.is_none()) {
        recording.lasts_s = lasts_s;
        recordings::beyond(recording, &args.truth, &mut faults);
    }
    if faults.truth.is_empty() { Ok(()) } else { Err(wrong(faults)) }
}

/// The failure for these faults: those of the truth first, one sentence on a line.
pub(in crate::cli) fn wrong(wrong: TruthFaults) -> Failure {
    let exit_code = if wrong.truth.is_empty() { exit::FAILED } else { exit::USAGE };
    let sentences = wrong.truth.iter().map(ToString::to_string).chain(wrong.recordings);
    Failure::new(sentences.collect::<Vec<_>>().join("\n"), exit_code)
}
