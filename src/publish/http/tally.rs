//! Counts events by label, source and outcome, as a subscriber of the hub. The counts only grow, as Prometheus requires: an event is
//! counted once, when it is confirmed or when it ends without that. The same subscription feeds `recent`. Nothing is counted while
//! the sink is off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use super::api::Api;
use crate::event::{Report, SoundEvent};
use crate::publish::filter::Filter;
use crate::publish::hub::Delivery;

/// The most counted events that are remembered while they are open. Beyond that the oldest is forgotten.
const MOST_OPEN: usize = 4_096;

/// Whether an event was borne out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was.
    Confirmed,
    /// It ended without that.
    Unconfirmed,
}

impl Outcome {
    /// Both outcomes.
    pub const ALL: [Self; 2] = [Self::Confirmed, Self::Unconfirmed];

    /// The word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

/// A label's slug, a source's name and the outcome.
type Key = (String, String, Outcome);

/// The number of events since the sink's start. Its size is bounded by the labels of the model and the configuration.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    events: BTreeMap<Key, u64>,
    /// The open events that are counted already.
    counted: BTreeSet<Uuid>,
}

impl Tally {
    /// The counts so far.
    pub fn all(&self) -> BTreeMap<Key, u64> {
        self.lock().events.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a report into account.
    fn hear(&self, report: &Report) {
        match report {
            Report::EventStart(event) | Report::EventUpdate(event) if event.is_confirmed => {
                let mut counts = self.lock();
                if counts.counted.insert(event.id) {
                    counts.add(event, Outcome::Confirmed);
                }
                if counts.counted.len() > MOST_OPEN {
                    counts.counted.pop_first();
                }
            }
            Report::EventEnd(event, _) => {
                let mut counts = self.lock();
                if !counts.counted.remove(&event.id) {
                    counts.add(event, if event.is_confirmed { Outcome::Confirmed } else { Outcome::Unconfirmed });
                }
            }
            _ => {}
        }
    }
}

impl Counts {
    fn add(&mut self, event: &SoundEvent, outcome: Outcome) {
        let key = (event.subject.slug.clone(), event.source.to_string(), outcome);
        *self.events.entry(key).or_default() += 1;
    }
}

/// Counts until the hub is gone.
pub async fn count(api: &Api) {
    let (mut subscription, _) = api.shared.hub.connect();
    subscription.subscribe(Filter { types: vec!["event".to_owned()], ..Filter::default() }, None, None);
    while let Some(delivery) = subscription.next().await {
        let Delivery::Published(published) = delivery else { continue };
        api.tally.hear(&published.report);
        api.recent.hear(&published.report, Timestamp::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EndReason;

    #[test]
    fn an_event_is_counted_once_by_its_outcome_and_the_label_that_it_had_then() {
        let tally = Tally::default();
        let animal = SoundEvent::example(1, "Animal", "hall");
        let dog = SoundEvent { is_confirmed: true, ..SoundEvent::example(1, "Dog", "hall") };
        let cat = SoundEvent::example(2, "Cat", "hall");
        for report in [
            Report::EventStart(animal),
            Report::EventStart(cat.clone()),
            Report::EventUpdate(dog.clone()),
            Report::EventUpdate(dog.clone()),
            Report::EventEnd(dog, EndReason::Decay),
            Report::EventEnd(cat, EndReason::Unconfirmed),
        ] {
            tally.hear(&report);
        }
        let counted = |label: &str, outcome| ((label.to_owned(), "hall".to_owned(), outcome), 1);
        let expected = [counted("cat", Outcome::Unconfirmed), counted("dog", Outcome::Confirmed)];
        assert_eq!(tally.all().into_iter().collect::<Vec<_>>(), expected);
        assert!(tally.lock().counted.is_empty());
    }
}
