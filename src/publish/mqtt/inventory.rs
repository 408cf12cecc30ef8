//! The sources, and the reported labels with their thresholds.

use super::topics::key;
use crate::publish::shared::Shared;
use crate::publish::wire::score;

/// The sources and labels that the broker gets messages about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// The names of the sources.
    pub sources: Vec<String>,
    /// The labels and groups that are reported.
    pub labels: Vec<ReportedLabel>,
    /// The model's name.
    pub model: String,
}

/// A label or a group that is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedLabel {
    /// The unique name in topics.
    pub key: String,
    /// The display name.
    pub name: String,
    /// The threshold, 0…1.
    pub threshold: f64,
}

impl Inventory {
    /// The present sources and labels.
    pub fn of(shared: &Shared) -> Self {
        let directory = shared.directory();
        let mut sources: Vec<String> = directory.sources.iter().map(ToString::to_string).collect();
        // A source that is being opened again still counts, and a recording that plays instead of a microphone is in no
        // configuration.
        let others = shared.stats.all().into_iter().map(|source| source.name.to_string());
        sources.extend(others.filter(|name| directory.sources.iter().all(|source| **source != **name)));
        let mut labels: Vec<ReportedLabel> = Vec::new();
        for rule in &directory.rules {
            let (key, name) = (key(&rule.subject), rule.subject.name.clone());
            // A group may have the name of a label. A request with this name means the group, and so does the topic.
            match labels.iter_mut().find(|label| label.key == key) {
                Some(_) if !rule.subject.is_group() => {}
                Some(known) => *known = ReportedLabel { key, name, threshold: score(rule.gate.threshold) },
                None => labels.push(ReportedLabel { key, name, threshold: score(rule.gate.threshold) }),
            }
        }
        Self { sources, labels, model: directory.model.name.clone() }
    }

    /// The label with this display name.
    pub fn named(&self, name: &str) -> Option<&ReportedLabel> {
        self.labels.iter().find(|label| label.name == name)
    }
}
