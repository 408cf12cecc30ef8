//! What a source hears just now, and why each label is an event or is not: the answer to `top`. It changes nothing.

use std::sync::atomic::Ordering::Relaxed;

use super::slot::Slot;
use crate::control::{InForce, OpenEvent, SourceTop, TopLabel};
use crate::detect::rule::Rule;
use crate::detect::why::{Moment, Why};
use crate::ear::Ear;
use crate::model::Model;

/// The `k` labels and groups of the highest causal scores, and what else there is to know of the source.
pub(super) fn top(slot: &Slot, model: &Model, k: usize) -> SourceTop {
    let mut entries: Vec<(f32, Entry)> =
        entries(&slot.ear, model).into_iter().map(|entry| (entry.scores(&slot.ear).0, entry)).collect();
    strongest(&mut entries, k);
    SourceTop {
        source: slot.source.clone(),
        level_dbfs: slot.ear.level_dbfs(),
        noise_floor_dbfs: slot.ear.noise_floor_dbfs(),
        clipped_samples: slot.clipped_samples(),
        hops: slot.stats.windows.load(Relaxed),
        hop_ms: model.detection.hop_ms,
        two_sided_lag_ms: slot.ear.lag_samples() * 1_000 / u64::from(slot.ear.model_rate_hz()),
        open: open(slot),
        labels: entries.into_iter().map(|(_, entry)| entry.look(slot, model)).collect(),
    }
}

/// Every label and group, each once.
pub(super) fn entries(ear: &Ear, model: &Model) -> Vec<Entry> {
    let rules = ear.rules();
    let mut entries: Vec<Entry> = (0..model.labels.len()).map(Entry::Label).collect();
    for (index, rule) in rules.iter().enumerate() {
        match entries.get_mut(rule.members[0]) {
            Some(entry) if !rule.subject.is_group() => *entry = Entry::Rule(index),
            _ => entries.push(Entry::Rule(index)),
        }
    }
    entries
}

/// Leaves the `k` strongest, the strongest first.
pub(super) fn strongest(entries: &mut Vec<(f32, Entry)>, k: usize) {
    entries.sort_by(|a, b| b.0.total_cmp(&a.0));
    entries.truncate(k);
}

/// A label or a group that may be shown.
pub(super) enum Entry {
    /// One that is reported, by its rule.
    Rule(usize),
    /// A label that has no rule of its own.
    Label(usize),
}

impl Entry {
    /// The newest causal score, and the newest of both sides where there is one.
    pub(super) fn scores(&self, ear: &Ear) -> (f32, Option<f32>) {
        match self {
            Entry::Rule(rule) => ear.detector().glance(*rule).map_or((0.0, None), |glance| (glance.causal, glance.confirmed)),
            Entry::Label(label) => (ear.causal(*label), None),
        }
    }

    /// All there is to tell of it.
    pub(super) fn look(&self, slot: &Slot, model: &Model) -> TopLabel {
        let rules = slot.ear.rules();
        let (score, two_sided) = self.scores(&slot.ear);
        match *self {
            Entry::Label(label) => {
                let group = rules.iter().find(|rule| rule.members.contains(&label));
                let why = group.map_or(Why::NotReported, |group| Why::Grouped { group: group.subject.clone() });
                TopLabel { subject: model.labels.subjects()[label].clone(), score, two_sided, thresholds: None, why }
            }
            Entry::Rule(index) => {
                let (rule, glance) = (&rules[index], slot.ear.detector().glance(index));
                TopLabel {
                    subject: rule.subject.clone(),
                    score,
                    two_sided,
                    thresholds: Some(in_force(rule)),
                    why: glance.map_or(Why::Below, |glance| {
                        let told_as = glance.told_as.filter(|told| *told != index).map(|told| rules[told].subject.clone());
                        let (now, rate_hz) = (slot.ear.now(), slot.ear.model_rate_hz());
                        let moment = Moment { now, rate_hz, loudness_dbfs: slot.ear.loudness_dbfs() };
                        Why::new(glance.standing, told_as, &rule.gate, moment)
                    }),
                }
            }
        }
    }
}

/// The thresholds of a rule.
pub(super) fn in_force(rule: &Rule) -> InForce {
    InForce {
        subject: rule.subject.clone(),
        threshold: rule.gate.threshold,
        start_threshold: rule.gate.start_threshold,
        release: rule.gate.release,
    }
}

/// The open events of a source.
fn open(slot: &Slot) -> Vec<OpenEvent> {
    let confirmed = slot.ear.detector().confirmed_events();
    let events = slot.open().into_iter().map(|(number, event)| OpenEvent {
        id: event.id,
        subject: event.subject.clone(),
        onset: event.onset,
        peak_score: event.peak_score,
        is_confirmed: confirmed.contains(&number),
        also: event.also.clone(),
    });
    events.collect()
}
