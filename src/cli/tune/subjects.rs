//! Which labels and groups are tuned, and by which true events.

use std::collections::BTreeSet;

use super::recordings::Labelled;
use crate::config::raw::Raw;
use crate::config::{Config, Rule};
use crate::detect::family::Kinship;
use crate::model::Labels;
use crate::tune::matching::{Span, united};

/// A label or a group that is tuned.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The rule in force, or the one that would be if the label were reported.
    pub rule: Rule,
    /// Whether the configuration reports it.
    pub is_reported: bool,
    /// The labels whose true events are its own: those of its members, and of what is below them.
    pub from: Vec<usize>,
}

/// A reported label of which the truth says nothing, below one of which it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Follower {
    /// The rule in force.
    pub rule: Rule,
    /// The tuned labels above it, by their place among all that are tuned.
    pub above: Vec<usize>,
}

/// What is tuned, and what follows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Subjects {
    /// With true events.
    pub tuned: Vec<Tuned>,
    /// Without.
    pub followers: Vec<Follower>,
}

impl Subjects {
    /// What of the configuration, and beyond it, these recordings speak of.
    pub fn new(raw: &Raw, config: &Config, labels: &Labels, kinship: &Kinship, recordings: &[Labelled]) -> Self {
        let named: BTreeSet<usize> = recordings.iter().flat_map(|r| r.events.iter().map(|event| event.label)).collect();
        let from = |rule: &Rule| -> Vec<usize> {
            named.iter().copied().filter(|label| kinship.covers(&rule.members, &[*label])).collect()
        };
        let tuned = |rule: &Rule, is_reported| Tuned { rule: rule.clone(), is_reported, from: from(rule) };
        let mut subjects = Subjects::default();
        subjects.tuned.extend(config.rules.iter().map(|rule| tuned(rule, true)).filter(|tuned| !tuned.from.is_empty()));
        let is_heard = |label: usize| config.rules.iter().any(|rule| rule.members.contains(&label));
        let missing: Vec<usize> = named.iter().copied().filter(|label| !is_heard(*label)).collect();
        subjects.tuned.extend(unreported(raw, labels, &missing).iter().map(|rule| tuned(rule, false)));
        for rule in config.rules.iter().filter(|rule| from(rule).is_empty()) {
            let is_above = |tuned: &Tuned| {
                tuned.rule.members.iter().any(|label| named.contains(label)) && kinship.covers(&tuned.rule.members, &rule.members)
            };
            let above: Vec<usize> = (0..subjects.tuned.len()).filter(|at| is_above(&subjects.tuned[*at])).collect();
            if !above.is_empty() {
                subjects.followers.push(Follower { rule: rule.clone(), above });
            }
        }
        subjects
    }
}

impl Tuned {
    /// Its true events in a recording.
    pub fn truth(&self, recording: &Labelled) -> Vec<Span> {
        united(recording.events.iter().filter(|event| self.from.contains(&event.label)).map(|event| event.span).collect())
    }
}

/// The rules of these labels as the configuration would have them if it reported them.
fn unreported(raw: &Raw, labels: &Labels, missing: &[usize]) -> Vec<Rule> {
    if missing.is_empty() {
        return Vec::new();
    }
    let mut asked = raw.clone();
    asked.report = Default::default();
    asked.report.labels.value = Some(missing.iter().map(|label| labels.subjects()[*label].name.clone()).collect());
    let rules = asked.validate(labels).map(|loaded| loaded.config.rules).unwrap_or_default();
    rules.into_iter().filter(|rule| matches!(rule.members[..], [label] if missing.contains(&label))).collect()
}
