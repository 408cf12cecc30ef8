//! The values of a report for templates and for the environment of a program, from the report's line. It reads no clock.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::publish::wire::{Body, Event, Line, duration};

use super::template::FIELDS;

/// The values of a line.
#[derive(Debug, Clone)]
pub struct Fields {
    values: Vec<(&'static str, String)>,
}

impl Fields {
    /// The values of a line for a hook.
    pub fn new(line: &Line, hook: &str, node: &str, zone: &TimeZone) -> Self {
        let kind = kind(&line.body);
        let event = event(&line.body);
        // A clip is told by the names of its event.
        let (clip_label, clip_slug, clip_event) = match &line.body {
            Body::Clip { label, slug, event, .. } => (label.clone(), slug.clone(), event.clone()),
            _ => (kind.clone(), kind.replace('.', "_"), String::new()),
        };
        let at = event.map(|event| event.onset.as_str()).or(line.ts.as_deref()).and_then(|at| at.parse::<Timestamp>().ok());
        let local = at.map(|at| zone.to_datetime(at));
        let of = |value: fn(&Event) -> String, none: &str| event.map_or_else(|| none.to_owned(), value);
        let values = vec![
            ("hook", hook.to_owned()),
            ("type", kind.clone()),
            ("label", of(|event| event.label.clone(), &clip_label)),
            ("slug", of(|event| event.slug.clone(), &clip_slug)),
            ("source", event.map_or_else(|| source(&line.body), |event| event.source.clone())),
            ("node", node.to_owned()),
            ("text", sentence(&line.body)),
            ("time", local.map(|at| at.strftime("%H:%M:%S").to_string()).unwrap_or_default()),
            ("date", local.map(|at| at.date().to_string()).unwrap_or_default()),
            ("id", of(|event| event.id.clone(), &clip_event)),
            ("onset", of(|event| event.onset.clone(), "")),
            ("offset", of(|event| event.offset.clone().unwrap_or_default(), "")),
            ("duration_s", of(|event| format!("{:.1}", event.duration_ms.unwrap_or(0) as f64 / 1e3), "0")),
            ("score", of(|event| event.peak_score.to_string(), "0")),
            ("percent", of(|event| format!("{:.0}", event.peak_score * 100.0), "0")),
            ("level_dbfs", of(|event| event.level_dbfs.to_string(), "0")),
            ("confirmed", of(|event| event.confirmed.to_string(), "false")),
            ("also", of(|event| event.also.join(", "), "")),
            ("reason", of(|event| event.reason.as_ref().map(ToString::to_string).unwrap_or_default(), "")),
            ("seq", line.seq.unwrap_or(0).to_string()),
            ("ts", line.ts.clone().unwrap_or_default()),
            ("clip", String::new()),
            ("secret", String::new()),
        ];
        Self { values }
    }

    /// The same with a secret.
    pub fn with_secret(self, secret: Option<&str>) -> Self {
        self.with("secret", secret.unwrap_or_default().to_owned())
    }

    /// The same with the path of a clip.
    pub fn with_clip(self, path: Option<&Path>) -> Self {
        self.with("clip", path.map(|path| path.display().to_string()).unwrap_or_default())
    }

    fn with(mut self, field: &str, is: String) -> Self {
        if let Some((_, value)) = self.values.iter_mut().find(|(name, _)| *name == field) {
            *value = is;
        }
        self
    }

    /// The value of a field.
    pub fn value(&self, field: &str) -> String {
        self.values.iter().find(|(name, _)| *name == field).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Every value as a variable of the environment: `MIMID_LABEL` and so on.
    pub fn environment(&self) -> impl Iterator<Item = (String, String)> {
        // A NUL ends a variable, so that none can hold one.
        self.values.iter().map(|(name, value)| (format!("MIMID_{}", name.to_uppercase()), value.replace('\0', " ")))
    }
}

/// Values that no real report has, for the judgement of a template: each differs, and each is as its field's values are.
pub fn sample(field: &str) -> String {
    match field {
        "duration_s" | "score" | "percent" | "level_dbfs" | "seq" => "0".to_owned(),
        "confirmed" => "false".to_owned(),
        _ => FIELDS.iter().find(|name| **name == field).map_or_else(String::new, |name| (*name).to_owned()),
    }
}

fn kind(body: &Body) -> String {
    let json = serde_json::to_value(body).unwrap_or_default();
    json.get("type").and_then(|kind| kind.as_str()).unwrap_or_default().to_owned()
}

fn event(body: &Body) -> Option<&Event> {
    match body {
        Body::EventStart { event, .. } | Body::EventUpdate { event, .. } | Body::EventEnd { event, .. } => Some(event),
        _ => None,
    }
}

fn source(body: &Body) -> String {
    match body {
        Body::SourceLost { source, .. }
        | Body::SourceRestored { source }
        | Body::SourceSilent { source, .. }
        | Body::SourceGap { source, .. }
        | Body::SourceClipping { source, .. }
        | Body::Clip { source, .. }
        | Body::Overrun { source, .. } => source.clone(),
        _ => String::new(),
    }
}

/// A report as one sentence for people.
pub fn sentence(body: &Body) -> String {
    let seconds = |ms: u64| if ms < 10_000 { format!("{:.1} s", ms as f64 / 1e3) } else { duration(ms as f64 / 1e3) };
    match body {
        Body::EventStart { event, .. } | Body::EventUpdate { event, .. } => {
            let Event { label, source, peak_score, .. } = event;
            format!("{label}, heard by {source}, score {peak_score:.2}")
        }
        Body::EventEnd { event, .. } => {
            let Event { label, source, peak_score, duration_ms, .. } = event;
            format!("{label}, heard by {source} for {}, score {peak_score:.2}", seconds(duration_ms.unwrap_or(0)))
        }
        Body::Clip { label, source, state, reason, .. } => match reason {
            Some(reason) => format!("The clip of {label}, heard by {source}, is {state}: {reason}"),
            None => format!("{label}, heard by {source}, with its sound"),
        },
        Body::SourceLost { source, reason } => format!("The source {source} is lost: {reason}"),
        Body::SourceRestored { source } => format!("The source {source} delivers again"),
        Body::SourceSilent { source, seconds } => {
            format!("The source {source} delivers nothing but digital silence for {}", duration(*seconds))
        }
        Body::SourceGap { source, gap_ms } => format!("The source {source} did not deliver {} of sound", seconds(*gap_ms)),
        Body::SourceClipping { source, .. } => format!("The source {source} clips: its gain is too high"),
        Body::Overrun { source, samples: 0, hop_ms, .. } => {
            format!("The analysis of {source} scores a window every {hop_ms} ms")
        }
        Body::Overrun { source, gap_ms, .. } => {
            format!("The analysis does not keep up: {} of {source} are lost", seconds(*gap_ms))
        }
        Body::ClockStepped { by_ms } => format!("The clock was set by {by_ms} ms"),
        Body::Paused { reason, until } => match until {
            Some(until) => format!("Nothing is heard until {until}: {reason}"),
            None => format!("Nothing is heard: {reason}"),
        },
        Body::Resumed { .. } => "Sound is heard again".to_owned(),
        Body::ConfigReloaded { changes } if changes.is_empty() => "The configuration was loaded again".to_owned(),
        Body::ConfigReloaded { changes } => format!("The configuration was loaded again: {}", changes.join("; ")),
        Body::ConfigRejected { faults } => format!("A new configuration is refused: {}", faults.join("; ")),
        Body::Summary(summary) => summary.sentence(),
        other => kind(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EndReason, Pause, PauseReason, Report, SoundEvent};

    fn line(report: &Report) -> Line {
        Line::report(7, "2026-11-29T03:12:09.5Z".parse().unwrap(), report)
    }

    fn ended() -> Report {
        let onset: Timestamp = "2026-11-29T03:12:07Z".parse().unwrap();
        let event = SoundEvent { onset, is_confirmed: true, peak_score: 0.83, ..SoundEvent::example(7, "Glass", "kitchen") };
        let offset = onset.checked_add(jiff::SignedDuration::from_millis(1_700)).ok();
        Report::EventEnd(SoundEvent { offset, ..event }, EndReason::Decay)
    }

    #[test]
    fn every_field_has_a_value_and_every_value_a_field() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let fields = Fields::new(&line(&ended()), "phone", "attic", &zone).with_secret(Some("geheim"));
        assert_eq!(fields.values.iter().map(|(name, _)| *name).collect::<Vec<_>>(), FIELDS);
        let all: Vec<String> = fields.environment().map(|(name, value)| format!("{name}={value}")).collect();
        insta::assert_snapshot!(all.join("\n"));
    }

    fn summary() -> std::sync::Arc<crate::event::Summary> {
        let heard = crate::event::Heard {
            label: "Dog".to_owned(),
            events: 12,
            duration_ms: 90_000,
            usual_tenths: 15,
            usual_duration_ms: 500,
            before: None,
            is_new: false,
            is_more: true,
            is_longer: false,
        };
        let glass = crate::event::Heard { label: "Glass".to_owned(), events: 1, is_new: true, is_more: false, ..heard.clone() };
        let unheard = vec![crate::event::Unheard { source: None, kind: "paused".to_owned(), duration_ms: 7_200_000 }];
        crate::event::Summary { n_days: 28, heard: vec![heard, glass], unheard, ..crate::event::Summary::default() }.into()
    }

    #[test]
    fn every_report_is_a_sentence() {
        let of = || "kitchen".into();
        let pause =
            |until: Option<&str>| Pause { reason: PauseReason::QuietHours, until: until.map(|until| until.parse().unwrap()) };
        let reports = [
            Report::EventStart(SoundEvent::example(1, "Glass", "kitchen")),
            ended(),
            Report::SourceLost { source: of(), reason: "the device is gone".to_owned() },
            Report::SourceRestored { source: of() },
            Report::SourceSilent { source: of(), seconds: 75.0 },
            Report::SourceGap { source: of(), gap_ms: 90_000 },
            Report::SourceClipping { source: of(), samples: 3 },
            Report::Overrun { source: of(), samples: 16_000, gap_ms: 1_000, hop_ms: 100 },
            Report::Overrun { source: of(), samples: 0, gap_ms: 0, hop_ms: 200 },
            Report::ClockStepped { by_ms: -3_000 },
            Report::Paused(pause(None)),
            Report::Paused(pause(Some("2026-11-29T06:30:00Z"))),
            Report::Resumed { reason: PauseReason::Request },
            Report::ConfigReloaded { changes: vec!["[sinks] changed".to_owned()] },
            Report::ConfigReloaded { changes: Vec::new() },
            Report::ConfigRejected { faults: vec!["line 3: a: b".to_owned()] },
            Report::Summary(summary()),
        ];
        let said: Vec<String> = reports.iter().map(|report| sentence(&line(report).body)).collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
