//! The numbers of sed_eval and sed_scores_eval over the same events, which `benches/hearing/golden.py` wrote.

use serde_json::Value;

use crate::evaluate::matching::Span;
use crate::evaluate::psds::{Change, Changes, Curve, PSDS1, PSDS2, Scenario, changes};
use crate::evaluate::tally::{ErrorRule, Figure, Pair, Scene, Tally};
use crate::evaluate::totals::{Scope, Totals};

const GOLDEN: &str = include_str!("../../../tests/golden/evaluate.json");

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn spans(value: &Value) -> Vec<Span> {
    let span = |pair: &Value| Span { onset_s: number(&pair[0]), offset_s: number(&pair[1]) };
    value.as_array().unwrap().iter().map(span).collect()
}

/// The recordings of a case: each scene, and the curves of its labels.
fn recordings(case: &Value) -> Vec<(Scene, Vec<Curve>)> {
    let recording = |recording: &Value| {
        let labels = recording["labels"].as_array().unwrap();
        let pair = |label: &Value| Pair { truth: spans(&label["truth"]), heard: spans(&label["heard"]) };
        let curve = |label: &Value| {
            let mut curve = Curve::default();
            numbers(&label["ends"])
                .into_iter()
                .zip(numbers(&label["scores"]))
                .for_each(|(end_s, score)| curve.push(end_s, score));
            curve
        };
        let scene = Scene { lasts_s: number(&recording["lasts"]), labels: labels.iter().map(pair).collect() };
        (scene, labels.iter().map(curve).collect())
    };
    case["recordings"].as_array().unwrap().iter().map(recording).collect()
}

fn psds(recordings: &[(Scene, Vec<Curve>)], scenario: Scenario, n_labels: usize) -> crate::evaluate::psds::Outcome {
    let mut all = Changes::new(scenario, n_labels);
    for (scene, curves) in recordings {
        let truth: Vec<&[Span]> = scene.labels.iter().map(|pair| pair.truth.as_slice()).collect();
        let of_label = |label: usize| -> Vec<Change> {
            let others: Vec<(usize, &[Span])> =
                (0..n_labels).filter(|other| *other != label).map(|other| (other, truth[other])).collect();
            changes(&curves[label], truth[label], &others, &scenario)
        };
        all.add(scene.lasts_s, truth.iter().copied(), (0..n_labels).map(of_label));
    }
    all.sort();
    all.outcome(None).unwrap()
}

/// Requires that two numbers are equal within 1e-6.
fn same(what: &str, ours: Option<f64>, theirs: &Value) {
    let (ours, theirs) = (ours.unwrap_or_else(|| panic!("{what}: none")), number(theirs));
    assert!((ours - theirs).abs() < 1e-6, "{what}: {ours} instead of {theirs}");
}

#[test]
fn every_number_is_that_of_the_reference() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 10);
    for (at, case) in cases.iter().enumerate() {
        let recordings = recordings(case);
        let n_labels = recordings[0].0.labels.len();
        let tallies: Vec<Tally> = recordings.iter().map(|(scene, _)| Tally::new(scene)).collect();
        let totals = Totals::of(tallies.iter().map(|tally| (tally, 1)), n_labels);
        let expected = &case["expected"];
        let figures = [
            ("f1_500ms", Figure::Event500),
            ("f1_200ms", Figure::Event200),
            ("f1_onset_500ms", Figure::Onset500),
            ("f1_onset_200ms", Figure::Onset200),
            ("f1_intersection", Figure::Intersection),
            ("f1_segment", Figure::Segment),
        ];
        for (key, figure) in figures {
            let what = |scope: &str| format!("case {at}, {key} {scope}");
            for label in 0..n_labels {
                same(&what(&label.to_string()), totals.f1(figure, Scope::Label(label)), &expected[key]["labels"][label]);
            }
            same(&what("macro"), totals.f1(figure, Scope::Macro), &expected[key]["macro"]);
            same(&what("micro"), totals.f1(figure, Scope::Micro), &expected[key]["micro"]);
        }
        for (key, rule) in
            [("event_500ms", ErrorRule::Event500), ("event_200ms", ErrorRule::Event200), ("segment", ErrorRule::Segment)]
        {
            let errors = totals.errors(rule);
            let rate = |n: u32| Some(f64::from(n) / f64::from(errors.n_true));
            let expected = &expected["errors"][key];
            same(&format!("case {at}, {key}"), totals.error_rate(rule), &expected["error_rate"]);
            for (name, n) in
                [("substitution", errors.substitutions), ("deletion", errors.deletions), ("insertion", errors.insertions)]
            {
                same(&format!("case {at}, {key} {name}"), rate(n), &expected[name]);
            }
        }
        for (key, scenario) in [("psds1", PSDS1), ("psds2", PSDS2)] {
            let outcome = psds(&recordings, scenario, n_labels);
            same(&format!("case {at}, {key}"), Some(outcome.score), &expected[key]["score"]);
            for (label, score) in outcome.labels.iter().enumerate() {
                same(&format!("case {at}, {key} {label}"), *score, &expected[key]["labels"][label]);
            }
        }
    }
}
