//! Events by day with a bar of their hours, and numbers with bars, as people read them.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::format::value;
use crate::cli::pretty::Style;
use crate::publish::store::history::By;
use crate::publish::wire::{ClipState, EndReason, HistoryCount, KeptEvent, MarkKind, duration};
use crate::text::visible;

/// The width of the longest bar, in characters.
const BAR: usize = 40;
/// The parts of a block, from an eighth to the whole.
const EIGHTHS: [&str; 8] = ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
/// The heights of a bar in a row of bars.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The tables of one run of the command.
pub struct Table {
    style: Style,
    zone: TimeZone,
    /// The day that is being read: its heading, its events, and their numbers by hour.
    day: Option<Day>,
    /// Whether the list so far has ended, so that what comes is printed at once.
    is_following: bool,
    printed: bool,
}

struct Day {
    heading: String,
    lines: Vec<String>,
    hours: [u32; 24],
}

impl Table {
    /// Tables in a style, with times in `zone`.
    pub fn new(style: Style, zone: TimeZone) -> Self {
        Self { style, zone, day: None, is_following: false, printed: false }
    }

    /// Takes an event of a list. A day is printed when it is whole.
    pub fn event(&mut self, kept: &KeptEvent, out: &mut impl Write) -> io::Result<()> {
        let onset = kept.event.onset.parse::<Timestamp>().unwrap_or_default().to_zoned_datetime(self.zone.clone());
        let heading = onset.strftime("%A %-d %B %Y").to_string();
        let line = self.line(kept, &onset.strftime("%H:%M:%S").to_string());
        if self.is_following {
            self.printed = true;
            return writeln!(out, "{line}");
        }
        if self.day.as_ref().is_none_or(|day| day.heading != heading) {
            self.print_day(out)?;
            self.day = Some(Day { heading, lines: Vec::new(), hours: [0; 24] });
        }
        if let Some(day) = &mut self.day {
            day.lines.push(line);
            day.hours[onset.hour().unsigned_abs() as usize % 24] += 1;
        }
        Ok(())
    }

    /// Prints the last day, or that there is none.
    pub fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.print_day(out)?;
        if !self.printed {
            writeln!(out, "nothing was heard in that time")?;
        }
        self.is_following = true;
        Ok(())
    }

    fn print_day(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(Day { heading, lines, hours }) = self.day.take() else { return Ok(()) };
        let (n, events) = (lines.len(), if lines.len() == 1 { "event" } else { "events" });
        let most = hours.iter().copied().max().unwrap_or(0).max(1) as usize;
        let bar = |n: u32| if n == 0 { '·' } else { HEIGHTS[(n as usize * HEIGHTS.len()).div_ceil(most).clamp(1, 8) - 1] };
        let bars: String = hours.into_iter().map(bar).collect();
        let gap = if self.printed { "\n" } else { "" };
        self.printed = true;
        writeln!(out, "{gap}{}", self.bold(&format!("{heading:<30} 0h {bars} 24h  {n} {events}")))?;
        lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }

    fn line(&self, kept: &KeptEvent, time: &str) -> String {
        let event = &kept.event;
        let lasted = match event.duration_ms {
            None => "goes on".to_owned(),
            Some(ms) if ms < 60_000 => format!("{:.1} s", ms as f64 / 1e3),
            Some(ms) => duration(ms as f64 / 1e3),
        };
        let remark = match (&event.reason, event.confirmed) {
            (Some(EndReason::Unconfirmed), _) | (Some(EndReason::Decay) | None, false) => "  not confirmed".to_owned(),
            (Some(EndReason::Decay) | None, true) => String::new(),
            (Some(reason), _) => format!("  ({reason})"),
        };
        let mark = match kept.mark.as_ref().map(|mark| (mark.mark, &mark.label)) {
            None => String::new(),
            Some((MarkKind::Other, Some(label))) => format!("  was {}", visible(label)),
            Some((kind, _)) => format!("  {kind}"),
        };
        let clip = if kept.clip.as_ref().is_some_and(|clip| clip.state == ClipState::Kept) { "  clip" } else { "" };
        let (label, source) = (visible(&event.label), visible(&event.source));
        let text = format!(
            "  {time}  {source:<12} {label:<34} {lasted:>10}  {:>4.2}  {:>6.1} dBFS{remark}{mark}{clip}",
            event.peak_score, event.level_dbfs
        );
        if event.reason == Some(EndReason::Unconfirmed) { self.paint("2", &text) } else { text }
    }

    /// Prints numbers of events with bars.
    pub fn counts(&self, by: &[By], counts: &[HistoryCount], out: &mut impl Write) -> io::Result<()> {
        if counts.is_empty() {
            return writeln!(out, "nothing was heard in that time");
        }
        let most = counts.iter().map(|count| count.events).max().unwrap_or(1).max(1);
        let named = |by: By, count: &HistoryCount| match (by, count.weekday, count.hour) {
            (By::Weekday, Some(weekday), _) => WEEKDAYS[usize::try_from(weekday - 1).unwrap_or(0) % 7].to_owned(),
            (By::Hour, _, Some(hour)) => format!("{hour:02}:00"),
            _ => visible(&value(by, count)),
        };
        let rows: Vec<Vec<String>> = counts.iter().map(|count| by.iter().map(|by| named(*by, count)).collect()).collect();
        let widths: Vec<usize> =
            (0..by.len()).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
        for (row, count) in rows.iter().zip(counts) {
            let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
            writeln!(out, "{cells}{:>7}  {}", count.events, self.paint("36", &bar(count.events, most)))?;
        }
        Ok(())
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.style {
            Style::Plain => text.to_owned(),
            Style::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// A bar of a number, where `most` has the longest.
fn bar(n: u64, most: u64) -> String {
    let eighths = ((n as f64 / most as f64) * (BAR * 8) as f64).round().max(1.0) as usize;
    let part = if eighths.is_multiple_of(8) { "" } else { EIGHTHS[eighths % 8 - 1] };
    format!("{}{part}", "█".repeat(eighths / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_never_empty() {
        assert_eq!((bar(80, 80), bar(40, 80), bar(1, 80)), ("█".repeat(40), "█".repeat(20), "▌".to_owned()));
        assert_eq!(bar(1, 1_000_000), "▏");
    }

    #[test]
    fn a_row_has_the_mark_of_its_event_and_says_whether_its_sound_is_kept() {
        let clip = |state: &str| {
            let (from, to) = ("2026-11-29T03:12:05.000Z", "2026-11-29T03:12:14.000Z");
            serde_json::json!({"state": state, "reason": null, "file": null, "from": from, "to": to, "bytes": 0, "locked": false})
        };
        let mark = serde_json::json!({"mark": "other", "label": "Bark", "at": "2026-11-29T09:00:00.000Z"});
        let event = |state: &str, mark: serde_json::Value| -> KeptEvent {
            let clip = if state.is_empty() { serde_json::Value::Null } else { clip(state) };
            serde_json::from_value(serde_json::json!({
                "id": "1", "label": "Dog", "slug": "dog", "mid": null, "source": "kitchen", "onset": "2026-11-29T03:12:07.000Z",
                "offset": "2026-11-29T03:12:11.200Z", "duration_ms": 4_200, "score": 0.5, "peak_score": 0.83, "threshold": 0.5,
                "level_dbfs": -31.2, "confirmed": true, "reason": "decay", "announced": "2026-11-29T03:12:07.400Z",
                "confirmed_at": null, "node": "pi", "model": "m", "first_seq": 1, "last_seq": 2, "updates": 0, "mark": mark,
                "clip": clip,
            }))
            .unwrap()
        };
        let (mut table, mut out) = (Table::new(Style::Plain, TimeZone::UTC), Vec::new());
        for (state, mark) in
            [("", serde_json::Value::Null), ("kept", serde_json::Value::Null), ("kept", mark.clone()), ("cleared", mark)]
        {
            table.event(&event(state, mark), &mut out).unwrap();
        }
        table.end(&mut out).unwrap();
        let row = "  03:12:07  kitchen      Dog                                     4.2 s  0.83   -31.2 dBFS";
        let rows = ["", "  clip", "  was Bark  clip", "  was Bark"].map(|rest| format!("{row}{rest}\n")).concat();
        assert_eq!(String::from_utf8(out).unwrap().split_once('\n').unwrap().1, rows);
    }

    #[test]
    fn numbers_are_in_columns() {
        let table = Table::new(Style::Plain, TimeZone::UTC);
        let count = |hour, label: &str, events| HistoryCount {
            hour: Some(hour),
            label: Some(label.to_owned()),
            events,
            ..HistoryCount::default()
        };
        let mut out = Vec::new();
        table.counts(&[By::Hour, By::Label], &[count(3, "Dog", 4), count(15, "Vehicle", 40)], &mut out).unwrap();
        let expected = format!("03:00  Dog            4  ████\n15:00  Vehicle       40  {}\n", "█".repeat(40));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
