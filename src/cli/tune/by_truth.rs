//! `mimid tune --truth`: the thresholds and releases that suit recordings whose sounds are known.
//!
//! The configuration is written last and in one step; whatever goes wrong before leaves it as it was.

use std::io::{self, Write};

use super::outcome::{self, Unwritten};
use super::recordings::{self, Labelled, Wrong};
use super::report::Report;
use super::subjects::Subjects;
use super::{Args, hear};
use crate::cli::{Failure, exit, load_raw};
use crate::config::edit;
use crate::model::hierarchy::LabelHierarchy;
use crate::model::onnx::{self, Runtime};
use crate::tune::choose::Goal;
use crate::tune::matching::Rule;

/// A day in seconds.
const DAY_S: f64 = 86_400.0;

/// Tunes by the recordings, and prints or writes what is found.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (raw, loaded, model) = load_raw(&args.config)?;
    let (config, labels) = (loaded.config, &model.labels);
    let text = match &raw.path {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format_args!("{} cannot be read: {error}", path.display()), exit::FAILED))?,
        None => String::new(),
    };
    let mut recordings = recordings::read(&args.truth, &args.files, labels).map_err(wrong)?;
    let subjects = Subjects::new(&raw, &config, labels, &LabelHierarchy::new(labels), &recordings);
    let gates: Vec<Vec<_>> = subjects.tuned.iter().map(outcome::gates).collect();
    let runtime = Runtime::load(&onnx::find_runtime(config.model.runtime.as_deref())?)?;
    let observed = hear::hear(&model, &runtime, config.model.n_threads(), &subjects.tuned, &gates, &recordings)?;
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
    let assignments = outcome::assignments(&text, &wanted, labels)?;
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
            let target = edit::target(args.config.config.as_deref()).map_err(Unwritten::from)?;
            let new = edit::assign(&text, &assignments.concat(), labels).map_err(Unwritten::from)?;
            let diff = edit::diff(&target, &text, &new);
            if is_json {
                io::stderr().write_all(diff.as_bytes())?;
            } else {
                writeln!(out, "{}\n{diff}", report.sentences().join("\n"))?;
            }
            out.flush()?;
            if new != text {
                edit::replace(&target, &text, &new).map_err(|error| Failure::new(error, exit::FAILED))?;
            }
            match is_json {
                true => report.json(&mut out, Some(&target))?,
                false if new == text => writeln!(out, "{} says all that already", target.display())?,
                false => {
                    writeln!(out, "{} is written; a running daemon takes it with `systemctl reload mimid`", target.display())?
                }
            }
        }
    }
    Ok(out.flush()?)
}

/// Where a recording does not say how long it is, that is known only now.
fn check_ends(recordings: &mut [Labelled], lengths: impl Iterator<Item = f64>, args: &Args) -> Result<(), Failure> {
    let mut faults = Wrong::default();
    for (recording, lasts_s) in recordings.iter_mut().zip(lengths).filter(|(recording, _)| recording.n_frames.is_none()) {
        recording.lasts_s = lasts_s;
        recordings::beyond(recording, &args.truth, &mut faults);
    }
    if faults.truth.is_empty() { Ok(()) } else { Err(wrong(faults)) }
}

/// What is wrong with the truth comes before what is wrong with the recordings, one sentence a line.
fn wrong(wrong: Wrong) -> Failure {
    let exit_code = if wrong.truth.is_empty() { exit::FAILED } else { exit::USAGE };
    let sentences = wrong.truth.iter().map(ToString::to_string).chain(wrong.recordings);
    Failure::new(sentences.collect::<Vec<_>>().join("\n"), exit_code)
}
