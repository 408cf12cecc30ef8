//! The daemon's lines as text for people, as `mimid listen` and `mimid run --print` show them. It prints nothing itself.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::{self, Pause};
use crate::publish::wire::{Body, EndReason, Event, Line, PauseReason};
use crate::text::visible;

/// The use of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Colour,
}

/// A line as text without a newline, with times in `zone`; `None` for lines that are not for people, those of unknown types among
/// them.
pub fn pretty(line: &Line, style: Style, zone: &TimeZone) -> Option<String> {
    let ts = line.ts.as_deref().unwrap_or_default();
    let (time, text) = match &line.body {
        Body::EventStart { event, latency_ms } => (event.onset.as_str(), start(event, *latency_ms, style)),
        Body::EventEnd { event, .. } => (event.offset.as_deref().unwrap_or(ts), end(event, style)),
        Body::EventUpdate { .. } | Body::Heartbeat {} | Body::Subscribed { .. } => return None,
        Body::Hello { version, model, sources, .. } => {
            let (n_labels, name, sources) = (model.labels, &model.name, sources.join(", "));
            (ts, visible(&format!("mimid {version} hears {n_labels} kinds of sound with {name} on {sources}")))
        }
        Body::SourceLost { source, reason } => (ts, paint(style, "31", &format!("{source} is lost: {reason}"))),
        Body::SourceRestored { source } => (ts, paint(style, "32", &format!("{source} is back"))),
        Body::SourceSilent { source, seconds } => {
            (ts, paint(style, "33", &format!("{source} has been digitally silent for {seconds} s")))
        }
        Body::SourceGap { source, gap_ms } => (ts, paint(style, "33", &gap(source, *gap_ms))),
        Body::Summary(summary) => (ts, visible(&summary.sentence())),
        Body::ClockStepped { by_ms } => (ts, paint(style, "33", &clock_stepped(*by_ms))),
        Body::Paused { reason, until } => {
            let now = ts.parse().unwrap_or_default();
            (ts, paint(style, "33", &format!("nothing is heard: {}", paused(reason, until.as_deref(), now, zone))))
        }
        Body::Resumed { reason } => (ts, paint(style, "32", &resumed(reason))),
        Body::Clip { label, source, state, reason, file, .. } => {
            let what = file.clone().or_else(|| reason.clone()).unwrap_or_default();
            (ts, paint(style, "36", &format!("{source}: the clip of {label} is {state}: {what}")))
        }
        Body::SourceClipping { source, samples } => {
            (ts, paint(style, "33", &format!("{source} clips ({samples} samples): lower its gain")))
        }
        Body::Overrun { source, gap_ms, .. } => {
            (ts, paint(style, "33", &format!("{source} lost {gap_ms} ms: the machine is too busy")))
        }
        Body::ConfigReloaded { changes } if changes.is_empty() => (ts, "the configuration is the same as before".to_owned()),
        Body::ConfigReloaded { changes } => (ts, visible(&format!("new configuration: {}", changes.join("; ")))),
        Body::ConfigRejected { faults } => {
            (ts, paint(style, "31", &format!("the new configuration is refused: {}", faults.join("; "))))
        }
        Body::Dropped { count } => (ts, paint(style, "33", &format!("{count} lines were dropped"))),
        Body::Error { message, .. } => (ts, paint(style, "31", message)),
        Body::Status(_) | Body::Top { .. } | Body::Peaks(_) | Body::Set { .. } | Body::Done { .. } | Body::Unknown => {
            return None;
        }
    };
    Some(format!("{}  {text}", local(time, zone)))
}

/// A gap in a source's sound as a sentence.
pub fn gap(source: &str, gap_ms: u64) -> String {
    format!("{source} misses {:.1} s of sound: the machine slept, or the daemon stood still", gap_ms as f64 / 1e3)
}

/// The reason and the end of a pause as text; `now` in `zone` is the reader's time of day.
pub fn paused(reason: &PauseReason, until: Option<&str>, now: Timestamp, zone: &TimeZone) -> String {
    let reason = match reason {
        PauseReason::Request => event::PauseReason::Request,
        PauseReason::QuietHours => event::PauseReason::QuietHours,
        PauseReason::Other(word) => return visible(word),
    };
    Pause { reason, until: until.and_then(|until| until.parse().ok()) }.describe(now, zone)
}

/// The end of a pause as a sentence.
pub fn resumed(reason: &PauseReason) -> String {
    let why = if *reason == PauseReason::QuietHours { ": the quiet hours are over" } else { "" };
    format!("sound is heard again{why}")
}

/// A step of the wall clock as a sentence.
pub fn clock_stepped(by_ms: i64) -> String {
    let way = if by_ms < 0 { "back" } else { "forward" };
    format!("the wall clock was set {way} by {:.1} s", by_ms.unsigned_abs() as f64 / 1e3)
}

fn start(event: &Event, latency_ms: u64, style: Style) -> String {
    let label = paint(style, "1", &format!("{:<32}", event.label));
    let source = visible(&event.source);
    let delay = paint(style, "2", &format!("after {latency_ms} ms"));
    format!("{source:<20} ┌ {label} {:>4.2}  {:>6.1} dBFS  {delay}", event.score, event.level_dbfs)
}

fn end(event: &Event, style: Style) -> String {
    let lasted = event.duration_ms.unwrap_or(0) as f64 / 1_000.0;
    let label = format!("{:<32}", event.label);
    let reason = event
        .reason
        .as_ref()
        .filter(|reason| **reason != EndReason::Decay)
        .map(|reason| format!("  ({reason})"))
        .unwrap_or_default();
    let text = format!(
        "{:<20} └ {label} {:>4.2}  {:>6.1} dBFS  lasted {lasted:.1} s{reason}",
        event.source, event.peak_score, event.level_dbfs
    );
    paint(style, "2", &text)
}

/// A time of the protocol as the time of day in `zone`.
fn local(time: &str, zone: &TimeZone) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.to_zoned_datetime(zone.clone()).strftime("%H:%M:%S%.3f").to_string(),
        Err(_) => visible(time),
    }
}

fn paint(style: Style, code: &str, text: &str) -> String {
    let text = visible(text);
    match style {
        Style::Plain => text,
        Style::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(json: &str, style: Style) -> Option<String> {
        pretty(&serde_json::from_str(json).unwrap(), style, &TimeZone::fixed(jiff::tz::offset(2)))
    }

    fn event(kind: &str, offset: &str) -> String {
        format!(
            r#"{{"v":1,"seq":1,"ts":"2026-11-20T08:30:46.120Z","type":"{kind}","event":{{"id":"x","label":"Bark","slug":"bark","mid":null,"source":"kitchen","onset":"2026-11-20T08:30:45.840Z",{offset},"score":0.7123,"peak_score":0.9,"threshold":0.5,"level_dbfs":-31.2}},"latency_ms":280}}"#
        )
    }

    #[test]
    fn events_are_in_columns_with_local_times() {
        let start = event("event.start", r#""offset":null,"duration_ms":null"#);
        let end = event("event.end", r#""reason":"paused","offset":"2026-11-20T08:30:46.250Z","duration_ms":410"#);
        insta::assert_snapshot!(printed(&start, Style::Plain).unwrap(), @"10:30:45.840  kitchen              ┌ Bark                             0.71   -31.2 dBFS  after 280 ms");
        insta::assert_snapshot!(printed(&end, Style::Plain).unwrap(), @"10:30:46.250  kitchen              └ Bark                             0.90   -31.2 dBFS  lasted 0.4 s  (paused)");
        assert!(printed(&start, Style::Colour).unwrap().contains("\x1b[1mBark"));
        assert_eq!(printed(&event("event.update", r#""offset":null,"duration_ms":null"#), Style::Plain), None);
    }

    #[test]
    fn a_pause_has_its_reason_and_its_end() {
        let line = |what: &str| printed(&format!(r#"{{"v":1,"ts":"2026-11-20T20:00:00.000Z",{what}}}"#), Style::Plain).unwrap();
        insta::assert_snapshot!(line(r#""type":"paused","reason":"quiet_hours","until":"2026-11-21T04:30:00.000Z""#), @"22:00:00.000  nothing is heard: quiet hours until 06:30");
        insta::assert_snapshot!(line(r#""type":"paused","reason":"request","until":null"#), @"22:00:00.000  nothing is heard: paused by a request");
        insta::assert_snapshot!(line(r#""type":"paused","reason":"a\u001bholiday","until":null"#), @"22:00:00.000  nothing is heard: a�holiday");
        insta::assert_snapshot!(line(r#""type":"resumed","reason":"quiet_hours""#), @"22:00:00.000  sound is heard again: the quiet hours are over");
        insta::assert_snapshot!(line(r#""type":"resumed","reason":"request""#), @"22:00:00.000  sound is heard again");
    }

    #[test]
    fn names_cannot_control_the_terminal() {
        let lost = r#"{"v":1,"type":"source.lost","source":"a\u001b[2J","reason":"gone\n"}"#;
        assert_eq!(printed(lost, Style::Plain).unwrap(), "  a\u{fffd}[2J is lost: gone\u{fffd}");
        assert_eq!(printed(r#"{"v":1,"type":"weather","wind":3}"#, Style::Plain), None);
    }
}
