//! `mimid tune`: thresholds from recordings instead of guesses.
//!
//! Each way of tuning has a file of its own; here is the command line only.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigArg, Failure};

mod background;
mod by_truth;
mod hear;
mod live;
mod outcome;
mod recordings;
mod report;
mod subjects;
pub mod truth;

/// Find thresholds by what recordings, or hours of ordinary background, say.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("by").required(true).multiple(false))]
pub struct Args {
    /// What is heard in the recordings: a table with the columns filename, onset, offset, event_label, or an Audacity label track;
    /// may be given several times
    #[arg(long, value_name = "FILE", group = "by", requires = "files")]
    truth: Vec<PathBuf>,
    /// The recordings are an ordinary day, in which everything that rings is false
    #[arg(long, group = "by", requires = "files")]
    background: bool,
    /// The running daemon hears an ordinary day of this length, such as 24h, 90m or 30s; Ctrl-C ends it earlier, and the next run
    /// goes on from there
    #[arg(long, value_name = "DURATION", group = "by", value_parser = length, conflicts_with = "files")]
    background_live: Option<Duration>,
    /// The recordings: WAV, FLAC, Ogg Vorbis or MP3
    #[arg(value_name = "RECORDING")]
    files: Vec<PathBuf>,
    /// How many false alarms a day may remain: with --truth the recall is highest within that, instead of the F1; of background it
    /// is 1 if nothing else is said, of all labels together
    #[arg(long, value_name = "N", value_parser = positive)]
    false_alarms_per_day: Option<f64>,
    /// How far an onset or an offset may be off to be right, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500.0, requires = "truth", value_parser = positive)]
    collar_ms: f64,
    /// Where what is heard of background is counted, so that a later run goes on from it [default with --background-live:
    /// $XDG_STATE_HOME/mimid/background.json, or ~/.local/state/mimid/background.json]
    #[arg(long, value_name = "FILE", conflicts_with = "truth")]
    state: Option<PathBuf>,
    /// The daemon's socket
    #[arg(long, value_name = "PATH", requires = "background_live")]
    socket: Option<PathBuf>,
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

/// A length of time such as 24h, 90m or 30s, or several together.
fn length(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is no length of time such as 24h, 90m, 1h30m or 30s");
    let (mut rest, mut seconds) = (text.trim(), 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit = rest[digits..].chars().next().ok_or_else(bad)?;
        let factor = match unit {
            'd' => 86_400.0,
            'h' => 3_600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => return Err(bad()),
        };
        seconds += number * factor;
        rest = &rest[digits + unit.len_utf8()..];
    }
    if seconds < 1.0 {
        return Err(format!("{text:?} is too short; it takes at least a second, and hours to say anything"));
    }
    if seconds > 366.0 * 86_400.0 {
        return Err(format!("{text:?} is too long; a year is the most"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.truth.is_empty() { background::run(args) } else { by_truth::run(args) }
}
