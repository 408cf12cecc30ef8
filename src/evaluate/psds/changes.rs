//! The scores at which the counts of one label in one recording change, as the threshold falls.
//!
//! The steps of the curve come up one after another, the highest first. A step that comes up begins an event, makes one longer, or joins
//! two. Each of these changes one event, and what an event counts for follows from sums up to its ends, so that the whole takes the time of
//! sorting the steps.

use super::super::intersection::{overlap_s, rounded};
use super::super::matching::Span;
use super::Scenario;

/// The score of a label over a recording, in steps.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// The end of each step in seconds, ascending; the first step begins at 0.
    pub ends_s: Vec<f64>,
    /// The score of each step.
    pub scores: Vec<f64>,
}

impl Curve {
    /// Adds a step; one with the score of the last makes that longer. A step that has no length is left out.
    pub fn push(&mut self, end_s: f64, score: f64) {
        let begins_s = self.ends_s.last().copied().unwrap_or(0.0);
        if end_s <= begins_s {
            return;
        }
        match (self.ends_s.last_mut(), self.scores.last()) {
            (Some(last), Some(before)) if *before == score => *last = end_s,
            _ => {
                self.ends_s.push(end_s);
                self.scores.push(score);
            }
        }
    }
}

/// The change of the counts where the threshold falls below a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The score.
    pub score: f64,
    /// The change of the number of true events that are found.
    pub hits: i32,
    /// The change of the number of false alarms.
    pub false_alarms: i32,
    /// The change of the number of confusions with other labels.
    pub crossed: Vec<(usize, i32)>,
}

/// The true events of a label in a recording, and what of them lies before each boundary of the curve's steps.
struct Covered {
    /// For each boundary, the seconds of true events before it.
    before_s: Vec<f64>,
    /// For each boundary, the number of true events with their onset before it.
    begun: Vec<usize>,
    /// For each boundary, the number of true events with their offset at or before it.
    over: Vec<usize>,
}

impl Covered {
    fn new(spans: &[Span], bounds: &[f64]) -> Self {
        let (mut begun, mut over, mut sum_s) = (0, 0, 0.0);
        let mut covered = Self { before_s: Vec::new(), begun: Vec::new(), over: Vec::new() };
        for bound in bounds {
            while spans.get(begun).is_some_and(|span| span.onset_s < *bound) {
                begun += 1;
            }
            while let Some(span) = spans.get(over).filter(|span| span.offset_s <= *bound) {
                sum_s += span.offset_s - span.onset_s;
                over += 1;
            }
            let open_s: f64 = spans[over..begun.max(over)].iter().map(|span| bound - span.onset_s).sum();
            covered.before_s.push(sum_s + open_s);
            covered.begun.push(begun);
            covered.over.push(over);
        }
        covered
    }

    /// The seconds of true events between two boundaries.
    fn between_s(&self, from: usize, to: usize) -> f64 {
        self.before_s[to] - self.before_s[from]
    }
}

/// The counts at one threshold.
struct State<'a> {
    truth: &'a [Span],
    bounds: Vec<f64>,
    own: Covered,
    others: Vec<(usize, Covered)>,
    scenario: &'a Scenario,
    /// For each true event, the seconds of it that relevant events cover which do not hold all of it.
    partly_s: Vec<f64>,
    hits: i32,
    false_alarms: i32,
    crossed: Vec<i32>,
}

impl State<'_> {
    /// Counts the event between two boundaries, or takes its counts back.
    fn count(&mut self, from: usize, to: usize, sign: i32) {
        let (onset_s, offset_s) = (self.bounds[from], self.bounds[to]);
        let lasts_s = offset_s - onset_s;
        if rounded(self.own.between_s(from, to)) < rounded(self.scenario.heard_part * lasts_s) {
            self.false_alarms += sign;
            if let Some(part) = self.scenario.cross_part {
                for ((_, other), crossed) in self.others.iter().zip(&mut self.crossed) {
                    if rounded(other.between_s(from, to)) >= rounded(part * lasts_s) {
                        *crossed += sign;
                    }
                }
            }
            return;
        }
        // The true events that lie wholly inside, and those at the ends that lie inside in part.
        let (first, last) = (self.own.begun[from], self.own.over[to]);
        self.hits += sign * i32::try_from(last.saturating_sub(first)).unwrap_or(i32::MAX);
        let at_onset = first.checked_sub(1).filter(|at| self.truth[*at].offset_s > onset_s);
        let at_offset =
            Some(last).filter(|at| self.truth.get(*at).is_some_and(|span| span.onset_s < offset_s) && at_onset != Some(*at));
        for at in [at_onset, at_offset].into_iter().flatten() {
            let span = &self.truth[at];
            let was = self.is_found(at);
            self.partly_s[at] += f64::from(sign) * overlap_s(span, &Span { onset_s, offset_s });
            self.hits += i32::from(self.is_found(at)) - i32::from(was);
        }
    }

    fn is_found(&self, at: usize) -> bool {
        let span = &self.truth[at];
        rounded(self.partly_s[at]) >= rounded(self.scenario.true_part * (span.offset_s - span.onset_s))
    }
}

/// The changes of the counts of a label in a recording, the highest score first. `truth` are its true events and `others` those of the
/// other labels; the events of each label are in order and do not overlap.
pub fn changes(curve: &Curve, truth: &[Span], others: &[(usize, &[Span])], scenario: &Scenario) -> Vec<Change> {
    let n = curve.scores.len();
    let bounds: Vec<f64> = std::iter::once(0.0).chain(curve.ends_s.iter().copied()).collect();
    let needs_others = scenario.cross_part.is_some();
    let others: Vec<(usize, Covered)> = others
        .iter()
        .filter(|(_, spans)| needs_others && !spans.is_empty())
        .map(|(label, spans)| (*label, Covered::new(spans, &bounds)))
        .collect();
    let mut state = State {
        own: Covered::new(truth, &bounds),
        partly_s: vec![0.0; truth.len()],
        crossed: vec![0; others.len()],
        truth,
        bounds,
        others,
        scenario,
        hits: 0,
        false_alarms: 0,
    };
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| curve.scores[*b].total_cmp(&curve.scores[*a]));
    // For the first and the last step of each event, the step at its other end.
    let mut other_end: Vec<Option<usize>> = vec![None; n];
    let mut changes = Vec::new();
    for group in order.chunk_by(|a, b| curve.scores[*a] == curve.scores[*b]) {
        let before = (state.hits, state.false_alarms, state.crossed.clone());
        for step in group {
            let (mut first, mut last) = (*step, *step);
            if let Some(begins) = step.checked_sub(1).and_then(|left| other_end[left]) {
                state.count(begins, *step, -1);
                first = begins;
            }
            if let Some(ends) = other_end.get(step + 1).copied().flatten() {
                state.count(step + 1, ends + 1, -1);
                last = ends;
            }
            other_end[first] = Some(last);
            other_end[last] = Some(first);
            state.count(first, last + 1, 1);
        }
        let crossed =
            state.others.iter().zip(state.crossed.iter().zip(&before.2)).map(|((label, _), (now, was))| (*label, now - was));
        let change = Change {
            score: curve.scores[group[0]],
            hits: state.hits - before.0,
            false_alarms: state.false_alarms - before.1,
            crossed: crossed.filter(|(_, change)| *change != 0).collect(),
        };
        if change.hits != 0 || change.false_alarms != 0 || !change.crossed.is_empty() {
            changes.push(change);
        }
    }
    changes
}
