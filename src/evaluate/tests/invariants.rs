//! What holds for any events.

use proptest::prelude::*;

use crate::evaluate::bootstrap::Draws;
use crate::evaluate::compare::{Measure, differences};
use crate::evaluate::matching::{Rule, Span, united};
use crate::evaluate::psds::{Change, Changes, Curve, PSDS1, PSDS2, Scenario, changes};
use crate::evaluate::tally::{ERROR_RULES, FIGURES, Figure, Pair, Scene, Tally};
use crate::evaluate::timing::{HeardEvent, Timing, spread};
use crate::evaluate::totals::{Resampled, Scope, Totals};

/// The number of labels.
const LABELS: usize = 3;
/// The length of a recording in seconds.
const LASTS_S: f64 = 20.0;

/// Events in order that do not touch; times are multiples of 10 ms.
fn spans() -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec((0u32..1_800, 5u32..200), 0..6).prop_map(|events| {
        let seconds = |hundredths: u32| f64::from(hundredths) / 100.0;
        united(
            events.into_iter().map(|(onset, lasts)| Span { onset_s: seconds(onset), offset_s: seconds(onset + lasts) }).collect(),
        )
    })
}

fn scene() -> impl Strategy<Value = Scene> {
    prop::collection::vec((spans(), spans()), LABELS).prop_map(|labels| Scene {
        lasts_s: LASTS_S,
        labels: labels.into_iter().map(|(truth, heard)| Pair { truth, heard }).collect(),
    })
}

/// A curve over a recording; some scores are equal.
fn curve() -> impl Strategy<Value = Curve> {
    prop::collection::vec((1u32..300, 0u32..12), 1..20).prop_map(|steps| {
        let mut curve = Curve::default();
        let mut end = 0;
        for (lasts, score) in steps {
            end += lasts;
            curve.push((f64::from(end) / 100.0).min(LASTS_S), f64::from(score) / 10.0);
        }
        curve.push(LASTS_S, 0.0);
        curve
    })
}

fn totals(scenes: &[Scene]) -> Totals {
    let tallies: Vec<Tally> = scenes.iter().map(Tally::new).collect();
    Totals::of(tallies.iter().map(|tally| (tally, 1)), LABELS)
}

/// The counts of a curve at one threshold, by the definition.
fn at_threshold(
    curve: &Curve,
    threshold: f64,
    truth: &[Span],
    others: &[(usize, &[Span])],
    scenario: &Scenario,
) -> (i32, i32, Vec<i32>) {
    let mut heard: Vec<Span> = Vec::new();
    let mut onset_s = 0.0;
    for (end_s, score) in curve.ends_s.iter().zip(&curve.scores) {
        if *score >= threshold {
            match heard.last_mut().filter(|last| last.offset_s == onset_s) {
                Some(last) => last.offset_s = *end_s,
                None => heard.push(Span { onset_s, offset_s: *end_s }),
            }
        }
        onset_s = *end_s;
    }
    let round = |seconds: f64| (seconds * 1e6).round_ties_even();
    let shared = |span: &Span, others: &[Span]| -> f64 {
        others.iter().map(|other| (span.offset_s.min(other.offset_s) - span.onset_s.max(other.onset_s)).max(0.0)).sum()
    };
    let covers = |span: &Span, by: &[Span], part: f64| round(shared(span, by)) >= round(part * (span.offset_s - span.onset_s));
    let (relevant, stray): (Vec<Span>, Vec<Span>) = heard.into_iter().partition(|span| covers(span, truth, scenario.heard_part));
    let hits = truth.iter().filter(|span| covers(span, &relevant, scenario.true_part)).count();
    let crossed = |spans: &[Span]| {
        let part = scenario.cross_part?;
        Some(stray.iter().filter(|span| covers(span, spans, part)).count())
    };
    let crossed = others.iter().map(|(_, spans)| if spans.is_empty() { 0 } else { crossed(spans).unwrap_or(0) as i32 }).collect();
    (hits as i32, stray.len() as i32, crossed)
}

fn psds(scenario: Scenario, recordings: &[(Vec<Vec<Span>>, Vec<Curve>)], order: &[usize]) -> Option<f64> {
    let mut all = Changes::new(scenario, LABELS);
    for at in order {
        let (truth, curves) = &recordings[*at];
        let of_label = |label: usize| -> Vec<Change> {
            let others: Vec<(usize, &[Span])> =
                (0..LABELS).filter(|other| *other != label).map(|other| (other, truth[other].as_slice())).collect();
            changes(&curves[label], &truth[label], &others, &scenario)
        };
        all.add(LASTS_S, truth.iter().map(Vec::as_slice), (0..LABELS).map(of_label));
    }
    all.sort();
    all.outcome(None).map(|outcome| outcome.score)
}

/// A curve that is 1 in these events and 0 elsewhere.
fn ideal(truth: &[Span]) -> Curve {
    let mut curve = Curve::default();
    for span in truth {
        curve.push(span.onset_s, 0.0);
        curve.push(span.offset_s, 1.0);
    }
    curve.push(LASTS_S, 0.0);
    curve
}

proptest! {
    #[test]
    fn every_f1_lies_between_0_and_1_and_counts_add_up(scenes in prop::collection::vec(scene(), 1..4)) {
        let totals = totals(&scenes);
        for figure in FIGURES {
            for scope in [Scope::Label(0), Scope::Label(1), Scope::Label(2), Scope::Macro, Scope::Micro] {
                prop_assert!(totals.f1(figure, scope).is_none_or(|f1| (0.0..=1.0).contains(&f1)));
            }
        }
        let n_true: usize = scenes.iter().flat_map(|scene| &scene.labels).map(|pair| pair.truth.len()).sum();
        let n_heard: usize = scenes.iter().flat_map(|scene| &scene.labels).map(|pair| pair.heard.len()).sum();
        for figure in [Figure::Event500, Figure::Event200, Figure::Onset500, Figure::Onset200] {
            let counts = totals.counts(figure, Scope::Micro);
            prop_assert_eq!(((counts.hits + counts.missed) as usize, (counts.hits + counts.false_alarms) as usize), (n_true, n_heard));
        }
        let hits = |figure| totals.counts(figure, Scope::Micro).hits;
        prop_assert!(hits(Figure::Event200) <= hits(Figure::Event500) && hits(Figure::Event500) <= hits(Figure::Onset500));
        for rule in ERROR_RULES {
            let errors = totals.errors(rule);
            prop_assert!(errors.substitutions + errors.deletions <= errors.n_true);
        }
    }

    #[test]
    fn neither_the_order_of_recordings_nor_of_labels_matters(mut scenes in prop::collection::vec(scene(), 2..4)) {
        let before = totals(&scenes);
        scenes.reverse();
        let after = totals(&scenes);
        prop_assert_eq!(&before.labels, &after.labels);
        prop_assert_eq!(before.errors, after.errors);
        scenes.iter_mut().for_each(|scene| scene.labels.reverse());
        let mirrored = totals(&scenes);
        prop_assert_eq!(before.errors, mirrored.errors);
        prop_assert_eq!(before.f1(Figure::Segment, Scope::Micro), mirrored.f1(Figure::Segment, Scope::Micro));
    }

    #[test]
    fn hearing_just_what_is_there_is_perfect(mut scenes in prop::collection::vec(scene(), 1..4)) {
        scenes.iter_mut().flat_map(|scene| &mut scene.labels).for_each(|pair| pair.heard = pair.truth.clone());
        let totals = totals(&scenes);
        for figure in FIGURES {
            prop_assert!(totals.f1(figure, Scope::Macro).is_none_or(|f1| f1 == 1.0));
        }
        prop_assert!(ERROR_RULES.into_iter().all(|rule| totals.error_rate(rule).is_none_or(|rate| rate == 0.0)));
        prop_assert_eq!(totals.false_alarms_per_hour(Scope::Micro), Some(0.0));
        let recordings: Vec<_> = scenes.iter().map(|scene| {
            let truth: Vec<Vec<Span>> = scene.labels.iter().map(|pair| pair.truth.clone()).collect();
            let curves = truth.iter().map(|spans| ideal(spans)).collect();
            (truth, curves)
        }).collect();
        let order: Vec<usize> = (0..recordings.len()).collect();
        for scenario in [PSDS1, PSDS2] {
            prop_assert!(psds(scenario, &recordings, &order).is_none_or(|score| (score - 1.0).abs() < 1e-9));
        }
    }

    #[test]
    fn a_further_hit_never_lowers_an_f1(scene in scene(), label in 0..LABELS) {
        let before = totals(std::slice::from_ref(&scene));
        let mut more = scene.clone();
        // A second of silence behind everything holds one more event, which is heard exactly.
        let span = Span { onset_s: 24.0, offset_s: 25.0 };
        more.lasts_s = 26.0;
        more.labels[label].truth.push(span);
        more.labels[label].heard.push(span);
        let after = totals(&[more]);
        for figure in FIGURES.into_iter().filter(|figure| *figure != Figure::Recording) {
            let (before, after) = (before.f1(figure, Scope::Micro).unwrap_or(0.0), after.f1(figure, Scope::Micro).unwrap_or(0.0));
            prop_assert!(after >= before);
        }
    }

    #[test]
    fn the_changes_of_a_curve_are_those_of_every_threshold(curve in curve(), truth in spans(), one in spans(), two in spans()) {
        let others: [(usize, &[Span]); 2] = [(1, &one), (2, &two)];
        for scenario in [PSDS1, PSDS2] {
            let changes = changes(&curve, &truth, &others, &scenario);
            let mut thresholds = curve.scores.clone();
            thresholds.sort_by(|a, b| b.total_cmp(a));
            for threshold in thresholds {
                let until = || changes.iter().take_while(|change| change.score >= threshold);
                let crossed = |label| until().flat_map(|change| &change.crossed).filter(|(other, _)| *other == label).map(|(_, n)| n).sum::<i32>();
                let counts = (
                    until().map(|change| change.hits).sum::<i32>(),
                    until().map(|change| change.false_alarms).sum::<i32>(),
                    vec![crossed(1), crossed(2)],
                );
                prop_assert_eq!(counts, at_threshold(&curve, threshold, &truth, &others, &scenario), "at {}", threshold);
            }
        }
    }

    #[test]
    fn psds_lies_between_0_and_1_and_does_not_depend_on_the_order(
        recordings in prop::collection::vec((prop::collection::vec(spans(), LABELS), prop::collection::vec(curve(), LABELS)), 1..4),
    ) {
        let order: Vec<usize> = (0..recordings.len()).collect();
        let backwards: Vec<usize> = order.iter().rev().copied().collect();
        for scenario in [PSDS1, PSDS2] {
            let (one, other) = (psds(scenario, &recordings, &order), psds(scenario, &recordings, &backwards));
            prop_assert_eq!(one.is_some(), other.is_some());
            prop_assert!(one.zip(other).is_none_or(|(one, other)| (0.0..=1.0 + 1e-9).contains(&one) && (one - other).abs() < 1e-9));
        }
    }
}

proptest! {
    // Each case has thousands of permutations.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_result_does_not_differ_from_itself_and_a_difference_has_two_sides(scenes in prop::collection::vec(scene(), 2..5)) {
        let first: Vec<Tally> = scenes.iter().map(Tally::new).collect();
        let perfect: Vec<Scene> = scenes.iter().cloned().map(|mut scene| {
            scene.labels.iter_mut().for_each(|pair| pair.heard = pair.truth.clone());
            scene
        }).collect();
        let second: Vec<Tally> = perfect.iter().map(Tally::new).collect();
        let draws = Draws::new(first.len());
        let f1 = |totals: &Totals| totals.f1(Figure::Event500, Scope::Micro);
        let compare = |a: &[Tally], b: &[Tally]| differences(a, b, LABELS, Some(&draws), &[Box::new(f1) as Measure])[0];
        if let Some(same) = compare(&first, &first) {
            prop_assert_eq!((same.difference.value, same.p, same.is_more_than_chance()), (0.0, 1.0, false));
        }
        if let (Some(one), Some(other)) = (compare(&first, &second), compare(&second, &first)) {
            prop_assert_eq!(one.difference.value, -other.difference.value);
            prop_assert!((one.p - other.p).abs() < 1e-12 && one.p > 0.0 && one.p <= 1.0);
        }
    }
}

#[test]
fn intervals_hold_the_value_and_are_the_same_each_time() {
    let pair = |heard: &[f64]| {
        let span = |onset_s: &f64| Span { onset_s: *onset_s, offset_s: onset_s + 1.0 };
        Pair { truth: vec![span(&2.0), span(&8.0)], heard: heard.iter().map(span).collect() }
    };
    let scenes: Vec<Scene> = [&[2.0, 8.0][..], &[2.0], &[], &[5.0], &[2.1, 7.9]]
        .iter()
        .map(|heard| Scene { lasts_s: 10.0, labels: vec![pair(heard)] })
        .collect();
    let tallies: Vec<Tally> = scenes.iter().map(Tally::new).collect();
    let draws = crate::evaluate::totals::draws(tallies.len());
    let estimate =
        || Resampled::new(&tallies, 1, draws.as_ref()).estimate(|totals| totals.f1(Figure::Event500, Scope::Macro)).unwrap();
    let one = estimate();
    let [low, high] = one.bounds.unwrap();
    assert!(low < one.value && one.value < high && (one.value - 10.0 / 16.0).abs() < 1e-12, "{one:?}");
    assert_eq!(one, estimate());
    let alone = Resampled::new(&tallies[..1], 1, None).estimate(|totals| totals.f1(Figure::Event500, Scope::Macro)).unwrap();
    assert_eq!((alone.value, alone.bounds), (1.0, None));
}

#[test]
fn times_are_those_of_the_first_event_that_overlaps() {
    let span = |onset_s: f64, offset_s: f64| Span { onset_s, offset_s };
    let event = |onset_s, offset_s, announced_s| HeardEvent { span: span(onset_s, offset_s), announced_s };
    let mut timing = Timing::default();
    let heard = [event(1.2, 2.5, Some(1.5)), event(1.5, 2.0, Some(1.9)), event(5.0, 9.5, None), event(20.0, 21.0, Some(20.4))];
    timing.add(&[span(1.0, 2.0), span(5.5, 7.0), span(8.0, 9.0)], &heard);
    let near = |values: &[f64], expected: &[f64]| {
        values.len() == expected.len() && values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9)
    };
    assert!(
        near(&timing.onset_s, &[0.2, -0.5]) && near(&timing.offset_s, &[0.5, 2.5]) && near(&timing.delay_s, &[0.5]),
        "{timing:?}"
    );
    let all = spread(&[-3.0, 1.0, 2.0]).unwrap();
    assert_eq!((all.n, all.median_s, all.median_absolute_s, all.p95_absolute_s), (3, 1.0, 2.0, 3.0));
    assert_eq!(spread(&[]), None);
}

#[test]
fn a_confusion_is_another_label_in_the_place_of_a_missed_one() {
    use crate::evaluate::mistakes::{self, confusions};
    let span = |onset_s: f64| Span { onset_s, offset_s: onset_s + 1.0 };
    let scene = |truth: [&[f64]; 2], heard: [&[f64]; 2]| Scene {
        lasts_s: 20.0,
        labels: (0..2)
            .map(|label| Pair {
                truth: truth[label].iter().copied().map(span).collect(),
                heard: heard[label].iter().copied().map(span).collect(),
            })
            .collect(),
    };
    let scenes = [scene([&[1.0], &[]], [&[1.0], &[1.0]]), scene([&[3.0, 9.0], &[6.0]], [&[6.2], &[3.5, 9.1]])];
    let found: Vec<_> = confusions(&scenes).iter().map(|one| (one.truth, one.heard, one.n, one.first)).collect();
    assert_eq!(found, [(0, 1, 2, (1, span(3.0))), (1, 0, 1, (1, span(6.0)))]);
    let mistakes = mistakes::of(&scenes[0], Rule::Overlap);
    assert_eq!(mistakes.iter().map(|one| (one.label, one.is_missed)).collect::<Vec<_>>(), [(1, false)]);
}
