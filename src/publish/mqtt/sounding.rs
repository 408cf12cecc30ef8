//! Which labels are heard just now: the events that are open, by the lines of the hub.
//!
//! A bark is also a dog: while it lasts, both are heard. Nothing here is sent or timed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::inventory::Inventory;
use crate::control::SourceTop;
use crate::event::{Report, Subject};

/// What made-up events carry as their source; they count for every source, so that automations can be tried.
const MADE_UP: &str = "test";

/// The events that are open.
#[derive(Debug, Default)]
pub struct States {
    open: HashMap<Uuid, OpenSound>,
}

#[derive(Debug, PartialEq, Eq)]
struct OpenSound {
    source: Arc<str>,
    /// All that it is heard as.
    subjects: Vec<Arc<Subject>>,
}

impl OpenSound {
    fn new(source: &Arc<str>, subject: &Arc<Subject>, also: &[Arc<Subject>]) -> Self {
        Self { source: source.clone(), subjects: [subject].into_iter().chain(also).cloned().collect() }
    }
}

impl States {
    /// Takes a report.
    pub fn hear(&mut self, report: &Report) {
        match report {
            Report::EventStart(event) | Report::EventUpdate(event) => {
                self.open.insert(event.id, OpenSound::new(&event.source, &event.subject, &event.also));
            }
            Report::EventEnd(event, _) => drop(self.open.remove(&event.id)),
            Report::SourceLost { source, .. } => self.open.retain(|_, open| open.source != *source),
            Report::Paused(_) => self.open.clear(),
            _ => {}
        }
    }

    /// Takes all that is open just now in the place of what was open by the reports.
    pub fn replace(&mut self, tops: &[SourceTop]) {
        let open = tops.iter().flat_map(|top| top.open.iter().map(move |event| (top, event)));
        self.open = open.map(|(top, event)| (event.id, OpenSound::new(&top.source, &event.subject, &event.also))).collect();
    }

    /// Nothing is heard any more.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// The display names that are heard at a source.
    pub fn heard<'s>(&'s self, source: &str, inventory: &Inventory) -> BTreeSet<&'s str> {
        let here = self.open.values().filter(|open| sources_of(&open.source, inventory).contains(&source));
        here.flat_map(|open| open.subjects.iter().map(|subject| &*subject.name)).collect()
    }
}

/// The sources that an event of `source` counts for.
pub fn sources_of<'i>(source: &'i str, inventory: &'i Inventory) -> Vec<&'i str> {
    let is_known = inventory.sources.iter().any(|known| known == source);
    if source == MADE_UP && !is_known { inventory.sources.iter().map(String::as_str).collect() } else { vec![source] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EndReason, Pause, PauseReason, SoundEvent};

    fn event(id: u128, source: &str, label: &str, also: &[&str]) -> SoundEvent {
        let also = also.iter().map(|name| Subject::example(name)).collect();
        SoundEvent { also, ..SoundEvent::example(id, label, source) }
    }

    fn inventory() -> Inventory {
        Inventory { sources: vec!["kitchen".to_owned(), "porch".to_owned()], ..Inventory::default() }
    }

    fn heard(states: &States, source: &str) -> Vec<String> {
        states.heard(source, &inventory()).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_label_is_heard_until_its_last_event_ends() {
        let mut states = States::default();
        states.hear(&Report::EventStart(event(1, "kitchen", "Dog", &[])));
        states.hear(&Report::EventStart(event(2, "kitchen", "Bark", &["Dog", "Animal"])));
        assert_eq!(heard(&states, "kitchen"), ["Animal", "Bark", "Dog"]);
        assert!(heard(&states, "porch").is_empty());
        states.hear(&Report::EventEnd(event(1, "kitchen", "Dog", &[]), EndReason::Decay));
        assert_eq!(heard(&states, "kitchen"), ["Animal", "Bark", "Dog"]);
        states.hear(&Report::EventEnd(event(2, "kitchen", "Bark", &[]), EndReason::Decay));
        assert!(heard(&states, "kitchen").is_empty());
    }

    #[test]
    fn an_event_that_is_named_more_exactly_is_no_longer_what_it_was() {
        let mut states = States::default();
        states.hear(&Report::EventStart(event(1, "kitchen", "Animal", &[])));
        states.hear(&Report::EventUpdate(event(1, "kitchen", "Cat", &[])));
        assert_eq!(heard(&states, "kitchen"), ["Cat"]);
    }

    #[test]
    fn a_lost_source_and_a_pause_leave_nothing_heard() {
        let mut states = States::default();
        states.hear(&Report::EventStart(event(1, "kitchen", "Dog", &[])));
        states.hear(&Report::EventStart(event(2, "porch", "Dog", &[])));
        states.hear(&Report::SourceLost { source: "kitchen".into(), reason: String::new() });
        assert!(heard(&states, "kitchen").is_empty() && heard(&states, "porch") == ["Dog"]);
        states.hear(&Report::Paused(Pause { reason: PauseReason::Request, until: None }));
        assert!(heard(&states, "porch").is_empty());
    }

    #[test]
    fn a_made_up_event_counts_for_every_source() {
        let mut states = States::default();
        assert_eq!(sources_of("test", &inventory()), ["kitchen", "porch"]);
        states.hear(&Report::EventStart(event(1, "test", "Dog", &[])));
        assert!(heard(&states, "kitchen") == ["Dog"] && heard(&states, "porch") == ["Dog"]);
    }
}
