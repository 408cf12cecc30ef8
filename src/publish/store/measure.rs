//! What the store costs: makes years of events, and measures inserts, bytes, pages and numbers.
//!
//! `make test` makes a few thousand. `MIMID_STORE_EVENTS=10000000 cargo test --release --lib publish::store::measure -- --nocapture` makes
//! as many as that, in a file at `MIMID_STORE_FILE` where that is set.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Circumstances;
use super::clear::clear;
use super::history::{By, History, Order, Wanted, WantedOutcome};
use super::keep::Keeper;
use crate::event::{EndReason, Report, SoundEvent, Subject};
use crate::publish::hub::Published;
use crate::publish::settings::StoreConfig;
use crate::publish::wire::ModelInfo;

/// Three years, in milliseconds.
const LASTS_MS: i64 = 3 * 365 * 86_400_000;
/// The labels, of which the first are far more frequent than the last.
const LABELS: usize = 60;
/// The events that are kept together.
const TOGETHER: u64 = 64;

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * part) as usize]
}

#[test]
fn years_of_events_are_small_and_quickly_read() {
    let n: u64 = std::env::var("MIMID_STORE_EVENTS").map_or(4_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("MIMID_STORE_FILE").map_or_else(|| folder.path().join("events.db"), PathBuf::from);
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: LABELS };
    let (instance, node) = ("a".to_owned(), "pi".to_owned());
    let circumstances = Circumstances { instance, node, model, configuration: String::new() };
    let (mut keeper, _) = Keeper::open(&path, &circumstances, 1).unwrap();
    let began: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let subjects: Vec<_> = (0..LABELS).map(|at| Subject::example(&format!("Label {at}"))).collect();
    let config = StoreConfig { path: path.clone(), keep_days: 36_500, max_mb: 1_000_000 };
    let (mut seq, mut slowest, begun) = (0, Duration::ZERO, Instant::now());
    for from in (0..n).step_by(TOGETHER as usize) {
        let mut batch = Vec::new();
        for at in from..(from + TOGETHER).min(n) {
            let rank = |random: &mut fastrand::Rng| ((LABELS as f64).powf(random.f64()) - 1.0) as usize;
            let onset = began + SignedDuration::from_millis((LASTS_MS as f64 * at as f64 / n as f64) as i64);
            let label = rank(&mut random);
            let also = if random.bool() { vec![subjects[(label + 7) % LABELS].clone()] } else { Vec::new() };
            let is_confirmed = random.f64() < 0.8;
            let start = SoundEvent {
                id: uuid::Uuid::from_u128(random.u128(..)),
                subject: subjects[label].clone(),
                source: ["kitchen", "porch"][usize::from(random.f64() < 0.1)].into(),
                onset,
                score: random.f32(),
                peak_score: random.f32(),
                level_dbfs: -60.0 * random.f32(),
                onset_uncertainty_ms: 80,
                also,
                ..SoundEvent::example(1, "", "")
            };
            let confirmed = SoundEvent { is_confirmed, ..start.clone() };
            let offset = onset + SignedDuration::from_millis(random.i64(200..20_000));
            let end = SoundEvent { offset: Some(offset), offset_uncertainty_ms: Some(120), ..confirmed.clone() };
            let reason = if is_confirmed { EndReason::Decay } else { EndReason::Unconfirmed };
            for report in [Report::EventStart(start), Report::EventUpdate(confirmed), Report::EventEnd(end, reason)] {
                seq += 1;
                batch.push(Arc::new(Published::new(seq, onset, report)));
            }
        }
        let one = Instant::now();
        keeper.keep(&batch).unwrap();
        slowest = slowest.max(one.elapsed());
        if (from / TOGETHER).is_multiple_of(16) {
            keeper.db.checkpoint().unwrap();
            while seq > super::clear::LINES && clear(&keeper.db, &config, onset_of(began, from, n)).unwrap() {}
        }
    }
    let inserts = n as f64 / begun.elapsed().as_secs_f64();
    let bytes = keeper.db.used_bytes().unwrap() as f64 / n as f64;
    let mut pages = Vec::new();
    for _ in 0..400 {
        let one = Instant::now();
        let history = History::open(&path).unwrap();
        let wanted = Wanted {
            until: Some(onset_of(began, random.u64(0..n), n)),
            labels: if random.bool() { vec![subjects[random.usize(..LABELS)].name.clone()] } else { Vec::new() },
            sources: if random.f64() < 0.3 { vec!["porch".to_owned()] } else { Vec::new() },
            outcome: if random.bool() { WantedOutcome::Confirmed } else { WantedOutcome::Any },
            ..Wanted::default()
        };
        history.page(&wanted, Order::Newest, None, 100).unwrap();
        pages.push(one.elapsed());
    }
    let year = Wanted {
        from: Some(began + SignedDuration::from_hours(400 * 24)),
        until: Some(began + SignedDuration::from_hours(765 * 24)),
        ..Wanted::default()
    };
    let frequent = Wanted { labels: vec!["Label 0".to_owned()], ..year.clone() };
    let count = |wanted: &Wanted, by: &[By]| {
        let one = Instant::now();
        let history = History::open(&path).unwrap();
        let groups = history.count(wanted, by, &TimeZone::get("Europe/Berlin").unwrap()).unwrap();
        assert!(!groups.is_empty());
        one.elapsed()
    };
    let all = count(&year, &[By::Day, By::Hour]);
    let of_one = count(&frequent, &[By::Day, By::Hour]);
    let labels = count(&year, &[By::Label]);
    let (median, p95, longest) = (percentile(&mut pages, 0.5), percentile(&mut pages, 0.95), percentile(&mut pages, 1.0));
    println!(
        "{n} events: {inserts:.0} inserts/s (slowest of {TOGETHER} together {slowest:?}), {bytes:.0} bytes an event; a page of 100: median {median:?}, \
         p95 {p95:?}, longest {longest:?}; a year by day and hour: {all:?}, of the most frequent label {of_one:?}; a year by label {labels:?}"
    );
    // The lines, of which only the last million are kept, weigh most where there are few events.
    let most = if seq > super::clear::LINES { 250.0 } else { 700.0 };
    assert!(bytes < most, "{bytes} bytes an event");
    assert!(p95 < Duration::from_secs(1), "{p95:?}");
}

fn onset_of(began: Timestamp, at: u64, n: u64) -> Timestamp {
    began + SignedDuration::from_millis((LASTS_MS as f64 * at as f64 / n as f64) as i64)
}
