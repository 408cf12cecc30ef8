use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::super::history::{By, History, Order, Wanted};
use super::super::keep::Keeper;
use super::*;
use crate::event::{EndReason, Report, SoundEvent};
use crate::publish::hub::Published;
use crate::publish::settings::StoreConfig;
use crate::publish::store::{Circumstances, clear};
use crate::publish::wire::ModelInfo;

const EVENTS: u128 = 12;

fn at(n: u128) -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap() + SignedDuration::from_hours(n as i64)
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A store with some events, each an hour after the other: the even ones of dogs, the last one is open, and one before was made up.
fn kept(path: &Path) -> Keeper {
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: 1 };
    let circumstances = Circumstances { instance: "a".to_owned(), node: "pi".to_owned(), model, configuration: String::new() };
    let (mut keeper, _) = Keeper::open(path, &circumstances, 1, None).unwrap();
    let mut seq = 0;
    let mut keep = |event: SoundEvent, ends: bool| {
        let end = SoundEvent { offset: Some(event.onset), is_confirmed: true, ..event.clone() };
        for report in [Report::EventStart(event), Report::EventEnd(end, EndReason::Decay)].into_iter().take(1 + usize::from(ends))
        {
            seq += 1;
            keeper.keep(&[Arc::new(Published::new(seq, at(0), report))]).unwrap();
        }
    };
    for n in 0..EVENTS {
        let (name, also) = if n.is_multiple_of(2) { ("Dog", vec![Subject::example("Animal")]) } else { ("Speech", Vec::new()) };
        keep(SoundEvent { onset: at(n), also, ..SoundEvent::example(n, name, "hall") }, true);
    }
    keep(SoundEvent { onset: at(EVENTS), ..SoundEvent::example(EVENTS, "Dog", "test") }, true);
    keep(SoundEvent { onset: at(EVENTS + 1), ..SoundEvent::example(EVENTS + 1, "Dog", "hall") }, false);
    keeper
}

fn mark(kind: u8) -> Option<Mark> {
    match kind {
        0 => None,
        1 => Some(Mark::Right),
        2 => Some(Mark::Wrong),
        _ => Some(Mark::Other(Subject::example("Telephone"))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_last_mark_is_an_events_mark_the_others_are_before_it_and_each_is_found(
        steps in prop::collection::vec((0..EVENTS, 0..4_u8), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.db");
        let mut keeper = kept(&path);
        let mut said: BTreeMap<u128, Vec<Option<Mark>>> = BTreeMap::new();
        for (event, kind) in steps {
            keeper.mark(id(event), mark(kind).as_ref()).unwrap();
            said.entry(event).or_default().push(mark(kind));
        }
        let history = History::open(&path).unwrap();
        let of = |event: u128| said.get(&event).and_then(|said| said.last().cloned().flatten());
        for (name, marked) in WantedMark::NAMES {
            for label in [None, Some("animal")] {
                let fits = |event: &u128| {
                    let is_it = match (marked, of(*event)) {
                        (WantedMark::Any, _) | (WantedMark::None, None) => true,
                        (WantedMark::None, Some(_)) | (_, None) => false,
                        (WantedMark::Marked, Some(_)) => true,
                        (WantedMark::Right, Some(mark)) => mark == Mark::Right,
                        (WantedMark::Wrong, Some(mark)) => mark == Mark::Wrong,
                        (WantedMark::Other, Some(mark)) => matches!(mark, Mark::Other(_)),
                    };
                    is_it && (label.is_none() || event.is_multiple_of(2))
                };
                let expected: Vec<u128> = (0..EVENTS).filter(fits).collect();
                let labels = label.map(str::to_owned).into_iter().collect();
                let wanted = Wanted { labels, marked, until: Some(at(EVENTS)), ..Wanted::default() };
                let (mut listed, mut after) = (Vec::new(), None);
                loop {
                    let page = history.page(&wanted, Order::Newest, after, 5).unwrap();
                    let Some(last) = page.last() else { break };
                    after = Some(last.cursor);
                    listed.extend(page);
                }
                listed.reverse();
                prop_assert_eq!(listed.iter().map(|kept| kept.event.id.as_u128()).collect::<Vec<_>>(), &expected[..], "{}", name);
                prop_assert!(listed.iter().all(|kept| kept.mark.as_ref().map(|kept| &kept.mark) == of(kept.event.id.as_u128()).as_ref()));
                let counted: u64 = history.count(&wanted, &[By::Hour], &TimeZone::UTC).unwrap().values().map(|tally| tally.events).sum();
                prop_assert_eq!(counted, expected.len() as u64, "{}", name);
            }
        }
        for event in 0..EVENTS {
            let kept = history.event_of(id(event)).unwrap().unwrap();
            let before: Vec<Mark> = history.earlier_marks(&kept).unwrap().into_iter().map(|kept| kept.mark).collect();
            let mut expected: Vec<Mark> = said.get(&event).into_iter().flatten().flatten().cloned().collect();
            if of(event).is_some() {
                expected.pop();
            }
            prop_assert_eq!(before, expected);
        }
        // Marks go with their events.
        let config = StoreConfig { path: path.clone(), keep_days: 1, max_mb: 512, embeddings: true };
        while clear::clear(&keeper.db, &config, at(1_000)).unwrap() {}
        for table in ["marks", "earlier_marks"] {
            prop_assert_eq!(keeper.db.number(&format!("SELECT count(*) FROM {table}"), &[]), Ok(Some(0)));
        }
    }
}

#[test]
fn what_cannot_be_marked_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.db");
    let mut keeper = kept(&path);
    assert_eq!(keeper.mark(id(99), Some(&Mark::Right)), Err(Unmarked::NoEvent));
    assert_eq!(keeper.mark(id(EVENTS), Some(&Mark::Right)), Err(Unmarked::MadeUp));
    assert_eq!(keeper.mark(id(EVENTS + 1), Some(&Mark::Right)), Err(Unmarked::Lasts));
    assert_eq!(keeper.mark(id(0), Some(&Mark::Other(Subject::example("Dog")))), Err(Unmarked::Same));
    assert_eq!(keeper.db.number("SELECT count(*) FROM marks", &[]), Ok(Some(0)));
    drop(keeper);
    // A file that no daemon writes is written here, and none is made.
    set_in_file(&path, id(1), Some(&Mark::Other(Subject::example("Dog")))).unwrap();
    let kept = History::open(&path).unwrap().event_of(id(1)).unwrap().unwrap();
    assert_eq!(kept.mark.map(|kept| kept.mark), Some(Mark::Other(Subject::example("Dog"))));
    let none = folder.path().join("none.db");
    assert!(matches!(set_in_file(&none, id(1), None), Err(Unmarked::Db(_))) && !none.exists());
}
