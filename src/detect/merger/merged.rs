//! One event of the merger and its parts: which part names it, and which are named beside. It reports new names and further ones alone, and decides
//! neither when an event begins nor when it ends.

use super::Reporter;
use crate::detect::boundaries::Boundary;
use crate::detect::step::{EventSoFar, Step};
use crate::event::EndReason;
use crate::model::odds::log_odds;

/// The parts of an event for which there is room from the beginning.
const USUAL_PARTS: usize = 32;

/// One event and its parts.
#[derive(Debug, Clone)]
pub(super) struct MergedEvent {
    pub number: u64,
    /// When it was announced, as a sample index; `None` while it is kept back.
    pub told: Option<u64>,
    /// The rule that names it; `None` once its end was reported, or it ended in silence, while parts of it still go on.
    pub reported: Option<usize>,
    /// The rule that named it last.
    pub name: usize,
    pub parts: Vec<Part>,
    /// The other rules that heard the sound, without being sure enough for a part, each with whether it announces at once.
    pub beside: Vec<(usize, bool)>,
    /// The offset of the reported event, as a sample index.
    pub ended: u64,
    /// The duration of the reported event in samples.
    pub lasted: u64,
    /// Whether it was told that the sound is over for now.
    pub is_quiet: bool,
    /// Whether it has a label that was not told yet.
    pub has_news: bool,
}

/// The event that one rule found of the sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub rule: usize,
    pub number: u64,
    pub so_far: EventSoFar,
    /// Whether its rule announces at once.
    pub at_once: bool,
    pub end: Option<Step>,
}

impl Part {
    pub fn is(&self, rule: usize, number: u64) -> bool {
        self.rule == rule && self.number == number
    }

    /// Whether the confirmed score did not bear it out.
    pub fn is_refused(&self) -> bool {
        matches!(self.end, Some(Step::End { reason: EndReason::Unconfirmed, .. }))
    }

    /// Whether it goes on, and was not borne out yet.
    pub fn is_pending(&self) -> bool {
        self.end.is_none() && !self.so_far.is_confirmed
    }

    /// Whether it may name an event, and be named beside one.
    pub fn may_be_told(&self) -> bool {
        self.at_once || self.so_far.is_confirmed
    }

    /// How far its score exceeds its threshold, in log odds.
    fn sureness(&self) -> f32 {
        log_odds(self.so_far.peak_score) - log_odds(self.so_far.threshold)
    }
}

impl MergedEvent {
    /// An event of one part, which is kept back.
    pub fn new(part: Part) -> Self {
        Self::with(part, Vec::with_capacity(USUAL_PARTS), Vec::with_capacity(USUAL_PARTS))
    }

    /// Another event of one part, in the memory of this one, which is over.
    pub fn renewed(self, part: Part) -> Self {
        Self::with(part, self.parts, self.beside)
    }

    fn with(part: Part, mut parts: Vec<Part>, mut beside: Vec<(usize, bool)>) -> Self {
        parts.clear();
        parts.push(part);
        beside.clear();
        let (number, name) = (part.number, part.rule);
        Self {
            number,
            told: None,
            reported: Some(name),
            name,
            parts,
            beside,
            ended: 0,
            lasted: 0,
            is_quiet: false,
            has_news: false,
        }
    }

    /// The part that names the event, among those that may be told: the surest one that was not taken back, or the most specific
    /// one below it.
    pub fn surest(&self, above: &[Vec<usize>]) -> Option<Part> {
        let parts = || self.parts.iter().filter(|part| part.may_be_told());
        let surer = |a: &&Part, b: &&Part| a.sureness().total_cmp(&b.sureness());
        let borne_out = |part: &&Part| part.so_far.is_confirmed && !part.is_refused();
        let Some(best) = parts().filter(borne_out).max_by(surer) else {
            return parts().max_by_key(|part| above[part.rule].len()).copied();
        };
        let below = parts().filter(borne_out).filter(|part| above[part.rule].contains(&best.rule));
        below.max_by_key(|part| above[part.rule].len()).or(Some(best)).copied()
    }

    /// Whether every part of a rule was taken back.
    pub fn is_refused(&self, rule: usize) -> bool {
        self.parts.iter().filter(|part| part.rule == rule).all(Part::is_refused)
    }

    /// Gives the event the name of another part, and reports it where the event was announced.
    pub fn rename(&mut self, part: &Part, above: &[Vec<usize>], reporter: &mut Reporter) {
        self.reported = Some(part.rule);
        self.name = part.rule;
        if self.told.is_some() {
            let onset = self.parts.iter().find(|part| part.may_be_told()).map_or(part.so_far.onset, |first| first.so_far.onset);
            let so_far = self.heard(EventSoFar { onset, ..part.so_far }, above, reporter);
            reporter.report(part.rule, self.number, Step::Update(so_far), self.others(part));
        }
    }

    /// Reports the event that goes on once more, as it is now.
    pub fn tell_again(&mut self, above: &[Vec<usize>], reporter: &mut Reporter) {
        let naming = self.parts.iter().rfind(|part| self.reported == Some(part.rule) && part.may_be_told()).copied();
        if let Some(part) = naming {
            let so_far = self.heard(part.so_far, above, reporter);
            reporter.report(part.rule, self.number, Step::Update(so_far), self.others(&part));
        }
    }

    /// Takes note that it has a part that may be named beside its name. For those who wait for that label alone the next report is the start.
    pub fn note_beside(&mut self, part: &Part) {
        let is_known =
            self.parts.iter().any(|other| other.rule == part.rule && other.number != part.number && other.may_be_told());
        self.has_news |= !is_known;
    }

    /// The end of the sound so far as the part knows it that would name the event if it ended now; `None` while it lasts, and within
    /// a second after the announcement, so that nobody misses it.
    pub fn quiet_from(&self, above: &[Vec<usize>], reporter: &Reporter) -> Option<Boundary> {
        if self.told.is_none_or(|told| reporter.now < told + reporter.second) {
            return None;
        }
        let part = self.surest(above).filter(|part| part.so_far.is_confirmed && !part.is_refused())?;
        match part.end {
            Some(Step::End { offset, .. }) => Some(offset),
            _ => part.so_far.quiet_from,
        }
    }

    /// The state of a part as it is reported now, with the end of the sound so far.
    pub fn heard(&mut self, so_far: EventSoFar, above: &[Vec<usize>], reporter: &Reporter) -> EventSoFar {
        let quiet_from = self.quiet_from(above, reporter);
        (self.is_quiet, self.has_news) = (quiet_from.is_some(), false);
        EventSoFar { quiet_from, ..so_far }
    }

    /// Takes in a rule that heard the sound without being sure enough for a part.
    pub fn hear_beside(&mut self, rule: usize, at_once: bool) {
        if !self.beside.iter().any(|(other, _)| *other == rule) {
            self.beside.push((rule, at_once));
        }
    }

    /// The rules that are named beside `part`, which names the event that goes on.
    pub fn others(&self, part: &Part) -> Vec<usize> {
        self.named_beside(part, |_| true)
    }

    /// The rules that are named beside `part`, which names the event that has ended: those that were taken back are not, unless the
    /// whole event was.
    pub fn others_at_end(&self, part: &Part) -> Vec<usize> {
        self.named_beside(part, |other| !other.is_refused() || part.is_refused())
    }

    /// The rules of parts, and after them those that were only heard beside. One that is announced when confirmed is named only beside
    /// a name that is confirmed.
    fn named_beside(&self, part: &Part, is_wanted: impl Fn(&Part) -> bool) -> Vec<usize> {
        let is_sure = part.so_far.is_confirmed && !part.is_refused();
        let parts = self.parts.iter().filter(|other| other.may_be_told() && is_wanted(other)).map(|other| other.rule);
        let beside = self.beside.iter().filter(|(_, at_once)| *at_once || is_sure).map(|(rule, _)| *rule);
        let mut also = Vec::new();
        for rule in parts.chain(beside) {
            if rule != part.rule && !also.contains(&rule) {
                also.push(rule);
            }
        }
        also
    }
}
