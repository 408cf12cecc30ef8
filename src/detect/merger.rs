//! One event of what is one sound: Bark, Dog, Animal and Domestic animals at once are told as Bark, and also the others.
//!
//! Rules are kin where every label of one is the other's own, above it or below it in the ontology. The event has the name of its
//! most specific kin that is sure; a parent that lasts long after its child is told by itself. Without hierarchy everything passes
//! as it is.

use super::Detection;
use super::level::LevelMeter;
use super::step::{EventSoFar, Step};
use crate::detect::rule::Rule;
use crate::event::EndReason;
use crate::model::hierarchy::LabelHierarchy;

/// A parent that goes on for so long after its child, or for as long again as the child lasted, is an event of its own, in seconds.
const LONGER_S: u64 = 6;

/// Whether the rule `low` is below the rule `high`.
fn is_below(low: &Rule, high: &Rule, hierarchy: &LabelHierarchy) -> bool {
    low.members != high.members && hierarchy.covers(&high.members, &low.members)
}

/// The open events of one source, kin with kin.
#[derive(Debug)]
pub struct EventMerger {
    /// For each rule, the rules above it.
    above: Vec<Vec<usize>>,
    open: Vec<MergedEvent>,
    longer: u64,
}

/// One told event and what is part of it.
#[derive(Debug, Clone)]
struct MergedEvent {
    number: u64,
    /// The rule under whose name it was told last; `None` once its end was told, while parts of it still go on.
    told: Option<usize>,
    parts: Vec<Part>,
    /// Where the event that was told ended, as a sample index.
    ended: u64,
    /// How long it lasted, in samples.
    lasted: u64,
}

/// What one rule heard of an event.
#[derive(Debug, Clone, Copy)]
struct Part {
    rule: usize,
    number: u64,
    heard: EventSoFar,
    end: Option<Step>,
}

impl EventMerger {
    /// No open event yet; times are counted at `sample_rate_hz`.
    pub fn new(sample_rate_hz: u32) -> Self {
        Self { above: Vec::new(), open: Vec::new(), longer: LONGER_S * u64::from(sample_rate_hz) }
    }

    /// Learns how the rules are related; rules that are not to be merged have no kin.
    pub fn set_rules(&mut self, rules: &[Rule], hierarchy: &LabelHierarchy) {
        let above = |low: &Rule| {
            let kin = rules.iter().enumerate().filter(|(_, high)| low.merge && high.merge && is_below(low, high, hierarchy));
            kin.map(|(index, _)| index).collect()
        };
        self.above = rules.iter().map(above).collect();
    }

    /// After a change of the rules: each new rule goes on with the events of the old one that it continues.
    pub fn replace_rules(&mut self, kept: &[Option<usize>]) {
        let renamed = |old: usize| kept.iter().position(|kept| *kept == Some(old));
        self.open.retain_mut(|event| {
            event.parts.retain_mut(|part| renamed(part.rule).map(|new| part.rule = new).is_some());
            event.told = event.told.and_then(renamed);
            !event.parts.is_empty()
        });
    }

    /// Takes the steps of the trackers at the sample index `now`, and appends what is told of them to `found`.
    pub fn relate(
        &mut self,
        now: u64,
        steps: impl Iterator<Item = (usize, u64, Step)>,
        meter: &LevelMeter,
        found: &mut Vec<Detection>,
    ) {
        for (rule, number, step) in steps {
            match step {
                Step::Start(heard) => self.start(rule, number, heard, now, meter, found),
                Step::Update(heard) => self.update(rule, number, heard, now, meter, found),
                Step::End { heard, .. } => self.end(rule, number, heard, step, now, meter, found),
            }
        }
        self.let_go_of_the_long(now, meter, found);
    }

    /// Tells the ends of what is still open; every part must have ended.
    pub fn finish(&mut self, now: u64, meter: &LevelMeter, found: &mut Vec<Detection>) {
        for event in 0..self.open.len() {
            self.conclude(event, now, meter, found);
        }
        self.open.clear();
    }

    /// The rule under whose name a part of an open event is told, and the event's number; `None` where its end was told already, or
    /// there is no such part.
    pub fn told_as(&self, rule: usize, number: u64) -> Option<(usize, u64)> {
        let is_part = |part: &Part| part.rule == rule && part.number == number;
        let event = self.open.iter().find(|event| event.parts.iter().any(is_part))?;
        Some((event.told?, event.number))
    }

    fn are_kin(&self, a: usize, b: usize) -> bool {
        self.above[a].contains(&b) || self.above[b].contains(&a)
    }

    fn start(&mut self, rule: usize, number: u64, heard: EventSoFar, now: u64, meter: &LevelMeter, found: &mut Vec<Detection>) {
        let part = Part { rule, number, heard, end: None };
        let kin = self.open.iter().position(|event| {
            event.told.is_some() && event.parts.iter().all(|other| self.are_kin(rule, other.rule) && other.end.is_none())
        });
        let Some(at) = kin else {
            self.open.push(MergedEvent { number, told: Some(rule), parts: vec![part], ended: 0, lasted: 0 });
            found.push(detection(rule, number, Step::Start(heard), now, meter, Vec::new()));
            return;
        };
        self.open[at].parts.push(part);
        let told = self.open[at].told;
        if told.is_some_and(|told| self.above[rule].contains(&told)) {
            // A more specific name for what was told already.
            let event = &mut self.open[at];
            event.told = Some(rule);
            let onset = event.parts[0].heard.onset;
            let also = others(event, rule);
            found.push(detection(rule, event.number, Step::Update(EventSoFar { onset, ..heard }), now, meter, also));
        }
    }

    fn update(&mut self, rule: usize, number: u64, heard: EventSoFar, now: u64, meter: &LevelMeter, found: &mut Vec<Detection>) {
        let Some((event, part)) = self.find(rule, number) else { return };
        event.parts[part].heard = heard;
        if event.told == Some(rule) {
            let also = others(event, rule);
            let number = event.number;
            found.push(detection(rule, number, Step::Update(heard), now, meter, also));
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one step")]
    fn end(
        &mut self,
        rule: usize,
        number: u64,
        heard: EventSoFar,
        step: Step,
        now: u64,
        meter: &LevelMeter,
        found: &mut Vec<Detection>,
    ) {
        let Some(at) =
            self.open.iter().position(|event| event.parts.iter().any(|part| part.rule == rule && part.number == number))
        else {
            return;
        };
        for part in self.open[at].parts.iter_mut().filter(|part| part.rule == rule && part.number == number) {
            part.heard = heard;
            part.end = Some(step);
        }
        self.conclude(at, now, meter, found);
        if self.open[at].parts.iter().all(|part| part.end.is_some()) {
            self.open.remove(at);
        }
    }

    /// Tells the end of an event if its most specific part that was not refused has ended.
    fn conclude(&mut self, at: usize, now: u64, meter: &LevelMeter, found: &mut Vec<Detection>) {
        let above = &self.above;
        let event = &mut self.open[at];
        if event.told.is_none() {
            return;
        }
        let refused = |part: &Part| matches!(part.end, Some(Step::End { reason: EndReason::Unconfirmed, .. }));
        let depth = |part: &&Part| above[part.rule].len();
        let sure = event.parts.iter().filter(|part| !refused(part)).max_by_key(depth);
        let Some(part) = sure.or_else(|| event.parts.iter().max_by_key(depth)).copied() else { return };
        let Some(step) = part.end else { return };
        let also = event.parts.iter().filter(|other| other.rule != part.rule && (!refused(other) || refused(&part)));
        let also = also.map(|other| other.rule).collect();
        let announced = event.parts.iter().map(|part| part.heard.announced).min().unwrap_or(now);
        let step = match step {
            Step::End { heard, offset, reason } => {
                event.ended = offset.at;
                event.lasted = offset.at.saturating_sub(heard.onset.at);
                Step::End { heard: EventSoFar { announced, ..heard }, offset, reason }
            }
            other => other,
        };
        event.told = None;
        let number = event.number;
        found.push(detection(part.rule, number, step, now, meter, also));
    }

    /// Parts that go on long after the event that they were part of are told by themselves.
    fn let_go_of_the_long(&mut self, now: u64, meter: &LevelMeter, found: &mut Vec<Detection>) {
        let mut at = 0;
        while at < self.open.len() {
            let event = &self.open[at];
            let is_long = event.told.is_none() && now >= event.ended + event.lasted.max(self.longer);
            let going =
                event.parts.iter().filter(|part| part.end.is_none()).max_by_key(|part| self.above[part.rule].len()).copied();
            match going {
                Some(part) if is_long => {
                    let event = &mut self.open[at];
                    event.told = Some(part.rule);
                    event.number = part.number;
                    event.parts.retain(|part| part.end.is_none());
                    let heard = EventSoFar { announced: now, ..part.heard };
                    found.push(detection(
                        part.rule,
                        part.number,
                        Step::Start(heard),
                        now,
                        meter,
                        others(&self.open[at], part.rule),
                    ));
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn find(&mut self, rule: usize, number: u64) -> Option<(&mut MergedEvent, usize)> {
        self.open.iter_mut().find_map(|event| {
            let part = event.parts.iter().position(|part| part.rule == rule && part.number == number)?;
            Some((event, part))
        })
    }
}

fn others(event: &MergedEvent, rule: usize) -> Vec<usize> {
    event.parts.iter().map(|part| part.rule).filter(|other| *other != rule).collect()
}

fn detection(rule: usize, event: u64, step: Step, now: u64, meter: &LevelMeter, also: Vec<usize>) -> Detection {
    let (from, to) = step.span(now);
    Detection { rule, event, step, level_dbfs: meter.level_dbfs(from, to), also }
}

#[cfg(test)]
mod tests;
