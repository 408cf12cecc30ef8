//! Warnings: settings that are legal but surely not meant. A configuration with warnings takes effect all the same.

use jiff::tz::TimeZone;

use super::{Check, pick};
use crate::config::Fault;
use crate::config::raw::{Raw, RawGate};
use crate::detect::rule::STANDARD_GATE;
use crate::detect::rule::{Gate, Rule};
use crate::model::manifest::Detection;

impl<'a> Check<'a> {
    /// Warns of the rules, once all of them are known. `reported` are the labels that the preset or the list names, `ignored`
    /// those that are left out of it.
    pub(super) fn warn_of_rules(&mut self, rules: &[Rule], reported: &[usize], ignored: &[usize]) {
        self.configured_in_vain(rules, ignored);
        self.ignored_in_vain(rules, reported, ignored);
        self.grouped_twice(rules);
        self.out_of_reach(rules);
    }

    /// Warns of a label with a table of its own that is not reported by itself.
    fn configured_in_vain(&mut self, rules: &[Rule], ignored: &[usize]) {
        for entry in &self.raw.labels {
            let Some(label) = self.labels.find(&entry.name) else { continue };
            if rules.iter().any(|rule| !rule.subject.is_group() && rule.members == [label]) {
                continue;
            }
            let why = match (group_of(rules, label), self.raw.report.ignore.line) {
                (Some(group), _) => format!("it is reported as part of the group {group:?}, which has numbers of its own"),
                (None, Some(line)) if ignored.contains(&label) => {
                    format!("[report] ignores it in line {line}; take it out of one of them")
                }
                _ => "[report] leaves it out".to_owned(),
            };
            self.warn(entry.line, &format!("labels.{:?}", entry.name), format!("this label is configured, but {why}"));
        }
    }

    /// Warns of an ignored label that is reported all the same, or would not be reported anyway.
    fn ignored_in_vain(&mut self, rules: &[Rule], reported: &[usize], ignored: &[usize]) {
        let line = self.raw.report.ignore.line;
        for label in ignored {
            let name = &self.labels.subjects()[*label].name;
            match group_of(rules, *label) {
                Some(group) => {
                    let message = format!(
                        "{name:?} is reported all the same, because it is in the group {group:?}; take it out of the group"
                    );
                    self.warn(line, "report.ignore", message);
                }
                None if !reported.contains(label) => {
                    self.warn(line, "report.ignore", format!("{name:?} is not reported anyway; it need not be ignored"));
                }
                None => {}
            }
        }
    }

    /// Warns of a label that belongs to two groups.
    fn grouped_twice(&mut self, rules: &[Rule]) {
        let groups: Vec<&Rule> = rules.iter().filter(|rule| rule.subject.is_group()).collect();
        for (at, group) in groups.iter().enumerate() {
            let table = self.raw.groups.iter().find(|table| table.name == group.subject.name);
            let line = table.and_then(|table| table.body.members.labels.line);
            for label in &group.members {
                if let Some(other) = group_of(groups[..at].iter().copied(), *label) {
                    let name = &self.labels.subjects()[*label].name;
                    let message =
                        format!("{name:?} is in the group {other:?} as well, so that each group reports an event of its own");
                    self.warn(line, &format!("groups.{}.labels", group.subject.name), message);
                }
            }
        }
    }

    /// Warns of thresholds above the highest score that a label is likely to reach.
    fn out_of_reach(&mut self, rules: &[Rule]) {
        let raw = self.raw;
        // A default that is too high is one warning, for however many labels it is too high.
        let mut defaults: Vec<(&Rule, f32)> = Vec::new();
        for rule in rules {
            let scores: Option<Vec<f32>> = rule.members.iter().map(|label| self.labels.thresholds(*label)?.highest).collect();
            let Some(highest) = scores.and_then(|scores| scores.into_iter().max_by(f32::total_cmp)) else { continue };
            let (own, key) = self.table(rule);
            let Gate { threshold, start_threshold, .. } = rule.gate;
            let name = &rule.subject.name;
            let beyond = |number: f32| format!("{number} is above {highest}, the highest score that {name:?} is likely to reach");
            match own.filter(|own| own.threshold.value.is_some()) {
                Some(own) if threshold > highest => {
                    let message = format!("{}: it would never be reported", beyond(threshold));
                    self.warn(own.threshold.line, &format!("{key}.threshold"), message);
                }
                None if threshold > highest && raw.defaults.threshold.value.is_some() => defaults.push((rule, highest)),
                _ => {}
            }
            if let Some(own) = own.filter(|own| own.start_threshold.value.is_some())
                && start_threshold > highest
            {
                let message = format!("{}: it would never be announced at once", beyond(start_threshold));
                self.warn(own.start_threshold.line, &format!("{key}.start_threshold"), message);
            }
        }
        if let Some((rule, highest)) = defaults.first() {
            let (threshold, name) = (rule.gate.threshold, &rule.subject.name);
            let message = match defaults.len() {
                1 => format!(
                    "{threshold} is above {highest}, the highest score that {name:?} is likely to reach: it would never be reported"
                ),
                count => format!(
                    "{threshold} is above the highest score that {count} of the reported are likely to reach, such as {name:?} \
                     with {highest}: they would never be reported"
                ),
            };
            self.warn(raw.defaults.threshold.line, "defaults.threshold", message);
        }
    }

    /// The table that belongs to a rule alone, and its key.
    fn table(&self, rule: &Rule) -> (Option<&'a RawGate>, String) {
        let raw = self.raw;
        if rule.subject.is_group() {
            let table = raw.groups.iter().find(|table| table.name == rule.subject.name);
            return (table.map(|table| &table.body.gate), format!("groups.{}", rule.subject.name));
        }
        let entry = raw.labels.iter().find(|entry| self.labels.find(&entry.name).is_some_and(|label| rule.members == [label]));
        let name = entry.map_or(&rule.subject.name, |entry| &entry.name);
        (entry.map(|entry| &entry.body), format!("labels.{name:?}"))
    }
}

/// The name of the group that a label belongs to.
fn group_of<'r>(rules: impl IntoIterator<Item = &'r Rule>, label: usize) -> Option<&'r str> {
    let group = rules.into_iter().find(|rule| rule.subject.is_group() && rule.members.contains(&label))?;
    Some(&group.subject.name)
}

impl Raw {
    /// Warns of each `confirm` that takes longer than the shortest event, which depends on the model's windows.
    pub(in crate::config) fn confirm_warnings(&self, detection: &Detection) -> Vec<Fault> {
        let none = RawGate::default();
        let labels = self.labels.iter().map(|entry| (format!("labels.{:?}", entry.name), &entry.body, &self.defaults));
        let groups = self.groups.iter().map(|group| (format!("groups.{}", group.name), &group.body.gate, &self.defaults));
        let tables = std::iter::once(("defaults".to_owned(), &self.defaults, &none)).chain(labels).chain(groups);
        let shortest_window_ms = detection.windows_ms.iter().copied().min().unwrap_or(0).into();
        let warning = |(table, own, defaults): (String, &RawGate, &RawGate)| {
            // A table that sets neither key is covered by the table that sets them.
            let (line, key) = match (own.confirm.line, own.min_duration_ms.line) {
                (Some(line), _) => (line, "confirm"),
                (None, line) => (line?, "min_duration_ms"),
            };
            let confirm = pick(&own.confirm, &defaults.confirm).value.as_deref().unwrap_or(STANDARD_GATE.confirm);
            let k: u32 = confirm.split_once('/')?.0.trim().parse().ok()?;
            let needed_ms = f64::from(k) * f64::from(detection.hop_ms);
            let min_ms = pick(&own.min_duration_ms, &defaults.min_duration_ms).value.unwrap_or(STANDARD_GATE.min_duration_ms);
            let (least_ms, what) = if min_ms > 0.0 {
                (min_ms, "the shortest event, min_duration_ms =")
            } else {
                (shortest_window_ms, "the shortest window,")
            };
            let message = format!(
                "confirm = {confirm:?} takes {needed_ms} ms, longer than {what} {least_ms} ms, so that a short sound is announced \
                 only after its end; ask for fewer windows"
            );
            // With k = 1 the first score announces the event, so nothing can be late.
            let is_late = k > 1 && needed_ms > least_ms;
            is_late.then(|| Fault { path: self.path.clone(), line: Some(line), key: format!("{table}.{key}"), message })
        };
        tables.filter_map(warning).collect()
    }

    /// A warning about the folder of learnt sounds, or a file in it.
    pub(in crate::config) fn sounds_warning(&self, message: String) -> Fault {
        Fault { path: self.path.clone(), line: self.model.sounds.line, key: "model.sounds".to_owned(), message }
    }

    /// Warns where there are quiet hours and the time zone of the machine is unknown.
    pub(in crate::config) fn unknown_zone(&self) -> Option<Fault> {
        let hours = &self.privacy.quiet_hours;
        let is_unknown = !hours.value.is_empty() && TimeZone::try_system().is_err();
        is_unknown.then(|| Fault {
            path: self.path.clone(),
            line: hours.line,
            key: "privacy.quiet_hours".to_owned(),
            message: "the machine's time zone is unknown, so these are times in UTC; correct TZ or /etc/localtime".to_owned(),
        })
    }
}
