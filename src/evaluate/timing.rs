//! How far onsets and offsets are off, and how soon an event is announced.

use super::bootstrap::quantile;
use super::matching::Span;

/// An event that was heard, with the moment of its announcement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeardEvent {
    /// Its onset and offset.
    pub span: Span,
    /// The moment of its announcement in seconds from the recording's start; `None` where it is not known.
    pub announced_s: Option<f64>,
}

/// The errors of times, in seconds: for each true event that was heard, what was told less what is true.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Timing {
    /// The errors of onsets.
    pub onset_s: Vec<f64>,
    /// The errors of offsets.
    pub offset_s: Vec<f64>,
    /// From the true onset to the announcement.
    pub delay_s: Vec<f64>,
}

impl Timing {
    /// Adds the events of one label in one recording. A true event is measured by the first heard event that overlaps it; a heard event
    /// that overlaps several belongs to the first of them, because it cannot announce another.
    pub fn add(&mut self, truth: &[Span], heard: &[HeardEvent]) {
        let mut heard: Vec<&HeardEvent> = heard.iter().collect();
        let begins = |event: &HeardEvent| event.announced_s.unwrap_or(event.span.onset_s);
        heard.sort_by(|a, b| begins(a).total_cmp(&begins(b)).then(a.span.onset_s.total_cmp(&b.span.onset_s)));
        let mut is_measured = vec![false; truth.len()];
        for event in heard {
            let overlaps = |span: &Span| event.span.onset_s < span.offset_s && event.span.offset_s > span.onset_s;
            let Some(at) = truth.iter().position(overlaps).filter(|at| !is_measured[*at]) else { continue };
            is_measured[at] = true;
            self.onset_s.push(event.span.onset_s - truth[at].onset_s);
            self.offset_s.push(event.span.offset_s - truth[at].offset_s);
            self.delay_s.extend(event.announced_s.map(|announced_s| announced_s - truth[at].onset_s));
        }
    }

    /// Appends the errors of others.
    pub fn extend(&mut self, other: &Timing) {
        self.onset_s.extend(&other.onset_s);
        self.offset_s.extend(&other.offset_s);
        self.delay_s.extend(&other.delay_s);
    }
}

/// What errors have in common, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub n: usize,
    /// The median: late where it is above 0.
    pub median_s: f64,
    /// The median of the absolute errors.
    pub median_absolute_s: f64,
    /// The error that 95 of 100 absolute ones do not exceed.
    pub p95_absolute_s: f64,
}

/// What these errors have in common; `None` where there is none.
pub fn spread(errors_s: &[f64]) -> Option<Spread> {
    let mut absolute: Vec<f64> = errors_s.iter().map(|error| error.abs()).collect();
    (!errors_s.is_empty()).then(|| Spread {
        n: errors_s.len(),
        median_s: quantile(&mut errors_s.to_vec(), 0.5),
        median_absolute_s: quantile(&mut absolute, 0.5),
        p95_absolute_s: quantile(&mut absolute, 0.95),
    })
}
