use std::sync::Arc;

use super::*;
use crate::event::{EndReason, Report, SoundEvent};
use crate::publish::hub::Published;
use crate::publish::store::Circumstances;
use crate::publish::store::keep::Keeper;
use crate::publish::wire::ModelInfo;

/// A store of 40 days, each from eight to eight, before this time: a dog barks once a day for a second, and a glass breaks on the first.
fn kept(path: &std::path::Path, until: Timestamp, zone: &TimeZone, of_last_day: &[(&str, u64, i64)]) {
    let model = ModelInfo { name: "m".to_owned(), sha256: "s".to_owned(), labels: 1 };
    let circumstances = Circumstances { instance: "a".to_owned(), node: "pi".to_owned(), model, configuration: String::new() };
    let (mut keeper, _) = Keeper::open(path, &circumstances, 1, None).unwrap();
    keeper.db.run("UPDATE sessions SET began=?", &[(days_before(until, 41, zone)).as_millisecond().into()]).unwrap();
    let mut seq = 0;
    let mut keep = |label: &str, onset: Timestamp, lasts_ms: i64| {
        seq += 2;
        let start = SoundEvent { onset, ..SoundEvent::example(seq.into(), label, "hall") };
        let offset = onset.checked_add(SignedDuration::from_millis(lasts_ms)).ok();
        let end = SoundEvent { offset, is_confirmed: true, ..start.clone() };
        let of = |seq, report| Arc::new(Published::new(seq, onset, report));
        keeper.keep(&[of(seq, Report::EventStart(start)), of(seq + 1, Report::EventEnd(end, EndReason::Decay))]).unwrap();
    };
    for day in 1..=40 {
        // Just after the beginning, so that a day that is an hour off would not have it.
        let onset = days_before(until, day + 1, zone) + SignedDuration::from_mins(1);
        keep("Dog", onset, 1_000);
        if day == 40 {
            keep("Glass", onset, 1_000);
        }
    }
    for (label, n, lasts_ms) in of_last_day {
        for at in 0..*n {
            keep(label, days_before(until, 1, zone) + SignedDuration::from_mins(1 + at as i64), *lasts_ms);
        }
    }
}

fn summary(of_last_day: &[(&str, u64, i64)], until: &str) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let (path, zone) = (folder.path().join("events.db"), TimeZone::get("Europe/Berlin").unwrap());
    let until = until.parse().unwrap();
    kept(&path, until, &zone, of_last_day);
    History::open(&path).unwrap().summary(days_before(until, 1, &zone), until, &zone).unwrap()
}

fn told(summary: &Summary) -> Vec<(&str, u64, [bool; 3])> {
    summary.heard.iter().map(|heard| (&*heard.label, heard.events, [heard.is_new, heard.is_more, heard.is_longer])).collect()
}

#[test]
fn what_was_not_heard_for_four_weeks_is_new_and_what_is_above_all_of_them_is_more() {
    let summary = summary(&[("Dog", 5, 1_000), ("Glass", 1, 500), ("Cat", 2, 500)], "2026-11-29T07:00:00Z");
    assert_eq!(
        told(&summary),
        [("Dog", 5, [false, true, false]), ("Cat", 2, [true, false, false]), ("Glass", 1, [true, false, false])]
    );
    assert_eq!((summary.n_days, summary.heard[0].usual_tenths, summary.heard[0].usual_duration_ms), (28, 10, 1_000));
    assert!(summary.heard[2].before.is_some() && summary.heard[1].before.is_none());
}

#[test]
fn what_lasts_longer_is_told_and_what_is_as_usual_is_not() {
    assert_eq!(told(&summary(&[("Dog", 1, 70_000)], "2026-11-29T07:00:00Z")), [("Dog", 1, [false, false, true])]);
    assert_eq!(told(&summary(&[("Dog", 3, 10_000)], "2026-11-29T07:00:00Z")), [("Dog", 3, [false; 3])]);
}

#[test]
fn a_day_has_25_hours_where_the_clock_is_set_back_and_no_day_before_is_off() {
    // At eight by the clock: 06:00 UTC the day before, 07:00 UTC after the change.
    let summary = summary(&[("Dog", 1, 1_000)], "2026-10-25T07:00:00Z");
    assert_eq!(summary.until.duration_since(summary.from), SignedDuration::from_hours(25));
    assert_eq!((summary.n_days, summary.heard[0].usual_tenths), (28, 10));
}

#[test]
fn without_a_week_that_is_known_nothing_is_new_or_more() {
    for (before, n, above) in [(6, 100, false), (7, 100, true), (28, 3, false), (28, 4, true)] {
        assert_eq!(is_above(n, &vec![1; before], MORE_EVENTS), above, "{before} {n}");
    }
    // One day of them that had as many is enough to be usual.
    assert!(!is_above(100, &[1, 1, 1, 1, 1, 1, 100], MORE_EVENTS));
    // Twice the mean is asked for as well.
    assert!(!is_above(19, &[10; 7], MORE_EVENTS) && is_above(20, &[10; 7], MORE_EVENTS));
}

#[test]
fn overlapping_gaps_count_once() {
    let at = |s: i64| Timestamp::from_second(1_790_000_000 + s).unwrap();
    let gap = |source: Option<&str>, from, until: Option<i64>| Gap {
        source: source.map(Into::into),
        from: at(from),
        until: until.map(at),
        why: super::super::gaps::GapKind::Paused,
        reason: None,
    };
    let gaps = [gap(None, -50, Some(10)), gap(None, 5, Some(20)), gap(Some("a"), 30, Some(40)), gap(None, 90, None)];
    assert_eq!(unheard(&gaps, at(0), at(100)), SignedDuration::from_secs(30));
    let sums: Vec<_> = summed(&gaps, at(0), at(100)).into_iter().map(|sum| (sum.source, sum.duration_ms)).collect();
    assert_eq!(sums, [(None, 35_000), (Some("a".to_owned()), 10_000)]);
}
