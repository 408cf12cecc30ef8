//! The marks as a truth file: what was right, and what the others were, in seconds from the beginnings of recordings.
//!
//! The store has no recordings. Therefore each source's day is one, from midnight by the clock on the wall, unless a recording is named.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::all;
use crate::capture::source::Channel;
use crate::cli::{Failure, exit, say};
use crate::event::Subject;
use crate::files::write_whole;
use crate::publish::store::db::DbError;
use crate::publish::store::history::{History, KeptEvent, Wanted, WantedOutcome};
use crate::publish::store::marks::{Mark, WantedMark};
use crate::recording::{self, Listening};
use crate::text::escaped;

/// A stretch of time that is one recording.
#[derive(Debug, Clone, PartialEq)]
struct Stretch {
    name: String,
    from: Timestamp,
    until: Timestamp,
}

/// The rows of a truth file: by recording, the onset and the offset in milliseconds, and the label. A recording without a true event has
/// an empty set.
type Rows = BTreeMap<String, BTreeSet<(i64, i64, String)>>;

/// Writes the marks of the events that are asked for to a file.
pub fn write(
    history: &History,
    wanted: &Wanted,
    recording: Option<(&Path, Timestamp)>,
    to: &Path,
    zone: &TimeZone,
    failed: &impl Fn(DbError) -> Failure,
) -> Result<(), Failure> {
    let stretch = recording.map(|(path, from)| whole(path, from)).transpose()?;
    let (mut from, mut until) = (wanted.from, wanted.until);
    if let Some(stretch) = &stretch {
        // An event may begin before the recording.
        (from, until) = (stretch.from.checked_sub(SignedDuration::from_hours(24)).ok(), Some(stretch.until));
    }
    let of = |marked| Wanted { from, until, marked, outcome: WantedOutcome::Any, ..wanted.clone() };
    let marked = all(history, &of(WantedMark::Marked)).map_err(failed)?;
    let mut rows = Rows::new();
    let mut n_groups = 0;
    for kept in &marked {
        let label = match kept.mark.as_ref().map(|kept| &kept.mark) {
            Some(Mark::Right) => Some(&kept.event.subject),
            Some(Mark::Other(other)) => Some(other),
            Some(Mark::Wrong) | None => None,
        };
        n_groups += usize::from(label.is_some_and(|subject| subject.is_group()));
        add(&mut rows, kept, label.filter(|subject| !subject.is_group()).map(|subject| &**subject), stretch.as_ref(), zone);
    }
    if rows.is_empty() {
        return Err(Failure::new(
            "no event of that time is marked, so there is nothing to export; `mimid review` marks them",
            exit::FAILED,
        ));
    }
    let text = table(&rows);
    if to == Path::new("-") {
        io::stdout().lock().write_all(text.as_bytes())?;
    } else {
        write_whole(to, text.as_bytes())
            .map_err(|error| Failure::new(format_args!("{} cannot be written: {error}", to.display()), exit::FAILED))?;
    }
    // A wrong one has no row, and what has no mark has none either.
    let first = marked.first().map(|kept| kept.event.onset);
    let confirmed = Wanted { outcome: WantedOutcome::Confirmed, from: from.max(first), ..of(WantedMark::None) };
    let last = marked.last().map(|kept| kept.event.onset);
    let unmarked = all(history, &confirmed).map_err(failed)?;
    let n = unmarked.iter().filter(|kept| Some(kept.event.onset) <= last && kept.reason.is_some()).count();
    if n > 0 {
        let events = if n == 1 { "event has" } else { "events have" };
        say(format_args!(
            "mimid: {n} {events} no mark between the first and the last that do; a truth file does not name them, so they count as false alarms"
        ));
    }
    if n_groups > 0 {
        say(format_args!(
            "mimid: {n_groups} of groups are left out, because a truth file names labels; mark them as the label that they were"
        ));
    }
    Ok(())
}

/// The whole of a recording.
fn whole(path: &Path, from: Timestamp) -> Result<Stretch, Failure> {
    let decoder = recording::open(path, Listening { channel: Channel::Mix, gain_db: 0.0 })?;
    let Some(n_frames) = decoder.n_frames() else {
        let path = path.display();
        return Err(Failure::new(
            format_args!("{path} does not say how long it is; convert it, as to .wav or .flac"),
            exit::FAILED,
        ));
    };
    let lasts = SignedDuration::from_millis((n_frames as f64 * 1e3 / f64::from(decoder.rate_hz())) as i64);
    Ok(Stretch { name: path.to_string_lossy().into_owned(), from, until: from.checked_add(lasts).unwrap_or(Timestamp::MAX) })
}

/// The stretch of a source's day.
fn of_day(source: &str, day: Date, zone: &TimeZone) -> Option<Stretch> {
    let midnight = |day: Date| zone.to_timestamp(day.at(0, 0, 0, 0)).ok();
    let name = source.replace(|c: char| c == '/' || c.is_control(), "_");
    Some(Stretch { name: format!("{name}-{day}.wav"), from: midnight(day)?, until: midnight(day.tomorrow().ok()?)? })
}

/// Adds an event to the recordings in which it is; without a label only the recordings are named.
fn add(rows: &mut Rows, kept: &KeptEvent, label: Option<&Subject>, stretch: Option<&Stretch>, zone: &TimeZone) {
    let (onset, offset) = (kept.event.onset, kept.event.offset.unwrap_or(kept.event.onset));
    let day = |at: Timestamp| at.to_zoned_datetime(zone.clone()).date();
    let mut days = Vec::new();
    if stretch.is_none() {
        let mut next = Some(day(onset));
        while let Some(date) = next.filter(|date| *date <= day(offset)) {
            days.extend(of_day(&kept.event.source, date, zone));
            next = date.tomorrow().ok();
        }
    }
    for Stretch { name, from, until } in days.iter().chain(stretch) {
        let ms = |at: Timestamp| at.as_millisecond() - from.as_millisecond();
        let (begins, ends) = (ms(onset.max(*from)), ms(offset.min(*until)));
        if begins >= ends {
            continue;
        }
        let rows = rows.entry(name.clone()).or_default();
        rows.extend(label.map(|label| (begins, ends, label.name.clone())));
    }
}

fn table(rows: &Rows) -> String {
    let mut text = "filename\tonset\toffset\tevent_label\n".to_owned();
    for (name, events) in rows {
        let name = escaped(name.as_bytes());
        if events.is_empty() {
            text.push_str(&format!("{name}\t\t\t\n"));
        }
        for (onset, offset, label) in events {
            text.push_str(&format!("{name}\t{:.3}\t{:.3}\t{label}\n", *onset as f64 / 1e3, *offset as f64 / 1e3));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SoundEvent;
    use crate::publish::store::history::Cursor;

    fn kept(onset: &str, offset: &str) -> KeptEvent {
        let (onset, offset): (Timestamp, Timestamp) = (onset.parse().unwrap(), offset.parse().unwrap());
        KeptEvent {
            cursor: Cursor(0, 1),
            event: SoundEvent { onset, offset: Some(offset), ..SoundEvent::example(1, "Dog", "yard/2") },
            reason: None,
            announced: onset,
            confirmed: None,
            node: "pi".into(),
            model: "m".into(),
            seq: (1, 2),
            updates: 0,
            mark: None,
            clip: None,
        }
    }

    #[test]
    fn a_day_begins_at_midnight_by_the_clock_on_the_wall_and_an_event_over_midnight_is_in_both() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let dog = Subject::example("Dog");
        let mut rows = Rows::new();
        // The clock was set back in that night, so the day has 25 hours.
        add(&mut rows, &kept("2026-10-25T22:59:58.500Z", "2026-10-25T23:00:01Z"), Some(&dog), None, &zone);
        add(&mut rows, &kept("2026-11-29T11:00:00Z", "2026-11-29T11:00:01Z"), None, None, &zone);
        let truth = table(&rows);
        let expected = "filename\tonset\toffset\tevent_label\n\
             yard_2-2026-10-25.wav\t89998.500\t90000.000\tDog\n\
             yard_2-2026-10-26.wav\t0.000\t1.000\tDog\n\
             yard_2-2026-11-29.wav\t\t\t\n";
        assert_eq!(truth, expected);
        let read = crate::dataset::truth::parse(truth.as_bytes());
        assert_eq!((read.faults, read.rows.len()), (Vec::new(), 3));
    }

    #[test]
    fn an_event_is_cut_at_the_ends_of_a_named_recording_and_left_out_beyond_them() {
        let time = |text: &str| text.parse().unwrap();
        let stretch =
            Stretch { name: "a.wav".to_owned(), from: time("2026-11-29T11:00:00Z"), until: time("2026-11-29T11:10:00Z") };
        let dog = Subject::example("Dog");
        let mut rows = Rows::new();
        for (onset, offset) in
            [("10:59:59", "11:00:02"), ("11:09:59", "11:11:00"), ("11:20:00", "11:20:01"), ("11:09:59", "11:10:30")]
        {
            let at = |clock| format!("2026-11-29T{clock}Z");
            add(&mut rows, &kept(&at(onset), &at(offset)), Some(&dog), Some(&stretch), &TimeZone::UTC);
        }
        let expected = "filename\tonset\toffset\tevent_label\na.wav\t0.000\t2.000\tDog\na.wav\t599.000\t600.000\tDog\n";
        assert_eq!(table(&rows), expected);
    }
}
