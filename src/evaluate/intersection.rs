//! Counts by intersection, as the PSDS framework defines them: no pairs, but the part of an event that others cover.

use super::matching::{Counts, Span};

/// The part of a heard event that true ones must cover, and of a true event that such heard ones must cover, for the F1.
pub const HALF: f64 = 0.5;

/// A time in seconds, rounded to microseconds as sed_scores_eval rounds it, so that a part that is met exactly is met.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round_ties_even() / 1e6
}

/// The length of the overlap of two spans in seconds; 0 where they do not overlap.
pub(super) fn overlap_s(one: &Span, other: &Span) -> f64 {
    (one.offset_s.min(other.offset_s) - one.onset_s.max(other.onset_s)).max(0.0)
}

/// The counts of one label in one recording. A heard event is relevant where true events cover at least `heard_part` of it, and
/// a false alarm otherwise. A true event is found where relevant events cover at least `true_part` of it.
pub fn counts(truth: &[Span], heard: &[Span], heard_part: f64, true_part: f64) -> Counts {
    let covered = |span: &Span, by: &mut dyn Iterator<Item = &Span>, part: f64| {
        rounded(by.map(|other| overlap_s(span, other)).sum()) >= rounded(part * (span.offset_s - span.onset_s))
    };
    let relevant: Vec<Span> = heard.iter().filter(|span| covered(span, &mut truth.iter(), heard_part)).copied().collect();
    let hits = truth.iter().filter(|span| covered(span, &mut relevant.iter(), true_part)).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Counts { hits: count(hits), missed: count(truth.len() - hits), false_alarms: count(heard.len() - relevant.len()) }
}
