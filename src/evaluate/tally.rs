//! The counts of one recording: by every rule, for each label, and the errors over all labels.

use std::iter::Sum;
use std::ops::{Add, Mul};

use super::intersection::{self, HALF};
use super::matching::{Counts, Matched, Rule, Span, matches};
use super::segments;

/// The events of one label in one recording. Both lists are in order, and events in one list neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pair {
    /// The true events.
    pub truth: Vec<Span>,
    /// The events that were heard.
    pub heard: Vec<Span>,
}

/// One recording with the events of each label.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scene {
    /// The length in seconds.
    pub lasts_s: f64,
    /// The events of each label.
    pub labels: Vec<Pair>,
}

/// A rule by which events are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Figure {
    /// Pairs with a collar of 500 ms, with offsets.
    Event500,
    /// Pairs with a collar of 200 ms, with offsets.
    Event200,
    /// Pairs with a collar of 500 ms around the onset alone.
    Onset500,
    /// Pairs with a collar of 200 ms around the onset alone.
    Onset200,
    /// Events that cover half of each other.
    Intersection,
    /// Segments of a second.
    Segment,
    /// Whole recordings: the label is somewhere in it, and is heard somewhere in it.
    Recording,
    /// Events that overlap at all.
    Overlap,
}

/// All rules, in the order of their discriminants.
pub const FIGURES: [Figure; 8] = [
    Figure::Event500,
    Figure::Event200,
    Figure::Onset500,
    Figure::Onset200,
    Figure::Intersection,
    Figure::Segment,
    Figure::Recording,
    Figure::Overlap,
];

/// A rule by which the errors over all labels are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorRule {
    /// Events with a collar of 500 ms, with offsets.
    Event500,
    /// Events with a collar of 200 ms, with offsets.
    Event200,
    /// Segments of a second.
    Segment,
}

/// All of them, in the order of their discriminants.
pub const ERROR_RULES: [ErrorRule; 3] = [ErrorRule::Event500, ErrorRule::Event200, ErrorRule::Segment];

/// The errors over all labels. A missed event and a false alarm at the same time are one substitution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Errors {
    /// The number of true events, or of true segments.
    pub n_true: u32,
    /// The number of those that were heard under another label.
    pub substitutions: u32,
    /// The number of those that were not heard.
    pub deletions: u32,
    /// The number of further events or segments that were heard.
    pub insertions: u32,
}

impl Add for Errors {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            n_true: self.n_true + other.n_true,
            substitutions: self.substitutions + other.substitutions,
            deletions: self.deletions + other.deletions,
            insertions: self.insertions + other.insertions,
        }
    }
}

impl Mul<u16> for Errors {
    type Output = Self;
    fn mul(self, times: u16) -> Self {
        let times = u32::from(times);
        Self {
            n_true: self.n_true * times,
            substitutions: self.substitutions * times,
            deletions: self.deletions * times,
            insertions: self.insertions * times,
        }
    }
}

impl Sum for Errors {
    fn sum<I: Iterator<Item = Self>>(errors: I) -> Self {
        errors.fold(Self::default(), Add::add)
    }
}

/// The counts of one label by every rule.
pub type ByFigure = [Counts; FIGURES.len()];

/// The counts of one recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// The length in seconds.
    pub lasts_s: f64,
    /// The counts of the labels that have an event in the recording, ascending by label.
    pub labels: Vec<(usize, ByFigure)>,
    /// The errors by each of [`ERROR_RULES`].
    pub errors: [Errors; ERROR_RULES.len()],
}

impl Tally {
    /// Counts a recording.
    pub fn new(scene: &Scene) -> Self {
        let pairs = scene.labels.iter().map(|pair| (pair.truth.as_slice(), pair.heard.as_slice()));
        let (by_segment, segment_errors) = segments::counts(pairs, scene.lasts_s);
        let used = scene.labels.iter().zip(by_segment).enumerate();
        let used = used.filter(|(_, (pair, _))| !(pair.truth.is_empty() && pair.heard.is_empty()));
        let labels = used.map(|(label, (pair, by_segment))| (label, count(pair, by_segment))).collect();
        let errors = [errors(scene, 0.5), errors(scene, 0.2), segment_errors];
        Self { lasts_s: scene.lasts_s, labels, errors }
    }
}

fn count(pair: &Pair, by_segment: Counts) -> ByFigure {
    let Pair { truth, heard } = pair;
    FIGURES.map(|figure| match figure {
        Figure::Event500 => sum(&matches(truth, heard, Rule::Collar(0.5))),
        Figure::Event200 => sum(&matches(truth, heard, Rule::Collar(0.2))),
        Figure::Onset500 => sum(&matches(truth, heard, Rule::Onset(0.5))),
        Figure::Onset200 => sum(&matches(truth, heard, Rule::Onset(0.2))),
        Figure::Intersection => intersection::counts(truth, heard, HALF, HALF),
        Figure::Segment => by_segment,
        Figure::Recording => Counts {
            hits: u32::from(!truth.is_empty() && !heard.is_empty()),
            missed: u32::from(!truth.is_empty() && heard.is_empty()),
            false_alarms: u32::from(truth.is_empty() && !heard.is_empty()),
        },
        Figure::Overlap => sum(&matches(truth, heard, Rule::Overlap)),
    })
}

fn sum(matched: &Matched) -> Counts {
    let count =
        |flags: &[bool], which: bool| u32::try_from(flags.iter().filter(|flag| **flag == which).count()).unwrap_or(u32::MAX);
    Counts { hits: count(&matched.hit, true), missed: count(&matched.hit, false), false_alarms: count(&matched.is_false, true) }
}

/// The errors of events over all labels, as sed_eval counts them: events are paired label by label, and then each true event that
/// is left, in the order of time, is a substitution with the first heard event that is left and fits it.
fn errors(scene: &Scene, collar_s: f64) -> Errors {
    let rule = Rule::Collar(collar_s);
    let (mut missed, mut stray) = (Vec::new(), Vec::new());
    let mut n_true = 0;
    for Pair { truth, heard } in &scene.labels {
        let matched = matches(truth, heard, rule);
        n_true += truth.len();
        missed.extend(truth.iter().zip(&matched.hit).filter(|(_, hit)| !**hit).map(|(span, _)| *span));
        stray.extend(heard.iter().zip(&matched.is_false).filter(|(_, is_false)| **is_false).map(|(span, _)| *span));
    }
    let in_time = |a: &Span, b: &Span| a.onset_s.total_cmp(&b.onset_s).then(a.offset_s.total_cmp(&b.offset_s));
    missed.sort_by(in_time);
    stray.sort_by(in_time);
    let mut is_taken = vec![false; stray.len()];
    let mut substitutions = 0;
    for span in &missed {
        let partner = (0..stray.len()).find(|other| !is_taken[*other] && rule.fits(span, &stray[*other]));
        if let Some(partner) = partner {
            is_taken[partner] = true;
            substitutions += 1;
        }
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Errors {
        n_true: count(n_true),
        substitutions: count(substitutions),
        deletions: count(missed.len() - substitutions),
        insertions: count(stray.len() - substitutions),
    }
}
