//! Which event that was heard is which true one: the rule of sed_eval, matched so that as many as possible are found.

use std::iter::Sum;
use std::ops::{Add, Mul};

/// A stretch of time in seconds from a recording's start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Where it begins.
    pub onset_s: f64,
    /// Where it ends; after its onset.
    pub offset_s: f64,
}

/// Spans that lie this near to each other are one, in seconds.
const TOUCHING_S: f64 = 0.01;

/// When an event that was heard is a true one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Its onset is at most so many seconds off, its offset at most that or half of the true event's length.
    Collar(f64),
    /// Both share a moment: enough where an alarm is wanted, whenever it begins and ends.
    Overlap,
}

impl Rule {
    fn fits(self, truth: &Span, found: &Span) -> bool {
        match self {
            Rule::Collar(collar_s) => {
                let lasts = truth.offset_s - truth.onset_s;
                (truth.onset_s - found.onset_s).abs() <= collar_s
                    && (truth.offset_s - found.offset_s).abs() <= collar_s.max(lasts / 2.0)
            }
            Rule::Overlap => truth.onset_s < found.offset_s && found.onset_s < truth.offset_s,
        }
    }
}

/// What became of the events of one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// For each true event whether it was found.
    pub hit: Vec<bool>,
    /// For each event that was heard whether it is a false alarm.
    pub is_false: Vec<bool>,
}

/// Matches the true events of a recording with those that were heard in it.
///
/// By the collar each event is matched with one other at most, and as many as possible are. Where an overlap is enough one alarm
/// may stand for several true events, and several alarms for one.
pub fn matches(truth: &[Span], found: &[Span], rule: Rule) -> Matched {
    let fits = |at: usize, other: usize| rule.fits(&truth[at], &found[other]);
    if rule == Rule::Overlap {
        return Matched {
            hit: (0..truth.len()).map(|at| (0..found.len()).any(|other| fits(at, other))).collect(),
            is_false: (0..found.len()).map(|other| !(0..truth.len()).any(|at| fits(at, other))).collect(),
        };
    }
    let mut of_found: Vec<Option<usize>> = vec![None; found.len()];
    for at in 0..truth.len() {
        let mut tried = vec![false; found.len()];
        augment(at, &fits, &mut of_found, &mut tried);
    }
    let mut hit = vec![false; truth.len()];
    for at in of_found.iter().flatten() {
        hit[*at] = true;
    }
    Matched { hit, is_false: of_found.iter().map(Option::is_none).collect() }
}

/// Long recordings are counted in blocks of about this length, in seconds: what is a minute apart hardly depends on each other.
const BLOCK_S: f64 = 60.0;

/// What became of the true events, and of those that were heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// True events that were found.
    pub hits: u32,
    /// True events that were not.
    pub missed: u32,
    /// Events that were heard and are not true.
    pub false_alarms: u32,
}

impl Counts {
    /// The harmonic mean of precision and recall; 0 where nothing was found.
    pub fn f1(self) -> f64 {
        let twice = 2.0 * f64::from(self.hits);
        if self.hits == 0 { 0.0 } else { twice / (twice + f64::from(self.missed) + f64::from(self.false_alarms)) }
    }

    /// The part of what was heard that is true; 1 where nothing was heard.
    pub fn precision(self) -> f64 {
        let heard = self.hits + self.false_alarms;
        if heard == 0 { 1.0 } else { f64::from(self.hits) / f64::from(heard) }
    }

    /// The part of the true events that was found.
    pub fn recall(self) -> f64 {
        f64::from(self.hits) / f64::from((self.hits + self.missed).max(1))
    }
}

impl Add for Counts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (hits, missed) = (self.hits + other.hits, self.missed + other.missed);
        Self { hits, missed, false_alarms: self.false_alarms + other.false_alarms }
    }
}

impl Mul<u16> for Counts {
    type Output = Self;
    fn mul(self, times: u16) -> Self {
        let times = u32::from(times);
        Self { hits: self.hits * times, missed: self.missed * times, false_alarms: self.false_alarms * times }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

/// How many blocks a recording of this length is counted in.
pub fn n_blocks(lasts_s: f64) -> usize {
    ((lasts_s / BLOCK_S).round() as usize).max(1)
}

/// What became of the events of one recording, for each of its blocks.
pub fn tally(truth: &[Span], found: &[Span], rule: Rule, n_blocks: usize) -> Vec<Counts> {
    let matched = matches(truth, found, rule);
    let mut blocks = vec![Counts::default(); n_blocks];
    let block = |span: &Span| ((span.onset_s / BLOCK_S) as usize).min(n_blocks - 1);
    for (span, hit) in truth.iter().zip(matched.hit) {
        let counts = &mut blocks[block(span)];
        if hit { counts.hits += 1 } else { counts.missed += 1 }
    }
    for (span, is_false) in found.iter().zip(matched.is_false) {
        blocks[block(span)].false_alarms += u32::from(is_false);
    }
    blocks
}

/// Finds a partner for the true event `at`; those that have one already may be given another (Kuhn's algorithm).
fn augment(at: usize, fits: &impl Fn(usize, usize) -> bool, of_found: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for other in 0..of_found.len() {
        if tried[other] || !fits(at, other) {
            continue;
        }
        tried[other] = true;
        if of_found[other].is_none_or(|taken| augment(taken, fits, of_found, tried)) {
            of_found[other] = Some(at);
            return true;
        }
    }
    false
}

/// The spans in order, those that touch or overlap made one: no detector of one label can tell them apart.
pub fn united(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|a, b| a.onset_s.total_cmp(&b.onset_s));
    let mut united: Vec<Span> = Vec::new();
    for span in spans {
        match united.last_mut() {
            Some(last) if span.onset_s <= last.offset_s + TOUCHING_S => last.offset_s = last.offset_s.max(span.offset_s),
            _ => united.push(span),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(pairs: &[(f64, f64)]) -> Vec<Span> {
        pairs.iter().map(|(onset_s, offset_s)| Span { onset_s: *onset_s, offset_s: *offset_s }).collect()
    }

    fn count(truth: &[(f64, f64)], found: &[(f64, f64)], rule: Rule) -> (usize, usize) {
        let matched = matches(&spans(truth), &spans(found), rule);
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        (count(&matched.hit), count(&matched.is_false))
    }

    #[test]
    fn an_onset_may_be_off_by_the_collar_and_an_offset_by_half_the_event() {
        let rule = Rule::Collar(0.5);
        assert_eq!(count(&[(1.0, 5.0)], &[(1.5, 7.0)], rule), (1, 0));
        assert_eq!(count(&[(1.0, 5.0)], &[(1.51, 5.0)], rule), (0, 1));
        assert_eq!(count(&[(1.0, 5.0)], &[(1.0, 7.01)], rule), (0, 1));
        assert_eq!(count(&[(1.0, 1.1)], &[(1.0, 1.6)], rule), (1, 0));
    }

    #[test]
    fn one_event_is_matched_with_one_and_as_many_as_possible_are() {
        let rule = Rule::Collar(0.5);
        assert_eq!(count(&[(1.0, 2.0)], &[(1.0, 2.0), (1.2, 2.2)], rule), (1, 1));
        // The first that fits would take the only one that the second could have.
        assert_eq!(count(&[(1.0, 2.0), (1.4, 2.4)], &[(1.3, 2.3), (0.7, 1.7)], rule), (2, 0));
    }

    #[test]
    fn an_alarm_is_right_where_it_touches_a_true_event() {
        assert_eq!(count(&[(1.0, 2.0), (3.0, 4.0)], &[(1.9, 3.1), (5.0, 6.0), (0.0, 1.5)], Rule::Overlap), (2, 1));
    }

    #[test]
    fn f1_weighs_what_is_missed_and_what_is_false_alike() {
        let at = |hits, missed, false_alarms| Counts { hits, missed, false_alarms };
        assert_eq!((at(2, 1, 1).f1(), at(0, 0, 0).f1(), at(3, 0, 0).f1()), (2.0 / 3.0, 0.0, 1.0));
    }

    #[test]
    fn a_long_recording_is_counted_in_blocks_of_a_minute() {
        assert_eq!((n_blocks(0.5), n_blocks(89.0), n_blocks(91.0), n_blocks(3_600.0)), (1, 1, 2, 60));
        let (truth, found) = (spans(&[(10.0, 11.0), (70.0, 71.0)]), spans(&[(70.0, 71.0), (200.0, 201.0)]));
        let at = |hits, missed, false_alarms| Counts { hits, missed, false_alarms };
        assert_eq!(tally(&truth, &found, Rule::Collar(0.5), 2), [at(0, 1, 0), at(1, 0, 1)]);
    }

    #[test]
    fn spans_that_touch_are_one() {
        let united = united(spans(&[(4.0, 5.0), (1.0, 3.0), (2.0, 2.5), (3.005, 3.5)]));
        assert_eq!(united, spans(&[(1.0, 3.5), (4.0, 5.0)]));
    }

    proptest! {
        #[test]
        fn matching_is_the_same_in_any_order_and_never_more_than_there_are(
            truth in prop::collection::vec((0.0..10.0f64, 0.1..3.0f64), 0..7),
            found in prop::collection::vec((0.0..10.0f64, 0.1..3.0f64), 0..7),
        ) {
            let pairs = |events: &[(f64, f64)]| events.iter().map(|(on, lasts)| (*on, on + lasts)).collect::<Vec<_>>();
            let (truth, mut found) = (pairs(&truth), pairs(&found));
            let (hits, false_alarms) = count(&truth, &found, Rule::Collar(0.5));
            prop_assert!(hits <= truth.len() && hits + false_alarms == found.len());
            found.reverse();
            prop_assert_eq!(count(&truth, &found, Rule::Collar(0.5)), (hits, false_alarms));
        }
    }
}
