//! A subscriber's filter as it follows events: whoever is told an event's start is told everything about it until its end, and whoever
//! was not is told a start as soon as the event passes.

use std::collections::HashSet;

use uuid::Uuid;

use super::filter::Filter;
use crate::event::Report;

/// A filter with the events that its subscriber knows as open.
#[derive(Debug, Default)]
pub struct Follower {
    filter: Filter,
    open: HashSet<Uuid>,
}

/// How a report passes a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It does not.
    No,
    /// As it is.
    AsItIs,
    /// As the start of the event, which passes for the first time.
    AsStart,
    /// As the start of the event, and then as it is: its end passes, and nothing of it did before.
    AsStartAndItself,
}

impl Follower {
    /// A follower who knows of no event.
    pub fn new(filter: Filter) -> Self {
        Self { filter, open: HashSet::new() }
    }

    /// How a report passes. Reports must come in their order.
    pub fn pass(&mut self, report: &Report) -> Passage {
        let (event, is_start, is_end) = match report {
            Report::EventStart(event) => (event, true, false),
            Report::EventUpdate(event) => (event, false, false),
            Report::EventEnd(event, _) => (event, false, true),
            Report::Clip(clip) if !self.filter.passes_clip(report, clip) => return Passage::No,
            _ => return if self.filter.passes_kind(report) { Passage::AsItIs } else { Passage::No },
        };
        // Where no event is left out for what it is, none needs to be followed.
        if !self.filter.judges_events() {
            return if self.filter.passes_kind(report) { Passage::AsItIs } else { Passage::No };
        }
        let is_known = if is_end { self.open.remove(&event.id) } else { self.open.contains(&event.id) };
        if !(is_known || self.filter.passes_source(report) && self.filter.passes_event(event)) {
            return Passage::No;
        }
        if !is_known && !is_end {
            self.open.insert(event.id);
        }
        let passes = |kind: &str| self.filter.passes_type(kind);
        match (is_known || is_start, is_end) {
            (true, _) => {
                if self.filter.passes_kind(report) {
                    Passage::AsItIs
                } else {
                    Passage::No
                }
            }
            (false, false) => {
                if passes("event.start") {
                    Passage::AsStart
                } else {
                    Passage::No
                }
            }
            (false, true) => match (passes("event.start"), passes("event.end")) {
                (true, true) => Passage::AsStartAndItself,
                (true, false) => Passage::AsStart,
                (false, true) => Passage::AsItIs,
                (false, false) => Passage::No,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EndReason, SoundEvent, Subject};

    fn event(label: &str) -> SoundEvent {
        SoundEvent::example(1, label, "hall")
    }

    fn follow(filter: Filter, reports: &[Report]) -> Vec<Passage> {
        let mut follower = Follower::new(filter);
        reports.iter().map(|report| follower.pass(report)).collect()
    }

    fn of(labels: &[&str]) -> Filter {
        Filter { labels: labels.iter().map(|label| (*label).to_owned()).collect(), ..Filter::default() }
    }

    #[test]
    fn an_event_that_becomes_one_of_the_wanted_ones_begins_then() {
        let bell = SoundEvent { also: vec![Subject::example("Telephone")], ..event("Bell") };
        let reports = [
            Report::EventStart(event("Alarm")),
            Report::EventUpdate(event("Alarm")),
            Report::EventUpdate(bell.clone()),
            Report::EventUpdate(bell.clone()),
            // It is told to its end, whatever it is called then.
            Report::EventEnd(event("Alarm"), EndReason::Decay),
        ];
        let expected = [Passage::No, Passage::No, Passage::AsStart, Passage::AsItIs, Passage::AsItIs];
        assert_eq!(follow(of(&["Telephone"]), &reports), expected);
        // Without a filter for what events are, everything is as it is.
        assert_eq!(follow(Filter::default(), &reports), [Passage::AsItIs; 5]);
    }

    #[test]
    fn an_event_that_is_wanted_only_at_its_end_has_a_start_as_well() {
        let reports = [Report::EventStart(event("Animal")), Report::EventEnd(event("Dog"), EndReason::Decay)];
        assert_eq!(follow(of(&["Dog"]), &reports), [Passage::No, Passage::AsStartAndItself]);
        let starts = Filter { types: vec!["event.start".to_owned()], ..of(&["Dog"]) };
        assert_eq!(follow(starts, &reports), [Passage::No, Passage::AsStart]);
    }

    #[test]
    fn whoever_wants_what_is_confirmed_is_told_no_start_before() {
        let filter = Filter { confirmed: true, ..Filter::default() };
        let confirmed = SoundEvent { is_confirmed: true, ..event("Dog") };
        let reports = [Report::EventStart(event("Dog")), Report::EventUpdate(confirmed.clone())];
        assert_eq!(follow(filter.clone(), &reports), [Passage::No, Passage::AsStart]);
        let refused = [Report::EventStart(event("Dog")), Report::EventEnd(event("Dog"), EndReason::Unconfirmed)];
        assert_eq!(follow(filter.clone(), &refused), [Passage::No, Passage::No]);
        assert_eq!(follow(filter, &[Report::EventStart(confirmed)]), [Passage::AsItIs]);
    }
}
