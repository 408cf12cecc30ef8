//! One label's scores over the last minute, and their values on a grid of columns. Times are hops; it reads no clock.

use std::collections::VecDeque;

/// One label's scores at one hop.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    hop: u64,
    causal: f32,
    confirmed: Option<f32>,
}

/// The scores of the hops, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    samples: VecDeque<Sample>,
}

/// The time span that is drawn, in hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HopSpan {
    /// Its right end, the newest hop.
    pub now: u64,
    /// Its length; never zero.
    pub length: u64,
    /// For how many hops a score is repeated where the next one is not known.
    pub hold: u64,
}

impl History {
    /// Adds the scores at `hop`, and drops scores that are older than `keep` hops.
    pub fn push(&mut self, hop: u64, keep: u64, causal: f32, confirmed: Option<f32>) {
        self.samples.push_back(Sample { hop, causal, confirmed });
        while self.samples.front().is_some_and(|oldest| oldest.hop + keep < hop) {
            self.samples.pop_front();
        }
    }

    /// The highest causal score from the hop `since` on.
    pub fn peak(&self, since: u64) -> f32 {
        self.samples.iter().rev().take_while(|sample| sample.hop >= since).map(|sample| sample.causal).fold(0.0, f32::max)
    }

    /// The highest causal score in each of `columns` equal parts of the time span; `None` where none is known.
    pub fn causal(&self, span: HopSpan, columns: usize) -> Vec<Option<f32>> {
        grid(self.samples.iter().map(|sample| (sample.hop, sample.causal)), span, columns)
    }

    /// The highest confirmed score in each column. A score belongs to the moment `lag` hops before it arrived.
    pub fn confirmed(&self, span: HopSpan, lag: u64, columns: usize) -> Vec<Option<f32>> {
        let scores = self.samples.iter().filter_map(|sample| Some((sample.hop.checked_sub(lag)?, sample.confirmed?)));
        let mut grid = grid(scores, span, columns);
        // The confirmed scores of the last `lag` hops are not known yet, so no older score is repeated there.
        let newest = (span.length.saturating_sub(lag) * columns as u64 / span.length.max(1)) as usize;
        grid.iter_mut().skip(newest + 1).for_each(|score| *score = None);
        grid
    }
}

fn grid(scores: impl Iterator<Item = (u64, f32)>, span: HopSpan, columns: usize) -> Vec<Option<f32>> {
    let mut grid: Vec<Option<f32>> = vec![None; columns];
    let HopSpan { now, length, hold } = span;
    for (hop, score) in scores {
        // The hop counted from the left end, 0…length; older and newer scores have no column.
        let Some(at) = (hop + length).checked_sub(now).filter(|at| *at <= length) else { continue };
        let column = (at as usize * columns / length.max(1) as usize).min(columns.saturating_sub(1));
        if let Some(place) = grid.get_mut(column) {
            *place = Some(place.map_or(score, |highest| highest.max(score)));
        }
    }
    let most = (hold as usize * columns).div_ceil(length.max(1) as usize);
    let (mut last, mut held) = (None, 0);
    for place in &mut grid {
        match place {
            Some(score) => (last, held) = (Some(*score), 0),
            None if held < most => (*place, held) = (last, held + 1),
            None => {}
        }
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: HopSpan = HopSpan { now: 1_000, length: 600, hold: 10 };

    fn history(scores: &[(u64, f32)]) -> History {
        let mut history = History::default();
        scores.iter().for_each(|(hop, score)| history.push(*hop, 600, *score, Some(*score)));
        history
    }

    #[test]
    fn the_newest_score_is_at_the_right_and_a_column_shows_its_highest() {
        let grid = history(&[(401, 0.1), (700, 0.2), (701, 0.5), (702, 0.3), (1_000, 0.9)]).causal(MINUTE, 6);
        assert_eq!(grid, [Some(0.1), Some(0.1), None, Some(0.5), Some(0.5), Some(0.9)]);
    }

    #[test]
    fn a_score_is_repeated_for_a_moment_and_not_over_a_pause() {
        let grid = history(&[(400, 0.4), (700, 0.7)]).causal(MINUTE, 60);
        assert_eq!(grid.iter().filter(|score| **score == Some(0.4)).count(), 2);
        assert_eq!(grid.iter().filter(|score| **score == Some(0.7)).count(), 2);
        assert_eq!(grid[59], None);
    }

    #[test]
    fn a_confirmed_score_is_drawn_at_the_moment_it_belongs_to() {
        let grid = history(&[(1_000, 0.9)]).confirmed(MINUTE, 60, 20);
        assert_eq!(grid.iter().position(Option::is_some), Some(18));
        assert_eq!(grid[19], None, "the last seconds are not known yet");
    }

    #[test]
    fn old_scores_are_dropped() {
        let history = history(&[(0, 0.9), (500, 0.5), (700, 0.1)]);
        assert_eq!(history.peak(0), 0.5);
        assert_eq!(history.peak(600), 0.1);
        assert_eq!(history.peak(800), 0.0);
    }

    #[test]
    fn no_columns_and_no_span_do_not_panic() {
        assert!(history(&[(5, 0.1)]).causal(MINUTE, 0).is_empty());
        assert_eq!(history(&[(5, 0.1)]).causal(HopSpan { now: 5, length: 0, hold: 0 }, 3).len(), 3);
    }
}
