//! The last minute of one label's scores, and its picture on a grid of columns. It knows hops, and no clock.

use std::collections::VecDeque;

/// One label's scores at one hop.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    hop: u64,
    causal: f32,
    two_sided: Option<f32>,
}

/// Scores over the hops, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    samples: VecDeque<Sample>,
}

/// The stretch of time that is drawn, in hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its right end.
    pub now: u64,
    /// Its length; never zero.
    pub span: u64,
    /// How long a score stands for those that were not asked for.
    pub hold: u64,
}

impl History {
    /// Takes the scores at `hop`, and forgets what is older than `keep` hops.
    pub fn push(&mut self, hop: u64, keep: u64, causal: f32, two_sided: Option<f32>) {
        self.samples.push_back(Sample { hop, causal, two_sided });
        while self.samples.front().is_some_and(|oldest| oldest.hop + keep < hop) {
            self.samples.pop_front();
        }
    }

    /// The highest causal score from the hop `since` on.
    pub fn peak(&self, since: u64) -> f32 {
        self.samples.iter().rev().take_while(|sample| sample.hop >= since).map(|sample| sample.causal).fold(0.0, f32::max)
    }

    /// The highest causal score in each of `columns` equal parts of the stretch; nothing where none is known.
    pub fn causal(&self, stretch: Stretch, columns: usize) -> Vec<Option<f32>> {
        grid(self.samples.iter().map(|sample| (sample.hop, sample.causal)), stretch, columns)
    }

    /// The same of the two-sided score, each at the moment that it speaks of: `lag` hops before it came.
    pub fn two_sided(&self, stretch: Stretch, lag: u64, columns: usize) -> Vec<Option<f32>> {
        let scores = self.samples.iter().filter_map(|sample| Some((sample.hop.checked_sub(lag)?, sample.two_sided?)));
        let mut grid = grid(scores, stretch, columns);
        // What the second look has not reached yet is unknown, however long a score may stand elsewhere.
        let newest = (stretch.span.saturating_sub(lag) * columns as u64 / stretch.span.max(1)) as usize;
        grid.iter_mut().skip(newest + 1).for_each(|score| *score = None);
        grid
    }
}

fn grid(scores: impl Iterator<Item = (u64, f32)>, stretch: Stretch, columns: usize) -> Vec<Option<f32>> {
    let mut grid: Vec<Option<f32>> = vec![None; columns];
    let Stretch { now, span, hold } = stretch;
    for (hop, score) in scores {
        // In 0…span, counted from the left end; what is older or newer has no column.
        let Some(at) = (hop + span).checked_sub(now).filter(|at| *at <= span) else { continue };
        let column = (at as usize * columns / span.max(1) as usize).min(columns.saturating_sub(1));
        if let Some(place) = grid.get_mut(column) {
            *place = Some(place.map_or(score, |highest| highest.max(score)));
        }
    }
    let most = (hold as usize * columns).div_ceil(span.max(1) as usize);
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

    const MINUTE: Stretch = Stretch { now: 1_000, span: 600, hold: 10 };

    fn history(scores: &[(u64, f32)]) -> History {
        let mut history = History::default();
        scores.iter().for_each(|(hop, score)| history.push(*hop, 600, *score, Some(*score)));
        history
    }

    #[test]
    fn the_newest_score_stands_at_the_right_and_the_highest_of_a_column_counts() {
        let grid = history(&[(401, 0.1), (700, 0.2), (701, 0.5), (702, 0.3), (1_000, 0.9)]).causal(MINUTE, 6);
        assert_eq!(grid, [Some(0.1), Some(0.1), None, Some(0.5), Some(0.5), Some(0.9)]);
    }

    #[test]
    fn a_score_stands_for_a_moment_and_not_for_a_pause() {
        let grid = history(&[(400, 0.4), (700, 0.7)]).causal(MINUTE, 60);
        assert_eq!(grid.iter().filter(|score| **score == Some(0.4)).count(), 2);
        assert_eq!(grid.iter().filter(|score| **score == Some(0.7)).count(), 2);
        assert_eq!(grid[59], None);
    }

    #[test]
    fn the_two_sided_score_stands_where_it_speaks_of() {
        let grid = history(&[(1_000, 0.9)]).two_sided(MINUTE, 60, 20);
        assert_eq!(grid.iter().position(Option::is_some), Some(18));
        assert_eq!(grid[19], None, "the last seconds are not known yet");
    }

    #[test]
    fn what_is_older_than_is_kept_is_forgotten() {
        let history = history(&[(0, 0.9), (500, 0.5), (700, 0.1)]);
        assert_eq!(history.peak(0), 0.5);
        assert_eq!(history.peak(600), 0.1);
        assert_eq!(history.peak(800), 0.0);
    }

    #[test]
    fn no_columns_and_no_span_are_no_panic() {
        assert!(history(&[(5, 0.1)]).causal(MINUTE, 0).is_empty());
        assert_eq!(history(&[(5, 0.1)]).causal(Stretch { now: 5, span: 0, hold: 0 }, 3).len(), 3);
    }
}
