//! The event merger: makes one event of the labels of one sound. Bark, Dog, Animal and Domestic animals at once are reported as
//! Bark, which names the others as well.
//!
//! Two rules are related where every label of one is a label of the other, or stands below one of its labels in the hierarchy. A
//! merged event has the name of its most specific rule that was not taken back. A parent that goes on long after its child
//! becomes an event of its own. Without a hierarchy all events pass unchanged.

use super::Detection;
use super::level::LevelMeter;
use super::step::{EventSoFar, Step};
use crate::detect::rule::Rule;
use crate::event::EndReason;
use crate::model::hierarchy::LabelHierarchy;

/// The time for which a parent goes on after its child before it becomes an event of its own, in seconds; or as long again as the
/// child lasted, if that is longer.
const LONGER_S: u64 = 6;

/// Whether the rule `low` is below the rule `high`.
fn is_below(low: &Rule, high: &Rule, hierarchy: &LabelHierarchy) -> bool {
    low.members != high.members && hierarchy.covers(&high.members, &low.members)
}

/// The open events of one source, merged by the hierarchy.
#[derive(Debug)]
pub struct EventMerger {
    /// For each rule, the rules above it.
    above: Vec<Vec<usize>>,
    open: Vec<MergedEvent>,
    longer: u64,
}

/// One reported event and its parts.
#[derive(Debug, Clone)]
struct MergedEvent {
    number: u64,
    /// The rule under whose name it was reported last; `None` once its end was reported, while parts of it still go on.
    reported: Option<usize>,
    parts: Vec<Part>,
    /// The offset of the reported event, as a sample index.
    ended: u64,
    /// The duration of the reported event in samples.
    lasted: u64,
}

/// The event that one rule found of the sound.
#[derive(Debug, Clone, Copy)]
struct Part {
    rule: usize,
    number: u64,
    so_far: EventSoFar,
    end: Option<Step>,
}

impl EventMerger {
    /// A merger without open events; times are counted at `sample_rate_hz`.
    pub fn new(sample_rate_hz: u32) -> Self {
        Self { above: Vec::new(), open: Vec::new(), longer: LONGER_S * u64::from(sample_rate_hz) }
    }

    /// Sets how the rules are related; a rule that is not to be merged is related to none.
    pub fn set_rules(&mut self, rules: &[Rule], hierarchy: &LabelHierarchy) {
        let above = |low: &Rule| {
            let related = rules.iter().enumerate().filter(|(_, high)| low.merge && high.merge && is_below(low, high, hierarchy));
            related.map(|(index, _)| index).collect()
        };
        self.above = rules.iter().map(above).collect();
    }

    /// Follows a change of the rules: each new rule takes over the open events of the old one that it continues.
    pub fn replace_rules(&mut self, kept: &[Option<usize>]) {
        let renamed = |old: usize| kept.iter().position(|kept| *kept == Some(old));
        self.open.retain_mut(|event| {
            event.parts.retain_mut(|part| renamed(part.rule).map(|new| part.rule = new).is_some());
            event.reported = event.reported.and_then(renamed);
            !event.parts.is_empty()
        });
    }

    /// Takes the steps of the trackers at the sample index `now`, and appends the steps of the merged events to `detections`.
    pub fn push(
        &mut self,
        now: u64,
        steps: impl Iterator<Item = (usize, u64, Step)>,
        meter: &LevelMeter,
        detections: &mut Vec<Detection>,
    ) {
        for (rule, number, step) in steps {
            match step {
                Step::Start(so_far) => self.start(rule, number, so_far, now, meter, detections),
                Step::Update(so_far) => self.update(rule, number, so_far, now, meter, detections),
                Step::End { so_far, .. } => self.end(rule, number, so_far, step, now, meter, detections),
            }
        }
        self.release_the_long(now, meter, detections);
    }

    /// Reports the ends of the events that are still open; every part must have ended.
    pub fn finish(&mut self, now: u64, meter: &LevelMeter, detections: &mut Vec<Detection>) {
        for event in 0..self.open.len() {
            self.conclude(event, now, meter, detections);
        }
        self.open.clear();
    }

    /// The rule under whose name a part of an open event is reported, and the event's number; `None` where its end was reported
    /// already, or there is no such part.
    pub fn reported_as(&self, rule: usize, number: u64) -> Option<(usize, u64)> {
        let is_part = |part: &Part| part.rule == rule && part.number == number;
        let event = self.open.iter().find(|event| event.parts.iter().any(is_part))?;
        Some((event.reported?, event.number))
    }

    fn are_related(&self, a: usize, b: usize) -> bool {
        self.above[a].contains(&b) || self.above[b].contains(&a)
    }

    fn start(
        &mut self,
        rule: usize,
        number: u64,
        so_far: EventSoFar,
        now: u64,
        meter: &LevelMeter,
        detections: &mut Vec<Detection>,
    ) {
        let part = Part { rule, number, so_far, end: None };
        let related = self.open.iter().position(|event| {
            event.reported.is_some() && event.parts.iter().all(|other| self.are_related(rule, other.rule) && other.end.is_none())
        });
        let Some(at) = related else {
            self.open.push(MergedEvent { number, reported: Some(rule), parts: vec![part], ended: 0, lasted: 0 });
            detections.push(detection(rule, number, Step::Start(so_far), now, meter, Vec::new()));
            return;
        };
        self.open[at].parts.push(part);
        let reported = self.open[at].reported;
        if reported.is_some_and(|reported| self.above[rule].contains(&reported)) {
            // The event was reported already; now it has a more specific name.
            let event = &mut self.open[at];
            event.reported = Some(rule);
            let onset = event.parts[0].so_far.onset;
            let also = others(event, rule);
            detections.push(detection(rule, event.number, Step::Update(EventSoFar { onset, ..so_far }), now, meter, also));
        }
    }

    fn update(
        &mut self,
        rule: usize,
        number: u64,
        so_far: EventSoFar,
        now: u64,
        meter: &LevelMeter,
        detections: &mut Vec<Detection>,
    ) {
        let Some((event, part)) = self.find(rule, number) else { return };
        event.parts[part].so_far = so_far;
        if event.reported == Some(rule) {
            let also = others(event, rule);
            let number = event.number;
            detections.push(detection(rule, number, Step::Update(so_far), now, meter, also));
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one step")]
    fn end(
        &mut self,
        rule: usize,
        number: u64,
        so_far: EventSoFar,
        step: Step,
        now: u64,
        meter: &LevelMeter,
        detections: &mut Vec<Detection>,
    ) {
        let Some(at) =
            self.open.iter().position(|event| event.parts.iter().any(|part| part.rule == rule && part.number == number))
        else {
            return;
        };
        for part in self.open[at].parts.iter_mut().filter(|part| part.rule == rule && part.number == number) {
            part.so_far = so_far;
            part.end = Some(step);
        }
        self.conclude(at, now, meter, detections);
        if self.open[at].parts.iter().all(|part| part.end.is_some()) {
            self.open.remove(at);
        }
    }

    /// Reports the end of an event if its most specific part that was not taken back has ended.
    fn conclude(&mut self, at: usize, now: u64, meter: &LevelMeter, detections: &mut Vec<Detection>) {
        let above = &self.above;
        let event = &mut self.open[at];
        if event.reported.is_none() {
            return;
        }
        let refused = |part: &Part| matches!(part.end, Some(Step::End { reason: EndReason::Unconfirmed, .. }));
        let depth = |part: &&Part| above[part.rule].len();
        let sure = event.parts.iter().filter(|part| !refused(part)).max_by_key(depth);
        let Some(part) = sure.or_else(|| event.parts.iter().max_by_key(depth)).copied() else { return };
        let Some(step) = part.end else { return };
        let also = event.parts.iter().filter(|other| other.rule != part.rule && (!refused(other) || refused(&part)));
        let also = also.map(|other| other.rule).collect();
        let announced = event.parts.iter().map(|part| part.so_far.announced).min().unwrap_or(now);
        let step = match step {
            Step::End { so_far, offset, reason } => {
                event.ended = offset.at;
                event.lasted = offset.at.saturating_sub(so_far.onset.at);
                Step::End { so_far: EventSoFar { announced, ..so_far }, offset, reason }
            }
            other => other,
        };
        event.reported = None;
        let number = event.number;
        detections.push(detection(part.rule, number, step, now, meter, also));
    }

    /// Makes events of their own of the parts that go on long after the event that they were part of.
    fn release_the_long(&mut self, now: u64, meter: &LevelMeter, detections: &mut Vec<Detection>) {
        let mut at = 0;
        while at < self.open.len() {
            let event = &self.open[at];
            let is_long = event.reported.is_none() && now >= event.ended + event.lasted.max(self.longer);
            let going =
                event.parts.iter().filter(|part| part.end.is_none()).max_by_key(|part| self.above[part.rule].len()).copied();
            match going {
                Some(part) if is_long => {
                    let event = &mut self.open[at];
                    event.reported = Some(part.rule);
                    event.number = part.number;
                    event.parts.retain(|part| part.end.is_none());
                    let so_far = EventSoFar { announced: now, ..part.so_far };
                    detections.push(detection(
                        part.rule,
                        part.number,
                        Step::Start(so_far),
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
