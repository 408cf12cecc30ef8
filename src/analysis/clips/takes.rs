//! Takes: which stretch of a source's sound becomes a clip, and of which events it is. Plain decisions; places are counted in samples of
//! the source, and nothing here has a sample.
//!
//! A take begins so long before its first event and ends so long after its last one, and is never longer than the longest clip. Events that
//! overlap share one. An event that is not confirmed keeps a take waiting and never begins one.

use uuid::Uuid;

use super::ClipEvent;

/// The most events that wait for their clips at a time.
const MOST_EVENTS: usize = 64;

/// The lengths that a take keeps to, in samples of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    /// Before the first event.
    pub before: u64,
    /// After the last event.
    pub after: u64,
    /// The longest take.
    pub most: u64,
    /// How long after its end a take is decided upon.
    pub settle: u64,
}

/// An event as far as it is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// The event.
    pub event: ClipEvent,
    /// Its beginning.
    pub onset: u64,
    /// Its end; `None` while it lasts.
    pub offset: Option<u64>,
    /// Whether it is confirmed.
    pub is_confirmed: bool,
    /// Whether clips are kept of it, by the names that it has so far.
    pub is_wanted: bool,
}

/// A stretch that becomes a clip.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Take {
    /// Its beginning.
    pub from: u64,
    /// The beginning of its first event.
    pub onset: u64,
    /// Its end.
    pub to: u64,
    /// Its events, the first one first.
    pub events: Vec<ClipEvent>,
}

/// A decision about waiting events.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// This is to be kept.
    Take(Take),
    /// This event lies within the take before, whose first event is named.
    Within(ClipEvent, Uuid),
    /// This event finds no room among those that wait.
    TooMany(ClipEvent),
}

/// The events of a source that wait for their clips.
#[derive(Debug)]
pub(super) struct Takes {
    lengths: Lengths,
    /// In the order of their beginnings.
    waiting: Vec<Seen>,
    /// The open events that are in a take already.
    taken: Vec<Uuid>,
    /// The first event, the beginning and the end of the last take.
    last: Option<(Uuid, u64, u64)>,
    left_out: Option<ClipEvent>,
}

impl Takes {
    /// Nothing waits.
    pub fn new(lengths: Lengths) -> Self {
        Self {
            lengths,
            waiting: Vec::with_capacity(MOST_EVENTS),
            taken: Vec::with_capacity(MOST_EVENTS),
            last: None,
            left_out: None,
        }
    }

    /// Takes other lengths over, for what is not decided yet.
    pub fn set_lengths(&mut self, lengths: Lengths) {
        self.lengths = lengths;
    }

    /// Forgets the events that are no longer wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&ClipEvent) -> bool) {
        self.waiting.retain(|seen| is_wanted(&seen.event));
    }

    /// Follows an event. One that ends unconfirmed is forgotten.
    pub fn follow(&mut self, seen: Seen) {
        let (id, has_ended) = (seen.event.id, seen.offset.is_some());
        if let Some(at) = self.taken.iter().position(|taken| *taken == id) {
            if has_ended {
                self.taken.swap_remove(at);
            }
            return;
        }
        self.waiting.retain(|waiting| waiting.event.id != id);
        if !seen.is_wanted || (has_ended && !seen.is_confirmed) {
            return;
        }
        if self.waiting.len() == MOST_EVENTS {
            self.left_out = Some(seen.event);
            return;
        }
        let at = self.waiting.partition_point(|waiting| waiting.onset <= seen.onset);
        self.waiting.insert(at, seen);
    }

    /// What is decided at a place up to which everything is known; at the very end all that is left.
    pub fn due(&mut self, now: u64, is_end: bool) -> Option<Decision> {
        if let Some(event) = self.left_out.take() {
            return Some(Decision::TooMany(event));
        }
        let first = self.waiting.iter().position(|seen| seen.is_confirmed)?;
        let (onset, offset) = (self.waiting[first].onset, self.waiting[first].offset);
        if let Some((of, from, to)) = self.last
            && onset >= from
            && offset.is_some_and(|offset| offset <= to)
        {
            return Some(Decision::Within(self.waiting.remove(first).event, of));
        }
        let Lengths { before, after, most, settle } = self.lengths;
        let from = onset.saturating_sub(before);
        let limit = from + most;
        let (mut end, mut is_open, mut is_awaited) = (offset.unwrap_or(now.max(onset)), false, false);
        for seen in &self.waiting {
            if seen.onset > end || seen.onset >= limit {
                break;
            }
            if seen.is_confirmed && seen.onset >= onset {
                end = end.max(seen.offset.unwrap_or(now));
                is_open |= seen.offset.is_none();
            } else {
                is_awaited = true;
            }
        }
        let to = if is_open { limit } else { limit.min(end + after) };
        let is_due = (now >= to + settle && !is_awaited) || now >= limit + settle;
        if !is_due && !is_end {
            return None;
        }
        let mut events = Vec::new();
        let mut at = 0;
        while at < self.waiting.len() {
            let seen = &self.waiting[at];
            if !seen.is_confirmed || seen.onset > end || seen.onset >= limit {
                at += 1;
                continue;
            }
            let seen = self.waiting.remove(at);
            if seen.offset.is_none() && self.taken.len() < MOST_EVENTS {
                self.taken.push(seen.event.id);
            }
            events.push(seen.event);
        }
        let to = if is_end { to.min(now) } else { to };
        self.last = events.first().map(|event| (event.id, from, to));
        Some(Decision::Take(Take { from, onset, to, events }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Subject;

    const LENGTHS: Lengths = Lengths { before: 30, after: 20, most: 600, settle: 10 };

    fn seen(id: u128, onset: u64, offset: Option<u64>, is_confirmed: bool) -> Seen {
        let event = ClipEvent { id: Uuid::from_u128(id), subject: Subject::example("Glass"), score: 0.5 };
        Seen { event, onset, offset, is_confirmed, is_wanted: true }
    }

    fn ids(take: &Take) -> Vec<u128> {
        take.events.iter().map(|event| event.id.as_u128()).collect()
    }

    fn take(takes: &mut Takes, now: u64) -> Option<(u64, u64, Vec<u128>)> {
        match takes.due(now, false) {
            Some(Decision::Take(take)) => Some((take.from, take.to, ids(&take))),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_is_kept_with_the_time_around_it_once_it_is_confirmed_and_over() {
        let mut takes = Takes::new(LENGTHS);
        takes.follow(seen(1, 100, None, false));
        assert_eq!(take(&mut takes, 150), None);
        takes.follow(seen(1, 95, Some(140), true));
        assert_eq!((take(&mut takes, 169), take(&mut takes, 170), take(&mut takes, 171)), (None, Some((65, 160, vec![1])), None));
    }

    #[test]
    fn events_that_overlap_share_a_clip_and_others_have_their_own() {
        let mut takes = Takes::new(LENGTHS);
        takes.follow(seen(1, 100, Some(200), true));
        takes.follow(seen(2, 150, None, true));
        takes.follow(seen(3, 205, None, false));
        assert_eq!(take(&mut takes, 240), None);
        takes.follow(seen(2, 150, Some(250), true));
        // The third began within the second, and may yet be confirmed.
        assert_eq!(take(&mut takes, 300), None);
        takes.follow(seen(3, 205, Some(210), false));
        takes.follow(seen(4, 260, Some(265), true));
        assert_eq!(take(&mut takes, 300), Some((70, 270, vec![1, 2])));
        assert!(
            matches!(takes.due(300, false), Some(Decision::Within(event, of)) if (event.id.as_u128(), of.as_u128()) == (4, 1))
        );
    }

    #[test]
    fn a_long_event_is_kept_from_its_beginning_and_not_twice() {
        let mut takes = Takes::new(LENGTHS);
        takes.follow(seen(1, 100, None, true));
        assert_eq!((take(&mut takes, 679), take(&mut takes, 680)), (None, Some((70, 670, vec![1]))));
        takes.follow(seen(1, 100, Some(5_000), true));
        // One that was confirmed late lies within that take; another begins beyond it.
        takes.follow(seen(2, 600, Some(660), true));
        takes.follow(seen(3, 900, Some(950), true));
        assert!(matches!(takes.due(6_000, false), Some(Decision::Within(_, of)) if of.as_u128() == 1));
        assert_eq!(take(&mut takes, 6_000), Some((870, 970, vec![3])));
        assert_eq!(takes.due(9_000, true), None);
    }

    #[test]
    fn the_end_of_the_sound_ends_what_is_confirmed() {
        let mut takes = Takes::new(LENGTHS);
        takes.follow(seen(1, 100, None, true));
        takes.follow(seen(2, 110, None, false));
        let Some(Decision::Take(take)) = takes.due(130, true) else { panic!("nothing is decided") };
        assert_eq!((take.from, take.to, ids(&take)), (70, 130, vec![1]));
        assert_eq!(takes.due(130, true), None);
    }

    /// An event: its beginning, its length, how late it is announced, confirmed and ended, and whether it is confirmed.
    type Life = (u64, u64, u64, u64, bool);

    proptest! {
        #[test]
        fn each_confirmed_event_has_one_clip_which_has_its_beginning(
            lives in prop::collection::vec((0_u64..3_000, 1_u64..900, 5_u64..50, 10_u64..60, prop::bool::weighted(0.8)), 1..20),
            step in 1_u64..40
        ) {
            let lives: Vec<Life> = lives;
            let mut takes = Takes::new(LENGTHS);
            let mut decided: std::collections::HashMap<u128, Take> = std::collections::HashMap::new();
            let mut now = 0;
            while now < 6_000 {
                let before = now;
                now += step;
                let is_now = |at: u64| (before..now).contains(&at);
                for (id, (onset, length, announce, confirm, is_true)) in lives.iter().enumerate() {
                    let (announced, ended) = (onset + announce, onset + length + announce + confirm);
                    let confirmed = (announced + confirm).min(ended);
                    if is_now(announced) {
                        takes.follow(seen(id as u128, *onset, None, false));
                    }
                    if is_now(confirmed) && *is_true {
                        takes.follow(seen(id as u128, *onset, None, true));
                    }
                    if is_now(ended) {
                        takes.follow(seen(id as u128, *onset, Some(onset + length), *is_true));
                    }
                }
                while let Some(decision) = takes.due(now, now >= 6_000) {
                    match decision {
                        Decision::Take(take) => {
                            prop_assert!(take.to > take.from && take.to - take.from <= LENGTHS.most && take.to <= now);
                            for id in ids(&take) {
                                let (onset, length, .., is_true) = lives[id as usize];
                                prop_assert!(is_true && take.from <= onset && onset < take.to);
                                prop_assert!(take.to >= (onset + length + LENGTHS.after).min(take.from + LENGTHS.most) || now >= 6_000);
                                prop_assert!(decided.insert(id, take.clone()).is_none());
                            }
                        }
                        Decision::Within(event, of) => {
                            let (onset, length, ..) = lives[event.id.as_u128() as usize];
                            let take = decided[&of.as_u128()].clone();
                            prop_assert!(take.from <= onset && onset + length <= take.to);
                            prop_assert!(decided.insert(event.id.as_u128(), take).is_none());
                        }
                        Decision::TooMany(_) => prop_assert!(false),
                    }
                }
            }
            for (id, (.., is_true)) in lives.iter().enumerate() {
                prop_assert_eq!(decided.contains_key(&(id as u128)), *is_true);
            }
        }
    }
}
