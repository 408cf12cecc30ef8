//! The outcome of tuning: for each label its gate before and after, and the assignments that set it in the configuration.

use serde_json::{Value, json};

use super::hear::Observed;
use super::recordings::Labelled;
use super::subjects::{Branch, Subjects, Tuned};
use crate::config::Config;
use crate::config::edit::{Assignment, EditError, Key, Original};
use crate::detect::rule::{Gate, Rule};
use crate::evaluate::bootstrap::Draws;
use crate::evaluate::matching::{self, Counts, n_blocks, tally, united};
use crate::model::Labels;
use crate::tune::candidates::{self, MANNERS, RELUCTANT, USUAL};
use crate::tune::choose::{Choice, Evidence, Goal};

/// The number of rounds in which the gates of a branch are chosen. There are several, because the best gate of one member depends
/// on the others.
const ROUNDS: usize = 2;

/// The outcome for one label or group.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The label or group.
    pub tuned: Tuned,
    /// The name of the ancestor by whose true events it was tuned; `None` if it has true events of its own.
    pub kind_of: Option<String>,
    /// The choice. Its counts before and after are those of the whole branch.
    pub choice: Choice,
    /// The gate that was chosen.
    pub gate: Gate,
    /// The number of events that are announced and then taken back, with the effective gate and with the chosen one.
    pub n_taken_back: (usize, usize),
}

impl Outcome {
    /// Whether a number is set for it in the configuration.
    pub fn is_set(&self) -> bool {
        self.tuned.is_reported && self.choice.nearest.is_some()
    }
}

/// The candidate gates of a label: the effective one, then every threshold in every manner.
pub fn gates(tuned: &Tuned) -> Vec<Gate> {
    let in_force = tuned.rule.gate;
    let thresholds = candidates::thresholds();
    let tried = MANNERS.iter().flat_map(|manner| thresholds.iter().map(|threshold| (*threshold, *manner)));
    let tried = tried.map(|(threshold, manner)| candidates::gate(&in_force, threshold, manner));
    std::iter::once(in_force).chain(tried).collect()
}

/// Chooses a gate for every label, one branch after another. The outcomes are in the order of [`Subjects::tuned`].
pub fn choose(
    subjects: &Subjects,
    recordings: &[Labelled],
    observed: &[Observed],
    rule: matching::Rule,
    goal: Goal,
) -> Vec<Outcome> {
    let mut choosing = Choosing::new(subjects, recordings, observed, rule);
    let mut outcomes: Vec<Option<Outcome>> = vec![None; subjects.tuned.len()];
    for branch in &subjects.branches {
        let head = branch.members[0];
        let in_force = vec![0; subjects.tuned.len()];
        let before = sum(&choosing.branch(branch, &in_force));
        let mut choices = Vec::new();
        for _ in 0..ROUNDS {
            choices = branch.members.iter().map(|member| choosing.member(branch, *member, goal)).collect();
        }
        let after = sum(&choosing.branch(branch, &choosing.chosen));
        for (member, choice) in branch.members.iter().zip(choices) {
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

/// The state of the choice.
struct Choosing<'a> {
    subjects: &'a Subjects,
    recordings: &'a [Labelled],
    observed: &'a [Observed],
    rule: matching::Rule,
    blocks: Vec<usize>,
    draws: Draws,
    thresholds: Vec<f64>,
    /// For each label or group, the index of the gate that is chosen so far.
    chosen: Vec<usize>,
}

impl<'a> Choosing<'a> {
    fn new(subjects: &'a Subjects, recordings: &'a [Labelled], observed: &'a [Observed], rule: matching::Rule) -> Self {
        let blocks: Vec<usize> = observed.iter().map(|observed| n_blocks(observed.lasts_s)).collect();
        let draws = Draws::new(blocks.iter().sum());
        let chosen = vec![0; subjects.tuned.len()];
        Self { subjects, recordings, observed, rule, blocks, draws, thresholds: candidates::thresholds(), chosen }
    }

    /// The index of a candidate among the gates.
    fn place(&self, (manner, threshold): (usize, usize)) -> usize {
        1 + manner * self.thresholds.len() + threshold
    }

    /// The counts of a branch with these gates, block by block. An event of any member or descendant counts as one of the head.
    fn branch(&self, branch: &Branch, gates: &[usize]) -> Vec<Counts> {
        let truth = &self.subjects.tuned[branch.members[0]];
        let each = self.recordings.iter().zip(self.observed).zip(&self.blocks);
        each.flat_map(|((recording, observed), n_blocks)| {
            let events = branch.members.iter().chain(&branch.below).flat_map(|at| &observed.by_gate[*at][gates[*at]].events);
            tally(&truth.truth(recording), &united(events.copied().collect()), self.rule, *n_blocks)
        })
        .collect()
    }

    /// The number of events that a gate announces and then takes back.
    fn n_taken_back(&self, at: usize, gate: usize) -> usize {
        self.observed.iter().map(|observed| observed.by_gate[at][gate].n_taken_back).sum()
    }

    /// Chooses a gate for one member of a branch, while the others keep theirs.
    fn member(&mut self, branch: &Branch, member: usize, goal: Goal) -> Choice {
        let mut gates = self.chosen.clone();
        let mut did = |gate: usize| {
            gates[member] = gate;
            self.branch(branch, &gates)
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
            // An event that is announced and then taken back is a false alarm as well, because a user has been alarmed by then.
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

/// The assignments that give each of `wanted` its gate, rule by rule: the threshold, and the release and the start threshold
/// where they do not follow from it.
///
/// # Errors
/// Where the thresholds cannot be set in the text of `original`.
pub fn assignments(original: &Original, wanted: &[(&Rule, Gate)], labels: &Labels) -> Result<Vec<Vec<Assignment>>, EditError> {
    let assign = |rule: &Rule, key: Key, value: f32| Assignment::number(&rule.subject, key, value.into());
    let thresholds: Vec<Assignment> = wanted.iter().map(|(rule, gate)| assign(rule, Key::Threshold, gate.threshold)).collect();
    // The file may set a release above the new threshold, which is not valid. Then every number is set.
    let derived = match original.plan(&thresholds, labels) {
        Err(EditError::Invalid(_)) => None,
        plan => Some(plan?),
    };
    let differs = |a: f32, b: f32| (a - b).abs() > 1e-4 * b.abs();
    let each = wanted.iter().zip(thresholds).map(|((rule, gate), threshold)| {
        let derived = derived.as_ref().and_then(|plan| gate_of(plan.config(), rule));
        let mut set = vec![threshold];
        if derived.is_none_or(|derived| differs(derived.release, gate.release)) {
            set.push(assign(rule, Key::Release, gate.release));
        }
        if derived.is_none_or(|derived| differs(derived.start_threshold, gate.start_threshold)) {
            set.push(assign(rule, Key::StartThreshold, gate.start_threshold));
        }
        set
    });
    Ok(each.collect())
}

fn gate_of(config: &Config, rule: &Rule) -> Option<Gate> {
    config.rules.iter().find(|other| other.subject == rule.subject && other.members == rule.members).map(|rule| rule.gate)
}

/// A threshold rounded to three significant digits.
pub(super) fn rounded(threshold: f64) -> f64 {
    let scale = if threshold < 0.1 { 1e4 } else { 1e3 };
    (threshold * scale).round() / scale
}

/// A number as the JSON reports give it: to four decimal places.
pub(super) fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A gate and the counts that it had, as an object of the JSON reports; without the gate where no rule is known.
pub(super) fn gate_json(gate: Option<&Gate>, counts: Counts) -> Value {
    json!({
        "threshold": gate.map(|gate| round(gate.threshold.into())),
        "release": gate.map(|gate| round(gate.release.into())),
        "start_threshold": gate.map(|gate| round(gate.start_threshold.into())),
        "f1": round(counts.f1()),
        "precision": round(counts.precision()),
        "recall": round(counts.recall()),
        "found": counts.hits,
        "missed": counts.missed,
        "false_alarms": counts.false_alarms,
    })
}
