//! Matches the events that were heard with the true events: by the rule of sed_eval, with as many pairs as possible.

use std::iter::Sum;
use std::ops::{Add, Mul, Range};

/// A stretch of time in seconds from a recording's start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The onset.
    pub onset_s: f64,
    /// The offset; after the onset.
    pub offset_s: f64,
}

/// The largest gap between two spans that count as one, in seconds.
const TOUCHING_S: f64 = 0.01;

/// More than the rounding of a sum of times, in seconds.
const ROUNDING_S: f64 = 1e-6;

/// The rule by which an event that was heard fits a true one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// The onset is off by at most this collar in seconds. The offset is off by at most the collar or half of the true event's
    /// length, whichever is longer.
    Collar(f64),
    /// The onset is off by at most this collar in seconds; the offset does not matter.
    Onset(f64),
    /// Both events overlap. This is enough where an alarm is wanted and its times do not matter.
    Overlap,
}

impl Rule {
    /// Whether an event that was heard fits a true one.
    pub fn fits(self, truth: &Span, found: &Span) -> bool {
        match self {
            Rule::Collar(collar_s) => {
                let lasts = truth.offset_s - truth.onset_s;
                (truth.onset_s - found.onset_s).abs() <= collar_s
                    && (truth.offset_s - found.offset_s).abs() <= collar_s.max(lasts / 2.0)
            }
            Rule::Onset(collar_s) => (truth.onset_s - found.onset_s).abs() <= collar_s,
            Rule::Overlap => truth.onset_s < found.offset_s && found.onset_s < truth.offset_s,
        }
    }
}

/// The outcome of matching in one recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// For each true event, whether it was found.
    pub hit: Vec<bool>,
    /// For each event that was heard, whether it is a false alarm.
    pub is_false: Vec<bool>,
}

/// Matches the true events of a recording with those that were heard in it.
///
/// With a collar, each event is matched with one other at most, and the number of pairs is the highest possible. With overlap,
/// one alarm may stand for several true events, and several alarms for one.
pub fn matches(truth: &[Span], found: &[Span], rule: Rule) -> Matched {
    let fits = |at: usize, other: usize| rule.fits(&truth[at], &found[other]);
    let collar_s = match rule {
        Rule::Collar(collar_s) | Rule::Onset(collar_s) => collar_s,
        Rule::Overlap => {
            return Matched {
                hit: (0..truth.len()).map(|at| (0..found.len()).any(|other| fits(at, other))).collect(),
                is_false: (0..found.len()).map(|other| !(0..truth.len()).any(|at| fits(at, other))).collect(),
            };
        }
    };
    // Only heard events whose onset is near can fit, and they stand together in the order of onsets.
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|a, b| found[*a].onset_s.total_cmp(&found[*b].onset_s));
    let near = |at: usize| {
        let (from_s, to_s) = (truth[at].onset_s - collar_s - ROUNDING_S, truth[at].onset_s + collar_s + ROUNDING_S);
        let place = |bound: f64| order.partition_point(|other| found[*other].onset_s < bound);
        place(from_s)..place(to_s)
    };
    let fits = |at: usize, place: usize| fits(at, order[place]);
    let mut of_place: Vec<Option<usize>> = vec![None; found.len()];
    let mut tried = vec![usize::MAX; found.len()];
    for at in 0..truth.len() {
        augment(at, &near, &fits, &mut of_place, &mut tried);
    }
    let mut matched = Matched { hit: vec![false; truth.len()], is_false: vec![true; found.len()] };
    for (place, at) in of_place.iter().enumerate().filter_map(|(place, at)| Some((place, (*at)?))) {
        matched.hit[at] = true;
        matched.is_false[order[place]] = false;
    }
    matched
}

/// The approximate length of the blocks in which long recordings are counted, in seconds. Events a minute apart hardly depend on
/// each other.
const BLOCK_S: f64 = 60.0;

/// The counts of the true events and of the false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The number of true events that were found.
    pub hits: u32,
    /// The number of true events that were not found.
    pub missed: u32,
    /// The number of events that were heard and fit no true event.
    pub false_alarms: u32,
}

impl Counts {
    /// The harmonic mean of precision and recall; 0 if nothing was found.
    pub fn f1(self) -> f64 {
        let twice = 2.0 * f64::from(self.hits);
        if self.hits == 0 { 0.0 } else { twice / (twice + f64::from(self.missed) + f64::from(self.false_alarms)) }
    }

    /// The part of the events heard that are true; 1 if nothing was heard.
    pub fn precision(self) -> f64 {
        let heard = self.hits + self.false_alarms;
        if heard == 0 { 1.0 } else { f64::from(self.hits) / f64::from(heard) }
    }

    /// The part of the true events that were found.
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

/// The number of blocks of a recording of this length.
pub fn n_blocks(lasts_s: f64) -> usize {
    ((lasts_s / BLOCK_S).round() as usize).max(1)
}

/// The counts of each block of one recording.
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

/// Finds a partner for the true event `start`. Events that have a partner already may be given another one (Kuhn's algorithm, with a stack
/// of its own, because a chain of such events can be as long as the recording). `tried` has, for each heard event, the search that tried it last.
fn augment(
    start: usize,
    near: &impl Fn(usize) -> Range<usize>,
    fits: &impl Fn(usize, usize) -> bool,
    of_place: &mut [Option<usize>],
    tried: &mut [usize],
) {
    // True events, each with the places that are still to be tried for it, and the one that it would take.
    let mut chain = vec![(start, near(start), 0)];
    while let Some((at, places, taken)) = chain.last_mut() {
        let Some(place) = places.next() else {
            chain.pop();
            continue;
        };
        if tried[place] == start || !fits(*at, place) {
            continue;
        }
        tried[place] = start;
        *taken = place;
        match of_place[place] {
            Some(other) => chain.push((other, near(other), 0)),
            None => {
                chain.into_iter().for_each(|(at, _, place)| of_place[place] = Some(at));
                return;
            }
        }
    }
}

/// The spans in order, in which spans that touch or overlap are one, because a detector of one label cannot tell them apart.
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
        // If the first true event took the first partner that fits, none would be left for the second.
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

    #[test]
    fn a_chain_of_any_length_finds_its_partners() {
        // Each true event fits the heard one before it and the one behind it, and has the first. The last true event fits only what the first
        // one has, so that all of them move.
        let n = 100_000;
        let spans =
            |late_s: f64| (0..n).map(move |at| f64::from(at) + late_s).map(|onset_s| Span { onset_s, offset_s: onset_s + 0.5 });
        let (mut truth, found): (Vec<Span>, Vec<Span>) = (spans(0.0).collect(), spans(0.4).collect());
        truth.rotate_left(1);
        let matched = matches(&truth, &found, Rule::Onset(0.65));
        assert!(matched.hit.iter().all(|hit| *hit) && !matched.is_false.contains(&true));
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
