//! The rules: which labels and groups are reported, each with its gate.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Check;
use super::gate::Suited;
use crate::config::raw::{Named, RawGate, STANDARD_PRESET};
use crate::config::{Origin, preset};
use crate::detect::rule::{Announce, Gate, Rule};
use crate::event::Subject;
use crate::model::labels::{SuitedThresholds, slug};
use crate::text::{did_you_mean, nearest, shown};

/// How sure an event may have to be.
const SURE_RANGE: RangeInclusive<f64> = 0.01..=0.99;

impl Check<'_> {
    /// The labels of a list by their index. An unknown name is a fault.
    fn label_list(&mut self, key: &str, list: &[String], line: Option<usize>) -> Vec<usize> {
        let mut found = Vec::new();
        for name in list {
            match self.labels.find(name) {
                Some(index) if !found.contains(&index) => found.push(index),
                Some(_) => {}
                None if self.labels.is_left_out(name) => self.warn(line, key, left_out(name)),
                None => self.fault(line, key, self.labels.unknown(name)),
            }
        }
        found
    }

    /// The rules, the labels that are ignored, and where each label's threshold comes from.
    pub(super) fn rules(&mut self) -> (Vec<Rule>, Vec<usize>, Vec<Origin>) {
        let raw = self.raw;
        let mut reported = self.reported();
        let included = self.label_list("report.include", &raw.report.include.value, raw.report.include.line);
        let ignored = self.label_list("report.ignore", &raw.report.ignore.value, raw.report.ignore.line);
        for label in &included {
            if !reported.contains(label) {
                reported.push(*label);
            }
        }
        // Nobody teaches a sound without wanting to hear of it.
        for label in self.labels.learnt() {
            if !reported.contains(&label) && !ignored.contains(&label) {
                reported.push(label);
            }
        }
        let named = raw.report.labels.value.is_some();
        let merge = raw.report.merge.value;
        if let Some(sure) = raw.report.sure.value.filter(|sure| !SURE_RANGE.contains(sure)) {
            let message = format!("{sure} is out of range; it must be from {} to {}", SURE_RANGE.start(), SURE_RANGE.end());
            self.fault(raw.report.sure.line, "report.sure", message);
        }
        self.gate(&raw.defaults, &RawGate::default(), "defaults", Suited::default());
        let by_label = self.label_gates();

        let mut grouped: Vec<usize> = Vec::new();
        let mut groups = Vec::new();
        for group in &raw.groups {
            let key = format!("groups.{}", group.name);
            let members =
                self.label_list(&format!("{key}.labels"), &group.body.members.labels.value, group.body.members.labels.line);
            if group.body.members.labels.value.is_empty() {
                self.fault(group.line, &format!("{key}.labels"), "a group needs at least one label".to_owned());
            }
            if group.name.trim().is_empty() || group.name.chars().any(char::is_control) {
                self.fault(group.line, &key, "a group's name must not be empty or hold control characters".to_owned());
            }
            // The score of a group is the highest of its members', so it gets the lowest of their thresholds: a missed alarm
            // costs more than a false one.
            let thresholds =
                members.iter().filter_map(|label| self.suited(*label)).min_by(|a, b| a.threshold.total_cmp(&b.threshold));
            // It waits for the confirmation only if each of its labels does.
            let all: Vec<_> = members.iter().map(|label| self.announced(*label)).collect();
            let announce = all.iter().all(|announce| *announce == Some(Announce::Confirmed)).then_some(Announce::Confirmed);
            let suited = Suited { thresholds, announce };
            let gate = self.gate(&group.body.gate, &raw.defaults, &key, suited);
            grouped.extend(&members);
            let subject = Arc::new(Subject { name: group.name.clone(), slug: slug(&group.name), id: String::new() });
            groups.extend((!members.is_empty()).then_some(Rule { subject, members, gate, merge }));
        }

        let mut rules = Vec::new();
        for label in reported.iter().copied() {
            // A label in a group is reported under the group's name, and under its own only if the report names it.
            if ignored.contains(&label) || (grouped.contains(&label) && !named && !included.contains(&label)) {
                continue;
            }
            let gate = self.label_gate(label, &by_label);
            rules.push(Rule { subject: self.labels.subjects()[label].clone(), members: vec![label], gate, merge });
        }
        rules.extend(groups);
        self.warn_of_rules(&rules, &reported, &ignored);
        if rules.is_empty() && self.faults.is_empty() {
            self.fault(raw.report.labels.line.or(raw.report.preset.line), "report", "no label is left to be reported".to_owned());
        }
        let origins = self.origins(&rules, &by_label, &ignored);
        (rules, ignored, origins)
    }

    /// The labels that `[report]` names, before the ignored ones are left out.
    fn reported(&mut self) -> Vec<usize> {
        let report = &self.raw.report;
        if let (Some(_), Some(_)) = (&report.labels.value, &report.preset.value) {
            self.fault(report.preset.line, "report.preset", "give labels or a preset, not both".to_owned());
        }
        if let Some(list) = &report.labels.value {
            return self.label_list("report.labels", list, report.labels.line);
        }
        let name = report.preset.value.as_deref().unwrap_or(STANDARD_PRESET);
        preset::labels(name, self.labels).unwrap_or_else(|| {
            let hint = did_you_mean(nearest(name, preset::NAMES));
            let message = format!("there is no preset {name:?}, only {}{hint}", preset::NAMES.join(" and "));
            self.fault(report.preset.line, "report.preset", message);
            Vec::new()
        })
    }

    /// The model's thresholds for a label, as sure as the file asks for; `None` where the model has none.
    pub(super) fn suited(&self, label: usize) -> Option<SuitedThresholds> {
        let thresholds = self.labels.thresholds(label)?;
        Some(if self.labels.is_calibrated() { thresholds.at(self.raw.sure() as f32) } else { thresholds })
    }

    /// When the preset `home` has a label announced; `None` where the preset does not have the label.
    fn announced(&self, label: usize) -> Option<Announce> {
        preset::of_home(&self.labels.subjects()[label].name).map(|(_, entry)| entry.announce())
    }

    fn suits(&self, label: usize) -> Suited {
        Suited { thresholds: self.suited(label), announce: self.announced(label) }
    }

    /// The gate of a label: that of its own table, else that of the defaults.
    pub(super) fn label_gate(&mut self, label: usize, by_label: &HashMap<usize, Gate>) -> Gate {
        match by_label.get(&label) {
            Some(gate) => *gate,
            None => self.gate(&RawGate::default(), &self.raw.defaults, "defaults", self.suits(label)),
        }
    }

    fn label_gates(&mut self) -> HashMap<usize, Gate> {
        let raw = self.raw;
        let mut gates = HashMap::new();
        let mut spelled: HashMap<usize, &Named<RawGate>> = HashMap::new();
        for entry in &raw.labels {
            let key = format!("labels.{:?}", entry.name);
            let index = self.labels.find(&entry.name);
            let suited = index.map(|label| self.suits(label)).unwrap_or_default();
            let gate = self.gate(&entry.body, &raw.defaults, &key, suited);
            let Some(index) = index else {
                if self.labels.is_left_out(&entry.name) {
                    self.warn(entry.line, &key, left_out(&entry.name));
                    continue;
                }
                let hint = did_you_mean(self.labels.suggest(&entry.name));
                self.fault(entry.line, &key, format!("there is no such label{hint}"));
                continue;
            };
            if let Some(other) = spelled.insert(index, entry) {
                let line = other.line.unwrap_or(0);
                self.fault(entry.line, &key, format!("the same label is configured in line {line} as {:?}", other.name));
            }
            gates.insert(index, gate);
        }
        gates
    }
}

/// The warning about a learnt sound that cannot be used. It is no fault: a torn file must not keep everything else from being heard.
pub(super) fn left_out(name: &str) -> String {
    format!("the learnt sound {:?} is left out, because its file cannot be used", shown(name))
}
