//! The labels that are judged, and which of the heard labels count for each.

use std::collections::{BTreeMap, HashMap};

use super::map::Map;
use crate::detect::rule::{self, Rule};
use crate::model::Labels;
use crate::model::hierarchy::LabelHierarchy;
use crate::model::labels::slug;

/// A label of the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The name that is printed.
    pub name: String,
    /// The model's labels that it stands for, by their index; none where only events of this name count.
    pub members: Vec<usize>,
}

/// The labels of the truth, in the order in which they were met.
pub struct Classes<'a> {
    labels: &'a Labels,
    hierarchy: &'a LabelHierarchy,
    /// The names and members of the groups of the configuration.
    groups: Vec<(String, Vec<usize>)>,
    map: Map,
    /// Whether a name without a counterpart in the model is a label of its own, because the model is not to hear it.
    own_names: bool,
    all: Vec<Class>,
    by_key: HashMap<String, usize>,
    /// The labels of a data set without a counterpart, and how often they were met.
    left_out: BTreeMap<String, usize>,
}

impl<'a> Classes<'a> {
    /// No label yet.
    pub fn new(labels: &'a Labels, hierarchy: &'a LabelHierarchy, rules: &[Rule], map: Map, own_names: bool) -> Self {
        let groups = rules.iter().filter(|rule| rule.subject.is_group());
        let groups = groups.map(|rule| (rule.subject.name.clone(), rule.members.clone())).collect();
        let (all, by_key, left_out) = (Vec::new(), HashMap::new(), BTreeMap::new());
        Self { labels, hierarchy, groups, map, own_names, all, by_key, left_out }
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The name of a label.
    pub fn name(&self, class: usize) -> &str {
        &self.all[class].name
    }

    /// The model's labels of a name: as the map says, else the group or the label of this name, slug or id.
    fn members(&self, name: &str) -> Option<Vec<usize>> {
        let group = || self.groups.iter().find(|(group, _)| group.eq_ignore_ascii_case(name)).map(|(_, members)| members.clone());
        let label = || self.labels.find(name).or_else(|| self.labels.find(&slug(name))).map(|label| vec![label]);
        self.map.get(name).or_else(group).or_else(label)
    }

    /// The label of a truth file.
    ///
    /// # Errors
    /// A sentence about a name that the model does not have.
    pub fn of_truth(&mut self, name: &str) -> Result<usize, String> {
        match self.members(name) {
            Some(members) => Ok(self.add(name, members)),
            None if self.own_names => Ok(self.add(name, Vec::new())),
            None => {
                let groups = self.groups.iter().map(|(name, _)| name.as_str());
                Err(format!("{}; or say with --map what counts for it", self.labels.unknown_beside(groups, name)))
            }
        }
    }

    /// The label of a data set, which may state an AudioSet id, or have a counterpart of another name. `None` where it has none.
    pub fn of_dataset(&mut self, name: &str, id: Option<&str>, counterparts: &[&str]) -> Option<usize> {
        let by_id = || id.and_then(|id| self.labels.find(id)).map(|label| vec![label]);
        let by_counterpart = || {
            let found: Vec<usize> = counterparts.iter().filter_map(|name| self.labels.find(name)).collect();
            (!found.is_empty()).then_some(found)
        };
        let members = self.map.get(name).or_else(by_id).or_else(by_counterpart).or_else(|| self.members(name));
        match members {
            Some(members) => Some(self.add(name, members)),
            None if self.own_names => Some(self.add(name, Vec::new())),
            None => {
                *self.left_out.entry(name.to_owned()).or_default() += 1;
                None
            }
        }
    }

    fn add(&mut self, name: &str, members: Vec<usize>) -> usize {
        let key = key(name);
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        let same = self.all.iter().position(|class| !members.is_empty() && class.members == members);
        let class = same.unwrap_or_else(|| {
            let name = match members[..] {
                [label] => self.labels.subjects()[label].name.clone(),
                _ => name.to_owned(),
            };
            self.all.push(Class { name, members });
            self.all.len() - 1
        });
        self.by_key.insert(key, class);
        class
    }

    /// The labels for which an event of these labels of the model counts: the label itself, and those above it.
    pub fn of_members(&self, heard: &[usize]) -> impl Iterator<Item = usize> {
        let counts = |class: &Class| !class.members.is_empty() && self.hierarchy.covers(&class.members, heard);
        (0..self.all.len()).filter(move |class| counts(&self.all[*class]))
    }

    /// The labels for which an event of this name counts, whatever program gave it.
    pub fn of_name(&self, name: &str) -> Vec<usize> {
        let mut found: Vec<usize> = self.members(name).map(|members| self.of_members(&members).collect()).unwrap_or_default();
        found.extend(self.by_key.get(&key(name)));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// For each of the model's labels, the labels for which it counts.
    pub fn of_labels(&self) -> Vec<Vec<usize>> {
        (0..self.labels.len()).map(|label| self.of_members(&[label]).collect()).collect()
    }

    /// A sentence about the labels that are left out, if there are any.
    pub fn remarks(&self) -> Vec<String> {
        if self.left_out.is_empty() {
            return Vec::new();
        }
        let names: Vec<String> = self.left_out.iter().map(|(name, n)| format!("{name} ({n})")).collect();
        vec![format!(
            "the model has no counterpart for {} of the data set's labels, which are left out: {}; --map can name one",
            names.len(),
            names.join(", ")
        )]
    }

    /// A sentence about the labels that the configuration does not report, if there are any: nothing can be heard of them.
    pub fn unreported(&self, rules: &[Rule]) -> Vec<String> {
        let is_heard = |class: &Class| rules.iter().any(|rule| self.hierarchy.covers(&class.members, &rule.members));
        let missing: Vec<&str> = self.all.iter().filter(|class| !is_heard(class)).map(|class| class.name.as_str()).collect();
        if missing.is_empty() {
            return Vec::new();
        }
        let groups: Vec<&str> = rule::groups(rules).map(|group| group.name.as_str()).collect();
        let grouped = if groups.is_empty() { "" } else { " by themselves" };
        vec![format!(
            "the configuration does not report {}{grouped}, so that every event of them counts as missed; a configuration with preset = \
             \"all\" under [report] reports all labels",
            missing.join("; ")
        )]
    }
}

/// Names that differ in case, spaces and punctuation only are one.
fn key(name: &str) -> String {
    match slug(name) {
        slug if slug.trim_matches('_').is_empty() => name.to_lowercase(),
        slug => slug,
    }
}
