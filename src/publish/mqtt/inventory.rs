//! What there is to tell of: the sources and the labels that are reported, with their thresholds.

use super::topics::key;
use crate::publish::shared::Shared;
use crate::publish::wire::score;

/// What there is to tell of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// The names of the sources.
    pub sources: Vec<String>,
    /// The labels and groups that are reported.
    pub labels: Vec<Label>,
    /// The model's name.
    pub model: String,
}

/// A label or a group that is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// What it is called in topics; unique.
    pub key: String,
    /// The display name.
    pub name: String,
    /// Its threshold, 0…1.
    pub threshold: f64,
}

impl Inventory {
    /// What there is just now.
    pub fn of(shared: &Shared) -> Self {
        let directory = shared.directory();
        let mut sources: Vec<String> = directory.in_force.sources.iter().map(|source| source.name.to_string()).collect();
        // A source that is opened anew is not gone; one that plays instead of a microphone stands in no configuration.
        let others = shared.stats.all().into_iter().map(|source| source.name.to_string());
        sources.extend(others.filter(|name| directory.in_force.sources.iter().all(|source| *source.name != **name)));
        let mut labels: Vec<Label> = Vec::new();
        for rule in &directory.in_force.rules {
            let (key, name) = (key(&rule.subject), rule.subject.name.clone());
            // A group may be called like a label; whoever sets one of them by this name means the group, and so does the topic.
            match labels.iter_mut().find(|label| label.key == key) {
                Some(_) if !rule.subject.is_group() => {}
                Some(known) => *known = Label { key, name, threshold: score(rule.gate.threshold) },
                None => labels.push(Label { key, name, threshold: score(rule.gate.threshold) }),
            }
        }
        Self { sources, labels, model: directory.model.name.clone() }
    }

    /// The label with this display name.
    pub fn named(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name == name)
    }
}
