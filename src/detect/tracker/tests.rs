//! The tracker on scripted and on random score curves.

use proptest::prelude::*;

use super::*;

/// One window a second at 1,000 samples a second, each speaking of its own end: times are easy to read.
fn gate() -> Gate {
    Gate {
        threshold: 0.5,
        release: 0.3,
        confirm_k: 1,
        confirm_n: 1,
        min_duration_ms: 0,
        max_duration_ms: None,
        hangover_ms: 0,
        cooldown_ms: 0,
    }
}

/// What a tracker says of a curve, one entry a step, as `start 2`, `update 0.9`, `end 2-5 decay`.
fn track(gate: Gate, scores: &[f32]) -> Vec<String> {
    let mut tracker = Tracker::new(gate, 1_000, 1_000);
    let mut said = Vec::new();
    for (index, score) in scores.iter().enumerate() {
        let at = index as u64 * 1_000;
        tracker.push(Moment { rise: at, fall: at }, *score, |step| said.push(describe(&step)));
    }
    said.extend(tracker.finish(scores.len() as u64 * 1_000, EndReason::Shutdown).map(|step| describe(&step)));
    said
}

fn describe(step: &Step) -> String {
    match step {
        Step::Start(heard) => format!("start {}", heard.onset / 1_000),
        Step::Update(heard) => format!("update {}", heard.peak_score),
        Step::End { heard, offset, reason } => format!("end {}-{} {reason:?}", heard.onset / 1_000, offset / 1_000),
    }
}

#[test]
fn an_event_lasts_from_threshold_to_release() {
    assert_eq!(track(gate(), &[0.1, 0.4, 0.6, 0.4, 0.4, 0.2, 0.4]), ["start 2", "end 2-5 Decay"]);
}

#[test]
fn a_single_window_is_not_confirmed() {
    let gate = Gate { confirm_k: 2, confirm_n: 3, ..gate() };
    assert!(track(gate, &[0.0, 0.9, 0.0, 0.0, 0.9, 0.0]).is_empty());
    // The onset is where the first of the confirming windows lies.
    assert_eq!(track(gate, &[0.0, 0.9, 0.0, 0.9, 0.9, 0.0]), ["start 1", "end 1-5 Decay"]);
}

#[test]
fn the_hang_over_bridges_a_gap_and_not_a_longer_one() {
    let gate = Gate { hangover_ms: 2_000, ..gate() };
    assert_eq!(track(gate, &[0.9, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0]), ["start 0", "end 0-4 Decay"]);
    assert_eq!(track(gate, &[0.9, 0.0, 0.0, 0.0, 0.9]), ["start 0", "end 0-1 Decay", "start 4", "end 4-5 Shutdown"]);
}

#[test]
fn a_short_event_is_never_told_of() {
    let gate = Gate { min_duration_ms: 2_000, ..gate() };
    assert!(track(gate, &[0.9, 0.9, 0.0, 0.0]).is_empty());
    assert_eq!(track(gate, &[0.9, 0.9, 0.9, 0.0]), ["start 0", "end 0-3 Decay"]);
}

#[test]
fn a_long_event_is_renewed() {
    let gate = Gate { max_duration_ms: Some(2_000), cooldown_ms: 60_000, ..gate() };
    assert_eq!(track(gate, &[0.9; 5]), ["start 0", "end 0-2 MaxDuration", "start 3", "end 3-5 Shutdown"]);
}

#[test]
fn a_cool_down_keeps_the_label_quiet() {
    let gate = Gate { cooldown_ms: 3_000, ..gate() };
    assert_eq!(track(gate, &[0.9, 0.0, 0.9, 0.0, 0.9, 0.0]), ["start 0", "end 0-1 Decay", "start 4", "end 4-5 Decay"]);
}

#[test]
fn a_rising_peak_is_told_at_most_once_a_second() {
    assert_eq!(track(gate(), &[0.5, 0.505, 0.7, 0.6, 0.0]), ["start 0", "update 0.7", "end 0-4 Decay"]);
}

proptest! {
    #[test]
    fn whatever_the_scores_starts_and_ends_pair_and_time_goes_on(
        scores in prop::collection::vec(0.0f32..=1.0, 0..300),
        threshold in 0.05f32..=1.0, release in 0.0f32..=1.0, k in 1usize..4, more in 0usize..4,
        min in 0u64..3_000, max in prop::option::of(1u64..9_000), hangover in 0u64..4_000, cooldown in 0u64..5_000,
        (window, delta) in (1u64..40, 0u64..20), stops in prop::collection::vec(0usize..300, 0..3),
    ) {
        let gate = Gate {
            threshold, release: threshold * release, confirm_k: k, confirm_n: k + more, min_duration_ms: min, max_duration_ms: max,
            hangover_ms: hangover, cooldown_ms: cooldown,
        };
        let hop = 200;
        let mut tracker = Tracker::new(gate, hop, 1_000);
        let mut open: Option<u64> = None;
        let mut last_offset = 0;
        let mut check = |step: &Step, now: u64| {
            let heard = *step.heard();
            assert!(heard.peak_score >= heard.threshold && heard.peak_score >= heard.score);
            assert!(heard.onset <= now, "an event that has not begun");
            match step {
                Step::Start(_) => {
                    assert!(open.is_none(), "two starts");
                    assert!(heard.onset >= last_offset, "an event begins before the last one ended");
                    open = Some(heard.onset);
                }
                Step::Update(_) => assert_eq!(open, Some(heard.onset)),
                Step::End { offset, .. } => {
                    assert_eq!(open.take(), Some(heard.onset), "an end without its start");
                    assert!(*offset > heard.onset, "an event without length");
                    last_offset = *offset;
                }
            }
        };
        for (index, score) in scores.iter().enumerate() {
            let end = (index as u64 + 1) * hop;
            let moment = Moment { rise: end.saturating_sub(delta * hop), fall: (end + delta * hop).saturating_sub(window * hop) };
            tracker.push(moment, *score, |step| check(&step, end));
            if stops.contains(&index) && let Some(step) = tracker.finish(end, EndReason::Paused) {
                check(&step, end);
            }
        }
        let end = (scores.len() as u64 + 1) * hop;
        if let Some(step) = tracker.finish(end, EndReason::Shutdown) {
            check(&step, end);
        }
        prop_assert!(open.is_none(), "a start without an end");
        prop_assert!(!tracker.is_active());
    }
}
