//! Counts by segments of a second, as sed_eval defines them: in each, a label is there or not, and is heard or not.

use super::matching::{Counts, Span};
use super::tally::Errors;

/// The length of a segment in seconds.
pub const SEGMENT_S: f64 = 1.0;

/// The segments of a recording of this length in which a span lies, even with a part of one.
fn of(span: &Span, n_segments: usize) -> std::ops::Range<usize> {
    let from = (span.onset_s / SEGMENT_S).floor().max(0.0) as usize;
    let to = (span.offset_s / SEGMENT_S).ceil().max(0.0) as usize;
    from.min(n_segments)..to.min(n_segments)
}

fn marked(spans: &[Span], n_segments: usize) -> Vec<bool> {
    let mut marked = vec![false; n_segments];
    for span in spans {
        marked[of(span, n_segments)].fill(true);
    }
    marked
}

/// The counts of each label in a recording of `lasts_s` seconds, and the errors over all labels. `labels` are the true and the
/// heard events of each label.
pub fn counts<'a>(labels: impl Iterator<Item = (&'a [Span], &'a [Span])>, lasts_s: f64) -> (Vec<Counts>, Errors) {
    let n_segments = (lasts_s / SEGMENT_S).ceil().max(0.0) as usize;
    // For each segment, the number of labels that are there, are heard, and are both.
    let mut segments = vec![(0u32, 0u32, 0u32); n_segments];
    let mut each = Vec::new();
    for (truth, heard) in labels {
        let mut counts = Counts::default();
        if !(truth.is_empty() && heard.is_empty()) {
            let (truth, heard) = (marked(truth, n_segments), marked(heard, n_segments));
            for (segment, (is_there, is_heard)) in segments.iter_mut().zip(truth.into_iter().zip(heard)) {
                counts.hits += u32::from(is_there && is_heard);
                counts.missed += u32::from(is_there && !is_heard);
                counts.false_alarms += u32::from(is_heard && !is_there);
                segment.0 += u32::from(is_there);
                segment.1 += u32::from(is_heard);
                segment.2 += u32::from(is_there && is_heard);
            }
        }
        each.push(counts);
    }
    let mut errors = Errors::default();
    for (there, heard, both) in segments {
        errors.n_true += there;
        errors.substitutions += there.min(heard) - both;
        errors.deletions += there.saturating_sub(heard);
        errors.insertions += heard.saturating_sub(there);
    }
    (each, errors)
}
