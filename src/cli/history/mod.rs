//! `mimid history`: prints what the store has, as lists and as numbers. It reads the file itself, whether a daemon runs or not, and
//! changes nothing in it.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::run::style_of;
use super::{Failure, exit};
use crate::publish::store::db::{DbError, Kind};
use crate::publish::store::history::summary::days_before;
use crate::publish::store::history::{self as store, By, History, Order, Wanted, WantedOutcome};
use crate::publish::store::marks::WantedMark;
use crate::publish::store::moment::moment;
use crate::publish::store::place;
use crate::publish::wire::{self, HistoryCount, KeptEvent};

mod format;
mod parquet;
mod summary;
mod table;

pub use format::Format;
pub(super) use format::Writer;

/// The events that are read at a time.
const PAGE: usize = 1_000;
/// The pause between two looks for new events.
const LOOK: Duration = Duration::from_millis(300);

/// Show what was heard, from the store.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Only events from this time on: 7d, 12h or 90m ago, 2026-11-29, 2026-11-29T18:30 [default: 7d]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only events of this label (name, slug, id or group), whatever else they are; may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Only events of this source; may be given several times
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Only confirmed events
    #[arg(long)]
    confirmed: bool,
    /// Only events with any mark, with none, or with this one: any, none, right, wrong, other
    #[arg(long, value_name = "MARK", value_parser = marked)]
    marked: Option<WantedMark>,
    /// Count events by the hour of the day, by day, weekday or label; may be given several times
    #[arg(long, value_name = "WHAT", value_parser = by, conflicts_with = "follow")]
    by: Vec<By>,
    /// Print a summary of the last day, or from --since to --until: what was heard, what was new, more or longer than in the four weeks
    /// before, and when nothing could be heard
    #[arg(long, conflicts_with_all = ["by", "follow", "labels", "sources", "confirmed", "marked"])]
    summary: bool,
    /// The output format
    #[arg(long, value_enum, default_value = "pretty")]
    format: Format,
    /// Then wait for more: each event comes when it has ended
    #[arg(long)]
    follow: bool,
    /// The store's file [default: of the service that runs this, of this user, then /var/lib/mimid/events.db]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Copy the store to this new file, while the daemon runs, and print nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["by", "follow", "since", "until", "labels", "sources", "confirmed", "marked", "summary"])]
    backup: Option<PathBuf>,
}

fn by(text: &str) -> Result<By, String> {
    let found = By::NAMES.iter().find(|(name, _)| *name == text).map(|(_, by)| *by);
    found.ok_or_else(|| "it must be hour, day, weekday or label".to_owned())
}

fn marked(text: &str) -> Result<WantedMark, String> {
    let found = WantedMark::NAMES.iter().find(|(name, _)| *name == text).map(|(_, marked)| *marked);
    found.ok_or_else(|| "it must be any, none, right, wrong or other".to_owned())
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let path = args.store.clone().unwrap_or_else(place::to_read);
    let failed = |error: DbError| Failure::new(explained(&path, &error), exit::FAILED);
    let mut history = History::open(&path).map_err(failed)?;
    if let Some(backup) = &args.backup {
        return history.copy_to(backup).map_err(|error| {
            let name = backup.display();
            Failure::new(format_args!("{} cannot be copied to {name}: {error}", path.display()), exit::FAILED)
        });
    }
    let (zone, now) = (TimeZone::system(), Timestamp::now());
    let time = |option: &str, text: &str| {
        moment(text, now, &zone).map_err(|wrong| Failure::new(format_args!("--{option}: {wrong}"), exit::USAGE))
    };
    if args.summary {
        let until = args.until.as_deref().map_or(Ok(now), |text| time("until", text))?;
        let from = args.since.as_deref().map_or_else(|| Ok(days_before(until, 1, &zone)), |text| time("since", text))?;
        if from >= until {
            return Err(Failure::new("--since must be before --until", exit::USAGE));
        }
        let summary = wire::Summary::from(&history.summary(from, until, &zone).map_err(failed)?);
        return match args.format {
            Format::Pretty => Ok(summary::print(&summary, &zone, style_of(&io::stdout()), &mut io::stdout().lock())?),
            Format::Jsonl => Ok(writeln!(io::stdout(), "{}", serde_json::to_string(&summary).unwrap_or_default())?),
            Format::Csv | Format::Tsv | Format::Parquet => {
                Err(Failure::new("a summary is no table; --format is pretty or jsonl", exit::USAGE))
            }
        };
    }
    let since = args.since.as_deref().or((args.until.is_none()).then_some("7d"));
    let wanted = Wanted {
        from: since.map(|text| time("since", text)).transpose()?,
        until: args.until.as_deref().map(|text| time("until", text)).transpose()?,
        labels: args.labels.clone(),
        sources: args.sources.clone(),
        outcome: if args.confirmed { WantedOutcome::Confirmed } else { WantedOutcome::Any },
        marked: args.marked.unwrap_or_default(),
    };
    if args.format == Format::Parquet {
        return write_parquet(args, &history, &wanted, &zone, &failed);
    }
    let out = io::stdout();
    let style = style_of(&out);
    let mut writer = Writer::new(args.format, style, zone.clone(), io::BufWriter::new(out.lock()));
    if !args.by.is_empty() {
        let groups = history.count(&wanted, &args.by, &zone).map_err(failed)?;
        writer.counts(&args.by, &HistoryCount::all(&args.by, groups))?;
        return Ok(writer.flush()?);
    }
    writer.begin()?;
    // What ends from here on is followed.
    let mut newest = history.newest_line().map_err(failed)?;
    for_each(&history, &wanted, &failed, |kept| writer.event(&KeptEvent::from(kept)))?;
    writer.end()?;
    if args.follow {
        loop {
            writer.flush()?;
            std::thread::sleep(LOOK);
            let (ended, last) = history.ended_after(newest).map_err(failed)?;
            newest = last;
            for kept in ended.iter().filter(|kept| wanted.has(&kept.event, kept.reason)) {
                writer.event(&KeptEvent::from(kept))?;
            }
        }
    }
    Ok(writer.flush()?)
}

/// Hands over each event, the oldest first.
fn for_each(
    history: &History,
    wanted: &Wanted,
    failed: &impl Fn(DbError) -> Failure,
    mut take: impl FnMut(&store::KeptEvent) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = history.page(wanted, Order::Oldest, after, PAGE).map_err(failed)?;
        after = page.last().map(|kept| kept.cursor).or(after);
        page.iter().try_for_each(&mut take)?;
        if page.len() < PAGE {
            return Ok(());
        }
    }
}

/// Writes events, or their numbers, as a Parquet file to standard output.
fn write_parquet(
    args: &Args,
    history: &History,
    wanted: &Wanted,
    zone: &TimeZone,
    failed: &impl Fn(DbError) -> Failure,
) -> Result<(), Failure> {
    let out = io::stdout();
    if args.follow {
        return Err(Failure::new(
            "a Parquet file is whole, so nothing can follow; --follow goes with the other formats",
            exit::USAGE,
        ));
    }
    if out.is_terminal() {
        let remedy = "write it into a file: mimid history --format parquet > events.parquet";
        return Err(Failure::new(format_args!("a Parquet file is not for a terminal; {remedy}"), exit::USAGE));
    }
    // Standard output as it is, for the program's own looks for the ends of lines.
    let file = std::fs::File::from(out.as_fd().try_clone_to_owned()?);
    if args.by.is_empty() {
        let mut table = parquet::Table::of_events(file)?;
        for_each(history, wanted, failed, |kept| table.event(kept))?;
        return Ok(table.end()?);
    }
    let groups = history.count(wanted, &args.by, zone).map_err(failed)?;
    let mut table = parquet::Table::of_counts(&args.by, file)?;
    HistoryCount::all(&args.by, groups).iter().try_for_each(|count| table.count(&args.by, count))?;
    Ok(table.end()?)
}

/// A failure of the file as a sentence with its path and the remedy.
pub(in crate::cli) fn explained(path: &std::path::Path, error: &DbError) -> String {
    let path = path.display();
    match error.kind {
        Kind::NotOpened if error.message.contains("No such file") || error.message.contains("ENOENT") => {
            format!(
                "there is no store at {path}; a service keeps one, and `mimid run` does with [store] enabled = true; or name its file with --store"
            )
        }
        Kind::NotOpened | Kind::NotWritable if error.message.contains("denied") || error.message.contains("EACCES") => {
            format!("this user may not read {path}; ask as root, or over HTTP")
        }
        Kind::Unknown => error.to_string(),
        _ => format!("{path} cannot be read: {error}"),
    }
}
