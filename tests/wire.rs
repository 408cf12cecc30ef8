//! Protocol v1, declared a second time: a field that is renamed, removed or changes its type fails here, not at a user's.

use std::sync::Arc;

use jiff::Timestamp;
use mimid::event::{EndReason, Report, SoundEvent, Subject};
use mimid::publish::wire::{Line, Request};
use serde::Deserialize;
use uuid::Uuid;

fn event() -> SoundEvent {
    SoundEvent {
        id: Uuid::from_u128(0x019f_0000_0000_7000_8000_0000_0000_0001),
        subject: Arc::new(Subject { name: "Bark".into(), slug: "bark".into(), id: "/m/05tny_".into() }),
        source: "default".into(),
        onset: "2026-11-20T08:30:45.84Z".parse().unwrap(),
        offset: None,
        score: 0.71,
        peak_score: 0.712_345,
        threshold: 0.5,
        level_dbfs: -31.24,
    }
}

fn json(report: &Report) -> String {
    let now: Timestamp = "2026-11-20T08:30:46.12Z".parse().unwrap();
    Line::report(1_042, now, report).to_json()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the fields are there to be demanded")]
struct Event {
    id: String,
    label: String,
    slug: String,
    mid: Option<String>,
    source: String,
    onset: String,
    offset: Option<String>,
    duration_ms: Option<u64>,
    score: f64,
    peak_score: f64,
    threshold: f64,
    level_dbfs: f64,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the fields are there to be demanded")]
struct EventLine {
    v: u32,
    seq: u64,
    ts: String,
    #[serde(rename = "type")]
    kind: String,
    event: Event,
    latency_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the fields are there to be demanded")]
struct HealthLine {
    v: u32,
    seq: u64,
    ts: String,
    #[serde(rename = "type")]
    kind: String,
    source: Option<String>,
    reason: Option<String>,
    seconds: Option<f64>,
    samples: Option<u64>,
    gap_ms: Option<u64>,
    changes: Option<Vec<String>>,
    faults: Option<Vec<String>>,
}

#[test]
fn each_line_is_what_the_protocol_says() {
    let mut ended = event();
    ended.offset = Some("2026-11-20T08:30:46.25Z".parse().unwrap());
    insta::assert_snapshot!(json(&Report::EventStart(event())), @r#"{"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"event.start","event":{"id":"019f0000-0000-7000-8000-000000000001","label":"Bark","slug":"bark","mid":"/m/05tny_","source":"default","onset":"2026-11-20T08:30:45.840Z","offset":null,"duration_ms":null,"score":0.71,"peak_score":0.7123,"threshold":0.5,"level_dbfs":-31.2},"latency_ms":280}"#);
    insta::assert_snapshot!(json(&Report::EventEnd(ended.clone(), EndReason::MaxDuration)), @r#"{"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"event.end","event":{"id":"019f0000-0000-7000-8000-000000000001","label":"Bark","slug":"bark","mid":"/m/05tny_","source":"default","onset":"2026-11-20T08:30:45.840Z","offset":"2026-11-20T08:30:46.250Z","duration_ms":410,"score":0.71,"peak_score":0.7123,"threshold":0.5,"level_dbfs":-31.2,"reason":"max_duration"},"latency_ms":0}"#);
    let reasons = [EndReason::Decay, EndReason::MaxDuration, EndReason::SourceLost, EndReason::Paused, EndReason::Shutdown];
    let said: Vec<String> = reasons
        .iter()
        .map(|reason| {
            serde_json::from_str::<EventLine>(&json(&Report::EventEnd(ended.clone(), *reason))).unwrap().event.reason.unwrap()
        })
        .collect();
    assert_eq!(said, ["decay", "max_duration", "source_lost", "paused", "shutdown"]);
    for (report, kind) in [(Report::EventStart(event()), "event.start"), (Report::EventUpdate(event()), "event.update")] {
        let line: EventLine = serde_json::from_str(&json(&report)).unwrap();
        assert_eq!((line.kind.as_str(), line.event.reason), (kind, None));
    }
    let source: Arc<str> = "kitchen".into();
    for (report, kind) in [
        (Report::SourceLost { source: source.clone(), reason: "x".into() }, "source.lost"),
        (Report::SourceRestored { source: source.clone() }, "source.restored"),
        (Report::SourceSilent { source: source.clone(), seconds: 10.0 }, "source.silent"),
        (Report::SourceClipping { source: source.clone(), samples: 3 }, "source.clipping"),
        (Report::Overrun { source, samples: 480, gap_ms: 10 }, "overrun"),
        (Report::ConfigReloaded { changes: vec!["x".into()] }, "config.reloaded"),
        (Report::ConfigRejected { faults: vec!["x".into()] }, "config.rejected"),
    ] {
        let line: HealthLine = serde_json::from_str(&json(&report)).unwrap();
        assert_eq!((line.v, line.seq, line.kind.as_str(), line.source.is_some()), (1, 1_042, kind, !kind.starts_with("config")));
    }
}

#[test]
fn a_group_has_no_id_and_a_source_ahead_of_the_clock_no_negative_latency() {
    let mut group = event();
    group.subject = Arc::new(Subject { name: "alarm".into(), slug: "alarm".into(), id: String::new() });
    group.onset = "2026-11-20T09:00:00Z".parse().unwrap();
    let line: EventLine = serde_json::from_str(&json(&Report::EventStart(group))).unwrap();
    assert_eq!((line.event.mid, line.latency_ms), (None, 0));
}

#[test]
fn the_requests_of_the_protocol_are_read() {
    for text in [
        r#"{"op":"subscribe","labels":["Dog","/m/07pbtc8"],"sources":["kitchen"],"types":["event"],"min_score":0.3,"since":1041}"#,
        r#"{"op":"subscribe"}"#,
        r#"{"op":"status"}"#,
        r#"{"op":"top","k":5}"#,
        r#"{"op":"top"}"#,
        r#"{"op":"reload"}"#,
        r#"{"op":"pause","seconds":600}"#,
        r#"{"op":"pause"}"#,
        r#"{"op":"resume"}"#,
        r#"{"op":"test","label":"Smoke detector, smoke alarm"}"#,
    ] {
        serde_json::from_str::<Request>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert!(serde_json::from_str::<Request>(r#"{"op":"status","k":5}"#).is_err());
}
