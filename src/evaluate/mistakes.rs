//! What went wrong, with times to listen to: the worst recordings, and the labels that were confused.

use std::collections::BTreeMap;

use super::matching::{Rule, Span, matches};
use super::tally::{Pair, Scene};

/// One mistake in a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mistake {
    /// The label.
    pub label: usize,
    /// Whether a true event was missed; otherwise it is a false alarm.
    pub is_missed: bool,
    /// The true event that was missed, or the event that was heard.
    pub span: Span,
}

/// The mistakes of a recording by a rule, in the order of time.
pub fn of(scene: &Scene, rule: Rule) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (label, Pair { truth, heard }) in scene.labels.iter().enumerate() {
        let matched = matches(truth, heard, rule);
        let missed = truth.iter().zip(&matched.hit).filter(|(_, hit)| !**hit);
        mistakes.extend(missed.map(|(span, _)| Mistake { label, is_missed: true, span: *span }));
        let stray = heard.iter().zip(&matched.is_false).filter(|(_, is_false)| **is_false);
        mistakes.extend(stray.map(|(span, _)| Mistake { label, is_missed: false, span: *span }));
    }
    mistakes.sort_by(|a, b| a.span.onset_s.total_cmp(&b.span.onset_s).then(a.label.cmp(&b.label)));
    mistakes
}

/// True events of a label in whose time another label was heard in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Confusion {
    /// The label that was there, and was not heard.
    pub truth: usize,
    /// The label that was heard, and was not there.
    pub heard: usize,
    /// The number of such events.
    pub n: usize,
    /// The first of them: the recording by its index, and the true event.
    pub first: (usize, Span),
}

/// The confusions over all recordings, the most frequent first. A confusion is a true event that nothing of its own label overlaps, and
/// that an event of another label overlaps which overlaps no true event of that label.
pub fn confusions(scenes: &[Scene]) -> Vec<Confusion> {
    let mut found: BTreeMap<(usize, usize), Confusion> = BTreeMap::new();
    for (recording, scene) in scenes.iter().enumerate() {
        let mistakes = of(scene, Rule::Overlap);
        for missed in mistakes.iter().filter(|mistake| mistake.is_missed) {
            let mut others: Vec<usize> = mistakes
                .iter()
                .filter(|other| !other.is_missed && Rule::Overlap.fits(&missed.span, &other.span))
                .map(|other| other.label)
                .collect();
            others.sort_unstable();
            others.dedup();
            for heard in others {
                let first = (recording, missed.span);
                let new = Confusion { truth: missed.label, heard, n: 0, first };
                found.entry((missed.label, heard)).or_insert(new).n += 1;
            }
        }
    }
    let mut all: Vec<Confusion> = found.into_values().collect();
    all.sort_by(|a, b| b.n.cmp(&a.n).then(a.truth.cmp(&b.truth)).then(a.heard.cmp(&b.heard)));
    all
}
