//! Which labels are heard just now: the events that are open, by the lines of the hub.
//!
//! A bark is also a dog: while it lasts, both are heard. Nothing here is sent or timed.

use std::collections::{BTreeSet, HashMap};

use super::inventory::Inventory;
use crate::publish::wire::{Body, Event, Top};

/// What made-up events carry as their source; they count for every source, so that automations can be tried.
const MADE_UP: &str = "test";

/// The events that are open.
#[derive(Debug, Default)]
pub struct States {
    open: HashMap<String, Open>,
}

#[derive(Debug, PartialEq, Eq)]
struct Open {
    source: String,
    /// The display names that it is heard under.
    names: BTreeSet<String>,
}

impl States {
    /// Takes what a line says.
    pub fn hear(&mut self, body: &Body) {
        match body {
            Body::EventStart { event, .. } | Body::EventUpdate { event, .. } => {
                let names = [&event.label].into_iter().chain(&event.also).cloned().collect();
                self.open.insert(event.id.clone(), Open { source: event.source.clone(), names });
            }
            Body::EventEnd { event, .. } => drop(self.open.remove(&event.id)),
            Body::SourceLost { source, .. } => self.open.retain(|_, open| open.source != *source),
            Body::Paused { .. } => self.open.clear(),
            _ => {}
        }
    }

    /// Takes all that is open from an answer to `top`.
    pub fn replace(&mut self, tops: &[Top]) {
        let open = tops.iter().flat_map(|top| top.open.iter().map(move |event| (top, event)));
        let entry = |(top, event): (&Top, &crate::publish::wire::OpenEvent)| {
            let names = [&event.label].into_iter().chain(&event.also).cloned().collect();
            (event.id.clone(), Open { source: top.source.clone(), names })
        };
        self.open = open.map(entry).collect();
    }

    /// Nothing is heard any more.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// The display names that are heard at a source.
    pub fn heard<'s>(&'s self, source: &str, inventory: &Inventory) -> BTreeSet<&'s str> {
        let here = self.open.values().filter(|open| sources_of(&open.source, inventory).contains(&source));
        here.flat_map(|open| open.names.iter().map(String::as_str)).collect()
    }
}

/// The sources that an event counts for.
pub fn sources<'i>(event: &'i Event, inventory: &'i Inventory) -> Vec<&'i str> {
    sources_of(&event.source, inventory)
}

fn sources_of<'i>(source: &'i str, inventory: &'i Inventory) -> Vec<&'i str> {
    let is_known = inventory.sources.iter().any(|known| known == source);
    if source == MADE_UP && !is_known { inventory.sources.iter().map(String::as_str).collect() } else { vec![source] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, source: &str, label: &str, also: &[&str]) -> Event {
        Event {
            id: id.to_owned(),
            label: label.to_owned(),
            slug: String::new(),
            mid: None,
            source: source.to_owned(),
            onset: String::new(),
            offset: None,
            duration_ms: None,
            score: 0.5,
            peak_score: 0.5,
            threshold: 0.1,
            level_dbfs: -20.0,
            onset_uncertainty_ms: 0,
            offset_uncertainty_ms: None,
            also: also.iter().map(|name| (*name).to_owned()).collect(),
            reason: None,
        }
    }

    fn start(event: Event) -> Body {
        Body::EventStart { event, latency_ms: 0 }
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
        states.hear(&start(event("1", "kitchen", "Dog", &[])));
        states.hear(&start(event("2", "kitchen", "Bark", &["Dog", "Animal"])));
        assert_eq!(heard(&states, "kitchen"), ["Animal", "Bark", "Dog"]);
        assert!(heard(&states, "porch").is_empty());
        states.hear(&Body::EventEnd { event: event("1", "kitchen", "Dog", &[]), latency_ms: 0 });
        assert_eq!(heard(&states, "kitchen"), ["Animal", "Bark", "Dog"]);
        states.hear(&Body::EventEnd { event: event("2", "kitchen", "Bark", &[]), latency_ms: 0 });
        assert!(heard(&states, "kitchen").is_empty());
    }

    #[test]
    fn an_event_that_is_named_more_exactly_is_no_longer_what_it_was() {
        let mut states = States::default();
        states.hear(&start(event("1", "kitchen", "Animal", &[])));
        states.hear(&Body::EventUpdate { event: event("1", "kitchen", "Cat", &[]), latency_ms: 0 });
        assert_eq!(heard(&states, "kitchen"), ["Cat"]);
    }

    #[test]
    fn a_lost_source_and_a_pause_leave_nothing_heard() {
        let mut states = States::default();
        states.hear(&start(event("1", "kitchen", "Dog", &[])));
        states.hear(&start(event("2", "porch", "Dog", &[])));
        states.hear(&Body::SourceLost { source: "kitchen".to_owned(), reason: String::new() });
        assert!(heard(&states, "kitchen").is_empty() && heard(&states, "porch") == ["Dog"]);
        states.hear(&Body::Paused { reason: "request".to_owned(), until: None });
        assert!(heard(&states, "porch").is_empty());
    }

    #[test]
    fn a_made_up_event_counts_for_every_source() {
        let mut states = States::default();
        let made_up = event("1", "test", "Dog", &[]);
        assert_eq!(sources(&made_up, &inventory()), ["kitchen", "porch"]);
        states.hear(&start(made_up));
        assert!(heard(&states, "kitchen") == ["Dog"] && heard(&states, "porch") == ["Dog"]);
    }
}
