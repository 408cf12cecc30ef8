//! Answers queries from what the ears hold.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::query::{OpenEvent, Query, SourceTop, TopLabel, View};
use super::slot::Slot;
use super::thread::Thread;
use crate::detect::rule::Thresholds;
use crate::detect::why::{Moment, Why};
use crate::model::Model;

impl Thread {
    /// Answers a query. An asker that has gone meanwhile misses no answer.
    pub(super) fn answer(&mut self, query: Query) {
        match query {
            Query::Top { k, reply } => {
                let _ = reply.send(self.slots.iter().map(|slot| self.answerer(slot).top(k)).collect());
            }
            Query::View { source, since, reply } => {
                let slot = self.slots.iter().find(|slot| slot.source == source);
                let snapshot = slot.and_then(|slot| self.answerer(slot).snapshot(since, self.wall.offset_ns()));
                let _ = reply.send(View { shape: self.shape.clone(), snapshot });
            }
            Query::Peaks { since, floor, reply } => {
                self.peaks.keep(Instant::now());
                let n_labels = self.inference.n_labels();
                self.slots.iter_mut().for_each(|slot| slot.ear.keep_peaks(n_labels));
                let sources = self.slots.iter().map(|slot| slot.source.clone()).collect();
                let _ = reply.send(self.peaks.answer(since, floor, sources));
            }
        }
    }

    fn answerer<'a>(&'a self, slot: &'a Slot) -> Answerer<'a> {
        Answerer { slot, model: &self.model, ignored: &self.ruleset.ignored }
    }
}

/// One source, with all that an answer about it is made of.
pub(super) struct Answerer<'a> {
    pub slot: &'a Slot,
    pub model: &'a Model,
    /// The labels that the report leaves out, by their indices among the model's outputs.
    pub ignored: &'a [usize],
}

/// A label or a group of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    /// A label or a group that is reported, by the index of its rule.
    Rule(usize),
    /// A label without a rule of its own, by its index among the model's outputs.
    Label(usize),
}

impl Answerer<'_> {
    /// The `k` labels and groups with the highest causal scores, and the state of the source.
    fn top(&self, k: usize) -> SourceTop {
        let Self { slot, model, .. } = self;
        SourceTop {
            source: slot.source.clone(),
            level_dbfs: slot.ear.level_dbfs(),
            noise_floor_dbfs: slot.ear.noise_floor_dbfs(),
            clipped_samples: slot.clipped_samples(),
            hops: slot.stats.windows.load(Relaxed),
            hop_ms: model.detection.hop_ms,
            confirmed_lag_ms: slot.ear.lag_samples() * 1_000 / u64::from(slot.ear.model_rate_hz()),
            open: self.open_events(),
            labels: self.strongest(self.entries().map(|entry| (self.scores(entry).0, entry)).collect(), k),
        }
    }

    /// Every label and group, each once, in no order that matters.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        let mut entries: Vec<Entry> = (0..self.model.labels.len()).map(Entry::Label).collect();
        for (index, rule) in self.slot.ear.rules().iter().enumerate() {
            match entries.get_mut(rule.members[0]) {
                Some(entry) if !rule.subject.is_group() => *entry = Entry::Rule(index),
                _ => entries.push(Entry::Rule(index)),
            }
        }
        entries.into_iter()
    }

    /// The newest causal score of an entry, and its newest confirmed score where there is one.
    pub(super) fn scores(&self, entry: Entry) -> (f32, Option<f32>) {
        let ear = &self.slot.ear;
        match entry {
            Entry::Rule(rule) => ear.detector().glance(rule).map_or((0.0, None), |glance| (glance.causal, glance.confirmed)),
            Entry::Label(label) => (ear.causal(label), None),
        }
    }

    /// The `k` entries with the highest scores of those given, the highest first.
    pub(super) fn strongest(&self, mut entries: Vec<(f32, Entry)>, k: usize) -> Vec<TopLabel> {
        entries.sort_by(|a, b| b.0.total_cmp(&a.0));
        entries.truncate(k);
        entries.into_iter().map(|(_, entry)| self.label(entry)).collect()
    }

    fn label(&self, entry: Entry) -> TopLabel {
        let ear = &self.slot.ear;
        let (rules, (score, confirmed)) = (ear.rules(), self.scores(entry));
        match entry {
            Entry::Label(label) => {
                let group = rules.iter().find(|rule| rule.members.contains(&label));
                let why = match group {
                    Some(group) => Why::Grouped { group: group.subject.clone() },
                    None if self.ignored.contains(&label) => Why::Ignored,
                    None => Why::NotReported,
                };
                TopLabel {
                    subject: self.model.labels.subjects()[label].clone(),
                    score,
                    confirmed,
                    background: None,
                    thresholds: None,
                    why,
                }
            }
            Entry::Rule(index) => {
                let (rule, glance) = (&rules[index], ear.detector().glance(index));
                let why = glance.map_or(Why::Below { background: 0.0 }, |glance| {
                    let reported_as =
                        glance.reported_as.filter(|other| *other != index).map(|other| rules[other].subject.clone());
                    let moment = Moment { now: ear.now(), rate_hz: ear.model_rate_hz(), loudness_dbfs: ear.loudness_dbfs() };
                    Why::new(&glance, reported_as, &rule.gate, moment)
                });
                let thresholds = Some(Thresholds::from(&rule.gate));
                let background = glance.map(|glance| glance.background);
                TopLabel { subject: rule.subject.clone(), score, confirmed, background, thresholds, why }
            }
        }
    }

    fn open_events(&self) -> Vec<OpenEvent> {
        let confirmed = self.slot.ear.detector().confirmed_events();
        let events = self.slot.open_events().into_iter().map(|(number, event)| OpenEvent {
            id: event.id,
            subject: event.subject.clone(),
            onset: event.onset,
            peak_score: event.peak_score,
            is_confirmed: confirmed.contains(&number),
            is_quiet: event.offset.is_some(),
            also: event.also.clone(),
        });
        events.collect()
    }
}
