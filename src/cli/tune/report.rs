//! The report of tuning by truth: sentences for people, a fragment of a configuration, or JSON.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::outcome::{Outcome, gate_json, round};
use crate::config::edit::{self, Assignment};
use crate::detect::rule::Gate;
use crate::evaluate::bootstrap::upper_rate;
use crate::evaluate::matching::Counts;
use crate::model::Labels;

/// The report.
#[derive(Debug)]
pub struct Report<'a> {
    /// The highest number of false alarms a day; `None` if the goal is the best F1.
    pub goal: Option<f64>,
    /// The largest error of an onset or an offset that counts as right, in milliseconds.
    pub collar_ms: f64,
    /// The number of recordings.
    pub n_recordings: usize,
    /// Their total length in hours.
    pub hours: f64,
    /// The model's labels.
    pub labels: &'a Labels,
    /// The outcome for each tuned label.
    pub outcomes: &'a [Outcome],
}

impl Report<'_> {
    /// A heading, then a sentence for each label.
    pub fn sentences(&self) -> Vec<String> {
        std::iter::once(self.heading()).chain(self.shown().map(|outcome| self.sentence(outcome))).collect()
    }

    /// A fragment of a configuration, to be pasted, with the sentences as comments. The assignments are those of the labels that
    /// change.
    pub fn fragment(&self, assignments: &[Vec<Assignment>]) -> String {
        let mut text = format!("# {}\n", self.heading());
        let mut assignments = assignments.iter();
        for outcome in self.shown() {
            text.push_str(&format!("\n# {}\n", self.sentence(outcome)));
            if let Some(set) = outcome.is_set().then(|| assignments.next()).flatten() {
                text.push_str(&edit::fragment(set));
            }
        }
        text
    }

    /// The outcomes that get a sentence. A descendant of a true label gets one only if it changes.
    fn shown(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| outcome.kind_of.is_none() || outcome.is_set())
    }

    /// The report as one JSON object; `written` is the configuration file that was changed.
    pub fn json(&self, out: &mut impl Write, written: Option<&Path>) -> io::Result<()> {
        let days = self.hours / 24.0;
        let gate = |gate: &Gate, counts: Counts, n_taken_back: usize| {
            let mut object = gate_json(Some(gate), counts);
            object["false_alarms_per_day"] = json!(round(f64::from(counts.false_alarms) / days));
            object["false_alarms_per_day_at_most"] = json!(round(upper_rate(counts.false_alarms, days)));
            object["taken_back"] = json!(n_taken_back);
            object
        };
        let outcome = |outcome: &Outcome| {
            let Outcome { tuned, kind_of, choice, n_taken_back, .. } = outcome;
            let (low, high) = choice.interval;
            json!({
                "label": tuned.rule.subject.name,
                "kind_of": kind_of,
                "from": tuned.from.iter().map(|label| self.labels.subjects()[*label].name.as_str()).collect::<Vec<_>>(),
                "reported": tuned.is_reported,
                "changed": choice.nearest.is_some(),
                "examples": choice.n_examples,
                "best_between": if low.is_nan() { Value::Null } else { json!([round(low), round(high)]) },
                "before": gate(&tuned.rule.gate, choice.before, n_taken_back.0),
                "after": gate(&outcome.gate, choice.after, n_taken_back.1),
            })
        };
        let report = json!({
            "version": 1,
            "goal": if self.goal.is_some() { "false_alarms" } else { "f1" },
            "false_alarms_per_day": self.goal,
            "collar_ms": self.goal.is_none().then_some(self.collar_ms),
            "recordings": self.n_recordings,
            "hours": round(self.hours),
            "labels": self.outcomes.iter().map(outcome).collect::<Vec<_>>(),
            "written": written,
        });
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)
    }

    fn heading(&self) -> String {
        let goal = match self.goal {
            None => format!("the best F1, onsets and offsets right within {} ms", self.collar_ms),
            Some(1.0) => "the best recall with at most 1 false alarm a day".to_owned(),
            Some(per_day) => format!("the best recall with at most {per_day} false alarms a day"),
        };
        format!("mimid tune: {goal}, by {} ({})", count(self.n_recordings, "recording"), duration(self.hours))
    }

    fn sentence(&self, outcome: &Outcome) -> String {
        let Outcome { tuned, kind_of, choice, gate, n_taken_back } = outcome;
        let name = &tuned.rule.subject.name;
        let in_force = &tuned.rule.gate;
        let numbers = match choice.nearest {
            None => format!("threshold {:.3} stays", in_force.threshold),
            Some(_) => format!(
                "threshold {:.3} → {:.3}, start threshold {:.3} → {:.3}",
                in_force.threshold, gate.threshold, in_force.start_threshold, gate.start_threshold
            ),
        };
        if let Some(above) = kind_of {
            return format!("{name}, as a kind of {above}: {numbers}");
        }
        let names: Vec<&str> = tuned.from.iter().map(|label| self.labels.subjects()[*label].name.as_str()).collect();
        let from = if names == [name.as_str()] { String::new() } else { format!(" of {}", names.join("; ")) };
        let mut figures = self.figures(choice.before);
        if choice.after != choice.before {
            figures += &format!(" → {}", self.figures(choice.after));
        }
        let examples = count(choice.n_examples as usize, "example");
        let mut sentence = format!("{name}: {examples}{from}; {numbers}; {figures}");
        let (low, high) = choice.interval;
        if !low.is_nan() {
            sentence += &format!("; in 9 of 10 such sets of recordings the best lies from {low:.3} to {high:.3}");
        }
        if n_taken_back.1 > 0 {
            sentence += &format!("; announced and taken back: {}", n_taken_back.1);
        }
        if !tuned.is_reported {
            sentence += "; [report] leaves it out, so nothing is set for it";
        }
        sentence
    }

    fn figures(&self, counts: Counts) -> String {
        match self.goal {
            None => format!("F1 {:.3}", counts.f1()),
            Some(_) => {
                let most = upper_rate(counts.false_alarms, self.hours / 24.0);
                format!(
                    "recall {:.2} with {} (surely below {most:.0} a day)",
                    counts.recall(),
                    count(counts.false_alarms as usize, "false alarm")
                )
            }
        }
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn duration(hours: f64) -> String {
    if hours >= 1.0 { format!("{hours:.1} h") } else { format!("{:.1} min", hours * 60.0) }
}
