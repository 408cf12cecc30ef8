use proptest::prelude::*;

use super::*;

/// The beginning of a half hour of UTC.
const NOON: i64 = 1_795_176_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn event(id: u128, slug: &str, source: &str, onset: i64) -> SoundEvent {
    SoundEvent { onset: at(onset), ..SoundEvent::example(id, &slug.to_uppercase(), source) }
}

fn start(id: u128, slug: &str, source: &str, onset: i64) -> Report {
    Report::EventStart(event(id, slug, source, onset))
}

fn end(id: u128, slug: &str, onset: i64, reason: EndReason) -> Report {
    Report::EventEnd(event(id, slug, "a", onset), reason)
}

/// The counts of a label, each with how many half hours ago it is; empty half hours are left out.
fn ago(recent: &Recent, slug: &str, now: i64) -> Vec<(usize, u64)> {
    let answer = recent.answer(at(now));
    let all = answer.counts.iter().filter(|count| count.slug == slug);
    all.flat_map(|count| {
        assert_eq!(count.events.len(), 48);
        count.events.iter().rev().copied().enumerate().filter(|(_, n)| *n > 0)
    })
    .collect()
}

#[test]
fn an_event_is_counted_in_the_half_hour_of_its_onset_until_that_is_a_day_ago() {
    let recent = Recent::new(at(NOON));
    // It began a second before noon and is reported a second after.
    recent.hear(&start(1, "dog", "a", NOON - 1), at(NOON + 1));
    recent.hear(&end(1, "dog", NOON - 1, EndReason::Decay), at(NOON + 5));
    assert_eq!(ago(&recent, "dog", NOON + 5), [(1, 1)]);
    assert_eq!(ago(&recent, "dog", NOON + 1_799), [(1, 1)]);
    assert_eq!(ago(&recent, "dog", NOON + 1_800), [(2, 1)]);
    assert_eq!(ago(&recent, "dog", NOON + 47 * 1_800 - 1), [(47, 1)]);
    assert_eq!(ago(&recent, "dog", NOON + 47 * 1_800), []);
    assert!(recent.answer(at(NOON + 47 * 1_800)).counts.is_empty());
}

#[test]
fn labels_and_sources_are_counted_apart_and_what_is_made_up_is_not() {
    let recent = Recent::new(at(NOON));
    for (id, slug, source) in [(1, "dog", "b"), (2, "dog", "a"), (3, "cat", "a"), (4, "dog", "a"), (5, "dog", "test")] {
        recent.hear(&start(id, slug, source, NOON), at(NOON));
    }
    let answer = recent.answer(at(NOON + 60));
    let told: Vec<_> =
        answer.counts.iter().map(|count| (&*count.label, &*count.slug, &*count.source, count.events[47])).collect();
    assert_eq!(told, [("CAT", "cat", "a", 1), ("DOG", "dog", "a", 2), ("DOG", "dog", "b", 1)]);
    assert_eq!((&*answer.began, answer.bucket_s), (&*time(at(NOON)), 1_800));
}

#[test]
fn what_is_not_borne_out_is_taken_back_and_a_better_name_is_the_one_that_counts() {
    let recent = Recent::new(at(NOON));
    let hear = |report| recent.hear(&report, at(NOON + 1));
    hear(start(1, "animal", "a", NOON));
    hear(Report::EventUpdate(event(1, "dog", "a", NOON)));
    assert_eq!((ago(&recent, "animal", NOON), ago(&recent, "dog", NOON)), (vec![], vec![(0, 1)]));
    hear(end(1, "bark", NOON, EndReason::Unconfirmed));
    assert!(recent.answer(at(NOON)).counts.is_empty());
    // A second end, or an end without a start, takes nothing away.
    hear(start(1, "dog", "a", NOON));
    hear(end(1, "dog", NOON, EndReason::Decay));
    hear(end(1, "dog", NOON, EndReason::Unconfirmed));
    assert_eq!(ago(&recent, "dog", NOON), [(0, 1)]);
}

#[test]
fn a_clock_that_is_set_back_loses_nothing_and_one_set_forward_lets_old_ones_go() {
    let recent = Recent::new(at(NOON));
    recent.hear(&start(1, "dog", "a", NOON), at(NOON));
    // The clock is set back by an hour: the event lies ahead, and counts for now.
    assert_eq!(ago(&recent, "dog", NOON - 3_600), [(0, 1)]);
    assert_eq!(recent.answer(at(NOON - 3_600)).began, time(at(NOON - 3_600)));
    assert_eq!(ago(&recent, "dog", NOON), [(2, 1)]);
    recent.hear(&end(1, "dog", NOON, EndReason::Unconfirmed), at(NOON));
    assert_eq!(ago(&recent, "dog", NOON), []);
    // An onset by the clock as it was before.
    recent.hear(&start(2, "dog", "a", NOON + 9_000), at(NOON));
    recent.hear(&start(3, "dog", "a", NOON - 90_000), at(NOON));
    assert_eq!(ago(&recent, "dog", NOON), [(0, 1)]);
    assert_eq!(ago(&recent, "dog", NOON + 365 * 86_400), []);
    assert_eq!(ago(&recent, "dog", NOON), []);
}

#[test]
fn the_memory_is_bounded() {
    let recent = Recent::new(at(NOON));
    for n in 0..MOST_SERIES + 10 {
        recent.hear(&start(n as u128, &format!("s{n}"), "a", NOON), at(NOON));
    }
    let day = recent.day.lock().unwrap();
    assert_eq!((day.series.len(), day.open.len()), (MOST_SERIES, MOST_OPEN));
    assert!(!day.open.contains_key(&Uuid::from_u128(0)) && day.open.contains_key(&Uuid::from_u128(MOST_SERIES as u128 - 1)));
}

#[derive(Debug, Clone)]
enum Step {
    Start { slug: usize, onset_before_s: i64 },
    Update { of: usize, slug: usize },
    End { of: usize, slug: usize, is_confirmed: bool },
    Pass { seconds: i64 },
    SetClock { by_s: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..4, -4_000i64..100_000).prop_map(|(slug, onset_before_s)| Step::Start { slug, onset_before_s }),
        2 => (0usize..40, 0usize..4).prop_map(|(of, slug)| Step::Update { of, slug }),
        3 => (0usize..40, 0usize..4, any::<bool>()).prop_map(|(of, slug, is_confirmed)| Step::End { of, slug, is_confirmed }),
        3 => (0i64..6_000).prop_map(|seconds| Step::Pass { seconds }),
        1 => (-50_000i64..50_000).prop_map(|by_s| Step::SetClock { by_s }),
    ]
}

/// An event as a model of the counts knows it that never forgets one.
struct Known {
    slug: usize,
    bucket: i64,
    is_open: bool,
    counts: bool,
}

proptest! {
    #[test]
    fn every_event_is_counted_once_under_its_last_name(steps in prop::collection::vec(step(), 1..120)) {
        let (recent, mut now, mut known) = (Recent::new(at(NOON)), NOON, Vec::<Known>::new());
        let name = |slug: usize| format!("s{slug}");
        for step in steps {
            let hear = |report, now| recent.hear(&report, at(now));
            match step {
                Step::Start { slug, onset_before_s } => {
                    let onset = now - onset_before_s;
                    hear(start(known.len() as u128, &name(slug), "a", onset), now);
                    let counts = bucket(at(onset)) > bucket(at(now)) - BUCKETS;
                    known.push(Known { slug, bucket: bucket(at(onset)), is_open: true, counts });
                }
                Step::Update { of, slug } | Step::End { of, slug, .. } if of < known.len() && known[of].is_open => {
                    known[of].slug = slug;
                    if let Step::End { is_confirmed, .. } = step {
                        let reason = if is_confirmed { EndReason::Decay } else { EndReason::Unconfirmed };
                        hear(end(of as u128, &name(slug), now, reason), now);
                        known[of].is_open = false;
                        known[of].counts &= is_confirmed;
                    } else {
                        hear(Report::EventUpdate(event(of as u128, &name(slug), "a", now)), now);
                    }
                }
                Step::Update { .. } | Step::End { .. } => {}
                Step::Pass { seconds } => now += seconds,
                Step::SetClock { by_s } => now += by_s,
            }
            let answer = recent.answer(at(now));
            let newest = bucket(at(now));
            for event in &mut known {
                event.bucket = event.bucket.min(newest);
                event.counts &= event.bucket > newest - BUCKETS;
            }
            for slug in 0..4 {
                let mut expected = vec![0u64; BUCKETS as usize];
                for event in known.iter().filter(|event| event.counts && event.slug == slug) {
                    expected[(event.bucket - newest + BUCKETS - 1) as usize] += 1;
                }
                let found = answer.counts.iter().find(|count| count.slug == name(slug)).map(|count| count.events.clone());
                prop_assert_eq!(found.unwrap_or(vec![0; BUCKETS as usize]), expected);
            }
            prop_assert!(answer.counts.iter().all(|count| count.events.iter().any(|n| *n > 0)));
        }
    }
}
