//! `mimid tune`: thresholds from recordings instead of guesses.
//!
//! Each way of tuning has a file of its own; here is the command line only.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigArg, Failure};

mod background;
mod live;

/// Find thresholds by what recordings say.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("by").required(true).multiple(false))]
pub struct Args {
    /// The recordings are an ordinary day, in which everything that rings is false
    #[arg(long, group = "by", requires = "files")]
    background: bool,
    /// The running daemon hears an ordinary day of this length, such as 24h, 90m or 30s; Ctrl-C ends it earlier
    #[arg(long, value_name = "DURATION", group = "by", value_parser = length, conflicts_with = "files")]
    background_live: Option<Duration>,
    /// The recordings: WAV, FLAC, Ogg Vorbis or MP3
    #[arg(value_name = "RECORDING")]
    files: Vec<PathBuf>,
    /// How many false alarms a day may remain, of all labels together [default: 1]
    #[arg(long, value_name = "N")]
    false_alarms_per_day: Option<f64>,
    /// Where what is heard is counted, so that a later run goes on from it
    /// [default with --background-live: $XDG_STATE_HOME/mimid/background.json or ~/.local/state/mimid/background.json]
    #[arg(long, value_name = "FILE")]
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

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    background::run(args)
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
    if !(seconds >= 1.0) {
        return Err(format!("{text:?} is too short; it takes at least a second, and hours to say anything"));
    }
    if seconds > 366.0 * 86_400.0 {
        return Err(format!("{text:?} is too long; a year is the most"));
    }
    Ok(Duration::from_secs_f64(seconds))
}
