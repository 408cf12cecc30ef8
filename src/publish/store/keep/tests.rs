use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::event::Subject;
use crate::publish::hub::Delivery;
use crate::publish::store::history::{By, History, Key, Order, Tally, Wanted, WantedOutcome};
use crate::publish::store::replay::Lines;
use crate::publish::wire::ModelInfo;

fn circumstances(instance: &str) -> Circumstances {
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: 1 };
    Circumstances { instance: instance.to_owned(), node: "pi".to_owned(), model, configuration: "a = 1".to_owned() }
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    (folder, path)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_000 + ms).unwrap()
}

fn published(seq: u64, report: Report) -> Arc<Published> {
    Arc::new(Published::new(seq, at(seq as i64 * 100), report))
}

fn all(path: &Path, after: u64, before: u64) -> Vec<Delivery> {
    let mut lines = Lines::open(path).unwrap();
    let (mut until, mut found) = (after, Vec::new());
    while until + 1 < before {
        let page = lines.page(until, before).unwrap();
        until = page.until;
        found.extend(page.lines);
    }
    found
}

fn json(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.line().into_owned()).collect()
}

/// What may happen to one of a few events.
#[derive(Debug, Clone)]
enum Step {
    Event { event: u128, name: usize, also: Vec<usize>, confirmed: bool, score: f32, moved_ms: i64, ends: Option<EndReason> },
    Health(usize),
    Restart,
}

const LABELS: [&str; 4] = ["Dog", "Bark", "Animal", "Speech"];

fn step() -> impl Strategy<Value = Step> {
    let reason =
        prop::sample::select(vec![EndReason::Decay, EndReason::Unconfirmed, EndReason::MaxDuration, EndReason::SourceLost]);
    let event = (
        0..6u128,
        0..4usize,
        prop::collection::vec(0..4usize, 0..3),
        any::<bool>(),
        0f32..1.0,
        -3_000_000i64..3_000_000,
        prop::option::of(reason),
    );
    let event = event.prop_map(|(event, name, also, confirmed, score, moved_ms, ends)| Step::Event {
        event,
        name,
        also,
        confirmed,
        score,
        moved_ms,
        ends,
    });
    prop_oneof![12 => event, 2 => (0..4usize).prop_map(Step::Health), 1 => Just(Step::Restart)]
}

fn health(which: usize) -> Report {
    let source: Arc<str> = "hall".into();
    match which {
        0 => Report::SourceLost { source, reason: "unplugged, \"perhaps\"".to_owned() },
        1 => Report::Overrun { source, samples: 5, gap_ms: 7, hop_ms: 200 },
        2 => Report::Paused(crate::event::Pause { reason: crate::event::PauseReason::QuietHours, until: Some(at(77)) }),
        _ => Report::ConfigReloaded { changes: vec!["one".to_owned(), "two".to_owned()] },
    }
}

/// The reports of steps, as the engine makes them: each event starts, goes on and ends.
fn reports(steps: &[Step]) -> Vec<Option<Report>> {
    let (mut open, mut generation) = (BTreeMap::new(), 0u128);
    let mut reports = Vec::new();
    for step in steps {
        match step {
            Step::Restart => reports.push(None),
            Step::Health(which) => reports.push(Some(health(*which))),
            Step::Event { event, name, also, confirmed, score, moved_ms, ends } => {
                let is_new = !open.contains_key(event);
                generation += 1;
                let id = *open.entry(*event).or_insert(*event + 100 * generation);
                let source = if *event == 5 {
                    "test"
                } else if event % 2 == 0 {
                    "hall"
                } else {
                    "yard"
                };
                let onset = at(*moved_ms);
                let also: std::collections::BTreeSet<usize> = also.iter().copied().filter(|other| other != name).collect();
                let sound = SoundEvent {
                    onset,
                    also: also.iter().map(|name| Subject::example(LABELS[*name])).collect(),
                    is_confirmed: *confirmed,
                    score: *score,
                    peak_score: *score,
                    level_dbfs: -30.0 * score,
                    onset_uncertainty_ms: 80,
                    ..SoundEvent::example(id, LABELS[*name], source)
                };
                reports.push(Some(match (is_new, ends) {
                    (true, _) => Report::EventStart(sound),
                    (false, None) => Report::EventUpdate(sound),
                    (false, Some(reason)) => {
                        open.remove(event);
                        let offset = onset.checked_add(jiff::SignedDuration::from_millis(1_234)).ok();
                        Report::EventEnd(SoundEvent { offset, offset_uncertainty_ms: Some(3), ..sound }, *reason)
                    }
                }));
            }
        }
    }
    reports
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_is_kept_is_replayed_listed_and_counted_as_it_was(steps in prop::collection::vec(step(), 1..80), batch in 1..9usize) {
        let (_folder, path) = place();
        let (mut keeper, _) = Keeper::open(&path, &circumstances("a"), 1, None).unwrap();
        let (mut seq, mut kept, mut waiting) = (0, Vec::new(), Vec::new());
        for report in reports(&steps) {
            match report {
                Some(report) => {
                    seq += 1;
                    waiting.push(published(seq, report));
                    if waiting.len() == batch {
                        keeper.keep(&waiting).unwrap();
                        kept.append(&mut waiting);
                    }
                }
                None => {
                    // Whatever waits is kept; then the daemon is started again, and the events go on as if nothing were.
                    keeper.keep(&waiting).unwrap();
                    kept.append(&mut waiting);
                    keeper.finish(seq).unwrap();
                    drop(keeper);
                    let (again, numbers) = Keeper::open(&path, &circumstances(&seq.to_string()), 1, None).unwrap();
                    prop_assert_eq!(numbers.last, seq);
                    keeper = again;
                }
            }
        }
        keeper.keep(&waiting).unwrap();
        kept.append(&mut waiting);
        let replayed = all(&path, 0, seq + 1);
        prop_assert_eq!(json(&replayed), kept.iter().map(|published| published.line().to_owned()).collect::<Vec<_>>());
        // The last state of each event, which the list must have.
        let mut last = BTreeMap::new();
        for published in &kept {
            let (event, reason) = match &published.report {
                Report::EventStart(event) | Report::EventUpdate(event) => (event, None),
                Report::EventEnd(event, reason) => (event, Some(*reason)),
                _ => continue,
            };
            last.insert(event.id, (event.clone(), reason));
        }
        let history = History::open(&path).unwrap();
        for label in [None, Some("animal")] {
            for confirmed in [false, true] {
                let outcome = if confirmed { WantedOutcome::Confirmed } else { WantedOutcome::Any };
                let labels: Vec<String> = label.into_iter().map(str::to_owned).collect();
                let is_wanted = |event: &&(SoundEvent, Option<EndReason>)| {
                    let has = |name: &str| event.0.subject.is_called(name) || event.0.also.iter().any(|also| also.is_called(name));
                    let is_confirmed = event.0.is_confirmed && event.1 != Some(EndReason::Unconfirmed);
                    *event.0.source != *"test" && label.is_none_or(has) && (is_confirmed || !confirmed)
                };
                let expected: Vec<_> = last.values().filter(is_wanted).collect();
                let wanted = Wanted { labels, outcome, ..Wanted::default() };
                if label.is_some() && history.page(&wanted, Order::Oldest, None, 1).is_err() {
                    prop_assert!(expected.is_empty());
                    continue;
                }
                for order in [Order::Newest, Order::Oldest] {
                    let (mut listed, mut after) = (Vec::new(), None);
                    loop {
                        let page = history.page(&wanted, order, after, 7).unwrap();
                        let Some(end) = page.last() else { break };
                        after = Some(end.cursor);
                        listed.extend(page);
                    }
                    let mut found: Vec<_> = listed.iter().map(|kept| (kept.event.onset, kept.event.id, kept.reason)).collect();
                    let is_in_order = found.is_sorted_by(|a, b| if order == Order::Oldest { a.0 <= b.0 } else { a.0 >= b.0 });
                    prop_assert!(is_in_order);
                    found.sort_by_key(|found| (found.0, found.1));
                    let mut told: Vec<_> = expected.iter().map(|(event, reason)| (event.onset, event.id, *reason)).collect();
                    told.sort_by_key(|told| (told.0, told.1));
                    prop_assert_eq!(found, told);
                }
                // Any range has the numbers that its list has.
                for (from, until) in [(None, None), (Some(at(-1_000_000)), Some(at(1_500_000))), (Some(at(10_000)), Some(at(20_000)))] {
                    let wanted = Wanted { from, until, ..wanted.clone() };
                    let groups = history.count(&wanted, &[By::Label, By::Hour], &TimeZone::UTC).unwrap();
                    let mut told: BTreeMap<Vec<Key>, Tally> = BTreeMap::new();
                    for (event, reason) in &expected {
                        if from.is_none_or(|from| event.onset >= from) && until.is_none_or(|until| event.onset < until) {
                            let hour = event.onset.to_zoned_datetime(TimeZone::UTC).hour();
                            let sum = told.entry(vec![Key::Text(event.subject.name.clone()), Key::Number(hour)]).or_default();
                            sum.events += 1;
                            sum.unconfirmed += u64::from(*reason == Some(EndReason::Unconfirmed));
                            sum.confirmed += u64::from(event.is_confirmed && *reason != Some(EndReason::Unconfirmed));
                        }
                    }
                    prop_assert_eq!(groups, told);
                    // Without the names, and of one source, they are the same numbers.
                    for sources in [vec![], vec!["hall".to_owned()], vec!["hall".to_owned(), "yard".to_owned()]] {
                        let is_of = |event: &SoundEvent| sources.is_empty() || sources.iter().any(|name| **name == *event.source);
                        let in_range = |event: &SoundEvent| from.is_none_or(|from| event.onset >= from) && until.is_none_or(|until| event.onset < until);
                        let mut told: BTreeMap<Vec<Key>, u64> = BTreeMap::new();
                        for (event, _) in expected.iter().filter(|(event, _)| in_range(event) && is_of(event)) {
                            *told.entry(vec![Key::Number(event.onset.to_zoned_datetime(TimeZone::UTC).hour())]).or_default() += 1;
                        }
                        let wanted = Wanted { sources: sources.clone(), ..wanted.clone() };
                        // A source of which nothing is kept is none.
                        let Ok(groups) = history.count(&wanted, &[By::Hour], &TimeZone::UTC) else { continue };
                        prop_assert_eq!(groups.into_iter().map(|(key, tally)| (key, tally.events)).collect::<BTreeMap<_, _>>(), told);
                    }
                }
            }
        }
        // A file of the version before, which has no such numbers, is given the same.
        let sums = || {
            let sql = "SELECT subject, source, bucket, own, own_confirmed, own_unconfirmed, n, confirmed, unconfirmed FROM sums WHERE n <> 0";
            keeper.db.rows(sql, &[], |row| (0..9).map(|column| row.int(column)).collect::<Vec<_>>()).unwrap()
        };
        let counted = sums();
        keeper.db.batch("DROP TABLE sums; DROP INDEX events_by_source; CREATE TABLE counts(x)").unwrap();
        keeper.db.batch(crate::publish::store::schema::STEPS[3]).unwrap();
        prop_assert_eq!(sums(), counted);
    }
}

#[test]
fn after_a_kill_no_number_is_given_again_and_open_events_are_ended() {
    let (_folder, path) = place();
    let (mut keeper, numbers) = Keeper::open(&path, &circumstances("a"), 1, None).unwrap();
    assert_eq!((numbers.last, numbers.left_open.len()), (0, 0));
    let open = SoundEvent { is_confirmed: true, ..SoundEvent::example(7, "Dog", "hall") };
    keeper.keep(&[published(1, health(0)), published(2, Report::EventStart(open.clone()))]).unwrap();
    // Numbers above may have been given while the disk took nothing.
    drop(keeper);
    let (mut keeper, numbers) = Keeper::open(&path, &circumstances("b"), 1, None).unwrap();
    assert_eq!(numbers.last, 1 + BLOCK);
    let [Report::EventEnd(ended, EndReason::Shutdown)] = &numbers.left_open[..] else { panic!("{numbers:?}") };
    assert_eq!((ended.id, ended.offset, ended.is_confirmed), (open.id, Some(at(200)), true));
    keeper.keep(&[published(BLOCK + 2, numbers.left_open[0].clone()), published(BLOCK + 3, health(1))]).unwrap();
    // Nothing is missing between, for nobody was given those numbers.
    let seqs = |deliveries: Vec<Delivery>| deliveries.iter().map(Delivery::seq).collect::<Vec<_>>();
    assert_eq!(seqs(all(&path, 0, BLOCK + 4)), [Some(1), Some(2), Some(BLOCK + 2), Some(BLOCK + 3)]);
    assert_eq!(seqs(all(&path, 1, BLOCK + 3)), [Some(2), Some(BLOCK + 2)]);
    // A number that was given and is not kept is missing.
    keeper.keep(&[published(BLOCK + 6, health(1))]).unwrap();
    let found = all(&path, BLOCK + 2, BLOCK + 8);
    assert_eq!(seqs(found.clone()), [Some(BLOCK + 3), None, Some(BLOCK + 6), None]);
    assert!(matches!(found[1..], [Delivery::Dropped(2), _, Delivery::Dropped(1)]));
    // The same daemon that opens its file again goes on.
    let (_, numbers) = Keeper::open(&path, &circumstances("b"), 1, None).unwrap();
    assert_eq!(numbers.last, BLOCK + 6);
    let lines = Lines::open(&path).unwrap();
    assert_eq!((lines.knows("a"), lines.knows("c"), lines.first_of("b")), (true, false, Some(BLOCK + 2)));
}

#[test]
fn the_oldest_go_by_age_and_by_size_with_all_that_belongs_to_them() {
    use crate::publish::settings::StoreConfig;
    use crate::publish::store::clear::clear;
    let (_folder, path) = place();
    let (mut keeper, _) = Keeper::open(&path, &circumstances("a"), 1, None).unwrap();
    let day = |n: i64| at(n * 86_400_000);
    let mut seq = 0;
    for n in 0..1_500 {
        let event = SoundEvent {
            onset: day(n),
            also: vec![Subject::example("Animal")],
            ..SoundEvent::example(n as u128 + 1, "Dog", "hall")
        };
        let end = SoundEvent { offset: Some(day(n)), ..event.clone() };
        let batch = [Report::EventStart(event), Report::EventEnd(end, EndReason::Decay)].map(|report| {
            seq += 1;
            published(seq, report)
        });
        keeper.keep(&batch).unwrap();
    }
    let count = |table: &str| keeper.db.number(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().unwrap();
    let config = StoreConfig { path: path.clone(), keep_days: 400, max_mb: 512, embeddings: true };
    let pieces = (0..).take_while(|_| clear(&keeper.db, &config, day(1_499)).unwrap()).count();
    assert!(pieces > 1, "in pieces");
    assert_eq!(["events", "named", "lines"].map(count), [401, 802, 802]);
    // A day of the numbers goes at a time, for each of both labels, for all, and of one source and of all.
    let days = 6 * 401..=6 * 403;
    assert!(days.contains(&count("sums")), "{}", count("sums"));
    // A file that is too large loses its oldest too.
    let used = keeper.db.used_bytes().unwrap();
    assert!(used < 1_048_576, "{used}");
    let none = StoreConfig { max_mb: 0, ..config };
    while clear(&keeper.db, &none, day(1_499)).unwrap() {}
    assert_eq!(["events", "named", "lines", "health"].map(count), [0; 4]);
}
