//! Tracks the open events by the reports of the hub, and with them the labels that are heard now.
//!
//! An event may have several labels: a bark is also a dog, and while it lasts, both are heard. Nothing here sends messages or
//! reads a clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::inventory::Inventory;
use crate::analysis::query::SourceTop;
use crate::event::{Report, Subject};

/// The source of made-up events. They count for every source, so that a user can try an automation.
const MADE_UP: &str = "test";

/// The events that are open.
#[derive(Debug, Default)]
pub struct OpenSounds {
    sounds: HashMap<Uuid, OpenSound>,
}

#[derive(Debug, PartialEq, Eq)]
struct OpenSound {
    source: Arc<str>,
    /// The event's own label and the others that the sound is heard as.
    subjects: Vec<Arc<Subject>>,
}

impl OpenSound {
    fn new(source: &Arc<str>, subject: &Arc<Subject>, also: &[Arc<Subject>]) -> Self {
        Self { source: source.clone(), subjects: [subject].into_iter().chain(also).cloned().collect() }
    }
}

impl OpenSounds {
    /// Takes a report into account. Returns the labels whose state an event may have changed. Any other report may have changed
    /// the states of all labels.
    pub fn take(&mut self, report: &Report) -> Vec<Arc<Subject>> {
        let mut changed = Vec::new();
        let before = match report {
            Report::EventStart(event) | Report::EventUpdate(event) => {
                let sound = OpenSound::new(&event.source, &event.subject, &event.also);
                changed.clone_from(&sound.subjects);
                self.sounds.insert(event.id, sound)
            }
            Report::EventEnd(event, _) => self.sounds.remove(&event.id),
            Report::SourceLost { source, .. } => {
                self.sounds.retain(|_, sound| sound.source != *source);
                None
            }
            Report::Paused(_) => {
                self.sounds.clear();
                None
            }
            _ => None,
        };
        changed.extend(before.into_iter().flat_map(|sound| sound.subjects));
        changed
    }

    /// Replaces all open events by those that the analysis says are open now.
    pub fn replace(&mut self, tops: &[SourceTop]) {
        let open = tops.iter().flat_map(|top| top.open.iter().map(move |event| (top, event)));
        self.sounds = open.map(|(top, event)| (event.id, OpenSound::new(&top.source, &event.subject, &event.also))).collect();
    }

    /// Forgets all open events.
    pub fn clear(&mut self) {
        self.sounds.clear();
    }

    /// The display names of the labels that are heard at a source.
    pub fn names<'s>(&'s self, source: &str, inventory: &Inventory) -> BTreeSet<&'s str> {
        let here = self.sounds.values().filter(|open| sources_of(&open.source, inventory).contains(&source));
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

    fn heard(open: &OpenSounds, source: &str) -> Vec<String> {
        open.names(source, &inventory()).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_label_is_heard_until_its_last_event_ends() {
        let mut open = OpenSounds::default();
        open.take(&Report::EventStart(event(1, "kitchen", "Dog", &[])));
        open.take(&Report::EventStart(event(2, "kitchen", "Bark", &["Dog", "Animal"])));
        assert_eq!(heard(&open, "kitchen"), ["Animal", "Bark", "Dog"]);
        assert!(heard(&open, "porch").is_empty());
        open.take(&Report::EventEnd(event(1, "kitchen", "Dog", &[]), EndReason::Decay));
        assert_eq!(heard(&open, "kitchen"), ["Animal", "Bark", "Dog"]);
        open.take(&Report::EventEnd(event(2, "kitchen", "Bark", &[]), EndReason::Decay));
        assert!(heard(&open, "kitchen").is_empty());
    }

    #[test]
    fn an_event_that_is_named_more_exactly_is_no_longer_what_it_was() {
        let mut open = OpenSounds::default();
        open.take(&Report::EventStart(event(1, "kitchen", "Animal", &[])));
        let changed = open.take(&Report::EventUpdate(event(1, "kitchen", "Cat", &[])));
        assert_eq!(heard(&open, "kitchen"), ["Cat"]);
        assert_eq!(changed.iter().map(|subject| &*subject.name).collect::<Vec<_>>(), ["Cat", "Animal"]);
    }

    #[test]
    fn a_lost_source_and_a_pause_leave_nothing_heard() {
        let mut open = OpenSounds::default();
        open.take(&Report::EventStart(event(1, "kitchen", "Dog", &[])));
        open.take(&Report::EventStart(event(2, "porch", "Dog", &[])));
        open.take(&Report::SourceLost { source: "kitchen".into(), reason: String::new() });
        assert!(heard(&open, "kitchen").is_empty() && heard(&open, "porch") == ["Dog"]);
        open.take(&Report::Paused(Pause { reason: PauseReason::Request, until: None }));
        assert!(heard(&open, "porch").is_empty());
    }

    #[test]
    fn a_made_up_event_counts_for_every_source() {
        let mut open = OpenSounds::default();
        assert_eq!(sources_of("test", &inventory()), ["kitchen", "porch"]);
        open.take(&Report::EventStart(event(1, "test", "Dog", &[])));
        assert!(heard(&open, "kitchen") == ["Dog"] && heard(&open, "porch") == ["Dog"]);
    }
}
