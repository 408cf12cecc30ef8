//! `mimid tune`: finds thresholds from recordings, from marks, or from hours of background.
//!
//! This file has the command line, and writes the configuration. `by_truth` tunes by recordings whose sounds are known, `by_reviews` by the
//! marks of kept events, `background` by recordings of background, and `live` by the peaks that a running daemon reports.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigArg, Failure, ListeningArgs, exit};
use crate::config::edit::{EditError, Original, Plan};

mod background;
mod by_reviews;
pub(super) mod by_truth;
mod hear;
mod live;
mod outcome;
pub(super) mod recordings;
mod report;
mod subjects;

/// Find thresholds from recordings, from marks, or from hours of ordinary background.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("by").required(true).multiple(false))]
pub struct Args {
    /// The true events of the recordings: a table with the columns filename, onset, offset, event_label, or an Audacity label
    /// track; may be given several times
    #[arg(long, value_name = "FILE", group = "by", requires = "files")]
    truth: Vec<PathBuf>,
    /// The marks that people made of kept events say what is right: those of `mimid review`, and of the page
    #[arg(long, group = "by", conflicts_with = "files")]
    reviews: bool,
    /// Only marks of events from this time on: 30d, 12h or 90m ago, 2026-11-29, 2026-11-29T18:30 [default: all]
    #[arg(long, value_name = "TIME", requires = "reviews")]
    since: Option<String>,
    /// The store's file [default: of the service that runs this, of this user, then /var/lib/mimid/events.db]
    #[arg(long, value_name = "PATH", requires = "reviews")]
    store: Option<PathBuf>,
    /// The recordings are of ordinary background: every event in them is a false alarm
    #[arg(long, group = "by", requires = "files")]
    background: bool,
    /// The running daemon hears ordinary background for this time, such as 24h, 90m or 30s; Ctrl-C ends it earlier, and the next
    /// run goes on from there
    #[arg(long, value_name = "DURATION", group = "by", value_parser = length, conflicts_with = "files")]
    background_live: Option<Duration>,
    /// The recordings, in any common format
    #[arg(value_name = "RECORDING")]
    files: Vec<PathBuf>,
    /// The highest number of false alarms a day: with --truth and --reviews, the best recall within it takes the place of the best F1; of
    /// background, it is that of all labels together, and 1 by default
    #[arg(long, value_name = "N", value_parser = positive)]
    false_alarms_per_day: Option<f64>,
    /// The largest error of an onset or an offset that counts as right, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500.0, requires = "truth", value_parser = positive)]
    collar_ms: f64,
    /// The file that keeps the counts of the background, so that a later run goes on from them [default with --background-live:
    /// $XDG_STATE_HOME/mimid/background.json, or ~/.local/state/mimid/background.json]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["truth", "reviews"])]
    state: Option<PathBuf>,
    /// The daemon's socket
    #[arg(long, value_name = "PATH", requires = "background_live")]
    socket: Option<PathBuf>,
    /// Write the thresholds into the configuration, and show the difference first
    #[arg(long)]
    write: bool,
    /// Print the report as JSON instead of a fragment of a configuration
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    listening: ListeningArgs,
    #[command(flatten)]
    config: ConfigArg,
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        let exit_code = match error {
            EditError::Assign { .. } | EditError::Invalid(_) | EditError::NoHome => exit::USAGE,
            EditError::Unreadable { .. } | EditError::Changed(_) | EditError::ReadOnly(_) | EditError::Unwritable { .. } => {
                exit::FAILED
            }
        };
        Self::new(error, exit_code)
    }
}

/// The configuration file that is tuned. Without `--write` no file is needed, and an empty text takes its place.
fn original(args: &Args) -> Result<Original, EditError> {
    match Original::open(args.config.config.as_deref()) {
        Err(EditError::NoHome) if !args.write => Ok(Original::default()),
        original => original,
    }
}

/// Writes the plan, and returns the sentence that reports it.
fn write(plan: &Plan) -> Result<String, EditError> {
    let path = plan.path().display();
    if plan.is_empty() {
        return Ok(if plan.path().exists() {
            format!("{path} says all that already")
        } else {
            "nothing is to be changed".to_owned()
        });
    }
    plan.write()?;
    Ok(format!("{path} is written; a running daemon takes it with `systemctl reload mimid`"))
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0".to_owned())
}

/// A duration such as 24h, 90m or 30s, or a sum of them.
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
    match (args.reviews, args.truth.is_empty()) {
        (true, _) => by_reviews::run(args),
        (false, true) => background::run(args),
        (false, false) => by_truth::run(args),
    }
}
