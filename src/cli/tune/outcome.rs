//! What tuning comes to: for each label its numbers before and after, and what must stand in the configuration for them.

use super::hear::Observed;
use super::recordings::Labelled;
use super::subjects::{Family, Subjects, Tuned};
use crate::cli::{Failure, exit};
use crate::config::edit::{self, Assignment, EditError, Key};
use crate::config::{Config, Faults, Raw};
use crate::detect::rule::{Gate, Rule};
use crate::model::Labels;
use crate::tune::bootstrap::Draws;
use crate::tune::candidates::{self, MANNERS, RELUCTANT, USUAL};
use crate::tune::choose::{Choice, Evidence, Goal};
use crate::tune::matching::{self, Counts, n_blocks, tally, united};

/// How often each family's members are chosen anew, for what is best for one depends on the others.
const ROUNDS: usize = 2;

/// A label or a group, tuned.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What is tuned.
    pub tuned: Tuned,
    /// The name of the one whose true events it was tuned by, if they are not its own.
    pub kind_of: Option<String>,
    /// What was chosen; what it did is told of the whole family, before and after.
    pub choice: Choice,
    /// The gate that is meant to be in force.
    pub gate: Gate,
    /// How many events are announced and then taken back, with the gate in force and with the one that is chosen.
    pub n_taken_back: (usize, usize),
}

impl Outcome {
    /// Whether something is set for it in the configuration.
    pub fn is_set(&self) -> bool {
        self.tuned.is_reported && self.choice.nearest.is_some()
    }
}

/// The gates that every tuned label is heard with: the one in force, then every threshold in every manner.
pub fn gates(tuned: &Tuned) -> Vec<Gate> {
    let in_force = tuned.rule.gate;
    let thresholds = candidates::thresholds();
    let tried = MANNERS.iter().flat_map(|manner| thresholds.iter().map(|threshold| (*threshold, *manner)));
    let tried = tried.map(|(threshold, manner)| candidates::gate(&in_force, threshold, manner));
    std::iter::once(in_force).chain(tried).collect()
}

/// Chooses for every label, the families one after the other; in the order of what is tuned.
pub fn choose(
    subjects: &Subjects,
    recordings: &[Labelled],
    observed: &[Observed],
    rule: matching::Rule,
    goal: Goal,
) -> Vec<Outcome> {
    let mut choosing = Choosing::new(subjects, recordings, observed, rule);
    let mut outcomes: Vec<Option<Outcome>> = vec![None; subjects.tuned.len()];
    for family in &subjects.families {
        let head = family.members[0];
        let in_force = vec![0; subjects.tuned.len()];
        let before = sum(&choosing.family(family, &in_force));
        let mut choices = Vec::new();
        for _ in 0..ROUNDS {
            choices = family.members.iter().map(|member| choosing.member(family, *member, goal)).collect();
        }
        let after = sum(&choosing.family(family, &choosing.chosen));
        for (member, choice) in family.members.iter().zip(choices) {
            let tuned = &subjects.tuned[*member];
            let gate = match choice.nearest {
                None => tuned.rule.gate,
                Some((manner, _)) => candidates::gate(&tuned.rule.gate, rounded(choice.threshold), MANNERS[manner]),
            };
            outcomes[*member] = Some(Outcome {
                kind_of: (*member != head).then(|| subjects.tuned[head].rule.subject.name.clone()),
                choice: Choice { before, after, ..choice },
                n_taken_back: (choosing.n_taken_back(*member, 0), choosing.n_taken_back(*member, choosing.chosen[*member])),
                tuned: tuned.clone(),
                gate,
            });
        }
    }
    outcomes.into_iter().flatten().collect()
}

/// The choice while it is made.
struct Choosing<'a> {
    subjects: &'a Subjects,
    recordings: &'a [Labelled],
    observed: &'a [Observed],
    rule: matching::Rule,
    blocks: Vec<usize>,
    draws: Draws,
    thresholds: Vec<f64>,
    /// Which of its gates each of what is tuned has so far.
    chosen: Vec<usize>,
}

impl<'a> Choosing<'a> {
    fn new(subjects: &'a Subjects, recordings: &'a [Labelled], observed: &'a [Observed], rule: matching::Rule) -> Self {
        let blocks: Vec<usize> = observed.iter().map(|observed| n_blocks(observed.lasts_s)).collect();
        let draws = Draws::new(blocks.iter().sum());
        let chosen = vec![0; subjects.tuned.len()];
        Self { subjects, recordings, observed, rule, blocks, draws, thresholds: candidates::thresholds(), chosen }
    }

    /// Which gate a candidate is.
    fn place(&self, (manner, threshold): (usize, usize)) -> usize {
        1 + manner * self.thresholds.len() + threshold
    }

    /// What a family does with these gates, block by block: whatever is told of any of them is told of the one above all.
    fn family(&self, family: &Family, gates: &[usize]) -> Vec<Counts> {
        let truth = &self.subjects.tuned[family.members[0]];
        let each = self.recordings.iter().zip(self.observed).zip(&self.blocks);
        each.flat_map(|((recording, observed), n_blocks)| {
            let told = family.members.iter().chain(&family.below).flat_map(|at| &observed.by_gate[*at][gates[*at]].events);
            tally(&truth.truth(recording), &united(told.copied().collect()), self.rule, *n_blocks)
        })
        .collect()
    }

    /// How many events a gate announces and then takes back.
    fn n_taken_back(&self, at: usize, gate: usize) -> usize {
        self.observed.iter().map(|observed| observed.by_gate[at][gate].n_taken_back).sum()
    }

    /// Chooses for one member of a family while the others stay as they are.
    fn member(&mut self, family: &Family, member: usize, goal: Goal) -> Choice {
        let mut gates = self.chosen.clone();
        let mut did = |gate: usize| {
            gates[member] = gate;
            self.family(family, &gates)
        };
        let all = |manner| (0..self.thresholds.len()).map(|threshold| did(self.place((manner, threshold)))).collect();
        let tried = (0..MANNERS.len()).map(all).collect();
        let evidence = Evidence {
            threshold: self.subjects.tuned[member].rule.gate.threshold.into(),
            in_force: did(0),
            tried,
            thresholds: self.thresholds.clone(),
        };
        let mut choice = evidence.choose(goal, &self.draws);
        if let Some((USUAL, threshold)) = choice.nearest {
            // What is announced and then taken back wakes somebody for nothing.
            let did = |manner: usize| {
                (sum(&evidence.tried[manner][threshold]), self.n_taken_back(member, self.place((manner, threshold))))
            };
            let ((usual, usual_taken_back), (reluctant, taken_back)) = (did(USUAL), did(RELUCTANT));
            if reluctant.f1() >= usual.f1() && taken_back < usual_taken_back {
                choice = Choice { after: reluctant, nearest: Some((RELUCTANT, threshold)), ..choice };
            }
        }
        self.chosen[member] = choice.nearest.map_or(0, |nearest| self.place(nearest));
        choice
    }
}

fn sum(blocks: &[Counts]) -> Counts {
    blocks.iter().copied().sum()
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
