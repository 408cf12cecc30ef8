//! The event merger: makes one event of the labels of one sound. Bark, Dog, Animal and Domestic animals at once are reported as
//! Bark, which names the others as well.
//!
//! Two rules are related where every label of one is a label of the other, or stands below one of its labels in the hierarchy,
//! and where the model's authors found two of their labels alike: those are heard in the same sounds, as a smoke alarm and a
//! whistle are. A part of an event is a rule's own event that joined it. A merged event has the name of its surest part that was
//! not taken back, or of a more specific part below that one. A parent that goes on long after its child becomes an event of its
//! own. Without a hierarchy all events are told under their own names.
//!
//! No event begins under a name that another one has: one whose sound is over, and which waits for other labels only, ends first.
//!
//! An event of a label that is announced when confirmed is kept back until then. A part of such a label joins an event at once, and
//! neither names it nor is named beside it before it is confirmed. An event of which nothing may be told ends in silence.

mod merged;

use super::Detection;
use super::level::LevelMeter;
use super::step::{EventSoFar, Step};
use crate::detect::rule::{Announce, Rule};
use crate::event::EndReason;
use crate::model::hierarchy::LabelHierarchy;

use merged::{MergedEvent, Part};

/// The time for which a parent goes on after its child before it becomes an event of its own, in seconds; or as long again as the
/// child lasted, if that is longer.
const LONGER_S: u64 = 6;
/// The time for which an event that has ended takes in the parents that heard the end of its sound, in seconds.
const LINGERING_S: u64 = 8;
/// The longest pause between two parts of an event, in seconds.
const PAUSE_S: u64 = 1;

/// Whether the rule `low` is below the rule `high`.
fn is_below(low: &Rule, high: &Rule, hierarchy: &LabelHierarchy) -> bool {
    low.members != high.members && hierarchy.covers(&high.members, &low.members)
}

/// The open events of one source, merged by the hierarchy.
#[derive(Debug)]
pub struct EventMerger {
    relations: Relations,
    open: Vec<MergedEvent>,
    /// Events that are over, whose memory the next ones take: an event that is kept back begins without a sign outside.
    spare: Vec<MergedEvent>,
    longer: u64,
    rate_hz: u64,
}

/// How the rules are related.
#[derive(Debug, Default)]
struct Relations {
    /// For each rule, the rules above it.
    above: Vec<Vec<usize>>,
    /// For each rule, the rules that are alike to it.
    alike: Vec<Vec<usize>>,
    /// For each rule, whether its events are announced at once.
    at_once: Vec<bool>,
}

impl Relations {
    fn are_related(&self, a: usize, b: usize) -> bool {
        self.above[a].contains(&b) || self.above[b].contains(&a) || self.alike[a].contains(&b)
    }
}

/// The moment of a step, and the means to report it.
struct Reporter<'a> {
    now: u64,
    /// A second in samples.
    second: u64,
    meter: &'a LevelMeter,
    detections: &'a mut Vec<Detection>,
}

impl Reporter<'_> {
    fn report(&mut self, rule: usize, event: u64, step: Step, also: Vec<usize>) {
        let (from, to) = step.span(self.now);
        self.detections.push(Detection { rule, event, step, level_dbfs: self.meter.level_dbfs(from, to), also });
    }
}

impl EventMerger {
    /// A merger without open events; times are counted at `sample_rate_hz`.
    pub fn new(sample_rate_hz: u32) -> Self {
        let rate_hz = u64::from(sample_rate_hz);
        Self { relations: Relations::default(), open: Vec::new(), spare: Vec::new(), longer: LONGER_S * rate_hz, rate_hz }
    }

    /// Sets how the rules are related, and when they announce; a rule that is not to be merged is related to none. A part that has
    /// begun is announced as its rule said it then.
    pub fn set_rules(&mut self, rules: &[Rule], hierarchy: &LabelHierarchy) {
        let related = |low: &Rule, is_related: &dyn Fn(&Rule) -> bool| {
            let others = rules.iter().enumerate().filter(|(_, high)| low.merge && high.merge && is_related(high));
            others.map(|(index, _)| index).collect()
        };
        self.relations.above = rules.iter().map(|low| related(low, &|high| is_below(low, high, hierarchy))).collect();
        self.relations.alike =
            rules.iter().map(|rule| related(rule, &|other| hierarchy.are_alike(&rule.members, &other.members))).collect();
        self.relations.at_once = rules.iter().map(|rule| rule.gate.announce == Announce::AtOnce).collect();
    }

    /// Follows a change of the rules: each new rule takes over the open events of the old one that it continues.
    pub fn replace_rules(&mut self, kept: &[Option<usize>]) {
        let renamed = |old: usize| kept.iter().position(|kept| *kept == Some(old));
        self.open.retain_mut(|event| {
            event.parts.retain_mut(|part| renamed(part.rule).map(|new| part.rule = new).is_some());
            event.reported = event.reported.and_then(renamed);
            event.beside.retain_mut(|(rule, _)| renamed(*rule).map(|new| *rule = new).is_some());
            event.name = renamed(event.name).unwrap_or(event.parts.first().map_or(0, |part| part.rule));
            !event.parts.is_empty()
        });
    }

    /// Takes the steps of the trackers at the sample index `now`, and appends the steps of the merged events to `detections`.
    /// `beside` has the rules that heard something without being sure enough for an event, each with the stretch where.
    /// `heard_until` says until when a part that goes on has been heard, by its rule and number.
    pub fn push(
        &mut self,
        now: u64,
        steps: impl Iterator<Item = (usize, u64, Step)>,
        beside: impl Iterator<Item = (usize, (u64, u64))>,
        heard_until: impl Fn(usize, u64) -> Option<u64>,
        meter: &LevelMeter,
        detections: &mut Vec<Detection>,
    ) {
        for (rule, stretch) in beside {
            self.hear_beside(rule, stretch);
        }
        let reporter = &mut Reporter { now, second: self.rate_hz, meter, detections };
        for (rule, number, step) in steps {
            match step {
                Step::Start(so_far) => self.start(rule, number, so_far, &heard_until, reporter),
                Step::Update(so_far) => self.update(rule, number, so_far, reporter),
                Step::End { .. } => self.end(rule, number, step, reporter),
            }
        }
        self.release_the_long(reporter);
        (0..self.open.len()).for_each(|at| self.listen(at, reporter));
        let lingering = LINGERING_S * self.rate_hz;
        let is_over = |event: &MergedEvent| event.reported.is_none() && event.parts.iter().all(|part| part.end.is_some());
        let is_past = |event: &mut MergedEvent| is_over(event) && now >= event.ended + lingering;
        self.spare.extend(self.open.extract_if(.., is_past));
    }

    /// Reports the ends of the events that are still open; every part must have ended.
    pub fn finish(&mut self, now: u64, meter: &LevelMeter, detections: &mut Vec<Detection>) {
        for event in 0..self.open.len() {
            self.conclude(event, &mut Reporter { now, second: self.rate_hz, meter, detections });
        }
        self.open.clear();
    }

    /// The rule under whose name a part of an open event is reported, and the event's number; `None` where the event is kept back,
    /// its end was reported already, or there is no such part.
    pub fn reported_as(&self, rule: usize, number: u64) -> Option<(usize, u64)> {
        let event = self.open.iter().find(|event| event.parts.iter().any(|part| part.is(rule, number)))?;
        event.told.and(Some((event.reported?, event.number)))
    }

    fn hear_beside(&mut self, rule: usize, (from, to): (u64, u64)) {
        for event in &mut self.open {
            let is_related = |other| self.relations.are_related(rule, other);
            let overlaps = |part: &Part| match part.end {
                Some(Step::End { offset, .. }) => from < offset.at && to > part.so_far.onset.at,
                _ => to > part.so_far.onset.at,
            };
            let is_heard = event.parts.iter().any(|part| event.reported == Some(part.rule) && overlaps(part));
            if is_heard && event.reported.is_some_and(is_related) {
                event.hear_beside(rule, self.relations.at_once[rule]);
            }
        }
    }

    fn start(
        &mut self,
        rule: usize,
        number: u64,
        so_far: EventSoFar,
        heard_until: &impl Fn(usize, u64) -> Option<u64>,
        reporter: &mut Reporter,
    ) {
        self.make_way(rule, reporter);
        let part = Part { rule, number, so_far, at_once: self.relations.at_once[rule], end: None };
        let pause = PAUSE_S * self.rate_hz;
        let is_related = |event: &MergedEvent| {
            let reported = event.parts.iter().find(|part| event.reported == Some(part.rule));
            // An event waits for its confirmation when its sound is over, and another sound may have begun by then.
            let is_heard = |part: &Part| heard_until(part.rule, part.number).is_none_or(|until| so_far.onset.at <= until + pause);
            reported.is_some_and(|part| self.relations.are_related(rule, part.rule) && part.end.is_none() && is_heard(part))
        };
        // The short window loses a sound sooner than the long one, so that a parent may hear an end that its child does not.
        let has_just_ended = |event: &MergedEvent| {
            event.reported.is_none() && self.relations.above[event.name].contains(&rule) && so_far.onset.at <= event.ended + pause
        };
        if let Some(at) = self.open.iter().position(has_just_ended) {
            self.open[at].parts.push(part);
            return;
        }
        let Some(at) = self.open.iter().position(is_related) else {
            let event = self.spare.pop().map_or_else(|| MergedEvent::new(part), |spare| spare.renewed(part));
            self.open.push(event);
            self.tell(self.open.len() - 1, reporter);
            return;
        };
        let event = &mut self.open[at];
        event.parts.push(part);
        let is_more_specific = event.reported.is_some_and(|reported| self.relations.above[rule].contains(&reported));
        if is_more_specific && (event.told.is_none() || part.may_be_told()) {
            event.rename(&part, &self.relations.above, reporter);
        } else if part.may_be_told() {
            event.note_beside(&part);
        }
        self.tell(at, reporter);
    }

    fn update(&mut self, rule: usize, number: u64, so_far: EventSoFar, reporter: &mut Reporter) {
        let Some(at) = self.position(rule, number) else { return };
        let event = &mut self.open[at];
        let Some(place) = event.parts.iter().position(|part| part.is(rule, number)) else { return };
        let was_kept_back = !event.parts[place].may_be_told();
        // `listen` tells whether the sound is over for now.
        let is_about_quiet = event.parts[place].so_far.quiet_from.is_some() != so_far.quiet_from.is_some();
        event.parts[place].so_far = so_far;
        let part = event.parts[place];
        if event.told.is_some() && event.reported == Some(rule) {
            if is_about_quiet {
                return;
            }
            let so_far = event.heard(so_far, &self.relations.above, reporter);
            reporter.report(rule, event.number, Step::Update(so_far), event.others(&part));
        } else if event.told.is_some() && was_kept_back && part.may_be_told() {
            // It could not name the event before.
            let names_better = |reported: usize| self.relations.above[rule].contains(&reported) || event.is_refused(reported);
            if event.reported.is_some_and(names_better) {
                event.rename(&part, &self.relations.above, reporter);
            } else {
                event.note_beside(&part);
            }
        }
        self.tell(at, reporter);
        // A part that was pending may have been all that the event's end waited for.
        self.conclude(at, reporter);
    }

    fn end(&mut self, rule: usize, number: u64, step: Step, reporter: &mut Reporter) {
        let (Some(at), Step::End { so_far, .. }) = (self.position(rule, number), step) else { return };
        for part in self.open[at].parts.iter_mut().filter(|part| part.is(rule, number)) {
            part.so_far = so_far;
            part.end = Some(step);
        }
        self.conclude(at, reporter);
        let event = &mut self.open[at];
        if event.reported == Some(rule) && event.parts.iter().any(|part| part.is(rule, number) && part.is_refused()) {
            // The name was wrong, and the sound goes on under another one.
            let above = &self.relations.above;
            let other = match event.told {
                Some(_) => event.surest(above).filter(|part| !part.is_refused()),
                None => event.parts.iter().filter(|part| part.end.is_none()).max_by_key(|part| above[part.rule].len()).copied(),
            };
            if let Some(part) = other {
                event.rename(&part, &self.relations.above, reporter);
            }
        }
    }

    /// Tells of an event that goes on whether its sound has fallen silent, or is heard again, and whether it has another label.
    fn listen(&mut self, at: usize, reporter: &mut Reporter) {
        let event = &mut self.open[at];
        let is_told = event.told.is_some();
        if is_told && (event.has_news || event.quiet_from(&self.relations.above, reporter).is_some() != event.is_quiet) {
            event.tell_again(&self.relations.above, reporter);
        }
    }

    /// Announces an event that was kept back, if one of its parts may be told now.
    fn tell(&mut self, at: usize, reporter: &mut Reporter) {
        let event = &self.open[at];
        if event.told.is_some() || event.reported.is_none() {
            return;
        }
        let Some(part) = event.surest(&self.relations.above) else { return };
        // Another event may have taken the name meanwhile.
        self.make_way(part.rule, reporter);
        let event = &mut self.open[at];
        event.told = Some(reporter.now);
        event.reported = Some(part.rule);
        event.name = part.rule;
        let step =
            Step::Start(event.heard(EventSoFar { announced: reporter.now, ..part.so_far }, &self.relations.above, reporter));
        reporter.report(part.rule, event.number, step, event.others(&part));
    }

    /// Ends the event of an earlier sound of this rule, if the sound is over and the event waits for other labels only.
    fn make_way(&mut self, rule: usize, reporter: &mut Reporter) {
        let is_of_rule = |part: &&Part| part.rule == rule;
        let is_over = |event: &MergedEvent| event.parts.iter().filter(is_of_rule).all(|part| part.end.is_some());
        let at = self.open.iter().position(|event| event.told.is_some() && event.reported == Some(rule) && is_over(event));
        let Some(at) = at else { return };
        let parts = || self.open[at].parts.iter().filter(is_of_rule);
        if let Some(part) = parts().rfind(|part| !part.is_refused()).or(parts().next_back()).copied() {
            self.close(at, &part, reporter);
        }
    }

    /// Reports the end of an event if the part that names it has ended, and nothing can change its name any more.
    fn conclude(&mut self, at: usize, reporter: &mut Reporter) {
        let event = &mut self.open[at];
        if event.reported.is_none() || event.parts.iter().any(Part::is_pending) {
            return;
        }
        if event.told.is_none() {
            event.reported = None;
            return;
        }
        if let Some(part) = event.surest(&self.relations.above) {
            self.close(at, &part, reporter);
        }
    }

    /// Reports the end of an event that was told, under the name of a part that has ended.
    fn close(&mut self, at: usize, part: &Part, reporter: &mut Reporter) {
        let event = &mut self.open[at];
        let (Some(announced), Some(step)) = (event.told, part.end) else { return };
        let step = match step {
            Step::End { so_far, offset, reason } => {
                // An event that was taken back takes nothing in.
                event.ended = if part.is_refused() { 0 } else { offset.at };
                event.lasted = offset.at.saturating_sub(so_far.onset.at);
                // It was told as confirmed, and rarely its segment ends with less evidence than it had before.
                let reason = if part.is_refused() && !part.at_once { EndReason::Decay } else { reason };
                Step::End { so_far: EventSoFar { announced, ..so_far }, offset, reason }
            }
            other => other,
        };
        event.reported = None;
        event.name = part.rule;
        reporter.report(part.rule, event.number, step, event.others_at_end(part));
    }

    /// Makes events of their own of the parts that go on long after the event that they were part of.
    fn release_the_long(&mut self, reporter: &mut Reporter) {
        let now = reporter.now;
        for at in 0..self.open.len() {
            let event = &self.open[at];
            let is_long = event.reported.is_none() && now >= event.ended + event.lasted.max(self.longer);
            let going = event.parts.iter().filter(|part| part.end.is_none() && !part.is_pending());
            let going = going.max_by_key(|part| self.relations.above[part.rule].len()).copied();
            let Some(part) = going.filter(|_| is_long) else { continue };
            // Another event may have taken the name meanwhile.
            self.make_way(part.rule, reporter);
            let event = &mut self.open[at];
            event.told = Some(now);
            event.reported = Some(part.rule);
            event.name = part.rule;
            event.number = part.number;
            event.parts.retain(|part| part.end.is_none());
            let step = Step::Start(event.heard(EventSoFar { announced: now, ..part.so_far }, &self.relations.above, reporter));
            reporter.report(part.rule, part.number, step, event.others(&part));
        }
    }

    fn position(&self, rule: usize, number: u64) -> Option<usize> {
        self.open.iter().position(|event| event.parts.iter().any(|part| part.is(rule, number)))
    }
}

#[cfg(test)]
mod tests;
