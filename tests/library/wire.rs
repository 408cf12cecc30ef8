//! Protocol v1, declared a second time. A field that is renamed, added, left out, or changed in type fails these tests.
//!
//! A field that is added on purpose is added here as well. No field may be removed here.

mod json_schema;
mod schema;

use std::sync::Arc;

use jiff::Timestamp;
use mimid::analysis::query::{OpenEvent, RecentPeak, RecentPeaks, SourceTop, TopLabel};
use mimid::detect::peaks::CurveKind;
use mimid::detect::rule::Thresholds;
use mimid::detect::why::Why;
use mimid::event::{ClipReport, ClipState, EndReason, Pause, PauseReason, Report, SoundEvent, Subject};
use mimid::publish::wire::{
    self, Body, ClipsStatus, HookStatus, Line, ModelInfo, PauseStatus, Request, SinkStatus, SourceStatus, Status,
};
use mimid::stats::clips::ClipStats;
use mimid::stats::hook::{HookStats, LastTry};
use mimid::stats::sink::SinkStats;
use mimid::stats::{SourceState, SourceStats};
use serde::de::DeserializeOwned;

const INSTANCE: &str = "019aa000-0000-7000-8000-000000000002";
const NOW: &str = "2026-11-20T08:30:46.1209Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn bark() -> SoundEvent {
    let subject = Subject { name: "Bark".to_owned(), slug: "bark".to_owned(), id: "/m/05tny_".to_owned() };
    SoundEvent {
        id: uuid::Uuid::from_u128(0x019a_a000_0000_7000_8000_0000_0000_0001),
        subject: Arc::new(subject),
        source: "default".into(),
        onset: "2026-11-20T08:30:45.8401Z".parse().unwrap(),
        offset: None,
        score: 0.712_345,
        peak_score: 0.8,
        threshold: 0.5,
        level_dbfs: -31.24,
        onset_uncertainty_ms: 300,
        offset_uncertainty_ms: None,
        also: vec![Arc::new(Subject { name: "Dog".to_owned(), slug: "dog".to_owned(), id: "/m/0bt9lr".to_owned() })],
        is_confirmed: false,
        embedding: None,
    }
}

fn ended() -> SoundEvent {
    SoundEvent { offset: Some("2026-11-20T08:30:46.2508Z".parse().unwrap()), offset_uncertainty_ms: Some(40), ..bark() }
}

fn night() -> Pause {
    Pause { reason: PauseReason::QuietHours, until: Some("2026-11-21T05:30:00Z".parse().unwrap()) }
}

fn request() -> Pause {
    Pause { reason: PauseReason::Request, until: None }
}

fn published(report: &Report) -> String {
    Line::report(1_042, now(), report).to_json()
}

fn said(body: Body) -> String {
    Line::new(now(), body).to_json()
}

fn with_seq(body: Body) -> String {
    Line { seq: Some(1_041), ..Line::new(now(), body) }.to_json()
}

fn model() -> ModelInfo {
    ModelInfo { name: "ced-tiny".to_owned(), sha256: "ab".to_owned(), labels: 527 }
}

fn hello() -> Body {
    let (version, instance) = ("0.1.0".to_owned(), INSTANCE.to_owned());
    Body::Hello { version, instance, model: model(), sources: vec!["default".to_owned()] }
}

fn status() -> Status {
    let stats = SourceStats::new("default".into());
    stats.record_state(SourceState::Live);
    stats.latency.add(std::time::Duration::from_millis(30));
    let sink = SinkStats::new("mqtt");
    sink.fall("the broker refuses".to_owned());
    let hook = HookStats::new("phone");
    hook.tried(LastTry { at: now(), is_done: true, said: "the server answered 200 OK".to_owned() });
    Status {
        version: "0.1.0".to_owned(),
        instance: INSTANCE.to_owned(),
        pid: 7,
        uptime_s: 1.5,
        config: None,
        model: model(),
        paused: None,
        sources: vec![SourceStatus::from(&stats)],
        inferences: 0,
        inference_ms: None,
        busy: 0.25,
        hop_ms: 100,
        clients: 1,
        dropped_lines: 0,
        dropped_reports: 0,
        sinks: vec![SinkStatus::from(&sink)],
        hooks: vec![HookStatus::from(&hook), HookStatus::from(&HookStats::new("quiet"))],
        clips: Some(ClipsStatus::from(&ClipStats::new("/a/clips".into()))),
    }
}

fn paused_status(pause: Pause) -> Status {
    Status { paused: Some(PauseStatus::from(&pause)), sources: vec![], clips: None, ..status() }
}

fn clip(state: ClipState) -> Report {
    let is_kept = state == ClipState::Kept;
    Report::Clip(Box::new(ClipReport {
        event: "019aa000-0000-7000-8000-000000000001".parse().unwrap(),
        subject: Arc::new(Subject { name: "Glass".to_owned(), slug: "glass".to_owned(), id: "/m/039jq".to_owned() }),
        source: "default".into(),
        state,
        reason: (!is_kept).then(|| "a voice".to_owned()),
        file: is_kept.then(|| "20261120T083042Z_glass_019aa000-0000-7000-8000-000000000001.flac".to_owned()),
        from: now() - jiff::SignedDuration::from_secs(4),
        to: now(),
        bytes: if is_kept { 7 } else { 0 },
    }))
}

/// Every reason of a label, each once.
fn reasons() -> Vec<Why> {
    let dog = Arc::new(Subject { name: "Dog".to_owned(), slug: "dog".to_owned(), id: "/m/0bt9lr".to_owned() });
    let group = Arc::new(Subject { name: "alarm".to_owned(), slug: "alarm".to_owned(), id: String::new() });
    vec![
        Why::Open { is_confirmed: true },
        Why::Open { is_confirmed: false },
        Why::Pending,
        Why::Held { by: dog },
        Why::Below { background: 0.0 },
        Why::Confirming { hits: 1, needed: 2, of: 3 },
        Why::TooQuiet { level_dbfs: -61.26, least_dbfs: -60.0 },
        Why::TooShort { least_ms: 500 },
        Why::Refused,
        Why::CoolingDown { left_ms: 1_230 },
        Why::Ignored,
        Why::NotReported,
        Why::Grouped { group },
    ]
}

fn thresholds() -> Thresholds {
    Thresholds { threshold: 0.2, start_threshold: 0.14, release: 0.02 }
}

fn top() -> SourceTop {
    let subject = bark().subject;
    let label = |why: Why| {
        let is_reported = !matches!(why, Why::Ignored | Why::NotReported | Why::Grouped { .. });
        let thresholds = is_reported.then_some(thresholds());
        let (confirmed, background) = (is_reported.then_some(0.05), is_reported.then_some(0.01));
        TopLabel { subject: subject.clone(), score: 0.123_46, confirmed, background, thresholds, why }
    };
    SourceTop {
        source: "default".into(),
        level_dbfs: f32::NEG_INFINITY,
        noise_floor_dbfs: -60.26,
        clipped_samples: 3,
        hops: 42,
        hop_ms: 100,
        confirmed_lag_ms: 2_700,
        open: vec![OpenEvent {
            id: bark().id,
            subject: subject.clone(),
            onset: bark().onset,
            peak_score: 0.8,
            is_confirmed: true,
            is_quiet: false,
            also: bark().also,
        }],
        labels: reasons().into_iter().map(label).collect(),
    }
}

fn set() -> Body {
    Body::Set { label: "Bark".to_owned(), slug: "bark".to_owned(), thresholds: thresholds().into() }
}

fn peaks(kind: CurveKind) -> RecentPeaks {
    let (source, at) = (Arc::<str>::from("default"), now());
    let peak = RecentPeak { source: source.clone(), subject: bark().subject, kind, score: 0.012_34, at };
    RecentPeaks { next: 7, lost: 0, more: false, heard_s: 12.34, sources: vec![source], peaks: vec![peak] }
}

/// Parses the line by the independent declaration, and by the daemon's own.
fn check<T: DeserializeOwned>(line: &str) -> T {
    let own: Line = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(own.to_json(), line, "a client reads what the daemon wrote");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn every_line_has_just_the_declared_fields() {
    use schema::*;
    let source: Arc<str> = "default".into();
    let text = |text: &str| text.to_owned();
    check::<Hello>(&with_seq(hello()));
    let (labels, sources) = (vec![text("Dog")], vec![text("kitchen")]);
    let (types, confirmed, restarted) = (vec![text("event")], true, true);
    check::<Subscribed>(&with_seq(Body::Subscribed { labels, sources, types, min_score: 0.3, confirmed, restarted }));
    check::<Event>(&published(&Report::EventStart(bark())));
    check::<Event>(&published(&Report::EventUpdate(bark())));
    for (reason, expected) in [
        (mimid::event::EndReason::Decay, EndReason::Decay),
        (mimid::event::EndReason::Unconfirmed, EndReason::Unconfirmed),
        (mimid::event::EndReason::MaxDuration, EndReason::MaxDuration),
        (mimid::event::EndReason::SourceLost, EndReason::SourceLost),
        (mimid::event::EndReason::Paused, EndReason::Paused),
        (mimid::event::EndReason::Shutdown, EndReason::Shutdown),
    ] {
        assert_eq!(check::<EventEnd>(&published(&Report::EventEnd(ended(), reason))).event.reason, expected);
    }
    check::<SourceLost>(&published(&Report::SourceLost { source: source.clone(), reason: text("It was unplugged.") }));
    check::<SourceRestored>(&published(&Report::SourceRestored { source: source.clone() }));
    check::<SourceSilent>(&published(&Report::SourceSilent { source: source.clone(), seconds: 60.0 }));
    check::<SourceGap>(&published(&Report::SourceGap { source: source.clone(), gap_ms: 30_120 }));
    check::<Clip>(&published(&clip(mimid::event::ClipState::Kept)));
    check::<Clip>(&published(&clip(mimid::event::ClipState::Withheld)));
    check::<SourceClipping>(&published(&Report::SourceClipping { source: source.clone(), samples: 12 }));
    check::<Overrun>(&published(&Report::Overrun { source, samples: 480, gap_ms: 10, hop_ms: 100 }));
    check::<ClockStepped>(&published(&Report::ClockStepped { by_ms: -3_600_000 }));
    for (pause, expected) in [(night(), PauseReason::QuietHours), (request(), PauseReason::Request)] {
        let paused = check::<Paused>(&published(&Report::Paused(pause)));
        assert_eq!((&paused.reason, paused.until.is_some()), (&expected, pause.until.is_some()));
        assert_eq!(check::<Resumed>(&published(&Report::Resumed { reason: pause.reason })).reason, expected);
        let told = check::<Status>(&with_seq(Body::Status(Box::new(paused_status(pause))))).paused.unwrap();
        assert_eq!((told.reason, told.until), (paused.reason, paused.until));
    }
    check::<ConfigReloaded>(&published(&Report::ConfigReloaded { changes: vec![text("Dog is reported from 0.4")] }));
    check::<ConfigRejected>(&published(&Report::ConfigRejected { faults: vec![text("line 3: no")] }));
    check::<Summary>(&published(&summary()));
    check::<Dropped>(&said(Body::Dropped { count: 3 }));
    check::<Heartbeat>(&said(Body::Heartbeat {}));
    check::<Status>(&with_seq(Body::Status(Box::new(status()))));
    check::<Top>(&said(Body::Top { sources: vec![top().into()] }));
    check::<Set>(&said(set()));
    for (kind, expected) in [(CurveKind::Confirmed, PeakKind::TwoSided), (CurveKind::Causal, PeakKind::Causal)] {
        assert_eq!(check::<Peaks>(&said(Body::Peaks(peaks(kind).into()))).peaks[0].kind, expected);
    }
    check::<Done>(&said(Body::Done { op: text("test"), note: Some(text("It is left out.")) }));
    check::<Error>(&said(Body::Error { code: text("bad_request"), message: text("no") }));
}

fn summary() -> Report {
    let heard = mimid::event::Heard {
        label: "Dog".to_owned(),
        events: 12,
        duration_ms: 90_000,
        usual_tenths: 15,
        usual_duration_ms: 500,
        before: Some(now()),
        is_new: false,
        is_more: true,
        is_longer: true,
    };
    let new = mimid::event::Heard { label: "Glass".to_owned(), before: None, is_new: true, ..heard.clone() };
    let unheard = vec![mimid::event::Unheard { source: None, kind: "paused".to_owned(), duration_ms: 7_200_000 }];
    Report::Summary(mimid::event::Summary { from: now(), until: now(), n_days: 28, heard: vec![heard, new], unheard }.into())
}

/// A line of every type.
fn lines() -> Vec<String> {
    let source: Arc<str> = "default".into();
    let text = |text: &str| text.to_owned();
    let group = Subject { name: text("alarm"), slug: text("alarm"), id: String::new() };
    vec![
        with_seq(hello()),
        with_seq(Body::Subscribed {
            labels: vec![text("Dog")],
            sources: vec![],
            types: vec![text("event")],
            min_score: 0.3,
            confirmed: false,
            restarted: false,
        }),
        published(&Report::EventStart(bark())),
        published(&Report::EventUpdate(SoundEvent { subject: Arc::new(group), ..bark() })),
        published(&Report::EventEnd(ended(), EndReason::MaxDuration)),
        published(&Report::SourceLost { source: source.clone(), reason: text("It was unplugged.") }),
        published(&Report::SourceRestored { source: source.clone() }),
        published(&Report::SourceSilent { source: source.clone(), seconds: 60.04 }),
        published(&Report::SourceGap { source: source.clone(), gap_ms: 30_120 }),
        published(&Report::SourceClipping { source: source.clone(), samples: 12 }),
        published(&clip(ClipState::Kept)),
        published(&clip(ClipState::Withheld)),
        published(&Report::Overrun { source, samples: 480, gap_ms: 10, hop_ms: 100 }),
        published(&Report::ClockStepped { by_ms: -3_600_000 }),
        published(&Report::Paused(night())),
        published(&Report::Paused(request())),
        published(&Report::Resumed { reason: PauseReason::QuietHours }),
        published(&Report::ConfigReloaded { changes: vec![text("Dog is reported from 0.4")] }),
        published(&Report::ConfigRejected { faults: vec![text("line 3: no")] }),
        published(&summary()),
        said(Body::Dropped { count: 3 }),
        said(Body::Heartbeat {}),
        with_seq(Body::Status(Box::new(status()))),
        with_seq(Body::Status(Box::new(paused_status(night())))),
        said(Body::Top { sources: vec![top().into()] }),
        said(set()),
        said(Body::Peaks(peaks(CurveKind::Confirmed).into())),
        said(Body::Done { op: text("pause"), note: None }),
        said(Body::Error { code: text("bad_request"), message: text("no") }),
    ]
}

#[test]
fn the_lines_look_like_this() {
    insta::assert_snapshot!(lines().join("\n"), @r#"
    {"v":1,"seq":1041,"ts":"2026-11-20T08:30:46.120Z","type":"hello","version":"0.1.0","instance":"019aa000-0000-7000-8000-000000000002","model":{"name":"ced-tiny","sha256":"ab","labels":527},"sources":["default"]}
    {"v":1,"seq":1041,"ts":"2026-11-20T08:30:46.120Z","type":"subscribed","labels":["Dog"],"sources":[],"types":["event"],"min_score":0.3,"confirmed":false,"restarted":false}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"event.start","event":{"id":"019aa000-0000-7000-8000-000000000001","label":"Bark","slug":"bark","mid":"/m/05tny_","source":"default","onset":"2026-11-20T08:30:45.840Z","offset":null,"duration_ms":null,"score":0.7123,"peak_score":0.8,"threshold":0.5,"level_dbfs":-31.2,"onset_uncertainty_ms":300,"offset_uncertainty_ms":null,"also":["Dog"],"confirmed":false},"latency_ms":280}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"event.update","event":{"id":"019aa000-0000-7000-8000-000000000001","label":"alarm","slug":"alarm","mid":null,"source":"default","onset":"2026-11-20T08:30:45.840Z","offset":null,"duration_ms":null,"score":0.7123,"peak_score":0.8,"threshold":0.5,"level_dbfs":-31.2,"onset_uncertainty_ms":300,"offset_uncertainty_ms":null,"also":["Dog"],"confirmed":false},"latency_ms":280}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"event.end","event":{"id":"019aa000-0000-7000-8000-000000000001","label":"Bark","slug":"bark","mid":"/m/05tny_","source":"default","onset":"2026-11-20T08:30:45.840Z","offset":"2026-11-20T08:30:46.250Z","duration_ms":410,"score":0.7123,"peak_score":0.8,"threshold":0.5,"level_dbfs":-31.2,"onset_uncertainty_ms":300,"offset_uncertainty_ms":40,"also":["Dog"],"confirmed":false,"reason":"max_duration"},"latency_ms":0}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"source.lost","source":"default","reason":"It was unplugged."}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"source.restored","source":"default"}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"source.silent","source":"default","seconds":60.0}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"source.gap","source":"default","gap_ms":30120}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"source.clipping","source":"default","samples":12}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"clip","event":"019aa000-0000-7000-8000-000000000001","label":"Glass","slug":"glass","source":"default","state":"kept","reason":null,"file":"20261120T083042Z_glass_019aa000-0000-7000-8000-000000000001.flac","from":"2026-11-20T08:30:42.120Z","to":"2026-11-20T08:30:46.120Z","bytes":7}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"clip","event":"019aa000-0000-7000-8000-000000000001","label":"Glass","slug":"glass","source":"default","state":"withheld","reason":"a voice","file":null,"from":"2026-11-20T08:30:42.120Z","to":"2026-11-20T08:30:46.120Z","bytes":0}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"overrun","source":"default","samples":480,"gap_ms":10,"hop_ms":100}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"clock.stepped","by_ms":-3600000}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"paused","reason":"quiet_hours","until":"2026-11-21T05:30:00.000Z"}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"paused","reason":"request","until":null}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"resumed","reason":"quiet_hours"}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"config.reloaded","changes":["Dog is reported from 0.4"]}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"config.rejected","faults":["line 3: no"]}
    {"v":1,"seq":1042,"ts":"2026-11-20T08:30:46.120Z","type":"summary","from":"2026-11-20T08:30:46.120Z","until":"2026-11-20T08:30:46.120Z","days":28,"heard":[{"label":"Dog","events":12,"duration_ms":90000,"usual_events":1.5,"usual_duration_ms":500,"before":"2026-11-20T08:30:46.120Z","new":false,"more":true,"longer":true},{"label":"Glass","events":12,"duration_ms":90000,"usual_events":1.5,"usual_duration_ms":500,"before":null,"new":true,"more":true,"longer":true}],"unheard":[{"source":null,"kind":"paused","duration_ms":7200000}]}
    {"v":1,"ts":"2026-11-20T08:30:46.120Z","type":"dropped","count":3}
    {"v":1,"ts":"2026-11-20T08:30:46.120Z","type":"heartbeat"}
    {"v":1,"seq":1041,"ts":"2026-11-20T08:30:46.120Z","type":"status","version":"0.1.0","instance":"019aa000-0000-7000-8000-000000000002","pid":7,"uptime_s":1.5,"config":null,"model":{"name":"ced-tiny","sha256":"ab","labels":527},"paused":null,"sources":[{"name":"default","state":"live","rate_hz":null,"level_dbfs":null,"last_sample_age_ms":null,"samples":0,"overrun_samples":0,"windows":0,"events":0,"losses":0,"reason":null,"windows_per_s":0.0,"latency_ms":{"p50":32.0,"p95":32.0,"p99":32.0},"last_event_age_s":null}],"inferences":0,"inference_ms":null,"busy":0.25,"hop_ms":100,"clients":1,"dropped_lines":0,"dropped_reports":0,"sinks":[{"name":"mqtt","state":"down","reason":"the broker refuses","queued":0,"sent":0,"dropped":0,"clients":0}],"hooks":[{"name":"phone","waiting":0,"done":0,"failed":0,"given_up":0,"dropped":0,"last":{"at":"2026-11-20T08:30:46.120Z","ok":true,"result":"the server answered 200 OK"}},{"name":"quiet","waiting":0,"done":0,"failed":0,"given_up":0,"dropped":0,"last":null}],"clips":{"folder":"/a/clips","memory_bytes":0,"memory_locked":true,"kept":0,"withheld":0,"dropped":0,"files":0,"bytes":0,"missing":0,"reason":null,"cleared":null}}
    {"v":1,"seq":1041,"ts":"2026-11-20T08:30:46.120Z","type":"status","version":"0.1.0","instance":"019aa000-0000-7000-8000-000000000002","pid":7,"uptime_s":1.5,"config":null,"model":{"name":"ced-tiny","sha256":"ab","labels":527},"paused":{"reason":"quiet_hours","until":"2026-11-21T05:30:00.000Z"},"sources":[],"inferences":0,"inference_ms":null,"busy":0.25,"hop_ms":100,"clients":1,"dropped_lines":0,"dropped_reports":0,"sinks":[{"name":"mqtt","state":"down","reason":"the broker refuses","queued":0,"sent":0,"dropped":0,"clients":0}],"hooks":[{"name":"phone","waiting":0,"done":0,"failed":0,"given_up":0,"dropped":0,"last":{"at":"2026-11-20T08:30:46.120Z","ok":true,"result":"the server answered 200 OK"}},{"name":"quiet","waiting":0,"done":0,"failed":0,"given_up":0,"dropped":0,"last":null}],"clips":null}
    {"v":1,"ts":"2026-11-20T08:30:46.120Z","type":"top","sources":[{"source":"default","level_dbfs":-150.0,"noise_floor_dbfs":-60.3,"clipped_samples":3,"hops":42,"hop_ms":100,"two_sided_lag_ms":2700,"open":[{"id":"019aa000-0000-7000-8000-000000000001","label":"Bark","slug":"bark","onset":"2026-11-20T08:30:45.840Z","peak_score":0.8,"confirmed":true,"also":["Dog"]}],"labels":[{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"open","because":"an event is open"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"open","because":"announced, not yet confirmed"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"pending","because":"heard; is announced when confirmed"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"held","because":"the same sound is reported as Dog"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"below","because":"below its start threshold"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"confirming","because":"1 of the last 3 windows, 2 needed"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"too_quiet","because":"too quiet: -61.3 dBFS, must be -60.0"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"too_short","because":"shorter than 500 ms so far"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"refused","because":"not confirmed; nothing is announced until this sound is over"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":0.05,"background":0.01,"threshold":0.2,"start_threshold":0.14,"release":0.02,"why":"cooling_down","because":"cooling down for another 1.2 s"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":null,"background":null,"threshold":null,"start_threshold":null,"release":null,"why":"ignored","because":"[report] ignore leaves it out"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":null,"background":null,"threshold":null,"start_threshold":null,"release":null,"why":"not_reported","because":"[report] does not name it"},{"label":"Bark","slug":"bark","score":0.1235,"two_sided":null,"background":null,"threshold":null,"start_threshold":null,"release":null,"why":"grouped","because":"reported as the group alarm"}]}]}
    {"v":1,"ts":"2026-11-20T08:30:46.120Z","type":"set","label":"Bark","slug":"bark","threshold":0.2,"start_threshold":0.14,"release":0.02}
    {"v":1,"ts":"2026-11-20T08:30:46.120Z","type":"peaks","next":7,"lost":0,"more":false,"heard_s":12.3,"sources":["default"],"peaks":[{"source":"default","label":"Bark","kind":"two_sided","score":0.0123,"at":"2026-11-20T08:30:46.120Z"}]}
    {"v":1,"ts":"2026-11-20T08:30:46.120Z","type":"done","op":"pause"}
    {"v":1,"ts":"2026-11-20T08:30:46.120Z","type":"error","code":"bad_request","message":"no"}
    "#);
}

#[test]
fn times_have_three_decimals_and_agree_with_the_durations_beside_them() {
    for (time, expected) in [
        ("2026-11-20T08:30:46Z", "2026-11-20T08:30:46.000Z"),
        ("2026-11-20T08:30:46.9999Z", "2026-11-20T08:30:46.999Z"),
        ("2026-11-20T10:30:46.5+02:00", "2026-11-20T08:30:46.500Z"),
    ] {
        assert_eq!(mimid::publish::wire::time(time.parse().unwrap()), expected);
    }
    // 45.8401 to 46.2508 is nearly 411 ms, but from 45.840 to 46.250 are 410.
    let end: schema::EventEnd = check(&published(&Report::EventEnd(ended(), EndReason::Decay)));
    assert_eq!((end.event.onset.as_str(), end.event.offset.as_str()), ("2026-11-20T08:30:45.840Z", "2026-11-20T08:30:46.250Z"));
    assert_eq!(end.event.duration_ms, 410);
    // The end is later than the line, as from a source that is read faster than real time.
    assert_eq!(end.latency_ms, 0);
    let start: schema::Event = check(&published(&Report::EventStart(bark())));
    assert_eq!(start.latency_ms, 280);
}

#[test]
fn numbers_that_json_does_not_know_become_such_that_it_does() {
    let event = SoundEvent { score: f32::NAN, peak_score: 1.000_01, level_dbfs: f32::NEG_INFINITY, ..bark() };
    let start: schema::Event = check(&published(&Report::EventStart(event)));
    assert_eq!((start.event.score, start.event.peak_score, start.event.level_dbfs), (0.0, 1.0, -150.0));
    let line = published(&Report::EventStart(SoundEvent { level_dbfs: -0.01, ..bark() }));
    assert!(line.contains(r#""level_dbfs":0.0"#), "{line}");
}

#[test]
fn a_client_reads_over_what_a_newer_daemon_adds() {
    let line: Line = serde_json::from_str(r#"{"v":1,"seq":3,"type":"event.guess","event":{"label":"Bark"}}"#).unwrap();
    assert_eq!((line.seq, line.body), (Some(3), Body::Unknown));
    let line: Line = serde_json::from_str(r#"{"v":1,"type":"dropped","count":2,"why":"slow"}"#).unwrap();
    assert_eq!(line.body, Body::Dropped { count: 2 });
    // A word that is new is kept as it came.
    let json = r#"{"v":1,"type":"resumed","reason":"holiday"}"#;
    let line: Line = serde_json::from_str(json).unwrap();
    assert_eq!(
        (line.to_json().as_str(), line.body),
        (json, Body::Resumed { reason: wire::PauseReason::Other("holiday".to_owned()) })
    );
}

/// Requests of every kind.
const REQUESTS: [&str; 15] = [
    r#"{"op":"subscribe","labels":["Dog","/m/07pbtc8"],"sources":["kitchen"],"types":["event"],"min_score":0.3,"since":1041}"#,
    r#"{"op":"subscribe","since":1041,"instance":"019aa000-0000-7000-8000-000000000002"}"#,
    r#"{"op":"subscribe"}"#,
    r#"{"op":"status"}"#,
    r#"{"op":"top","k":5}"#,
    r#"{"op":"top"}"#,
    r#"{"op":"set","label":"Dog","threshold":0.25}"#,
    r#"{"op":"set","label":"Dog","start_threshold":0.1,"release":0.0}"#,
    r#"{"op":"peaks","since":7,"floor":0.002}"#,
    r#"{"op":"peaks"}"#,
    r#"{"op":"reload"}"#,
    r#"{"op":"pause","seconds":600}"#,
    r#"{"op":"pause"}"#,
    r#"{"op":"resume"}"#,
    r#"{"op":"test","label":"Smoke detector, smoke alarm"}"#,
];

#[test]
fn the_requests_of_the_protocol_are_read() {
    for text in REQUESTS {
        let request = Request::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request, "what serde reads is the same");
    }
    assert!(Request::parse(br#"{"op":"status","k":5}"#).is_err());
}
