//! From the changes of all recordings to curves of true events over false alarms, and their areas.

use super::super::matching::Span;
use super::{Change, Scenario};

/// A point of a curve: from this rate of false alarms on, up to the next point, this part of the true events is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The effective false alarms an hour.
    pub per_hour: f64,
    /// The part of the true events that is found, 0…1; of all labels together, the mean less the weighted deviation.
    pub found: f64,
}

/// The PSDS with its curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The score of all labels, 0…1.
    pub score: f64,
    /// The score of each label; `None` where it has no true event.
    pub labels: Vec<Option<f64>>,
    /// The curve of all labels.
    pub curve: Vec<Point>,
}

/// A change in one of the recordings.
#[derive(Debug, Clone)]
struct Row {
    recording: u32,
    change: Change,
}

/// A recording's share in what the counts are divided by.
#[derive(Debug, Clone)]
struct Share {
    lasts_s: f64,
    /// The number and the seconds of the true events of the labels that have some.
    truth: Vec<(usize, u32, f64)>,
}

/// The changes of all recordings.
#[derive(Debug, Clone)]
pub struct Changes {
    scenario: Scenario,
    /// For each label, the highest score first once they are sorted.
    labels: Vec<Vec<Row>>,
    recordings: Vec<Share>,
    is_sorted: bool,
}

impl Changes {
    /// No recording yet.
    pub fn new(scenario: Scenario, n_labels: usize) -> Self {
        Self { scenario, labels: vec![Vec::new(); n_labels], recordings: Vec::new(), is_sorted: true }
    }

    /// The scenario.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Adds a recording: its length in seconds, the true events of each label, and each label's changes.
    pub fn add<'a>(&mut self, lasts_s: f64, truth: impl Iterator<Item = &'a [Span]>, changes: impl Iterator<Item = Vec<Change>>) {
        let recording = u32::try_from(self.recordings.len()).unwrap_or(u32::MAX);
        let seconds = |spans: &[Span]| spans.iter().map(|span| span.offset_s - span.onset_s).sum::<f64>();
        let truth = truth.enumerate().filter(|(_, spans)| !spans.is_empty());
        let truth = truth.map(|(label, spans)| (label, u32::try_from(spans.len()).unwrap_or(u32::MAX), seconds(spans))).collect();
        self.recordings.push(Share { lasts_s, truth });
        for (rows, changes) in self.labels.iter_mut().zip(changes) {
            rows.extend(changes.into_iter().map(|change| Row { recording, change }));
        }
        self.is_sorted = false;
    }

    /// Puts the changes in order, which [`outcome`](Self::outcome) needs.
    pub fn sort(&mut self) {
        for rows in &mut self.labels {
            rows.sort_by(|a, b| b.change.score.total_cmp(&a.change.score).then(a.recording.cmp(&b.recording)));
        }
        self.is_sorted = true;
    }

    /// The PSDS of the recordings, each as many times as `times` says, or once. `None` where no label has a true event.
    pub fn outcome(&self, times: Option<&[u16]>) -> Option<Outcome> {
        debug_assert!(self.is_sorted, "sort comes before");
        let weight = |recording: usize| times.map_or(1, |times| i32::from(times[recording]));
        let mut seconds = 0.0;
        let (mut n_true, mut true_s) = (vec![0.0; self.labels.len()], vec![0.0; self.labels.len()]);
        for (recording, share) in self.recordings.iter().enumerate() {
            let weight = f64::from(weight(recording));
            seconds += share.lasts_s * weight;
            for (label, n, lasts_s) in &share.truth {
                n_true[*label] += f64::from(*n) * weight;
                true_s[*label] += lasts_s * weight;
            }
        }
        let n_others = n_true.iter().filter(|n| **n > 0.0).count().saturating_sub(1);
        let most = self.scenario.most_per_hour;
        let curves: Vec<Option<Vec<Point>>> = (0..self.labels.len())
            .map(|label| {
                (n_true[label] > 0.0 && seconds > 0.0)
                    .then(|| self.curve(label, &weight, n_true[label], (seconds, n_others), &true_s))
            })
            .collect();
        let labels: Vec<Option<f64>> = curves.iter().map(|curve| curve.as_ref().map(|curve| area(curve, most))).collect();
        let curves: Vec<Vec<Point>> = curves.into_iter().flatten().collect();
        if curves.is_empty() {
            return None;
        }
        let curve = joint(&curves, self.scenario.spread_weight);
        Some(Outcome { score: area(&curve, most), labels, curve })
    }

    /// The curve of one label.
    fn curve(
        &self,
        label: usize,
        weight: &dyn Fn(usize) -> i32,
        n_true: f64,
        (seconds, n_others): (f64, usize),
        true_s: &[f64],
    ) -> Vec<Point> {
        let (mut hits, mut false_alarms) = (0i32, 0i32);
        let mut crossed = vec![0i32; if self.scenario.cross_part.is_some() { self.labels.len() } else { 0 }];
        let mut points = vec![Point { per_hour: 0.0, found: 0.0 }];
        for group in self.labels[label].chunk_by(|a, b| a.change.score == b.change.score) {
            for Row { recording, change } in group {
                let weight = weight(*recording as usize);
                hits += change.hits * weight;
                false_alarms += change.false_alarms * weight;
                for (other, n) in &change.crossed {
                    crossed[*other] += n * weight;
                }
            }
            let mut rate = f64::from(false_alarms) / seconds;
            if n_others > 0 {
                let rates =
                    crossed.iter().zip(true_s).filter(|(n, _)| **n != 0).map(|(n, true_s)| f64::from(*n) / true_s.max(1e-12));
                rate += self.scenario.cross_weight * rates.sum::<f64>() / n_others as f64;
            }
            let per_hour = rate * 3_600.0;
            if per_hour <= self.scenario.most_per_hour {
                points.push(Point { per_hour, found: f64::from(hits) / n_true });
            }
        }
        points.sort_by(|a, b| a.per_hour.total_cmp(&b.per_hour).then(a.found.total_cmp(&b.found)));
        let mut curve: Vec<Point> = Vec::new();
        for point in points {
            match curve.last_mut() {
                Some(last) if point.found <= last.found => {}
                Some(last) if last.per_hour == point.per_hour => *last = point,
                _ => curve.push(point),
            }
        }
        curve
    }
}

/// The mean of the curves less the weighted standard deviation, at each rate at which one of them changes.
fn joint(curves: &[Vec<Point>], spread_weight: f64) -> Vec<Point> {
    let mut steps: Vec<(f64, usize, f64)> = curves
        .iter()
        .enumerate()
        .flat_map(|(at, curve)| curve.iter().map(move |point| (point.per_hour, at, point.found)))
        .collect();
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut found = vec![0.0f64; curves.len()];
    let (mut sum, mut squares, n) = (0.0f64, 0.0f64, curves.len() as f64);
    let mut joint = Vec::new();
    for group in steps.chunk_by(|a, b| a.0 == b.0) {
        for (_, at, now) in group {
            sum += now - found[*at];
            squares += now * now - found[*at] * found[*at];
            found[*at] = *now;
        }
        let mean = sum / n;
        let spread = (squares / n - mean * mean).max(0.0).sqrt();
        joint.push(Point { per_hour: group[0].0, found: (mean - spread_weight * spread).max(0.0) });
    }
    joint
}

/// The area below a curve up to `most` false alarms an hour, of the whole.
fn area(curve: &[Point], most: f64) -> f64 {
    let ends = curve.iter().skip(1).map(|point| point.per_hour).chain([most]);
    curve.iter().zip(ends).map(|(point, end)| point.found * (end - point.per_hour)).sum::<f64>() / most
}
