//! From the scores of windows to two curves of scores: the causal one at once, the confirmed one about a window later.
//!
//! A window has a high score while it holds enough of a sound. Of two windows of length W, the one that ends at t + δW therefore
//! has a high score from the onset of a sound on, and the one that begins at t − δW until its offset. The geometric mean of the
//! two is high while the sound lasts, and only then: it is the confirmed score of the moment t. The means of short and long
//! windows are averaged in the same way, because the short window knows the time of a sound better and the long one its label. A
//! median removes single outliers. The causal score is the geometric mean of the windows that end now. The lengths of the windows
//! and δ belong to the model's manifest.

use crate::model::Labels;
use crate::model::manifest::{Detection, Evidence};

/// A small number that keeps the logarithm of a score finite; it is far below any score that means something.
const EPSILON: f32 = 1e-5;

/// The places of the windows in time; lengths and places are counted in hops unless they say otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    hop_samples: u64,
    /// The length of each window in samples.
    windows_samples: Vec<u64>,
    /// For each length of window: the ends of the two windows that make the confirmed score of a moment, counted from that
    /// moment.
    reach: Vec<(f32, f32)>,
    median: usize,
    /// The number of hops whose scores are remembered.
    memory: usize,
    /// The delay of the confirmed score behind the newest window.
    lag: u64,
    extent: f32,
    valley: f32,
    evidence: Option<Evidence>,
    /// The labels of alarms, as indices.
    alarms: Vec<usize>,
}

impl Scoring {
    /// The places that a model's manifest asks for.
    pub fn new(detection: &Detection, sample_rate_hz: u32) -> Self {
        let hop_samples = detection.hop_samples(sample_rate_hz) as u64;
        let windows_samples: Vec<u64> = detection.windows_samples(sample_rate_hz).map(|window| window as u64).collect();
        let hops = |window: &u64| *window as f32 / hop_samples as f32;
        let reach: Vec<_> = windows_samples
            .iter()
            .map(|window| (detection.delta * hops(window), (1.0 - detection.delta) * hops(window)))
            .collect();
        // A confirmed score waits until each of its windows has been scored at a hop of its own stride.
        let stride = |window: usize| detection.strides.get(window).copied().unwrap_or(1) as f32;
        let after = reach.iter().enumerate().map(|(window, (_, far))| far - 0.5 + stride(window) - 1.0);
        let furthest = after.fold(0.0, f32::max).ceil() as u64;
        let lag = furthest + (detection.median as u64 - 1) / 2;
        Self {
            hop_samples,
            windows_samples,
            reach,
            median: detection.median,
            memory: furthest as usize + 2,
            lag,
            extent: detection.extent,
            valley: detection.valley,
            evidence: detection.evidence,
            alarms: Vec::new(),
        }
    }

    /// The same with the labels of alarms that the manifest lists.
    pub fn with_alarms(self, detection: &Detection, labels: &Labels) -> Self {
        let listed = detection.alarms.iter().flat_map(|alarms| &alarms.labels);
        Self { alarms: listed.filter_map(|name| labels.find(name)).collect(), ..self }
    }

    /// Whether one of these labels is that of an alarm.
    pub fn has_alarm(&self, members: &[usize]) -> bool {
        members.iter().any(|label| self.alarms.contains(label))
    }

    /// The distance of two windows in samples.
    pub fn hop_samples(&self) -> u64 {
        self.hop_samples
    }

    /// The lengths of the windows in samples.
    pub fn windows_samples(&self) -> &[u64] {
        &self.windows_samples
    }

    /// The length of the longest window in samples.
    pub fn longest_samples(&self) -> u64 {
        self.windows_samples.iter().copied().max().unwrap_or(0)
    }

    /// The delay between a moment and its confirmed score, in samples.
    pub fn lag_samples(&self) -> u64 {
        (self.lag + 1) * self.hop_samples
    }

    /// The length of the shortest window in hops.
    pub fn shortest_hops(&self) -> u64 {
        self.windows_samples.iter().copied().min().unwrap_or(0) / self.hop_samples
    }

    /// The weights of the evidence; `None` where the peak of the confirmed score is the evidence.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// The part of its peak down to which a segment reaches.
    pub fn extent(&self) -> f32 {
        self.extent
    }

    /// The part of the lower of two peaks below which the curve between them must fall to make two segments of them.
    pub fn valley(&self) -> f32 {
        self.valley
    }
}

/// The causal score of a label: the geometric mean of the scores of the windows that end now, 0…1.
pub fn causal(scores: impl ExactSizeIterator<Item = f32>) -> f32 {
    let n_windows = scores.len();
    let mut mean = [scores.map(|score| score + EPSILON).product()];
    take_root(&mut mean, n_windows);
    mean[0]
}

/// Takes the root that makes a product of `n` factors their geometric mean. One or two windows, as models have them, need no
/// logarithm.
fn take_root(products: &mut [f32], n: usize) {
    match n {
        0 | 1 => {}
        2 => products.iter_mut().for_each(|product| *product = product.sqrt()),
        n => products.iter_mut().for_each(|product| *product = product.powf(1.0 / n as f32)),
    }
}

/// The curves of several rules or labels side by side. Whatever they share is looked up once a hop; the rest are plain loops over
/// neighbouring numbers.
#[derive(Debug, Clone)]
pub struct CurveBank {
    n_curves: usize,
    n_windows: usize,
    memory: usize,
    /// The scores of the newest windows, `[memory, windows, curves]`; those that end with hop k are at k % memory.
    trailing: Vec<f32>,
    /// The number of hops so far.
    n_hops: u64,
    /// For each length of window, the number of hops at its last score; 0 where there is none.
    scored: Vec<u64>,
    /// The newest confirmed scores before the median, `[median, curves]`; those of hop k are at k % median.
    raw: Vec<f32>,
    median: usize,
    causal: Vec<f32>,
    confirmed: Vec<f32>,
    /// The number of confirmed scores of each curve so far.
    n_values: u64,
}

impl CurveBank {
    /// A bank of `n_curves` curves without a past.
    pub fn new(scoring: &Scoring, n_curves: usize) -> Self {
        let n_windows = scoring.windows_samples.len();
        Self {
            n_curves,
            n_windows,
            memory: scoring.memory,
            trailing: vec![0.0; scoring.memory * n_windows * n_curves],
            n_hops: 0,
            scored: vec![0; n_windows],
            raw: vec![0.0; scoring.median * n_curves],
            median: scoring.median,
            causal: vec![0.0; n_curves],
            confirmed: vec![0.0; n_curves],
            n_values: 0,
        }
    }

    /// Takes the scores of the windows that end at the next hop. `write` writes the scores of one window, one a curve.
    ///
    /// A window that `is_fresh` does not name was not scored at this hop. It keeps its last scores until it is scored again; then
    /// the logarithms of the scores between the two are interpolated linearly.
    pub fn push(&mut self, scoring: &Scoring, is_fresh: &[bool], mut write: impl FnMut(usize, &mut [f32])) {
        self.causal.fill(1.0);
        for (window, is_fresh) in is_fresh.iter().enumerate() {
            let (now, n) = (self.row(self.n_hops, window), self.n_curves);
            if *is_fresh {
                write(window, &mut self.trailing[now..now + n]);
                self.join(window);
                self.scored[window] = self.n_hops + 1;
            } else {
                let before = self.row(self.n_hops.saturating_sub(1), window);
                self.trailing.copy_within(before..before + n, now);
            }
            for (product, score) in self.causal.iter_mut().zip(&self.trailing[now..now + n]) {
                *product *= *score + EPSILON;
            }
        }
        take_root(&mut self.causal, self.n_windows);
        self.n_hops += 1;
        self.look_back(scoring);
    }

    /// Interpolates between the scores that a window has just got and those that it had before.
    fn join(&mut self, window: usize) {
        let (now, since) = (self.n_hops, self.n_hops + 1 - self.scored[window]);
        // Hops that are no longer remembered need no scores.
        let gap = since.min(self.memory as u64);
        for back in (1..gap).rev() {
            let part = if self.scored[window] == 0 { 1.0 } else { 1.0 - back as f32 / since as f32 };
            let (low, high, place) = (self.row(now - 1, window), self.row(now, window), self.row(now - back, window));
            for curve in 0..self.n_curves {
                let (low, high) = (self.trailing[low + curve] + EPSILON, self.trailing[high + curve] + EPSILON);
                // The newest hop between the two is filled last: until then it holds the scores from before.
                self.trailing[place + curve] = (low * (high / low).powf(part) - EPSILON).max(0.0);
            }
        }
    }

    /// The newest causal scores, one a curve.
    pub fn causal(&self) -> &[f32] {
        &self.causal
    }

    /// The newest confirmed scores, one a curve: those of the moment `lag` hops ago. `None` before the first.
    pub fn confirmed(&self) -> Option<&[f32]> {
        (self.n_values > 0).then_some(&self.confirmed)
    }

    /// The number of confirmed scores of each curve so far.
    pub fn n_values(&self) -> u64 {
        self.n_values
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.trailing.fill(0.0);
        self.causal.fill(0.0);
        (self.n_hops, self.n_values) = (0, 0);
        self.scored.fill(0);
    }

    /// A bank for other curves at the same moment. Each new curve continues the past of the one that `kept` names, or a past in
    /// which every score was 0.
    pub fn rearranged(&self, kept: &[Option<usize>]) -> Self {
        let rearrange = |rows: &[f32]| {
            let row = |row: &[f32]| kept.iter().map(|kept| kept.map_or(0.0, |old| row[old])).collect::<Vec<_>>();
            rows.chunks_exact(self.n_curves.max(1)).flat_map(row).collect::<Vec<_>>()
        };
        let n_curves = kept.len();
        // A bank without curves has rows without length, so that their number is lost.
        let sized = |mut rows: Vec<f32>, n_rows: usize| {
            rows.resize(n_rows * n_curves, 0.0);
            rows
        };
        Self {
            n_curves,
            trailing: sized(rearrange(&self.trailing), self.memory * self.n_windows),
            raw: sized(rearrange(&self.raw), self.median),
            causal: sized(rearrange(&self.causal), 1),
            confirmed: sized(rearrange(&self.confirmed), 1),
            scored: self.scored.clone(),
            ..*self
        }
    }

    /// The place in `trailing` where the scores of a window that ends with `hop` begin.
    fn row(&self, hop: u64, window: usize) -> usize {
        ((hop % self.memory as u64) as usize * self.n_windows + window) * self.n_curves
    }

    /// Makes the confirmed scores that the newest hop completes.
    fn look_back(&mut self, scoring: &Scoring) {
        let raw_lag = scoring.lag - (scoring.median as u64 - 1) / 2;
        let Some(at) = (self.n_hops - 1).checked_sub(raw_lag) else { return };
        let place = (at % self.median as u64) as usize * self.n_curves;
        let mut raw = std::mem::take(&mut self.raw);
        let values = &mut raw[place..place + self.n_curves];
        values.fill(1.0);
        for (window, (near, far)) in scoring.reach.iter().enumerate() {
            let (near, far) = (self.ending(at, near - 0.5, window), self.ending(at, far - 0.5, window));
            for ((value, near), far) in values.iter_mut().zip(near).zip(far) {
                *value *= (near * far).sqrt() + EPSILON;
            }
        }
        take_root(values, self.n_windows);
        if at == 0 {
            // The first value is repeated for the time before it, so that the median begins at once.
            for row in 1..self.median {
                raw.copy_within(..self.n_curves, row * self.n_curves);
            }
        }
        self.raw = raw;
        if self.n_hops > scoring.lag {
            self.take_median();
            self.n_values += 1;
        }
    }

    /// The scores of the windows that end `after` hops after hop `at`, interpolated linearly between two hops.
    fn ending(&self, at: u64, after: f32, window: usize) -> impl Iterator<Item = f32> {
        // Hops are counted in integers: a service that runs for years would lose the fraction in a float.
        let (whole, newest) = (after.floor(), self.n_hops - 1);
        let low = at.saturating_add_signed(whole as i64).min(newest);
        let scores = |hop: u64| &self.trailing[self.row(hop, window)..][..self.n_curves];
        let part = after - whole;
        scores(low).iter().zip(scores((low + 1).min(newest))).map(move |(low, high)| low + (high - low) * part)
    }

    /// Writes the median of the newest confirmed scores of each curve into `confirmed`.
    fn take_median(&mut self) {
        let n = self.n_curves;
        match self.median {
            3 => {
                let (a, rest) = self.raw.split_at(n);
                let (b, c) = rest.split_at(n);
                for (((median, a), b), c) in self.confirmed.iter_mut().zip(a).zip(b).zip(c) {
                    *median = a.min(*b).max(a.max(*b).min(*c));
                }
            }
            _ => {
                for (curve, median) in self.confirmed.iter_mut().enumerate() {
                    *median = middle(self.raw.iter().skip(curve).step_by(n).copied());
                }
            }
        }
    }
}

/// The median of an odd number of values, at most nine.
fn middle(values: impl Iterator<Item = f32>) -> f32 {
    let mut sorted = [0.0; 9];
    let mut n = 0;
    for (place, value) in sorted.iter_mut().zip(values) {
        *place = value;
        n += 1;
    }
    sorted[..n].sort_unstable_by(f32::total_cmp);
    sorted[n / 2]
}

#[cfg(test)]
mod tests;
