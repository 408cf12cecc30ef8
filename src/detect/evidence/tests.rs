//! The evidence of a segment, on numbers made by hand and on any numbers.

use proptest::prelude::*;

use super::*;
use crate::model::manifest::Detection;

const WEIGHTS: Evidence =
    Evidence { confirmed: 0.8, causal: 0.1, duration: 0.05, snr: 0.3, background: -0.2, start_background: 0.1, offset: 1.0 };

fn parts(confirmed: f32) -> EvidenceParts {
    EvidenceParts { confirmed, causal: 0.3, duration_s: 1.0, snr_db: Some(20.0), background: QUIET }
}

fn of_evidence(n_curves: usize) -> EvidenceOf {
    let detection = Detection { evidence: Some(WEIGHTS), ..Detection::of_tests() };
    EvidenceOf::new(&Scoring::new(&detection, 1_000), n_curves, 1_000)
}

fn segment(onset: u64, offset: u64) -> Segment {
    Segment { onset, offset, vanished: offset, peak: 0.4 }
}

#[test]
fn the_evidence_is_the_logistic_function_of_the_weighed_parts() {
    // By hand: 1 + 0.8 · ln(0.5/0.5) + 0.1 · ln(0.3/0.7) + 0.05 · ln 1 + 0.3 · 2 = 1.5152702.
    assert!((WEIGHTS.of(&parts(0.5)) - 0.819_841).abs() < 1e-5, "{}", WEIGHTS.of(&parts(0.5)));
    assert_eq!(WEIGHTS.weighed(&parts(0.5))[0], 0.0);
}

#[test]
fn the_confirmed_score_of_an_evidence_has_that_evidence() {
    for evidence in [0.02, 0.3, 0.8] {
        let confirmed = WEIGHTS.confirmed_at(evidence);
        let facts = EvidenceParts { confirmed, causal: confirmed, duration_s: 1.0, snr_db: None, background: QUIET };
        assert!((WEIGHTS.of(&facts) - evidence).abs() < 1e-4, "{evidence} {confirmed}");
    }
}

#[test]
fn without_weights_the_confirmed_score_is_the_evidence() {
    let of = EvidenceOf::new(&Scoring::new(&Detection::of_tests(), 1_000), 1, 1_000);
    assert_eq!((of.of(&parts(0.37)), of.rises(0, 0.37), of.background(0)), (0.37, 0.37, None));
}

#[test]
fn a_sound_that_goes_on_becomes_the_background_and_lowers_the_score_that_announces() {
    let mut of = of_evidence(1);
    assert_eq!(of.rises(0, 0.5), 0.5);
    (0..3_000).for_each(|_| of.push(&[0.5]));
    assert!(of.background(0).unwrap().abs() < 1e-3, "{:?}", of.background(0));
    assert!(of.rises(0, 0.5) < 0.4 && of.rises(0, 0.9) > 0.8);
    // It is forgotten as it was learnt, and a gap in the sound does not forget it.
    of.reset();
    assert!(of.rises(0, 0.5) < 0.4);
    (0..3_000).for_each(|_| of.push(&[0.001]));
    assert!((of.rises(0, 0.5) - 0.5).abs() < 1e-2);
}

#[test]
fn a_steady_sound_in_several_segments_is_not_its_own_background() {
    let (mut of, mut steady, mut returning) = (of_evidence(1), SegmentEvidence::default(), SegmentEvidence::default());
    (0..100).for_each(|_| of.push(&[0.5]));
    steady.close(&of, 0, &segment(0, 90));
    returning.close(&of, 0, &segment(0, 40));
    // The next segment follows at once, or after two seconds.
    assert_eq!(steady.parts(&of, 0, &segment(95, 99)).background, QUIET);
    assert!(returning.parts(&of, 0, &segment(60, 99)).background > QUIET + 0.5);
    // A long sound has longer pauses, however many segments it has.
    let mut long = SegmentEvidence::default();
    (0..60).for_each(|_| of.push(&[0.5]));
    for earlier in [segment(0, 50), segment(55, 100)] {
        long.close(&of, 0, &earlier);
    }
    assert_eq!(long.parts(&of, 0, &segment(119, 150)).background, QUIET);
    assert!(long.parts(&of, 0, &segment(130, 150)).background > QUIET + 0.5);
}

#[test]
fn other_rules_keep_the_past_of_the_curves_that_they_continue() {
    let mut of = of_evidence(2);
    (0..100).for_each(|_| of.push(&[0.5, 0.001]));
    let moved = of.rearranged(&[None, Some(0)]);
    assert_eq!((moved.background(1), moved.background(0)), (of.background(0), Some(QUIET)));
    let facts = |of: &EvidenceOf, curve| SegmentEvidence::default().parts(of, curve, &segment(50, 60));
    assert_eq!(facts(&moved, 1), facts(&of, 0));
}

proptest! {
    #[test]
    fn more_of_a_score_is_never_weaker_evidence(low in 0.0f32..=1.0, high in 0.0f32..=1.0, background in -4.6f32..4.0) {
        let (low, high) = (low.min(high), low.max(high));
        let at = |confirmed, causal| WEIGHTS.of(&EvidenceParts { causal, background, ..parts(confirmed) });
        prop_assert!(at(low, low) <= at(high, low) && at(low, low) <= at(low, high));
        prop_assert!(WEIGHTS.rises(low, background) <= WEIGHTS.rises(high, background));
        prop_assert!(WEIGHTS.rises(low, background) <= low.max(1e-4));
    }

    #[test]
    fn whatever_the_scores_the_facts_are_finite_and_the_past_is_right(
        scores in prop::collection::vec(0.0f32..=1.0, 1..400), from in 0u64..400, length in 1u64..60,
    ) {
        let mut of = of_evidence(1);
        scores.iter().for_each(|score| of.push(&[*score]));
        let facts = SegmentEvidence::default().parts(&of, 0, &segment(from, from + length));
        let until = (from + length + of.reach).min(scores.len() as u64);
        let first = from.max((scores.len() as u64).saturating_sub(MEMORY));
        let highest = (first..until).map(|hop| scores[hop as usize]).fold(0.0, f32::max);
        prop_assert_eq!(facts.causal, highest);
        prop_assert!((QUIET..=9.3).contains(&facts.background) && (0.0..=1.0).contains(&of.of(&facts)));
    }
}
