//! The origin of each label's threshold, found after the rules are made.

use std::collections::HashMap;

use super::Check;
use crate::config::origin::{Origin, Reported, ThresholdFrom};
use crate::config::preset::{self, HomeLabel};
use crate::config::table::At;
use crate::detect::rule::STANDARD_GATE;
use crate::detect::rule::{Gate, Rule};
use crate::model::labels::SuitedThresholds;

impl Check<'_> {
    /// One origin for each label of the model, in the order of its outputs.
    pub(super) fn origins(&mut self, rules: &[Rule], by_label: &HashMap<usize, Gate>, ignored: &[usize]) -> Vec<Origin> {
        (0..self.labels.len()).map(|label| self.origin(label, rules, by_label, ignored)).collect()
    }

    fn origin(&mut self, label: usize, rules: &[Rule], by_label: &HashMap<usize, Gate>, ignored: &[usize]) -> Origin {
        let raw = self.raw;
        let suited = self.suited(label);
        let single = rules.iter().find(|rule| !rule.subject.is_group() && rule.members == [label]);
        let group = rules.iter().find(|rule| rule.subject.is_group() && rule.members.contains(&label));
        let table = group.and_then(|rule| raw.groups.iter().find(|group| group.name == rule.subject.name));
        let (reported, reported_line) = match (single, table) {
            (Some(_), _) => (Reported::Yes, None),
            (None, Some(table)) => (Reported::Group(table.name.clone()), table.line),
            (None, None) if ignored.contains(&label) => (Reported::Ignored, raw.report.ignore.line),
            (None, None) => (Reported::LeftOut, raw.report.labels.line.or(raw.report.preset.line)),
        };
        let (gate, own, named) = match (single, group, table) {
            (None, Some(group), Some(table)) => {
                (group.gate, &table.body.gate.threshold, ThresholdFrom::Group(table.name.clone()))
            }
            _ => {
                let entry = raw.labels.iter().find(|entry| self.labels.find(&entry.name) == Some(label));
                let own = entry.map_or(&UNSET, |entry| &entry.body.threshold);
                (self.label_gate(label, by_label), own, ThresholdFrom::Label)
            }
        };
        let (threshold_from, threshold_line) = match (own, &raw.defaults.threshold, suited) {
            // Only a client sets what stands in no line.
            (At { value: Some(_), line: None }, _, _) => (ThresholdFrom::Kept, None),
            (At { value: Some(_), line }, _, _) => (named, *line),
            (_, At { value: Some(_), line }, _) => (ThresholdFrom::Defaults, *line),
            (_, _, Some(_)) => (ThresholdFrom::Manifest, None),
            (_, _, None) => (ThresholdFrom::Standard, None),
        };
        let shipped = self.labels.thresholds(label);
        let is_shipped = |entry: &HomeLabel| {
            entry.announce() == gate.announce
                && shipped.is_some_and(|own| (own.threshold, own.start_threshold) == (gate.threshold, gate.start_threshold))
        };
        let of_home = preset::of_home(&self.labels.subjects()[label].name);
        Origin {
            section: of_home.map(|(section, _)| section.name.as_str()),
            false_alarms_per_day: of_home
                .filter(|(_, entry)| is_shipped(entry))
                .and_then(|(_, entry)| entry.false_alarms_per_day),
            default_threshold: suited.map_or(STANDARD_GATE.threshold as f32, |SuitedThresholds { threshold, .. }| threshold),
            threshold: gate.threshold,
            start_threshold: gate.start_threshold,
            announce: gate.announce,
            threshold_from,
            threshold_line,
            reported,
            reported_line,
        }
    }
}

/// The threshold of a label without a table.
static UNSET: At<Option<f64>> = At { value: None, line: None };
