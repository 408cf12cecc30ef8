//! The labels and groups that are tuned, and the true events that each is tuned by.

use std::collections::BTreeSet;

use super::recordings::Labelled;
use crate::config::Config;
use crate::config::raw::Raw;
use crate::detect::rule::Rule;
use crate::evaluate::matching::{Span, united};
use crate::model::Labels;
use crate::model::hierarchy::LabelHierarchy;

/// A label or a group that is tuned.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The effective rule, or the one that the label would have if it were reported.
    pub rule: Rule,
    /// Whether the configuration reports it.
    pub is_reported: bool,
    /// The labels whose true events are its own: its members and their descendants. Empty if the truth names only an ancestor of
    /// it.
    pub from: Vec<usize>,
}

/// A branch of the label hierarchy: a label with true events and its descendants. They are tuned together, because an event of a
/// descendant, such as Bark, is also one of the label, such as Dog.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// The head, which has the true events, then its descendants without true events of their own; as indices of
    /// [`Subjects::tuned`].
    pub members: Vec<usize>,
    /// The descendants of the head that belong to another branch.
    pub below: Vec<usize>,
}

/// All labels and groups that are tuned.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Subjects {
    /// The labels and groups.
    pub tuned: Vec<Tuned>,
    /// The branches, each after those of its descendants.
    pub branches: Vec<Branch>,
}

impl Subjects {
    /// The labels and groups of the configuration to which the recordings' true events belong, and the labels with true events
    /// that are not reported.
    pub fn new(raw: &Raw, config: &Config, labels: &Labels, hierarchy: &LabelHierarchy, recordings: &[Labelled]) -> Self {
        let named: BTreeSet<usize> = recordings.iter().flat_map(|r| r.events.iter().map(|event| event.label)).collect();
        let from = |rule: &Rule| -> Vec<usize> {
            named.iter().copied().filter(|label| hierarchy.covers(&rule.members, &[*label])).collect()
        };
        let tuned = |rule: &Rule, is_reported| Tuned { rule: rule.clone(), is_reported, from: from(rule) };
        let is_heard = |label: usize| config.rules.iter().any(|rule| rule.members.contains(&label));
        let missing: Vec<usize> = named.iter().copied().filter(|label| !is_heard(*label)).collect();
        let mut all: Vec<Tuned> = config.rules.iter().map(|rule| tuned(rule, true)).collect();
        all.extend(unreported(raw, labels, &missing).iter().map(|rule| tuned(rule, false)));

        let is_below = |low: usize, high: usize| {
            let (low, high) = (&all[low], &all[high]);
            low.is_reported
                && high.is_reported
                && low.rule.members != high.rule.members
                && hierarchy.covers(&high.rule.members, &low.rule.members)
        };
        let below = |high: usize| (0..all.len()).filter(|low| is_below(*low, high)).count();
        // The truth is complete for the labels that it names and for their descendants, and for no others.
        let is_named = |at: usize| all[at].rule.members.iter().any(|label| named.contains(label));
        let head = |at: usize| {
            let above = (0..all.len()).filter(|high| is_named(*high) && is_below(at, *high));
            if all[at].from.is_empty() { above.min_by_key(|high| below(*high)) } else { Some(at) }
        };
        let heads: Vec<Option<usize>> = (0..all.len()).map(head).collect();
        let mut order: Vec<usize> = (0..all.len()).filter(|at| !all[*at].from.is_empty()).collect();
        order.sort_by_key(|at| below(*at));
        let kept: Vec<usize> = (0..all.len()).filter(|at| heads[*at].is_some()).collect();
        // The indices in a branch count the kept labels only.
        let places = |found: Vec<usize>| found.iter().filter_map(|at| kept.binary_search(at).ok()).collect::<Vec<usize>>();
        let branch = |of: &usize| {
            let followers = (0..all.len()).filter(|at| at != of && heads[*at] == Some(*of));
            let members: Vec<usize> = std::iter::once(*of).chain(followers).collect();
            let others = (0..all.len()).filter(|at| is_below(*at, *of) && !members.contains(at)).collect();
            Branch { members: places(members), below: places(others) }
        };
        let branches = order.iter().map(branch).collect();
        Self { tuned: kept.iter().map(|at| all[*at].clone()).collect(), branches }
    }
}

impl Tuned {
    /// The true events of this label or group in a recording.
    pub fn truth(&self, recording: &Labelled) -> Vec<Span> {
        united(recording.events.iter().filter(|event| self.from.contains(&event.label)).map(|event| event.span).collect())
    }
}

/// The rules that these labels would have if the configuration reported them.
fn unreported(raw: &Raw, labels: &Labels, missing: &[usize]) -> Vec<Rule> {
    if missing.is_empty() {
        return Vec::new();
    }
    let rules = raw.reporting_all().validate(labels).map(|loaded| loaded.config.rules).unwrap_or_default();
    rules.into_iter().filter(|rule| matches!(rule.members[..], [label] if missing.contains(&label))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::recordings::Known;
    use super::*;
    use crate::model::labels::Node;

    /// Animal ─ Dog ─ Bark, and Animal ─ Cat; Siren stands alone.
    fn labels() -> Labels {
        let names = ["Animal", "Dog", "Bark", "Cat", "Siren"];
        let parents = [&[][..], &["Animal"], &["Dog"], &["Animal"], &[]];
        let nodes = names.iter().zip(parents).map(|(name, parents)| Node {
            id: format!("/m/{name}"),
            name: (*name).to_owned(),
            parents: parents.iter().map(|parent| format!("/m/{parent}")).collect(),
        });
        Labels::new(names.map(|name| (format!("/m/{name}"), name.to_owned())), nodes.collect())
    }

    fn span(onset_s: f64, offset_s: f64) -> Span {
        Span { onset_s, offset_s }
    }

    /// The subjects of one recording with these events under this configuration.
    fn subjects(config: &str, events: &[(usize, Span)]) -> (Subjects, Labelled) {
        let labels = labels();
        let raw = Raw::parse(config, None);
        let known = |(label, span): &(usize, Span)| Known { file: 0, line: 2, label: *label, span: *span };
        let events = events.iter().map(known).collect();
        let recording = Labelled { path: "a.wav".into(), n_frames: None, lasts_s: 60.0, events };
        let config = raw.validate(&labels).unwrap().config;
        let subjects = Subjects::new(&raw, &config, &labels, &LabelHierarchy::new(&labels), std::slice::from_ref(&recording));
        (subjects, recording)
    }

    fn names(subjects: &Subjects) -> Vec<(&str, bool)> {
        subjects.tuned.iter().map(|tuned| (tuned.rule.subject.name.as_str(), tuned.is_reported)).collect()
    }

    #[test]
    fn what_is_above_a_true_label_has_its_events_and_those_of_its_other_kin_as_one() {
        let (subjects, recording) =
            subjects("[report]\npreset = \"all\"\n", &[(1, span(1.0, 3.0)), (3, span(2.0, 4.0)), (1, span(8.0, 9.0))]);
        assert_eq!(names(&subjects), [("Animal", true), ("Dog", true), ("Bark", true), ("Cat", true)]);
        assert_eq!(subjects.tuned[0].truth(&recording), [span(1.0, 4.0), span(8.0, 9.0)]);
        assert_eq!(subjects.tuned[1].truth(&recording), [span(1.0, 3.0), span(8.0, 9.0)]);
    }

    #[test]
    fn what_is_below_a_true_label_is_of_its_family_and_families_come_after_those_below_them() {
        let (subjects, _) = subjects("[report]\npreset = \"all\"\n", &[(1, span(1.0, 3.0))]);
        // A cat is an animal, but the truth speaks of dogs only.
        assert_eq!(names(&subjects), [("Animal", true), ("Dog", true), ("Bark", true)]);
        let (dog, animal) = (Branch { members: vec![1, 2], below: vec![] }, Branch { members: vec![0], below: vec![1, 2] });
        assert_eq!(subjects.branches, [dog, animal]);
    }

    #[test]
    fn a_true_label_that_is_left_out_or_not_asked_for_is_tuned_all_the_same() {
        let config = "[report]\nlabels = [\"Animal\", \"Cat\"]\nignore = [\"Cat\"]\n[labels.cat]\nthreshold = 0.37\n";
        let (subjects, _) = subjects(config, &[(1, span(1.0, 3.0)), (3, span(5.0, 6.0))]);
        assert_eq!(names(&subjects), [("Animal", true), ("Dog", false), ("Cat", false)]);
        assert_eq!(subjects.tuned[2].rule.gate.threshold, 0.37);
    }

    #[test]
    fn a_label_in_a_group_is_tuned_under_the_groups_name() {
        let config = "[report]\nlabels = [\"Cat\"]\n[groups.alarm]\nlabels = [\"Siren\", \"Bark\"]\n";
        let (subjects, _) = subjects(config, &[(4, span(1.0, 3.0))]);
        assert_eq!(names(&subjects), [("alarm", true)]);
    }
}
