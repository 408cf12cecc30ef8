//! Made-up events, with which users try their automations. Each ends by itself after a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::SoundEvent;

/// How long a made-up event lasts.
const LASTS: Duration = Duration::from_secs(1);
/// The most that are open at a time. Beyond that the oldest ends early.
const MOST_OPEN: usize = 256;

/// The made-up events that are open, the oldest first.
#[derive(Debug, Default)]
pub struct MadeUpEvents(VecDeque<(Instant, SoundEvent)>);

impl MadeUpEvents {
    /// Takes an event that began just now. Returns the one that ends early for it.
    pub fn begin(&mut self, event: SoundEvent, now: Instant) -> Option<SoundEvent> {
        let early = if self.0.len() >= MOST_OPEN { self.0.pop_front() } else { None };
        self.0.push_back((now + LASTS, event));
        early.map(|(_, event)| ended(event))
    }

    /// The time until the next one ends.
    pub fn left(&self, now: Instant) -> Option<Duration> {
        self.0.front().map(|(until, _)| until.saturating_duration_since(now))
    }

    /// The next event whose time is over; with `all` the next in any case.
    pub fn end(&mut self, now: Instant, all: bool) -> Option<SoundEvent> {
        let (until, _) = self.0.front()?;
        if *until > now && !all {
            return None;
        }
        self.0.pop_front().map(|(_, event)| ended(event))
    }
}

fn ended(event: SoundEvent) -> SoundEvent {
    SoundEvent { offset: event.onset.checked_add(LASTS).ok(), offset_uncertainty_ms: Some(0), ..event }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ends_after_a_second_and_the_oldest_early_where_there_are_too_many() {
        let (mut events, now) = (MadeUpEvents::default(), Instant::now());
        assert_eq!((events.left(now), events.end(now, false)), (None, None));
        assert_eq!(events.begin(SoundEvent::example(1, "Dog", "test"), now), None);
        assert_eq!((events.left(now), events.end(now, false)), (Some(LASTS), None));
        let ended = events.end(now + LASTS, false).unwrap();
        assert_eq!(ended.offset.unwrap().duration_since(ended.onset).as_secs_f64(), 1.0);
        for id in 0..MOST_OPEN as u128 {
            assert_eq!(events.begin(SoundEvent::example(id, "Dog", "test"), now), None);
        }
        let early = events.begin(SoundEvent::example(999, "Dog", "test"), now).unwrap();
        assert_eq!(early.id.as_u128(), 0);
        assert_eq!(std::iter::from_fn(|| events.end(now, true)).count(), MOST_OPEN);
    }
}
