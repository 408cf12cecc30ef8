use proptest::prelude::*;

use super::*;

const DOG: Key = (3, CurveKind::Confirmed);

fn place(name: &str) -> Place {
    Place::Recording(name.into())
}

/// The statistics of these peaks (seconds, score) of one curve in one recording.
fn gathered(recording: &str, peaks: &[(f64, f32)]) -> Statistics {
    let mut gatherer = Gatherer::default();
    for (seconds, score) in peaks {
        gatherer.peak(DOG, *score, Moment { place: place(recording), at_ms: (seconds * 1_000.0) as i64 });
    }
    gatherer.heard(60_000);
    gatherer.finish()
}

fn scores(statistics: &Statistics) -> Vec<f32> {
    statistics.record(&[3], CurveKind::Confirmed).strongest.iter().map(|alarm| alarm.score).collect()
}

#[test]
fn peaks_within_seconds_are_one_alarm_and_the_highest_is_its_score() {
    let heard = gathered("a", &[(1.0, 0.1), (4.0, 0.5), (8.5, 0.2), (14.0, 0.3)]);
    assert_eq!(scores(&heard), [0.5, 0.3]);
    assert_eq!(heard.record(&[3], CurveKind::Confirmed).strongest[0].moment, Moment { place: place("a"), at_ms: 4_000 });
    assert_eq!(heard.record(&[3], CurveKind::Causal), Record::default());
}

#[test]
fn what_goes_on_and_on_is_many_alarms() {
    let peaks: Vec<(f64, f32)> = (0..60).map(|second| (f64::from(second) * 2.0, 0.4)).collect();
    assert_eq!(scores(&gathered("a", &peaks)).len(), 4);
}

#[test]
fn peaks_of_two_places_are_two_alarms() {
    let mut gatherer = Gatherer::default();
    for source in ["kitchen", "porch"] {
        gatherer.peak(DOG, 0.5, Moment { place: Place::Source(source.into()), at_ms: 0 });
    }
    assert_eq!(scores(&gatherer.statistics()).len(), 2);
}

#[test]
fn alarms_are_counted_one_by_one_among_the_strongest_and_by_bins_below() {
    let peaks: Vec<(f64, f32)> = (0..100).map(|n| (f64::from(n) * 10.0, 0.01 + f32::from(n as u8) * 0.005)).collect();
    let record = gathered("a", &peaks).record(&[3], CurveKind::Confirmed);
    assert_eq!((record.n_alarms(), record.strongest.len()), (100, STRONGEST));
    assert_eq!(record.n_reaching(0.4995), 2);
    assert_eq!(record.n_reaching(0.501), 1);
    assert_eq!(record.n_reaching(0.9), 0);
    // No edge of a bin lies between 0.1 and 0.105, so a few alarms too many are counted, and never too few.
    let below = record.n_reaching(0.1);
    assert!((82..=86).contains(&below), "{below}");
    assert_eq!(record.n_reaching(0.0), 100);
}

#[test]
fn a_groups_record_is_that_of_its_labels_together() {
    let mut gatherer = Gatherer::default();
    for (label, score) in [(1, 0.2), (2, 0.6), (7, 0.9)] {
        gatherer.peak((label, CurveKind::Causal), score, Moment { place: place("a"), at_ms: 0 });
    }
    let record = gatherer.finish().record(&[1, 2], CurveKind::Causal);
    assert_eq!(record.strongest.iter().map(|alarm| alarm.score).collect::<Vec<_>>(), [0.6, 0.2]);
}

#[test]
fn log_odds_and_scores_are_each_others_inverse() {
    for score in [0.002, 0.1, 0.5, 0.99] {
        assert!((score_of(log_odds(score)) - score).abs() < 1e-5);
    }
    assert!(log_odds(0.0).is_finite() && log_odds(1.0).is_finite());
}

#[test]
fn a_day_of_every_label_fits_into_a_few_megabytes() {
    // 20 alarms an hour of every curve of 527 labels are more than any room makes. More alarms would take no more memory.
    let (mut gatherer, source) = (Gatherer::default(), Place::Source("kitchen".into()));
    let mut random = fastrand::Rng::with_seed(1);
    for label in 0..527 {
        for kind in [CurveKind::Confirmed, CurveKind::Causal] {
            for n in 0..24 * 20 {
                gatherer.peak((label, kind), 0.002 + random.f32() * 0.998, Moment { place: source.clone(), at_ms: n * 180_000 });
            }
        }
    }
    let clusters = gatherer.open.capacity() * size_of::<((Key, Place), Cluster)>();
    let statistics = gatherer.finish();
    let record = |record: &Record| {
        record.counts.capacity() * size_of::<u32>() + record.strongest.capacity() * size_of::<Alarm>() + 2 * size_of::<Record>()
    };
    let bytes = clusters + statistics.records.values().map(record).sum::<usize>();
    assert_eq!(statistics.records.len(), 2 * 527);
    assert!(bytes < 5_000_000, "{bytes}");
}

/// Peaks of some curves in the order of time.
fn any_peaks() -> impl Strategy<Value = Vec<(usize, bool, i64, f32)>> {
    prop::collection::vec((0usize..3, any::<bool>(), 0i64..9_000, 0.002f32..1.0), 0..200)
}

fn feed(gatherer: &mut Gatherer, place: &Place, peaks: &[(usize, bool, i64, f32)], from_ms: i64) -> i64 {
    let mut at_ms = from_ms;
    for (label, is_causal, after, score) in peaks {
        at_ms += after;
        let kind = if *is_causal { CurveKind::Causal } else { CurveKind::Confirmed };
        gatherer.peak((*label, kind), *score, Moment { place: place.clone(), at_ms });
        gatherer.heard(*after as u64);
    }
    at_ms
}

fn heard(name: &str, peaks: &[(usize, bool, i64, f32)]) -> Statistics {
    let mut gatherer = Gatherer::default();
    feed(&mut gatherer, &place(name), peaks, 0);
    Statistics { recordings: [name.to_owned()].into(), ..gatherer.finish() }
}

proptest! {
    #[test]
    fn the_order_of_merging_changes_nothing(a in any_peaks(), b in any_peaks(), c in any_peaks()) {
        let parts = [heard("a", &a), heard("b", &b), heard("c", &c)];
        let merged = |order: [usize; 3]| order.iter().fold(Statistics::default(), |mut all, part| { all.merge(&parts[*part]); all });
        let straight = merged([0, 1, 2]);
        prop_assert_eq!(&straight, &merged([2, 0, 1]));
        // (b + c) + a is the same as (a + b) + c.
        let mut nested = parts[1].clone();
        nested.merge(&parts[2]);
        nested.merge(&parts[0]);
        prop_assert_eq!(&straight, &nested);
        for record in straight.records.values() {
            prop_assert!(record.strongest.len() as u64 <= record.n_alarms() && record.strongest.len() <= STRONGEST);
            prop_assert!(record.strongest.is_sorted_by(|a, b| a.score >= b.score));
        }
    }

    #[test]
    fn the_chunks_in_which_peaks_come_change_nothing(peaks in any_peaks(), at in 0usize..200) {
        let at = at.min(peaks.len());
        let whole = heard("a", &peaks);
        let mut gatherer = Gatherer::default();
        let behind = feed(&mut gatherer, &place("a"), &peaks[..at], 0);
        // Reading the statistics meanwhile does not end the open alarms.
        let _ = gatherer.statistics();
        feed(&mut gatherer, &place("a"), &peaks[at..], behind);
        prop_assert_eq!(Statistics { recordings: ["a".to_owned()].into(), ..gatherer.finish() }, whole);
    }
}
