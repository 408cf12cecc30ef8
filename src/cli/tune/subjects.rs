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
        let subjects = Subjects::new(&raw, &config, &labels, &Kinship::new(&labels), std::slice::from_ref(&recording));
        (subjects, recording)
    }

    fn names(subjects: &Subjects) -> Vec<(&str, bool)> {
        subjects.tuned.iter().map(|tuned| (tuned.rule.subject.name.as_str(), tuned.is_reported)).collect()
    }

    #[test]
    fn what_is_above_a_true_label_has_its_events_and_those_of_its_other_kin_as_one() {
        let (subjects, recording) =
            subjects("[report]\npreset = \"all\"\n", &[(1, span(1.0, 3.0)), (3, span(2.0, 4.0)), (1, span(8.0, 9.0))]);
        assert_eq!(names(&subjects), [("Animal", true), ("Dog", true), ("Cat", true)]);
        assert_eq!(subjects.tuned[0].truth(&recording), [span(1.0, 4.0), span(8.0, 9.0)]);
        assert_eq!(subjects.tuned[1].truth(&recording), [span(1.0, 3.0), span(8.0, 9.0)]);
    }

    #[test]
    fn what_is_below_a_true_label_follows_it_and_what_is_no_kin_stays() {
        let (subjects, _) = subjects("[report]\npreset = \"all\"\n", &[(1, span(1.0, 3.0))]);
        let followers: Vec<_> = subjects.followers.iter().map(|f| (f.rule.subject.name.as_str(), f.above.as_slice())).collect();
        // A cat is an animal, but the truth speaks of dogs only.
        assert_eq!(followers, [("Bark", &[1][..])]);
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
