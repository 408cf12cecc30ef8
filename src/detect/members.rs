//! The score of each rule: that of its label, or the highest score of the labels of its group. It knows nothing of time.

use crate::detect::rule::Rule;

/// The labels from which each rule takes its score.
#[derive(Debug)]
pub(super) struct Members {
    /// The first label of each rule; nearly every rule has no other.
    first: Vec<usize>,
    /// The other labels of groups, as (rule, label).
    others: Vec<(usize, usize)>,
}

impl Members {
    /// The labels of `rules`.
    pub fn new(rules: &[Rule]) -> Self {
        let others =
            |(rule, members): (usize, &Rule)| members.members.iter().skip(1).map(move |label| (rule, *label)).collect::<Vec<_>>();
        Self {
            first: rules.iter().filter_map(|rule| rule.members.first().copied()).collect(),
            others: rules.iter().enumerate().flat_map(others).collect(),
        }
    }

    /// Writes the score of each rule into `out`; `scores` holds one score a label.
    pub fn score(&self, scores: &[f32], out: &mut [f32]) {
        for (place, label) in out.iter_mut().zip(&self.first) {
            // A NaN counts as 0.
            *place = scores[*label].max(0.0);
        }
        for (rule, label) in &self.others {
            out[*rule] = out[*rule].max(scores[*label]);
        }
    }
}
