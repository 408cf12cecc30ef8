//! Chooses thresholds by the marks that people made of kept events, and by the scores of those events.
//!
//! A mark speaks of an event that was reported. Therefore nothing is known of what lay below the thresholds in force then, and no lower
//! threshold is ever a candidate. An event that was marked as right is found by every threshold up to its score; one that was marked as
//! wrong, or as another sound, is a false alarm of its own label at every threshold up to its score. It says nothing about the other sound,
//! whose score at that time is not known.

use std::collections::BTreeMap;

use super::candidates::{self, MANNERS};
use super::choose::{Choice, Evidence, Goal};
use crate::evaluate::bootstrap::Draws;
use crate::evaluate::matching::Counts;

/// The fewest marks that say something about a label.
pub const MIN_MARKS: usize = 8;
/// The fewest of them that must be right, because nothing else says how high the sound scores.
pub const MIN_RIGHT: usize = 3;
/// The marks of so long a time are drawn together, because one cause often makes several events in a row, in seconds.
const BLOCK_S: i64 = 3_600;

/// What a mark says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was what it was reported as.
    Right,
    /// It was not.
    Wrong,
    /// It was another sound that has a name.
    Other,
}

/// An event that is marked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reviewed {
    /// The mark.
    pub verdict: Verdict,
    /// The highest confirmed score; `None` where the event was taken back, so that no threshold in force has it.
    pub score: Option<f64>,
    /// The threshold under which it was heard.
    pub threshold: f64,
    /// The onset, in seconds since 1970.
    pub onset_s: i64,
}

/// What the marks of a label say.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// There are too few.
    TooFew,
    /// None is right; the highest score is this, where there is any.
    NoneRight(Option<f64>),
    /// A threshold, or that the one in force stays.
    Chosen(Choice),
}

/// The numbers of the marks of a label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that are right.
    pub right: usize,
    /// Those that are wrong.
    pub wrong: usize,
    /// Those that were another sound.
    pub other: usize,
}

impl Tally {
    /// The numbers of some marks.
    pub fn of(reviewed: &[Reviewed]) -> Self {
        let n = |verdict| reviewed.iter().filter(|reviewed| reviewed.verdict == verdict).count();
        Self { right: n(Verdict::Right), wrong: n(Verdict::Wrong), other: n(Verdict::Other) }
    }

    /// All of them.
    pub fn all(self) -> usize {
        self.right + self.wrong + self.other
    }
}

/// Chooses the threshold of a label by its marks; `in_force` is its threshold now.
pub fn advise(reviewed: &[Reviewed], in_force: f64, goal: Goal) -> Advice {
    let tally = Tally::of(reviewed);
    if tally.all() < MIN_MARKS {
        return Advice::TooFew;
    }
    if tally.right == 0 {
        return Advice::NoneRight(reviewed.iter().filter_map(|reviewed| reviewed.score).max_by(f64::total_cmp));
    }
    if tally.right < MIN_RIGHT {
        return Advice::TooFew;
    }
    let evidence = evidence(reviewed, in_force);
    Advice::Chosen(evidence.choose(goal, &Draws::new(evidence.in_force.len())))
}

/// The counts of every candidate, by blocks of time.
fn evidence(reviewed: &[Reviewed], in_force: f64) -> Evidence {
    let mut blocks: BTreeMap<i64, Vec<&Reviewed>> = BTreeMap::new();
    for one in reviewed {
        blocks.entry(one.onset_s.div_euclid(BLOCK_S)).or_default().push(one);
    }
    let at = |threshold: f64| -> Vec<Counts> {
        blocks.values().map(|block| block.iter().map(|reviewed| reviewed.counts(threshold)).sum()).collect()
    };
    let least = reviewed.iter().map(|reviewed| reviewed.threshold).fold(f64::INFINITY, f64::min);
    // The lowest known threshold is a candidate itself.
    let above = candidates::thresholds().into_iter().filter(|threshold| *threshold > least);
    let thresholds: Vec<f64> = std::iter::once(least).chain(above).collect();
    let usual: Vec<Vec<Counts>> = thresholds.iter().map(|threshold| at(*threshold)).collect();
    // A mark says nothing about the release, so that no manner is better than the usual one.
    Evidence { threshold: in_force, in_force: at(in_force), tried: vec![usual; MANNERS.len()], thresholds }
}

impl Reviewed {
    fn counts(&self, threshold: f64) -> Counts {
        let is_found = self.score.is_some_and(|score| score >= threshold);
        match self.verdict {
            Verdict::Right => Counts { hits: is_found.into(), missed: (!is_found).into(), false_alarms: 0 },
            Verdict::Wrong | Verdict::Other => Counts { false_alarms: is_found.into(), ..Counts::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reviewed(verdict: Verdict, score: f64, at: i64) -> Reviewed {
        Reviewed { verdict, score: Some(score), threshold: 0.1, onset_s: at * BLOCK_S }
    }

    /// Right ones from 0.6 on, and wrong ones up to `wrong`, each in an hour of its own.
    fn marks(n: usize, wrong: f64) -> Vec<Reviewed> {
        let part = |at: usize| at as f64 / n as f64;
        let right = (0..n).map(|at| reviewed(Verdict::Right, 0.6 + 0.3 * part(at), 2 * at as i64));
        let wrong = (0..n).map(|at| reviewed(Verdict::Wrong, 0.1 + (wrong - 0.1) * part(at), 2 * at as i64 + 1));
        right.chain(wrong).collect()
    }

    fn chosen(reviewed: &[Reviewed], in_force: f64, goal: Goal) -> Choice {
        match advise(reviewed, in_force, goal) {
            Advice::Chosen(choice) => choice,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_threshold_is_found_between_what_was_wrong_and_what_was_right() {
        let choice = chosen(&marks(60, 0.35), 0.1, Goal::F1);
        assert!(choice.threshold > 0.35 && choice.threshold < 0.6, "{choice:?}");
        assert_eq!((choice.before.false_alarms, choice.after.false_alarms, choice.after.missed), (60, 0, 0));
        // Few marks stay nearer to the threshold in force.
        assert!(chosen(&marks(6, 0.35), 0.1, Goal::F1).threshold < choice.threshold);
    }

    #[test]
    fn nothing_below_the_thresholds_under_which_it_was_heard_is_suggested() {
        let only_right: Vec<Reviewed> = (0..40).map(|at| reviewed(Verdict::Right, 0.5, at)).collect();
        assert_eq!(chosen(&only_right, 0.1, Goal::F1).nearest, None);
        // A threshold that was raised since is lowered again, and no farther than is known.
        let choice = chosen(&only_right, 0.8, Goal::F1);
        assert!(choice.threshold >= 0.1 && choice.after.hits == 40, "{choice:?}");
    }

    #[test]
    fn a_budget_of_false_alarms_is_kept() {
        let choice = chosen(&marks(40, 0.7), 0.1, Goal::FalseAlarms(3.0));
        assert!(choice.after.false_alarms <= 3 && choice.after.hits > 25, "{choice:?}");
    }

    #[test]
    fn an_event_that_was_taken_back_is_missed_by_every_threshold_or_alarms_by_none() {
        let mut all = marks(20, 0.35);
        all.push(Reviewed { score: None, ..reviewed(Verdict::Right, 0.0, 100) });
        all.push(Reviewed { score: None, ..reviewed(Verdict::Wrong, 0.0, 101) });
        let choice = chosen(&all, 0.1, Goal::F1);
        assert_eq!((choice.before.missed, choice.after.missed, choice.before.false_alarms), (1, 1, 20));
    }

    #[test]
    fn too_few_marks_and_none_that_is_right_say_so() {
        assert_eq!(advise(&marks(3, 0.3), 0.1, Goal::F1), Advice::TooFew);
        let mut mostly_wrong: Vec<Reviewed> = (0..9).map(|at| reviewed(Verdict::Other, 0.2 + 0.05 * at as f64, at)).collect();
        let Advice::NoneRight(Some(highest)) = advise(&mostly_wrong, 0.1, Goal::F1) else { panic!() };
        assert!((highest - 0.6).abs() < 1e-9);
        mostly_wrong.push(reviewed(Verdict::Right, 0.9, 20));
        assert_eq!(advise(&mostly_wrong, 0.1, Goal::F1), Advice::TooFew);
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_is_no_worse_by_the_marks_and_known(
            marks in prop::collection::vec((0..3_u8, 0.1..0.99_f64, 0..500_i64, any::<bool>()), 8..80),
            in_force in 0.05..0.9_f64,
        ) {
            let all: Vec<Reviewed> = marks.iter().map(|(kind, score, at, is_kept)| Reviewed {
                score: is_kept.then_some(*score),
                ..reviewed([Verdict::Right, Verdict::Wrong, Verdict::Other][usize::from(*kind)], *score, *at)
            }).collect();
            if let Advice::Chosen(choice) = advise(&all, in_force, Goal::F1) {
                prop_assert!(choice.nearest.is_none() || choice.after.f1() > choice.before.f1());
                prop_assert!(choice.nearest.is_some() || choice.threshold == in_force);
                prop_assert!(choice.threshold >= in_force.min(0.1) - 1e-9);
                let before = choice.before;
                prop_assert_eq!((before.hits + before.missed) as usize, Tally::of(&all).right);
            }
        }
    }
}
