//! The recent peaks of every label, numbered and bounded, kept while a client fetches them.
//!
//! Invariant: before the first query, and some minutes after the last one, no peaks are kept and no curves but those of the rules
//! are followed. Peaks that are overwritten before they were fetched are counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::query::{RecentPeak, RecentPeaks};

/// For how long after the last query peaks are kept.
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);
/// The most peaks that are kept: minutes of a lively room.
const MOST: usize = 32_768;
/// The most peaks of an answer. With [`MOST_NAME_BYTES`] it keeps the answer's line below a quarter of a mebibyte.
const MOST_ANSWERED: usize = 1_000;
/// The most bytes of sources' and labels' names in an answer.
const MOST_NAME_BYTES: usize = 96 * 1024;

/// The newest peaks, numbered from the daemon's start on.
#[derive(Debug, Default)]
pub(super) struct PeakRing {
    stored: VecDeque<RecentPeak>,
    /// The number of the next peak.
    next: u64,
    /// For how long peaks were kept in all, by the sample clock, in seconds; the mean over the sources.
    heard_s: f64,
    /// Until when peaks are kept; `None` while none are.
    until: Option<Instant>,
}

impl PeakRing {
    /// Whether peaks are kept.
    pub fn is_kept(&self) -> bool {
        self.until.is_some()
    }

    /// Keeps peaks from now on, since a client asks for them.
    pub fn keep(&mut self, now: Instant) {
        self.until = Some(now + KEPT_FOR);
    }

    /// Stops keeping peaks where no client has asked for long, and says whether it did.
    pub fn lapse(&mut self, now: Instant) -> bool {
        let lapses = self.until.is_some_and(|until| now >= until);
        if lapses {
            self.until = None;
            self.clear();
        }
        lapses
    }

    /// Forgets the peaks that are stored. A client that has not fetched them finds them counted as lost.
    pub fn clear(&mut self) {
        self.stored = VecDeque::new();
    }

    /// Adds to the time for which peaks were kept.
    pub fn hear(&mut self, seconds: f64) {
        self.heard_s += seconds;
    }

    /// Stores the next peak, in the place of the oldest where there are too many.
    pub fn push(&mut self, peak: RecentPeak) {
        if self.stored.len() == MOST {
            self.stored.pop_front();
        }
        self.stored.push_back(peak);
        self.next += 1;
    }

    /// The peaks from the number `since` on that are no lower than `floor`; without `since`, no peaks yet.
    pub fn answer(&self, since: Option<u64>, floor: f32, sources: Vec<Arc<str>>) -> RecentPeaks {
        let oldest = self.next - self.stored.len() as u64;
        let since = since.unwrap_or(self.next).min(self.next);
        let first = since.max(oldest);
        let (mut peaks, mut name_bytes, mut next) = (Vec::new(), 0, first);
        for peak in self.stored.iter().skip((first - oldest) as usize) {
            if peak.score >= floor {
                name_bytes += peak.source.len() + peak.subject.name.len();
                if peaks.len() == MOST_ANSWERED || (name_bytes > MOST_NAME_BYTES && !peaks.is_empty()) {
                    break;
                }
                peaks.push(peak.clone());
            }
            next += 1;
        }
        RecentPeaks { next, lost: first - since, more: next < self.next, heard_s: self.heard_s, sources, peaks }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::detect::peaks::CurveKind;
    use crate::event::Subject;

    fn peak(score: f32, source: &Arc<str>) -> RecentPeak {
        let subject = Arc::new(Subject { name: "Cat".to_owned(), slug: "cat".to_owned(), id: "/m/1".to_owned() });
        RecentPeak { source: source.clone(), subject, kind: CurveKind::Causal, score, at: Timestamp::UNIX_EPOCH }
    }

    fn filled(n: usize, source: &str) -> PeakRing {
        let (mut ring, source) = (PeakRing::default(), source.into());
        (0..n).for_each(|at| ring.push(peak(at as f32 / n as f32, &source)));
        ring
    }

    /// Everything from `since` on, answer by answer.
    fn all(ring: &PeakRing, since: u64, floor: f32) -> (Vec<f32>, u64) {
        let (mut scores, mut lost, mut since) = (Vec::new(), 0, since);
        loop {
            let answer = ring.answer(Some(since), floor, Vec::new());
            assert!(answer.peaks.len() <= MOST_ANSWERED && (answer.next > since || !answer.more));
            scores.extend(answer.peaks.iter().map(|peak| peak.score));
            (lost, since) = (lost + answer.lost, answer.next);
            if !answer.more {
                return (scores, lost);
            }
        }
    }

    #[test]
    fn who_asks_first_gets_what_comes_from_then_on() {
        let mut ring = filled(3, "kitchen");
        let first = ring.answer(None, 0.0, Vec::new());
        assert_eq!((first.next, first.lost, first.peaks.len()), (3, 0, 0));
        ring.push(peak(0.5, &"kitchen".into()));
        let second = ring.answer(Some(first.next), 0.0, Vec::new());
        assert_eq!((second.next, second.lost, second.peaks.len()), (4, 0, 1));
        assert_eq!((second.peaks[0].subject.name.as_str(), &*second.peaks[0].source), ("Cat", "kitchen"));
    }

    #[test]
    fn a_number_that_is_not_reached_yet_brings_the_next_one() {
        let answer = filled(3, "kitchen").answer(Some(900), 0.0, Vec::new());
        assert_eq!((answer.next, answer.lost, answer.more), (3, 0, false));
    }

    #[test]
    fn many_peaks_come_in_several_answers_and_those_below_the_floor_in_none() {
        let ring = filled(2_500, "kitchen");
        assert_eq!(all(&ring, 0, 0.0).0.len(), 2_500);
        assert_eq!(all(&ring, 2_000, 0.0).0.len(), 500);
        assert_eq!(all(&ring, 0, 0.5).0.len(), 1_250);
        assert_eq!(all(&ring, 0, 1.0).0.len(), 0);
    }

    #[test]
    fn long_names_make_shorter_answers_but_never_none() {
        assert_eq!(all(&filled(40, &"x".repeat(50_000)), 0, 0.0).0.len(), 40);
        assert_eq!(all(&filled(3, &"x".repeat(500_000)), 0, 0.0).0.len(), 3);
    }

    #[test]
    fn what_is_overwritten_is_counted() {
        let (scores, lost) = all(&filled(MOST + 70, "kitchen"), 50, 0.0);
        assert_eq!((scores.len(), lost), (MOST, 20));
    }

    #[test]
    fn it_lapses_when_nobody_has_asked_for_long_and_says_what_is_lost() {
        let (mut ring, now) = (filled(5, "kitchen"), Instant::now());
        assert!(!ring.is_kept() && !ring.lapse(now));
        ring.keep(now);
        assert!(!ring.lapse(now + KEPT_FOR / 2) && ring.is_kept());
        ring.keep(now + KEPT_FOR / 2);
        assert!(!ring.lapse(now + KEPT_FOR));
        assert!(ring.lapse(now + 2 * KEPT_FOR) && !ring.is_kept());
        let answer = ring.answer(Some(2), 0.0, Vec::new());
        assert_eq!((answer.next, answer.lost), (5, 3));
    }
}
