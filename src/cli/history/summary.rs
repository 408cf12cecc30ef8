//! A summary as people read it.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::pretty::Style;
use crate::publish::wire::{Heard, Summary, Unheard, duration};
use crate::text::visible;

/// Prints a summary.
pub fn print(summary: &Summary, zone: &TimeZone, style: Style, out: &mut impl Write) -> io::Result<()> {
    let (bold, plain) = if style == Style::Colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let shown = |time: &str, form: &str| {
        time.parse::<Timestamp>().unwrap_or_default().to_zoned_datetime(zone.clone()).strftime(form).to_string()
    };
    let (from, until) = (shown(&summary.from, "%A %-d %B %H:%M"), shown(&summary.until, "%A %-d %B %H:%M"));
    writeln!(out, "{bold}{from} to {until}{plain}")?;
    if summary.heard.is_empty() {
        writeln!(out, "  nothing was heard")?;
    }
    let width = summary.heard.iter().map(|heard| heard.label.chars().count()).max().unwrap_or(0);
    for heard in &summary.heard {
        let Heard { label, events, duration_ms, .. } = heard;
        let lasted = lasted(*duration_ms);
        writeln!(
            out,
            "  {:<width$}  {events:>5}  {lasted:>12}{}",
            visible(label),
            remark(heard, |time| shown(time, "%-d %B %Y"))
        )?;
    }
    for Unheard { source, kind, duration_ms } in &summary.unheard {
        let source = source.as_ref().map_or_else(|| "nothing".to_owned(), |source| format!("nothing from {}", visible(source)));
        writeln!(out, "{source} could be heard for {}: {kind}", lasted(*duration_ms))?;
    }
    if summary.days < 7 {
        writeln!(out, "{} of the four weeks before are known, which is too few to say what is usual", days(summary.days))?;
    }
    Ok(())
}

fn days(n: usize) -> String {
    if n == 1 { "1 day".to_owned() } else { format!("{n} days") }
}

fn lasted(ms: u64) -> String {
    if ms < 60_000 { format!("{:.1} s", ms as f64 / 1e3) } else { duration(ms as f64 / 1e3) }
}

/// What is remarkable of a label.
fn remark(heard: &Heard, shown: impl Fn(&str) -> String) -> String {
    let mut remarks = Vec::new();
    if heard.new {
        let before = heard
            .before
            .as_deref()
            .map_or_else(|| "never heard before".to_owned(), |before| format!("last heard on {}", shown(before)));
        remarks.push(format!("new: {before}"));
    }
    if heard.more {
        remarks.push(format!("more than usual: {} a day", heard.usual_events));
    }
    if heard.longer {
        remarks.push(format!("longer than usual: {} a day", lasted(heard.usual_duration_ms)));
    }
    if remarks.is_empty() { String::new() } else { format!("  {}", remarks.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remarkable_stands_beside_its_label() {
        let heard = |label: &str, events| Heard {
            label: label.to_owned(),
            events,
            duration_ms: 90_000,
            usual_events: 1.5,
            usual_duration_ms: 500,
            before: None,
            new: false,
            more: false,
            longer: false,
        };
        let summary = Summary {
            from: "2026-10-24T06:00:00Z".to_owned(),
            until: "2026-10-25T07:00:00Z".to_owned(),
            days: 28,
            heard: vec![
                Heard { more: true, longer: true, ..heard("Dog", 12) },
                Heard { new: true, ..heard("Glass", 1) },
                heard("Cat", 1),
            ],
            unheard: vec![Unheard { source: Some("yard".to_owned()), kind: "lost".to_owned(), duration_ms: 7_200_000 }],
        };
        let mut out = Vec::new();
        print(&summary, &TimeZone::get("Europe/Berlin").unwrap(), Style::Plain, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        Saturday 24 October 08:00 to Sunday 25 October 08:00
          Dog       12    1 min 30 s  more than usual: 1.5 a day; longer than usual: 0.5 s a day
          Glass      1    1 min 30 s  new: never heard before
          Cat        1    1 min 30 s
        nothing from yard could be heard for 2 h 0 min: lost
        ");
    }
}
