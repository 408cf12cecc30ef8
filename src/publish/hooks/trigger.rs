//! Which reports a hook runs for. It runs nothing, and times are given.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use uuid::Uuid;

use crate::event::{ClipState, EndReason, Report, SoundEvent};
use crate::publish::filter::SUMMARY_TYPE;
use crate::publish::settings::{HookConfig, HookOn, HookWhen};
use crate::publish::wire;

/// The most events whose clips are waited for.
const MOST_AWAITED: usize = 1_000;

/// A hook's view of what is open and of when it ran.
#[derive(Debug, Default)]
pub struct Trigger {
    /// The open events that it has run for, or has let pass.
    decided: HashSet<Uuid>,
    /// The events that it is told of once their clips are kept.
    awaited: VecDeque<Uuid>,
    /// When it last ran for a label or a type.
    ran: HashMap<String, Instant>,
}

impl Trigger {
    /// Whether the hook runs for this report at this time. An event is decided upon once.
    pub fn takes(&mut self, hook: &HookConfig, report: &Report, now: Instant, is_hour: bool) -> bool {
        let name = match report {
            Report::EventStart(event) | Report::EventUpdate(event) if hook.when == HookWhen::Clip => {
                self.await_clip(hook, event, None);
                return false;
            }
            Report::EventEnd(event, reason) if hook.when == HookWhen::Clip => {
                self.await_clip(hook, event, Some(*reason));
                return false;
            }
            Report::Clip(clip) => {
                let Some(at) = self.awaited.iter().position(|id| *id == clip.event) else { return false };
                self.awaited.remove(at);
                if clip.state != ClipState::Kept {
                    return false;
                }
                clip.subject.name.clone()
            }
            Report::EventStart(event) | Report::EventUpdate(event) => {
                if self.decided.contains(&event.id) || !hook.is_due(event, None) {
                    return false;
                }
                self.decided.insert(event.id);
                event.subject.name.clone()
            }
            Report::EventEnd(event, reason) => {
                if self.decided.remove(&event.id) || !hook.is_due(event, Some(*reason)) {
                    return false;
                }
                event.subject.name.clone()
            }
            other => {
                let kind = wire::kind(other);
                if !hook.on.has_type(kind) || !hook.has_source(other) {
                    return false;
                }
                kind.to_owned()
            }
        };
        if !is_hour || self.ran.get(&name).is_some_and(|ran| now.saturating_duration_since(*ran) < hook.cooldown) {
            return false;
        }
        if !hook.cooldown.is_zero() {
            self.ran.insert(name, now);
        }
        true
    }

    /// Remembers an event of which the hook is told once its clip is kept.
    fn await_clip(&mut self, hook: &HookConfig, event: &SoundEvent, ended: Option<EndReason>) {
        if hook.is_due(event, ended) && !self.awaited.contains(&event.id) && self.decided.insert(event.id) {
            if self.awaited.len() == MOST_AWAITED {
                self.awaited.pop_front();
            }
            self.awaited.push_back(event.id);
        }
        if ended.is_some() {
            self.decided.remove(&event.id);
        }
    }
}

impl HookConfig {
    fn has_source(&self, report: &Report) -> bool {
        self.sources.is_empty() || report.source().is_none_or(|source| self.sources.iter().any(|name| **name == **source))
    }

    /// Whether an event is one of those that the hook runs for, and has come so far.
    fn is_due(&self, event: &SoundEvent, ended: Option<EndReason>) -> bool {
        let is_taken_back = ended == Some(EndReason::Unconfirmed);
        let has_come = match self.when {
            HookWhen::Announced => !is_taken_back,
            HookWhen::Confirmed | HookWhen::Clip => event.is_confirmed && !is_taken_back,
            HookWhen::Ended => ended.is_some() && !is_taken_back,
        };
        let is_of_source = self.sources.is_empty() || self.sources.iter().any(|name| **name == *event.source);
        has_come && is_of_source && self.on.has_event(event) && f64::from(event.peak_score) >= self.min_score
    }
}

impl HookOn {
    fn has_event(&self, event: &SoundEvent) -> bool {
        let mut names = std::iter::once(&event.subject).chain(&event.also).map(|subject| &subject.name);
        self.is_every_event || names.any(|name| self.labels.contains(name))
    }

    fn has_type(&self, kind: &str) -> bool {
        let is_it =
            |wanted: &String| kind.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        (self.is_health && kind != SUMMARY_TYPE) || self.types.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::event::Subject;
    use crate::publish::hooks::tests::hook;

    fn event(id: u128, label: &str, peak_score: f32, is_confirmed: bool) -> SoundEvent {
        SoundEvent { peak_score, is_confirmed, ..SoundEvent::example(id, label, "hall") }
    }

    /// Which of the reports the hook runs for.
    fn runs(hook: &HookConfig, reports: &[Report]) -> Vec<usize> {
        let (mut trigger, now) = (Trigger::default(), Instant::now());
        (0..reports.len()).filter(|at| trigger.takes(hook, &reports[*at], now, true)).collect()
    }

    fn dogs(when: HookWhen) -> HookConfig {
        let on = HookOn { labels: vec!["Dog".to_owned()], types: vec!["source.lost".to_owned()], ..HookOn::default() };
        HookConfig { on, when, ..hook() }
    }

    #[test]
    fn an_event_is_told_once_when_it_has_come_so_far() {
        let bark = SoundEvent { also: vec![Subject::example("Dog")], ..event(1, "Bark", 0.6, true) };
        let reports = [
            Report::EventStart(event(1, "Animal", 0.5, false)),
            Report::EventUpdate(event(1, "Dog", 0.5, false)),
            Report::EventUpdate(bark.clone()),
            Report::EventUpdate(bark.clone()),
            Report::EventEnd(bark, EndReason::Decay),
            Report::EventStart(event(2, "Dog", 0.5, false)),
            Report::EventEnd(event(2, "Dog", 0.5, false), EndReason::Unconfirmed),
            Report::EventStart(event(3, "Cat", 0.5, true)),
            Report::SourceLost { source: "hall".into(), reason: String::new() },
            Report::SourceRestored { source: "hall".into() },
        ];
        assert_eq!(runs(&dogs(HookWhen::Announced), &reports), [1, 5, 8]);
        assert_eq!(runs(&dogs(HookWhen::Confirmed), &reports), [2, 8]);
        assert_eq!(runs(&dogs(HookWhen::Ended), &reports), [4, 8]);
        let sure = HookConfig { min_score: 0.55, ..dogs(HookWhen::Announced) };
        assert_eq!(runs(&sure, &reports), [2, 8]);
        let elsewhere = HookConfig { sources: vec!["attic".to_owned()], ..dogs(HookWhen::Announced) };
        assert!(runs(&elsewhere, &reports).is_empty());
        let health = HookConfig { on: HookOn { is_health: true, ..HookOn::default() }, ..hook() };
        assert_eq!(runs(&health, &reports), [8, 9]);
        let every = HookConfig { on: HookOn { is_every_event: true, ..HookOn::default() }, ..hook() };
        assert_eq!(runs(&every, &reports), [2, 7]);
    }

    #[test]
    fn a_clip_is_told_once_of_the_hooks_own_events_where_it_is_kept() {
        let clip = |id, state| {
            Report::Clip(Box::new(crate::event::ClipReport {
                event: Uuid::from_u128(id),
                subject: Subject::example("Dog"),
                source: "hall".into(),
                state,
                reason: None,
                file: None,
                from: jiff::Timestamp::UNIX_EPOCH,
                to: jiff::Timestamp::UNIX_EPOCH,
                bytes: 0,
            }))
        };
        let reports = [
            Report::EventUpdate(event(1, "Dog", 0.5, true)),
            Report::EventEnd(event(1, "Dog", 0.5, true), EndReason::Decay),
            clip(1, ClipState::Kept),
            clip(1, ClipState::Kept),
            Report::EventEnd(event(2, "Cat", 0.5, true), EndReason::Decay),
            clip(2, ClipState::Kept),
            Report::EventUpdate(event(3, "Dog", 0.5, true)),
            clip(3, ClipState::Withheld),
            // The clip of a long event comes before its end.
            Report::EventUpdate(event(4, "Dog", 0.5, true)),
            clip(4, ClipState::Kept),
            Report::EventEnd(event(4, "Dog", 0.5, true), EndReason::Decay),
            clip(4, ClipState::Kept),
        ];
        assert_eq!(runs(&dogs(HookWhen::Clip), &reports), [2, 9]);
        let health = HookConfig { on: HookOn { is_health: true, ..HookOn::default() }, ..hook() };
        assert!(runs(&health, &reports).is_empty());
    }

    #[test]
    fn an_event_that_is_only_confirmed_at_its_end_is_told_then() {
        let reports =
            [Report::EventStart(event(1, "Dog", 0.5, false)), Report::EventEnd(event(1, "Dog", 0.5, true), EndReason::Decay)];
        assert_eq!(runs(&dogs(HookWhen::Confirmed), &reports), [1]);
        let (mut trigger, now) = (Trigger::default(), Instant::now());
        assert!(!reports.iter().any(|report| trigger.takes(&dogs(HookWhen::Announced), report, now, false)));
    }

    #[test]
    fn a_label_rests_after_a_run_and_other_labels_do_not() {
        let on = HookOn { is_every_event: true, ..HookOn::default() };
        let hook = HookConfig { cooldown: Duration::from_secs(60), on, when: HookWhen::Announced, ..hook() };
        let (mut trigger, start) = (Trigger::default(), Instant::now());
        let mut begins = |id, label: &str, second| {
            trigger.takes(&hook, &Report::EventStart(event(id, label, 0.5, true)), start + Duration::from_secs(second), true)
        };
        assert!(begins(1, "Dog", 0) && !begins(2, "Dog", 59) && begins(3, "Cat", 59) && begins(4, "Dog", 60));
        // An event that began in the rest is not told later.
        assert!(!begins(2, "Dog", 200));
    }
}
