//! Tracks the open events by the reports of the hub, and with them the labels that are heard now.
//!
//! An event may have several labels: a bark is also a dog, and while it lasts, both are heard. Nothing here sends messages or
//! reads a clock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::inventory::Inventory;
use crate::analysis::query::{OpenEvent, SourceTop};
use crate::event::{Report, SoundEvent, Subject};

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
    is_confirmed: bool,
    /// Whether its sound is over for now: the event is open in case it goes on.
    is_quiet: bool,
    /// The subjects that were not told of before it was over. They are heard until the next report all the same, so that a sound that is
    /// recognised late turns its sensor on.
    late: Vec<Arc<Subject>>,
}

/// The effect of a report on the open events.
#[derive(Debug, Default)]
pub struct Change {
    /// The labels whose state it may have changed.
    pub subjects: Vec<Arc<Subject>>,
    /// Whether an event began, was confirmed, or has another name, which is more than a new peak.
    pub is_news: bool,
    /// Whether the sound of an open event fell silent, is heard again, or has a further label.
    pub is_turn: bool,
}

impl OpenSound {
    fn new(event: &SoundEvent, before: Option<&Self>) -> Self {
        let subjects: Vec<_> = [&event.subject].into_iter().chain(&event.also).cloned().collect();
        let is_quiet = event.offset.is_some();
        let is_late = |subject: &&Arc<Subject>| is_quiet && !before.is_some_and(|before| before.subjects.contains(subject));
        let late = subjects.iter().filter(is_late).cloned().collect();
        Self { source: event.source.clone(), subjects, is_confirmed: event.is_confirmed, is_quiet, late }
    }

    /// The subjects that are heard just now.
    fn heard(&self) -> &[Arc<Subject>] {
        if self.is_quiet { &self.late } else { &self.subjects }
    }
}

impl OpenSounds {
    /// Takes a report into account. A report that is none of an event may have changed the states of all labels.
    pub fn take(&mut self, report: &Report) -> Change {
        let mut change = Change::default();
        let before = match report {
            Report::EventStart(event) | Report::EventUpdate(event) => {
                let before = self.sounds.remove(&event.id);
                let sound = OpenSound::new(event, before.as_ref());
                change.subjects.clone_from(&sound.subjects);
                let name = sound.subjects.first().cloned();
                self.sounds.insert(event.id, sound);
                let is_same =
                    |before: &OpenSound| before.subjects.first() == name.as_ref() && before.is_confirmed == event.is_confirmed;
                let is_new = |before: &OpenSound| change.subjects.iter().any(|subject| !before.subjects.contains(subject));
                let is_turn = |before: &OpenSound| before.is_quiet != event.offset.is_some() || is_new(before);
                change.is_turn = before.as_ref().is_some_and(is_turn);
                change.is_news = matches!(report, Report::EventStart(_)) || !before.as_ref().is_some_and(is_same);
                before
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
        change.subjects.extend(before.into_iter().flat_map(|sound| sound.subjects));
        change
    }

    /// Replaces all open events by those that the analysis says are open now.
    pub fn replace(&mut self, tops: &[SourceTop]) {
        let open = tops.iter().flat_map(|top| top.open.iter().map(move |event| (top, event)));
        let sound = |source: &Arc<str>, event: &OpenEvent| OpenSound {
            source: source.clone(),
            subjects: [&event.subject].into_iter().chain(&event.also).cloned().collect(),
            is_confirmed: event.is_confirmed,
            is_quiet: event.is_quiet,
            late: Vec::new(),
        };
        self.sounds = open.map(|(top, event)| (event.id, sound(&top.source, event))).collect();
    }

    /// Forgets all open events.
    pub fn clear(&mut self) {
        self.sounds.clear();
    }

    /// The display names of the labels that are heard at a source.
    pub fn names<'s>(&'s self, source: &str, inventory: &Inventory) -> BTreeSet<&'s str> {
        let here = self.sounds.values().filter(|open| sources_of(&open.source, inventory).contains(&source));
        here.flat_map(|open| open.heard().iter().map(|subject| &*subject.name)).collect()
    }
}

/// The sources that an event of `source` counts for.
pub fn sources_of<'i>(source: &'i str, inventory: &'i Inventory) -> Vec<&'i str> {
    if source != MADE_UP || inventory.has_source(source) {
        return vec![source];
    }
    inventory.sources.iter().map(|source| source.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    use crate::event::{EndReason, Pause, PauseReason};
    use crate::publish::mqtt::inventory::KnownSource;

    fn event(id: u128, source: &str, label: &str, also: &[&str]) -> SoundEvent {
        let also = also.iter().map(|name| Subject::example(name)).collect();
        SoundEvent { also, ..SoundEvent::example(id, label, source) }
    }

    fn inventory() -> Inventory {
        let sources = ["kitchen", "porch"].map(|name| KnownSource { name: name.to_owned(), area: None });
        Inventory { sources: sources.into(), ..Inventory::default() }
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
        assert!(changed.is_news);
        assert_eq!(changed.subjects.iter().map(|subject| &*subject.name).collect::<Vec<_>>(), ["Cat", "Animal"]);
    }

    #[test]
    fn a_start_and_a_confirmation_are_news_and_a_higher_peak_is_none() {
        let mut open = OpenSounds::default();
        let dog = || event(1, "kitchen", "Dog", &[]);
        assert!(open.take(&Report::EventStart(dog())).is_news);
        assert!(!open.take(&Report::EventUpdate(SoundEvent { peak_score: 0.9, ..dog() })).is_news);
        assert!(open.take(&Report::EventUpdate(SoundEvent { is_confirmed: true, ..dog() })).is_news);
        assert!(!open.take(&Report::EventUpdate(SoundEvent { is_confirmed: true, ..dog() })).is_news);
    }

    #[test]
    fn a_sound_that_is_over_for_now_is_not_heard_until_it_goes_on() {
        let mut open = OpenSounds::default();
        let dog = || event(1, "kitchen", "Dog", &["Animal"]);
        open.take(&Report::EventStart(dog()));
        let quiet = open.take(&Report::EventUpdate(SoundEvent { offset: Some(Timestamp::UNIX_EPOCH), ..dog() }));
        assert!(heard(&open, "kitchen").is_empty() && quiet.is_turn && !quiet.is_news);
        let again = open.take(&Report::EventUpdate(dog()));
        assert!(heard(&open, "kitchen") == ["Animal", "Dog"] && again.is_turn && !again.is_news);
        assert!(!open.take(&Report::EventUpdate(dog())).is_turn);
    }

    #[test]
    fn a_sound_that_is_recognised_once_it_is_over_is_heard_until_the_next_report() {
        let mut open = OpenSounds::default();
        let over = |also: &[&str]| SoundEvent { offset: Some(Timestamp::UNIX_EPOCH), ..event(1, "kitchen", "Beep", also) };
        open.take(&Report::EventStart(event(1, "kitchen", "Beep", &[])));
        assert!(open.take(&Report::EventUpdate(over(&["Smoke alarm"]))).is_turn);
        assert_eq!(heard(&open, "kitchen"), ["Smoke alarm"]);
        assert!(open.take(&Report::EventUpdate(over(&["Smoke alarm", "Alarm"]))).is_turn);
        assert_eq!(heard(&open, "kitchen"), ["Alarm"]);
        open.take(&Report::EventEnd(over(&["Smoke alarm", "Alarm"]), EndReason::Decay));
        assert!(heard(&open, "kitchen").is_empty());
        // An event may begin so.
        open.take(&Report::EventStart(over(&[])));
        assert_eq!(heard(&open, "kitchen"), ["Beep"]);
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
