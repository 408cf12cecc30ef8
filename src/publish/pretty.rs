//! Lines for people: what `mimid listen` and `mimid run --print` show on a terminal.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::wire::{Body, Event, Line};

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Colour,
}

/// A line for people, without its newline; `None` for lines that say nothing to them. Times are in `zone`.
pub fn pretty(line: &Line, style: Style, zone: &TimeZone) -> Option<String> {
    let ts = line.ts.as_deref().unwrap_or_default();
    let (time, text) = match &line.body {
        Body::EventStart { event, latency_ms } => (event.onset.as_str(), start(event, *latency_ms, style)),
        Body::EventEnd { event, .. } => (event.offset.as_deref().unwrap_or(ts), end(event, style)),
        Body::EventUpdate { .. } | Body::Heartbeat {} | Body::Subscribed { .. } => return None,
        Body::Hello { version, model, sources } => {
            let sources = sources.join(", ");
            (ts, format!("mimid {version} hears {} kinds of sound with {} on {sources}", model.labels, model.name))
        }
        Body::SourceLost { source, reason } => (ts, paint(style, "31", &format!("{source} is lost: {reason}"))),
        Body::SourceRestored { source } => (ts, paint(style, "32", &format!("{source} is back"))),
        Body::SourceSilent { source, seconds } => {
            (ts, paint(style, "33", &format!("{source} has been digitally silent for {seconds} s")))
        }
        Body::SourceClipping { source, samples } => {
            (ts, paint(style, "33", &format!("{source} clips ({samples} samples): lower its gain")))
        }
        Body::Overrun { source, gap_ms, .. } => {
            (ts, paint(style, "33", &format!("{source} lost {gap_ms} ms: the machine is too busy")))
        }
        Body::ConfigReloaded { changes } if changes.is_empty() => (ts, "the configuration is the same as before".to_owned()),
        Body::ConfigReloaded { changes } => (ts, format!("new configuration: {}", changes.join("; "))),
        Body::ConfigRejected { faults } => {
            (ts, paint(style, "31", &format!("the new configuration is refused: {}", faults.join("; "))))
        }
        Body::Dropped { count } => (ts, paint(style, "33", &format!("{count} lines were dropped"))),
        Body::Error { message, .. } => (ts, paint(style, "31", message)),
        Body::Status(_) | Body::Top { .. } | Body::Done { .. } | Body::Unknown => return None,
    };
    Some(format!("{}  {text}", local(time, zone)))
}

fn start(event: &Event, latency_ms: u64, style: Style) -> String {
    let label = paint(style, "1", &format!("{:<32}", event.label));
    let delay = paint(style, "2", &format!("after {latency_ms} ms"));
    format!("{:<20} ┌ {label} {:>4.2}  {:>6.1} dBFS  {delay}", event.source, event.score, event.level_dbfs)
}

fn end(event: &Event, style: Style) -> String {
    let lasted = event.duration_ms.unwrap_or(0) as f64 / 1_000.0;
    let label = format!("{:<32}", event.label);
    let reason =
        event.reason.as_deref().filter(|reason| *reason != "decay").map(|reason| format!("  ({reason})")).unwrap_or_default();
    let text = format!(
        "{:<20} └ {label} {:>4.2}  {:>6.1} dBFS  lasted {lasted:.1} s{reason}",
        event.source, event.peak_score, event.level_dbfs
    );
    paint(style, "2", &text)
}

/// A time of the wire as the time of day in `zone`.
fn local(time: &str, zone: &TimeZone) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.to_zoned_datetime(zone.clone()).strftime("%H:%M:%S%.3f").to_string(),
        Err(_) => time.to_owned(),
    }
}

fn paint(style: Style, code: &str, text: &str) -> String {
    match style {
        Style::Plain => text.to_owned(),
        Style::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}
