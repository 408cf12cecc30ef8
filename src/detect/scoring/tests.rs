use super::*;

fn scoring() -> Scoring {
    strided(&[])
}

/// The same where the windows of a length are scored at every n-th hop, as `strides` say.
fn strided(strides: &[usize]) -> Scoring {
    let detection = Detection {
        windows_ms: vec![960, 2_880],
        strides: strides.to_vec(),
        delta: 0.13,
        median: 3,
        extent: 0.12,
        ..Detection::of_tests()
    };
    Scoring::new(&detection, 1_000)
}

/// The score that a tagger gives a window of `length` that ends at `end`: high once 200 ms of a sound lie in it.
fn tagger(end: i64, length: i64, sounds: &[(i64, i64)]) -> f32 {
    let inside: i64 = sounds.iter().map(|(from, to)| (end.min(*to) - (end - length).max(*from)).max(0)).sum();
    if inside >= 200 { 0.9 } else { 0.001 }
}

/// The confirmed scores as (middle of the hop in ms, score).
fn curve(sounds: &[(i64, i64)], hops: i64) -> Vec<(i64, f32)> {
    let (scoring, mut values): (_, Vec<f32>) = (scoring(), Vec::new());
    let mut curve = CurveBank::new(&scoring, 1);
    for hop in 1..=hops {
        let scores = [tagger(hop * 100, 960, sounds), tagger(hop * 100, 2_880, sounds)];
        curve.push(&scoring, &[true; 2], |window, row| row.fill(scores[window]));
        assert!((0.0..=1.0).contains(&curve.causal()[0]));
        values.extend(curve.confirmed().map(|values| values[0]));
    }
    values.into_iter().enumerate().map(|(index, value)| (index as i64 * 100 + 50, value)).collect()
}

#[test]
fn the_curve_is_high_while_the_sound_lasts_and_not_for_a_window_longer() {
    for (from, to) in [(3_000, 3_600), (3_000, 5_000), (3_020, 9_000)] {
        let above: Vec<i64> = curve(&[(from, to)], 200).iter().filter(|(_, value)| *value > 0.3).map(|(at, _)| *at).collect();
        let (first, last) = (above[0], above[above.len() - 1]);
        assert!((first - from).abs() <= 300 && (last - to).abs() <= 300, "{from}–{to}: {first}–{last}");
    }
}

#[test]
fn two_sounds_a_second_apart_are_two_rises() {
    let curve = curve(&[(3_000, 3_500), (4_900, 5_400)], 120);
    let at = |moment: i64| curve.iter().find(|(at, _)| *at == moment).unwrap().1;
    assert!(at(3_250) > 0.5 && at(5_150) > 0.5, "{curve:?}");
    assert!(at(4_250) < 0.3 * at(3_250), "{curve:?}");
}

#[test]
fn the_first_value_is_that_of_the_first_hop() {
    let (scoring, mut n) = (scoring(), 0);
    let mut curve = CurveBank::new(&scoring, 1);
    for hop in 0..100u64 {
        curve.push(&scoring, &[true; 2], |_, row| row.fill(0.5));
        if curve.confirmed().is_some() {
            n += 1;
            assert!(hop >= n - 1 && (hop + 1 - n) * 100 < scoring.lag_samples());
        }
    }
    assert_eq!((100 - n + 1) * 100, scoring.lag_samples());
}

/// Scores whose logarithms rise or fall linearly, so that interpolation between any two of them is exact.
fn steady(hop: u64, factor: f32) -> f32 {
    0.05 * factor.powi(hop as i32) - EPSILON
}

/// The confirmed scores, with the hops at which they come, where the short window is scored at every hop and the long one where
/// `is_scored` says so.
fn values(scoring: &Scoring, n_hops: u64, scores: impl Fn(u64) -> [f32; 2], is_scored: impl Fn(u64) -> bool) -> Vec<(u64, f32)> {
    let mut curve = CurveBank::new(scoring, 1);
    (0..n_hops)
        .filter_map(|hop| {
            curve.push(scoring, &[true, is_scored(hop)], |window, row| row.fill(scores(hop)[window]));
            curve.confirmed().map(|values| (hop, values[0]))
        })
        .collect()
}

fn assert_alike(some: &[(u64, f32)], others: &[(u64, f32)]) {
    assert!(!some.is_empty() && some.len() == others.len(), "{some:?} {others:?}");
    for ((hop, some), (other_hop, other)) in some.iter().zip(others) {
        assert!(hop == other_hop && (some / other - 1.0).abs() < 1e-4, "hop {hop}: {some} and {other}");
    }
}

#[test]
fn a_window_that_is_scored_at_every_fourth_hop_says_the_same_of_what_changes_steadily() {
    let scoring = strided(&[1, 4]);
    for factor in [1.02, 0.97] {
        let scores = |hop| [steady(hop, factor), steady(hop, factor)];
        let all = values(&scoring, 120, scores, |_| true);
        assert_alike(&values(&scoring, 120, scores, |hop| hop % 4 == 0), &all);
        // Further scores between them change nothing either.
        assert_alike(&values(&scoring, 120, scores, |hop| hop % 4 == 0 || hop % 7 == 3), &all);
    }
    // Scores that do not change steadily give another curve: the test compares something.
    let sudden = |hop| [0.01, if hop % 4 == 0 { 0.01 } else { 0.9 }];
    let (all, some) = (values(&scoring, 40, sudden, |_| true), values(&scoring, 40, sudden, |hop| hop % 4 == 0));
    assert!(all.iter().zip(&some).any(|(all, some)| all.1 > 2.0 * some.1));
}

#[test]
fn what_was_not_scored_at_first_counts_as_what_was_scored_first() {
    let scoring = strided(&[1, 4]);
    // Later than the earliest hop that a confirmed score needs, which is the fourth or fifth of the long window's.
    const FIRST: u64 = 9;
    let scores = |hop| [0.2, steady(hop, 1.02)];
    let some = values(&scoring, 60, scores, |hop| hop >= FIRST);
    assert_alike(&some, &values(&scoring, 60, |hop| scores(hop.max(FIRST)), |_| true));
}

#[test]
fn after_a_gap_longer_than_the_memory_the_line_is_the_same() {
    let scoring = strided(&[1, 4]);
    let (from, until) = (10, 12 + 2 * scoring.memory as u64);
    let scores = |hop| [steady(hop, 1.01), steady(hop, 1.01)];
    let all = values(&scoring, until + 30, scores, |_| true);
    let some = values(&scoring, until + 30, scores, |hop| hop <= from || hop >= until);
    // Meanwhile the last score was held. The median remembers that for one value more.
    let settled = |values: &[(u64, f32)]| values.iter().filter(|(hop, _)| *hop > until).copied().collect::<Vec<_>>();
    assert_alike(&settled(&some), &settled(&all));
    let before = |values: &[(u64, f32)]| values.iter().find(|(hop, _)| *hop == until - 1).unwrap().1;
    assert!(before(&some) < 0.99 * before(&all));
}
