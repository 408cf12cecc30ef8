//! Changes to a configuration after it was read: thresholds that a request sets until the next load, and a report of every label.
//!
//! Nothing is checked here; `validate` checks the numbers like those of the file.

use super::raw::{Named, RawGate, RawReport, STANDARD_PRESET};
use super::table::At;
use super::{Raw, preset};
use crate::control::ThresholdChange;
use crate::event::Subject;
use crate::model::Labels;

/// How sure an event must be where the file does not say it, 0…1.
const SURE: f64 = 0.5;
/// The same with the preset `all`, which is for those who want to miss nothing.
const SURE_OF_ALL: f64 = 0.37;

impl Raw {
    /// The same configuration, but with every label of the model reported by itself.
    pub fn reporting_all(&self) -> Self {
        let unset = |value| At { value: Some(value), line: None };
        let report = RawReport {
            preset: unset("all".to_owned()),
            sure: At { value: Some(self.sure()), line: None },
            ..RawReport::default()
        };
        Self { report, groups: Vec::new(), ..self.clone() }
    }

    /// Whether the preset alone says which labels are reported, and none of them is a label of this model.
    pub(crate) fn reports_none_of(&self, labels: &Labels) -> bool {
        let name = self.report.preset.value.as_deref().unwrap_or(STANDARD_PRESET);
        self.report.labels.value.is_none() && preset::labels(name, labels).is_some_and(|labels| labels.is_empty())
    }

    /// How sure an event must be, 0…1: the file's own number, else that of its preset.
    pub(crate) fn sure(&self) -> f64 {
        let RawReport { labels, preset, sure, .. } = &self.report;
        let is_all = labels.value.is_none() && preset.value.as_deref() == Some("all");
        sure.value.unwrap_or(if is_all { SURE_OF_ALL } else { SURE })
    }

    /// The labels and groups with thresholds that stand in no line of the file.
    pub(super) fn set_by_clients(&self) -> Vec<String> {
        let is_set = |gate: &RawGate| {
            let thresholds = [&gate.threshold, &gate.start_threshold, &gate.release];
            thresholds.iter().any(|threshold| threshold.value.is_some() && threshold.line.is_none())
        };
        let labels = self.labels.iter().filter(|entry| is_set(&entry.body)).map(|entry| entry.name.clone());
        let groups = self.groups.iter().filter(|entry| is_set(&entry.body.gate)).map(|entry| entry.name.clone());
        labels.chain(groups).collect()
    }

    /// Sets thresholds of a label or a group, as if they stood in the file.
    pub fn set(&mut self, subject: &Subject, change: &ThresholdChange, labels: &Labels) {
        let is_meant = |name: &str| labels.find(name).is_some_and(|index| *labels.subjects()[index] == *subject);
        let gate = match self.groups.iter_mut().find(|group| subject.is_group() && group.name == subject.name) {
            Some(group) => &mut group.body.gate,
            None => {
                let known = self.labels.iter().position(|entry| is_meant(&entry.name));
                let entry = known.unwrap_or(self.labels.len());
                if known.is_none() {
                    self.labels.push(Named { name: subject.name.clone(), line: None, body: RawGate::default() });
                }
                &mut self.labels[entry].body
            }
        };
        let ThresholdChange { threshold, start_threshold, release } = *change;
        for (place, value) in
            [(&mut gate.threshold, threshold), (&mut gate.start_threshold, start_threshold), (&mut gate.release, release)]
        {
            if value.is_some() {
                *place = At { value, line: None };
            }
        }
    }
}
