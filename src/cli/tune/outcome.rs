//! What tuning comes to: for each label its numbers before and after, and what must stand in the configuration for them.

use super::hear::Observed;
use super::recordings::Labelled;
use super::subjects::{Follower, Subjects, Tuned};
use crate::cli::{Failure, exit};
use crate::config::edit::{self, Assignment, EditError, Key};
use crate::config::{Config, Faults, Gate, Raw, Rule};
use crate::model::Labels;
use crate::tune::bootstrap::Draws;
use crate::tune::candidates::{self, RELEASE_RATIOS};
use crate::tune::choose::{Choice, Evidence, Goal};
use crate::tune::matching::{self, n_blocks, tally};

/// A label or a group, tuned.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What is tuned.
    pub tuned: Tuned,
    /// What was chosen.
    pub choice: Choice,
    /// The gate that is meant to be in force.
    pub gate: Gate,
    /// How many events are announced and then taken back, with the gate in force and with the one that is chosen.
    pub n_taken_back: (usize, usize),
}

/// A label without true events of its own, which is to be no more sensitive than the one above it.
#[derive(Debug, Clone, PartialEq)]
pub struct Following {
    /// The rule in force.
    pub rule: Rule,
    /// The name of the one above it.
    pub above: String,
    /// That one's threshold.
    pub threshold: f64,
}

/// The gates that every tuned label is heard with: the one in force, then every threshold with every release.
pub fn gates(tuned: &Tuned) -> Vec<Gate> {
    let in_force = tuned.rule.gate;
    let thresholds = candidates::thresholds();
    let tried = RELEASE_RATIOS.iter().flat_map(|ratio| thresholds.iter().map(|threshold| (*threshold, *ratio)));
    let tried = tried.map(|(threshold, ratio)| candidates::gate(&in_force, threshold, ratio));
    std::iter::once(in_force).chain(tried).collect()
}

/// Chooses for every label.
pub fn choose(
    subjects: &Subjects,
    recordings: &[Labelled],
    observed: &[Observed],
    rule: matching::Rule,
    goal: Goal,
) -> Vec<Outcome> {
    let blocks: Vec<usize> = observed.iter().map(|observed| n_blocks(observed.lasts_s)).collect();
    let draws = Draws::new(blocks.iter().sum());
    let outcome = |(at, tuned): (usize, &Tuned)| {
        let thresholds = candidates::thresholds();
        let did = |gate: usize| {
            let each = recordings.iter().zip(observed).zip(&blocks);
            each.flat_map(|((recording, observed), n_blocks)| {
                tally(&tuned.truth(recording), &observed.by_gate[at][gate].events, rule, *n_blocks)
            })
            .collect()
        };
        let place = |release: usize, threshold: usize| 1 + release * thresholds.len() + threshold;
        let all = |release: usize| (0..thresholds.len()).map(|threshold| did(place(release, threshold))).collect();
        let evidence = Evidence {
            threshold: tuned.rule.gate.threshold.into(),
            in_force: did(0),
            tried: (0..RELEASE_RATIOS.len()).map(all).collect(),
            thresholds: thresholds.clone(),
        };
        let choice = evidence.choose(goal, &draws);
        let taken_back = |gate: usize| observed.iter().map(|observed| observed.by_gate[at][gate].n_taken_back).sum();
        let nearest = choice.nearest.map_or(0, |(release, threshold)| place(release, threshold));
        let gate = match choice.nearest {
            None => tuned.rule.gate,
            Some(_) => candidates::gate(&tuned.rule.gate, rounded(choice.threshold), choice.release_ratio),
        };
        Outcome { tuned: tuned.clone(), choice, gate, n_taken_back: (taken_back(0), taken_back(nearest)) }
    };
    subjects.tuned.iter().enumerate().map(outcome).collect()
}

/// Which labels are drawn along.
pub fn follow(followers: &[Follower], outcomes: &[Outcome]) -> Vec<Following> {
    let following = |follower: &Follower| {
        let above = follower.above.iter().map(|at| &outcomes[*at]);
        let above = above.max_by(|a, b| a.gate.threshold.total_cmp(&b.gate.threshold))?;
        (follower.rule.gate.threshold < above.gate.threshold).then(|| Following {
            rule: follower.rule.clone(),
            above: above.tuned.rule.subject.name.clone(),
            threshold: rounded(above.gate.threshold.into()),
        })
    };
    followers.iter().filter_map(following).collect()
}

/// Why the configuration cannot be brought to say what was found.
#[derive(Debug)]
pub enum Unwritten {
    /// Its text cannot be edited.
    Edit(EditError),
    /// What would stand there is not valid.
    Faults(Faults),
}

impl From<Unwritten> for Failure {
    fn from(error: Unwritten) -> Self {
        match error {
            Unwritten::Edit(error) => Self::new(error, exit::USAGE),
            Unwritten::Faults(faults) => Self::new(format_args!("what was found cannot be written: {faults}"), exit::USAGE),
        }
    }
}

impl From<EditError> for Unwritten {
    fn from(error: EditError) -> Self {
        Unwritten::Edit(error)
    }
}

/// What must be set in the configuration `text`, rule by rule, for each of `wanted` to have its gate: the threshold, and of the
/// release and the start threshold what does not follow from it.
pub fn assignments(text: &str, wanted: &[(&Rule, Gate)], labels: &Labels) -> Result<Vec<Vec<Assignment>>, Unwritten> {
    let assign = |rule: &Rule, key: Key, value: f32| {
        let (name, value) = (rule.subject.name.clone(), f64::from(value));
        match rule.members[..] {
            [label] if labels.subjects()[label] == rule.subject => Assignment::Label { label: name, key, value },
            _ => Assignment::Group { group: name, key, value },
        }
    };
    let thresholds: Vec<Assignment> = wanted.iter().map(|(rule, gate)| assign(rule, Key::Threshold, gate.threshold)).collect();
    // A release that is set already may be above the new threshold: then nothing follows, and everything is set.
    let derived = validated(&edit::assign(text, &thresholds, labels)?, labels).ok();
    let differs = |a: f32, b: f32| (a - b).abs() > 1e-4 * b.abs();
    let each = wanted.iter().zip(thresholds).map(|((rule, gate), threshold)| {
        let derived = derived.as_ref().and_then(|config| gate_of(config, rule));
        let mut set = vec![threshold];
        if derived.is_none_or(|derived| differs(derived.release, gate.release)) {
            set.push(assign(rule, Key::Release, gate.release));
        }
        if derived.is_none_or(|derived| differs(derived.start_threshold, gate.start_threshold)) {
            set.push(assign(rule, Key::StartThreshold, gate.start_threshold));
        }
        set
    });
    let all: Vec<Vec<Assignment>> = each.collect();
    validated(&edit::assign(text, &all.concat(), labels)?, labels).map_err(Unwritten::Faults)?;
    Ok(all)
}

fn validated(text: &str, labels: &Labels) -> Result<Config, Faults> {
    Ok(Raw::parse(text, None).validate(labels)?.config)
}

fn gate_of(config: &Config, rule: &Rule) -> Option<Gate> {
    config.rules.iter().find(|other| other.subject == rule.subject && other.members == rule.members).map(|rule| rule.gate)
}

/// To three digits that mean something.
fn rounded(threshold: f64) -> f64 {
    let scale = if threshold < 0.1 { 1e4 } else { 1e3 };
    (threshold * scale).round() / scale
}

impl Following {
    /// The gate that is meant to be in force.
    pub fn gate(&self) -> Gate {
        // The release keeps its proportion to the threshold.
        let gate = self.rule.gate;
        candidates::gate(&gate, self.threshold, f64::from(gate.release / gate.threshold))
    }
}
