//! Two results over the same recordings, measure by measure.

use super::judgement::{Judgement, MEASURES};
use crate::evaluate::compare::{Difference, Measure, differences};
use crate::evaluate::tally::{Scene, Tally};
use crate::evaluate::totals::{Scope, Totals};

/// The measures of counts that are compared for the mean and for all labels together.
const COMPARED: [&str; 9] = [
    "f1_500ms",
    "f1_200ms",
    "f1_onset_500ms",
    "f1_onset_200ms",
    "f1_intersection",
    "f1_segment",
    "f1_recording",
    "error_rate_500ms",
    "false_alarms_per_hour",
];

/// A line of the comparison.
pub struct Line {
    /// The label's name, `macro` or `micro`.
    pub name: String,
    /// The measure.
    pub key: &'static str,
    /// The difference.
    pub difference: Difference,
}

/// All lines.
pub struct Comparison {
    /// The lines: those of the mean and of all labels together, then one a label.
    pub lines: Vec<Line>,
}

impl Comparison {
    /// Compares a judgement with the events of another program in the same recordings.
    pub fn new(judgement: &Judgement, other: &[Scene]) -> Self {
        let second: Vec<Tally> = other.iter().map(Tally::new).collect();
        let by_label = if judgement.is_weak { "f1_recording" } else { "f1_500ms" };
        let mut wanted: Vec<(String, Scope, &'static str)> = Vec::new();
        for (name, scope) in [("macro", Scope::Macro), ("micro", Scope::Micro)] {
            wanted.extend(COMPARED.iter().map(|key| (name.to_owned(), scope, *key)));
        }
        let labels = judgement.rows.iter().filter(|row| matches!(row.scope, Scope::Label(_)));
        wanted.extend(labels.map(|row| (row.name.clone(), row.scope, by_label)));
        let found = wanted.into_iter().filter_map(|(name, scope, key)| {
            let measure = MEASURES.iter().find(|measure| measure.key == key && !(judgement.is_weak && measure.is_timed))?;
            // The sum over labels is both the mean's and that of all together.
            let is_double = key == "false_alarms_per_hour" && scope == Scope::Macro;
            (!is_double).then_some((name, scope, measure))
        });
        let (mut heads, mut measures): (Vec<(String, &'static str)>, Vec<Measure>) = (Vec::new(), Vec::new());
        for (name, scope, measure) in found {
            heads.push((name, measure.key));
            measures.push(Box::new(move |totals: &Totals| (measure.of)(totals, scope)));
        }
        let n = judgement.names.len();
        let differences = differences(&judgement.tallies, &second, n, judgement.draws.as_ref(), &measures);
        let lines = heads.into_iter().zip(differences);
        let lines = lines.filter_map(|((name, key), difference)| Some(Line { name, key, difference: difference? })).collect();
        Self { lines }
    }
}
