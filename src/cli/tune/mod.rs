//! `mimid tune`: thresholds from recordings instead of guesses.
//!
//! Each way of tuning has a file of its own; here is the command line only.

use std::path::PathBuf;

use super::{ConfigArg, Failure};

mod by_truth;
mod hear;
mod outcome;
mod recordings;
mod report;
mod subjects;
mod truth;

/// Find thresholds by what recordings say.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("by").required(true).multiple(false))]
pub struct Args {
    /// What is heard in the recordings: a table with the columns filename, onset, offset, event_label, or an Audacity label track;
    /// may be given several times
    #[arg(long, value_name = "FILE", group = "by")]
    truth: Vec<PathBuf>,
    /// The recordings: WAV, FLAC, Ogg Vorbis or MP3
    #[arg(required = true, value_name = "RECORDING")]
    files: Vec<PathBuf>,
    /// Take the highest recall within so many false alarms a day, instead of the highest F1
    #[arg(long, value_name = "N", requires = "truth", value_parser = positive)]
    false_alarms_per_day: Option<f64>,
    /// How far an onset or an offset may be off to be right, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500.0, requires = "truth", value_parser = positive)]
    collar_ms: f64,
    /// Write what is found into the configuration, and show the difference first
    #[arg(long)]
    write: bool,
    /// Print the report for machines instead of a fragment of a configuration
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0".to_owned())
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    by_truth::run(args)
}
