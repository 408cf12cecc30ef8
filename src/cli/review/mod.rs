//! `mimid review`: says which events were right, and what the others were. It reads the store's file itself; the daemon writes, where one
//! runs.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::history::{Format, Writer, explained};
use super::run::style_of;
use super::{ConfigArg, Failure, exit, load};
use crate::model::Labels;
use crate::publish::store::db::DbError;
use crate::publish::store::history::{History, KeptEvent, Order, Wanted, WantedOutcome};
use crate::publish::store::marks::WantedMark;
use crate::publish::store::moment::moment;
use crate::publish::store::place;
use crate::publish::wire::{self, MarkKind};
use marker::Marker;

mod export;
mod marker;
mod walk;

/// The events that are read at a time.
const PAGE: usize = 1_000;

/// Say which events were right, and what the others were.
///
/// Without an event it lists those that nobody has marked; on a terminal it asks for each what it was.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The id of an event, as `mimid history --format csv` and --list show it
    id: Option<String>,
    /// What it was: right, wrong, or the label that it was instead; none takes the mark away. Without it, the event is shown
    mark: Option<String>,
    /// List what has no mark, and ask nothing
    #[arg(long, conflicts_with_all = ["id", "export"])]
    list: bool,
    /// Only events from this time on: 7d, 12h or 90m ago, 2026-11-29, 2026-11-29T18:30 [default: 24h, with --export the first mark]
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    since: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", conflicts_with = "id")]
    until: Option<String>,
    /// Only events of this label (name, slug, id or group), whatever else they are; may be given several times
    #[arg(long = "label", value_name = "LABEL", conflicts_with = "id")]
    labels: Vec<String>,
    /// Only events of this source; may be given several times
    #[arg(long = "source", value_name = "SOURCE", conflicts_with = "id")]
    sources: Vec<String>,
    /// Also events that were announced and taken back
    #[arg(long, conflicts_with_all = ["id", "export"])]
    unconfirmed: bool,
    /// Write the marks to this file, as a truth file for `mimid tune --truth`; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    export: Option<PathBuf>,
    /// The recording of the time that is exported [default: one of each source and day, SOURCE-2026-11-29.wav, from midnight on]
    #[arg(long, value_name = "RECORDING", requires_all = ["export", "recorded_at"])]
    recording: Option<PathBuf>,
    /// When that recording begins
    #[arg(long, value_name = "TIME", requires = "recording", conflicts_with_all = ["since", "until"])]
    recorded_at: Option<String>,
    /// The store's file [default: of the service that runs this, of this user, then /var/lib/mimid/events.db]
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

/// A mark as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    kind: MarkKind,
    /// The display name of the other sound.
    label: Option<String>,
}

impl Said {
    const NONE: Self = Self { kind: MarkKind::None, label: None };

    /// The mark of a word or of a label's name, slug or id.
    fn read(text: &str, labels: &Labels) -> Result<Self, String> {
        let plain = |kind| Ok(Self { kind, label: None });
        match text.trim().to_lowercase().as_str() {
            "right" => plain(MarkKind::Right),
            "wrong" => plain(MarkKind::Wrong),
            "none" => plain(MarkKind::None),
            _ => match labels.find(text) {
                Some(label) => Ok(Self { kind: MarkKind::Other, label: Some(labels.subjects()[label].name.clone()) }),
                None => Err(format!(
                    "{}; write right, wrong, none, or the name of the label that it was",
                    labels.unknown(text.trim())
                )),
            },
        }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let path = args.store.clone().unwrap_or_else(place::to_read);
    let marker = || Marker::new(args.socket.clone(), path.clone());
    if let (Some(id), Some(mark)) = (&args.id, &args.mark) {
        let loaded = load(&args.config)?;
        let said = Said::read(mark, &loaded.model.labels).map_err(|wrong| Failure::new(wrong, exit::USAGE))?;
        return marker().mark(id, &said, &loaded.model.labels);
    }
    let failed = |error: DbError| Failure::new(explained(&path, &error), exit::FAILED);
    let history = History::open(&path).map_err(failed)?;
    let out = io::stdout();
    let (zone, style) = (TimeZone::system(), style_of(&out));
    if let Some(id) = &args.id {
        let none = || Failure::new(format_args!("{} has no event {id:?}", path.display()), exit::FAILED);
        let kept = history.event_of(id.parse().map_err(|_| none())?).map_err(failed)?.ok_or_else(none)?;
        let mut writer = Writer::new(Format::Pretty, style, zone.clone(), out.lock());
        writer.event(&wire::KeptEvent::from(&kept))?;
        writer.end()?;
        writer.flush()?;
        for earlier in history.earlier_marks(&kept).map_err(failed)? {
            let mark = wire::EventMark::from(&earlier);
            let label = mark.label.map(|label| format!(" ({label})")).unwrap_or_default();
            writeln!(
                out.lock(),
                "  before: {}{label}, marked {}",
                mark.mark,
                earlier.at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M")
            )?;
        }
        return Ok(());
    }
    let now = Timestamp::now();
    let time = |option: &str, text: &str| {
        moment(text, now, &zone).map_err(|wrong| Failure::new(format_args!("--{option}: {wrong}"), exit::USAGE))
    };
    let since = args.since.as_deref().or((args.export.is_none() && args.until.is_none()).then_some("24h"));
    let wanted = Wanted {
        from: since.map(|text| time("since", text)).transpose()?,
        until: args.until.as_deref().map(|text| time("until", text)).transpose()?,
        labels: args.labels.clone(),
        sources: args.sources.clone(),
        outcome: if args.unconfirmed { WantedOutcome::Any } else { WantedOutcome::Confirmed },
        marked: WantedMark::None,
    };
    if let Some(to) = &args.export {
        let recorded_at = args.recorded_at.as_deref().map(|text| time("recorded-at", text)).transpose()?;
        let recording = args.recording.as_deref().zip(recorded_at);
        return export::write(&history, &wanted, recording, to, &zone, &failed);
    }
    let mut unmarked = all(&history, &wanted).map_err(failed)?;
    unmarked.retain(|kept| kept.reason.is_some());
    if !args.list && io::stdin().is_terminal() && out.is_terminal() {
        let loaded = load(&args.config)?;
        return walk::walk(&unmarked, &loaded.model.labels, &mut marker(), &zone, style);
    }
    if unmarked.is_empty() {
        writeln!(out.lock(), "no event of that time is without a mark")?;
    }
    for kept in &unmarked {
        writeln!(out.lock(), "{}  {}", kept.event.id, line(kept, &zone))?;
    }
    Ok(())
}

/// All events that are asked for, the oldest first.
fn all(history: &History, wanted: &Wanted) -> Result<Vec<KeptEvent>, DbError> {
    let mut all: Vec<KeptEvent> = Vec::new();
    loop {
        let page = history.page(wanted, Order::Oldest, all.last().map(|kept| kept.cursor), PAGE)?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

/// An event in a line.
fn line(kept: &KeptEvent, zone: &TimeZone) -> String {
    let event = &kept.event;
    let lasted = event.offset.map_or(0, |offset| offset.as_millisecond() - event.onset.as_millisecond());
    let also = match event.also.iter().map(|subject| subject.name.as_str()).collect::<Vec<_>>() {
        also if also.is_empty() => String::new(),
        also => format!("  also {}", also.join("; ")),
    };
    let text = format!(
        "{}  {:<12} {:<34} {:>8.1} s  {:>4.2}  {:>6.1} dBFS{also}",
        event.onset.to_zoned_datetime(zone.clone()).strftime("%a %d %b %H:%M:%S"),
        event.source,
        event.subject.name,
        lasted as f64 / 1e3,
        event.peak_score,
        event.level_dbfs,
    );
    crate::text::visible(&text)
}
