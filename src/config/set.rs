//! Changes to a configuration after it was read: thresholds that a request sets until the next load, and a report of every label.
//!
//! Nothing is checked here; `validate` checks the numbers like those of the file.

use super::Raw;
use super::raw::{Named, RawGate, RawReport};
use super::table::At;
use crate::control::ThresholdChange;
use crate::event::Subject;
use crate::model::Labels;

impl Raw {
    /// The same configuration, but with every label of the model reported by itself.
    pub fn reporting_all(&self) -> Self {
        let report = RawReport { preset: At { value: Some("all".to_owned()), line: None }, ..RawReport::default() };
        Self { report, groups: Vec::new(), ..self.clone() }
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
