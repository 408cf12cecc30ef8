//! What the store costs: makes years of events, and measures inserts, bytes, pages, numbers and clearing.
//!
//! `make test` makes a few thousand. `make bench PART=history` makes ten million, in a file at `MIMID_STORE_FILE` where that is set.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Circumstances;
use super::clear::{LINES, clear};
use super::history::{By, Groups, History, Order, Wanted, WantedOutcome};
use super::keep::Keeper;
use crate::event::{EndReason, Report, SoundEvent, Subject};
use crate::publish::hub::Published;
use crate::publish::settings::StoreConfig;
use crate::publish::wire::ModelInfo;

/// Three years, in milliseconds.
const LASTS_MS: i64 = 3 * 365 * DAY_MS;
const DAY_MS: i64 = 86_400_000;
/// The labels, of which the first are far more frequent than the last.
const LABELS: usize = 60;
/// The events that are kept together.
const TOGETHER: u64 = 64;
/// The times that each question is asked.
const ROUNDS: usize = 20;

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * part) as usize]
}

/// The most memory that the process had so far, in MiB.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
}

/// Years of events that are made as they are asked for.
struct Years {
    n: u64,
    began: Timestamp,
    random: fastrand::Rng,
    subjects: Vec<Arc<Subject>>,
    seq: u64,
}

impl Years {
    fn onset(&self, at: u64) -> Timestamp {
        self.began + SignedDuration::from_millis((LASTS_MS as f64 * at as f64 / self.n as f64) as i64)
    }

    /// The reports of the event with this number: it is announced, confirmed or not, and ends.
    fn event(&mut self, at: u64) -> [Arc<Published>; 3] {
        let onset = self.onset(at);
        let random = &mut self.random;
        let label = ((LABELS as f64).powf(random.f64()) - 1.0) as usize;
        let also = if random.bool() { vec![self.subjects[(label + 7) % LABELS].clone()] } else { Vec::new() };
        let is_confirmed = random.f64() < 0.8;
        let source = match random.f64() {
            // One that is hardly ever heard.
            rare if rare < 0.001 => "attic",
            few if few < 0.1 => "porch",
            _ => "kitchen",
        };
        // As the engine gives them: ids of version 7, which go with the time.
        let rest = random.u128(..).to_be_bytes();
        let id = uuid::Builder::from_unix_timestamp_millis(onset.as_millisecond().unsigned_abs(), rest[..10].try_into().unwrap());
        let start = SoundEvent {
            id: id.into_uuid(),
            subject: self.subjects[label].clone(),
            source: source.into(),
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
        [Report::EventStart(start), Report::EventUpdate(confirmed), Report::EventEnd(end, reason)].map(|report| {
            self.seq += 1;
            Arc::new(Published::new(self.seq, onset, report))
        })
    }
}

#[test]
fn years_of_events_are_small_and_quickly_read() {
    let n: u64 = std::env::var("MIMID_STORE_EVENTS").map_or(4_000, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("MIMID_STORE_FILE").map_or_else(|| folder.path().join("events.db"), PathBuf::from);
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: LABELS };
    let (instance, node) = ("a".to_owned(), "pi".to_owned());
    let circumstances = Circumstances { instance, node, model, configuration: String::new() };
    let (mut keeper, _) = Keeper::open(&path, &circumstances, 1, None).unwrap();
    let began: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    let subjects: Vec<_> = (0..LABELS).map(|at| Subject::example(&format!("Label {at}"))).collect();
    let mut years = Years { n, began, random: fastrand::Rng::with_seed(7), subjects, seq: 0 };
    let config = StoreConfig { path: path.clone(), keep_days: 36_500, max_mb: 1_000_000, embeddings: true };
    let (before_mib, begun, mut slowest) = (peak_mib(), Instant::now(), Duration::ZERO);
    for from in (0..n).step_by(TOGETHER as usize) {
        let batch: Vec<_> = (from..(from + TOGETHER).min(n)).flat_map(|at| years.event(at)).collect();
        let one = Instant::now();
        keeper.keep(&batch).unwrap();
        slowest = slowest.max(one.elapsed());
        if (from / TOGETHER).is_multiple_of(16) {
            keeper.db.checkpoint().unwrap();
            while years.seq > LINES && clear(&keeper.db, &config, years.onset(from)).unwrap() {}
        }
    }
    let inserts = n as f64 / begun.elapsed().as_secs_f64();
    let bytes = keeper.db.used_bytes().unwrap() as f64 / n as f64;
    let mut pages = Vec::new();
    for _ in 0..400 {
        let at = years.random.u64(0..n);
        let random = &mut years.random;
        let wanted = Wanted {
            labels: if random.bool() { vec![years.subjects[random.usize(..LABELS)].name.clone()] } else { Vec::new() },
            sources: match random.f64() {
                rare if rare < 0.1 => vec!["attic".to_owned()],
                few if few < 0.3 => vec!["porch".to_owned()],
                _ => Vec::new(),
            },
            outcome: if random.bool() { WantedOutcome::Confirmed } else { WantedOutcome::Any },
            until: Some(years.onset(at)),
            ..Wanted::default()
        };
        let one = Instant::now();
        match History::open(&path).unwrap().page(&wanted, Order::Newest, None, 100) {
            Ok(_) => pages.push(one.elapsed()),
            // Of a few thousand events none may be of the rare source.
            Err(error) => assert!(error.message.contains("no event of the source"), "{error}"),
        }
    }
    let day = |days: i64| Some(began + SignedDuration::from_millis(days * DAY_MS));
    // The ends of the year are within half hours.
    let year = Wanted { from: day(400).map(|at| at + SignedDuration::from_secs(77)), until: day(765), ..Wanted::default() };
    let frequent = Wanted { labels: vec!["Label 0".to_owned()], ..year.clone() };
    let few = Wanted { sources: vec!["porch".to_owned()], ..frequent.clone() };
    let ask = |wanted: &Wanted, by: &[By]| -> (Groups, Duration) {
        let mut times = Vec::new();
        let mut groups = Groups::new();
        for _ in 0..ROUNDS {
            let one = Instant::now();
            let history = History::open(&path).unwrap();
            groups = history.count(wanted, by, &TimeZone::get("Europe/Berlin").unwrap()).unwrap();
            assert!(!groups.is_empty());
            times.push(one.elapsed());
        }
        (groups, percentile(&mut times, 0.95))
    };
    let heat = [By::Day, By::Hour];
    let ((all_groups, all), (_, of_one), (_, of_few)) = (ask(&year, &heat), ask(&frequent, &heat), ask(&few, &heat));
    let (labels_groups, labels) = ask(&year, &[By::Label]);
    let (_, days) = ask(&year, &[By::Day, By::Label]);
    let sum = |groups: &Groups| groups.values().map(|tally| tally.events).sum::<u64>();
    assert_eq!(sum(&all_groups), sum(&labels_groups));
    // A tenth of the days goes, while events are kept between the pieces.
    let old = StoreConfig { keep_days: (LASTS_MS / DAY_MS * 9 / 10) as u32, ..config };
    let (mut pieces, mut kept, mut at) = (Vec::new(), Vec::new(), n);
    loop {
        let one = Instant::now();
        let is_more = clear(&keeper.db, &old, years.onset(n)).unwrap();
        pieces.push(one.elapsed());
        if !is_more || pieces.len() == 3_000 {
            break;
        }
        let batch: Vec<_> = (at..at + 8).flat_map(|at| years.event(at)).collect();
        at += 8;
        let one = Instant::now();
        keeper.keep(&batch).unwrap();
        kept.push(one.elapsed());
        if pieces.len().is_multiple_of(16) {
            keeper.db.checkpoint().unwrap();
        }
    }
    let parts = |times: &mut Vec<Duration>| [0.5, 0.95, 1.0].map(|part| percentile(times, part).as_secs_f64() * 1e3);
    let (page_ms, piece_ms) = (parts(&mut pages), parts(&mut pieces));
    let figures = serde_json::json!({
        "events": n,
        "inserts_per_s": inserts,
        "slowest_insert_ms": slowest.as_secs_f64() * 1e3,
        "bytes_per_event": bytes,
        "page_ms": page_ms,
        "year_ms": all.as_secs_f64() * 1e3,
        "year_of_a_label_ms": of_one.as_secs_f64() * 1e3,
        "year_of_a_label_and_source_ms": of_few.as_secs_f64() * 1e3,
        "year_by_label_ms": labels.as_secs_f64() * 1e3,
        "year_by_day_and_label_ms": days.as_secs_f64() * 1e3,
        "pieces": pieces.len(),
        "piece_ms": piece_ms,
        "insert_between_pieces_ms": kept.iter().max().map(|longest| longest.as_secs_f64() * 1e3),
        "memory_mib": peak_mib() - before_mib,
    });
    println!("MEASURED {figures}");
    // The lines, of which only the last million are kept, weigh most where there are few events.
    let most = if years.seq > LINES { 250.0 } else { 800.0 };
    assert!(bytes < most, "{bytes} bytes an event");
}
