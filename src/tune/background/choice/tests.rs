use std::sync::Arc;

use proptest::prelude::*;

use super::super::statistics::{Gatherer, Moment, Place};
use super::*;
use crate::detect::rule::Gate;
use crate::event::Subject;

fn rule(label: usize, threshold: f32) -> Rule {
    let subject = Subject { name: format!("Label {label}"), slug: format!("label_{label}"), id: format!("/m/{label}") };
    let gate = Gate {
        announce: Announce::AtOnce,
        threshold,
        release: 0.1 * threshold,
        start_threshold: threshold,
        confirm_k: 1,
        confirm_n: 1,
        min_duration_ms: 0,
        max_duration_ms: None,
        hangover_ms: 0,
        cooldown_ms: 0,
        min_level_dbfs: None,
        min_snr_db: 0.0,
    };
    Rule { subject: Arc::new(subject), members: vec![label], gate, merge: true }
}

/// The statistics of hours in which these labels' curves had these peaks, a minute apart.
fn heard(hours: f64, peaks: &[(usize, CurveKind, f32)]) -> Statistics {
    let mut gatherer = Gatherer::default();
    for (n, (label, kind, score)) in peaks.iter().enumerate() {
        let moment = Moment { place: Place::Source("kitchen".into()), at_ms: n as i64 * 60_000 };
        gatherer.peak((*label, *kind), *score, moment);
    }
    gatherer.heard((hours * 3_600_000.0) as u64);
    gatherer.finish()
}

/// The advice for one label with the threshold 0.2 beside many that are silent.
fn advised(hours: f64, peaks: &[(usize, CurveKind, f32)]) -> Choice {
    let rules: Vec<Rule> = (0..20).map(|label| rule(label, 0.2)).collect();
    advise(&heard(hours, peaks), &rules, &Labels::default(), 1.0).choices[0].clone()
}

#[test]
fn what_nothing_speaks_against_stays() {
    let choice = advised(2.0, &[]);
    assert!(!choice.is_change() && choice.n_in_force() == 0, "{choice:?}");
}

#[test]
fn a_threshold_that_was_reached_goes_above_all_that_was_seen() {
    let choice = advised(2.0, &[(0, CurveKind::Confirmed, 0.3), (0, CurveKind::Confirmed, 0.05)]);
    assert!(choice.threshold.advised > 0.4 && choice.threshold.advised < 0.95 && !choice.ignore, "{choice:?}");
    assert_eq!((choice.threshold.n_in_force, choice.threshold.n_advised), (1, 0));
    assert!(!choice.start_threshold.is_changed());
}

#[test]
fn what_is_heard_all_the_time_is_better_ignored() {
    let always: Vec<_> = (0..100).map(|n| (0, CurveKind::Confirmed, 0.8 + 0.001 * n as f32)).collect();
    assert!(advised(2.0, &always).ignore);
}

#[test]
fn what_rises_too_high_at_once_is_told_once_it_is_confirmed() {
    let choice = advised(2.0, &[(0, CurveKind::Causal, 0.97), (0, CurveKind::Causal, 0.96), (0, CurveKind::Confirmed, 0.01)]);
    assert_eq!(choice.start_threshold.advised, 1.0);
    assert!(!choice.ignore && !choice.threshold.is_changed(), "{choice:?}");
}

#[test]
fn what_waits_for_its_confirmation_has_no_alarms_before_it() {
    let mut rules: Vec<Rule> = (0..20).map(|label| rule(label, 0.2)).collect();
    rules[0].gate.announce = Announce::Confirmed;
    let peaks = [(0, CurveKind::Causal, 0.9), (0, CurveKind::Causal, 0.8), (0, CurveKind::Confirmed, 0.3)];
    let choice = advise(&heard(2.0, &peaks), &rules, &Labels::default(), 1.0).choices[0].clone();
    assert_eq!((choice.n_in_force(), choice.start_threshold.is_changed()), (1, false), "{choice:?}");
    assert!(choice.threshold.advised > 0.3, "{choice:?}");
}

#[test]
fn lowering_takes_many_hours_and_stops_above_what_was_seen() {
    let after = |hours: f64| {
        let rules: Vec<Rule> = (0..20).map(|label| rule(label, 0.9)).collect();
        advise(&heard(hours, &[(0, CurveKind::Confirmed, 0.05)]), &rules, &Labels::default(), 1.0).choices[0].threshold.advised
    };
    let thresholds = [0.1, 2.0, 24.0, 240.0].map(after);
    assert_eq!(thresholds[..2], [0.9, 0.9]);
    // After ten days the one alarm is within the budget.
    assert!((0.5..0.8).contains(&thresholds[2]) && (0.03..0.1).contains(&thresholds[3]), "{thresholds:?}");
}

#[test]
fn a_group_is_judged_by_all_its_labels() {
    let group = Rule { members: vec![0, 1], ..rule(0, 0.2) };
    let advice =
        advise(&heard(2.0, &[(0, CurveKind::Confirmed, 0.3), (1, CurveKind::Confirmed, 0.4)]), &[group], &Labels::default(), 1.0);
    assert_eq!(advice.choices[0].threshold.n_in_force, 2);
    assert!(advice.choices[0].threshold.advised > 0.4);
}

#[test]
fn how_sure_it_is_follows_from_the_hours() {
    let advice = advise(&heard(2.0, &[]), &[rule(0, 0.2)], &Labels::default(), 1.0);
    assert_eq!(advice.n_left, 0);
    // Without an alarm, up to three in the time heard are still possible: 3 / 2 h is 36 a day, and 3 / 72 h is one.
    assert!((advice.at_most_per_day - 35.95).abs() < 0.01 && (advice.hours_to_be_sure - 71.9).abs() < 0.01, "{advice:?}");
}

fn any_peaks() -> impl Strategy<Value = Vec<(usize, CurveKind, f32)>> {
    let kind = prop_oneof![Just(CurveKind::Confirmed), Just(CurveKind::Causal)];
    prop::collection::vec((0usize..6, kind, 0.002f32..1.0), 0..120)
}

proptest! {
    #[test]
    fn a_small_budget_lets_nothing_pass_that_was_seen_and_a_larger_one_never_raises(
        peaks in any_peaks(), hours in 0.1f64..30.0, per_day in 0.1f64..0.7, more in 1.0f64..1_000.0,
    ) {
        let rules: Vec<Rule> = (0..8).map(|label| rule(label, 0.05 + 0.1 * label as f32)).collect();
        let statistics = heard(hours, &peaks);
        let strict = advise(&statistics, &rules, &Labels::default(), per_day);
        prop_assert_eq!(strict.n_left, 0);
        let lavish = advise(&statistics, &rules, &Labels::default(), per_day * more);
        for (strict, lavish) in strict.choices.iter().zip(&lavish.choices) {
            prop_assert!(lavish.ignore <= strict.ignore, "{strict:?} {lavish:?}");
            for (strict, lavish) in [(strict.threshold, lavish.threshold), (strict.start_threshold, lavish.start_threshold)] {
                prop_assert!((0.0..=1.0).contains(&strict.advised) && strict.advised > 0.0);
                let step = f64::from(log_odds(lavish.advised)) - f64::from(log_odds(strict.advised));
                // A threshold that would change by less than SAME stays.
                prop_assert!(step < SAME.0 + SAME.1 || strict.advised == 1.0, "{strict:?} {lavish:?}");
            }
        }
    }
}
