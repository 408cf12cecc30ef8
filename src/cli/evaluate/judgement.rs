//! All numbers of an evaluation, for every format.

use std::path::PathBuf;

use super::classes::Classes;
use super::hear::{Heard, SCENARIOS};
use super::material::Material;
use crate::evaluate::bootstrap::Draws;
use crate::evaluate::matching::{Counts, Rule};
use crate::evaluate::mistakes::{self, Confusion, Mistake};
use crate::evaluate::psds::{Changes, Outcome};
use crate::evaluate::tally::{ERROR_RULES, ErrorRule, Errors, Figure, Scene, Tally};
use crate::evaluate::timing::{Spread, Timing, spread};
use crate::evaluate::totals::{Estimate, Resampled, Scope, Totals, draws};

/// A measure of a label, of the mean over labels, or of all labels together.
#[derive(Clone, Copy)]
pub struct Measure {
    /// Its name for programs.
    pub key: &'static str,
    /// Its name in a table for people; empty where such a table leaves it out.
    pub title: &'static str,
    /// Whether it needs the times of true events.
    pub is_timed: bool,
    /// Its value.
    pub of: fn(&Totals, Scope) -> Option<f64>,
}

/// The measures of counts, in the order in which they are printed.
pub const MEASURES: [Measure; 14] = [
    Measure { key: "f1_500ms", title: "F1 500 ms", is_timed: true, of: |t, s| t.f1(Figure::Event500, s) },
    Measure { key: "f1_200ms", title: "F1 200 ms", is_timed: true, of: |t, s| t.f1(Figure::Event200, s) },
    Measure { key: "f1_onset_500ms", title: "onset 500", is_timed: true, of: |t, s| t.f1(Figure::Onset500, s) },
    Measure { key: "f1_onset_200ms", title: "onset 200", is_timed: true, of: |t, s| t.f1(Figure::Onset200, s) },
    Measure { key: "f1_intersection", title: "intersect", is_timed: true, of: |t, s| t.f1(Figure::Intersection, s) },
    Measure { key: "f1_segment", title: "segment", is_timed: true, of: |t, s| t.f1(Figure::Segment, s) },
    Measure { key: "f1_recording", title: "recording", is_timed: false, of: |t, s| t.f1(Figure::Recording, s) },
    Measure { key: "precision_500ms", title: "", is_timed: true, of: |t, s| t.measure(Figure::Event500, s, Counts::precision) },
    Measure { key: "recall_500ms", title: "", is_timed: true, of: |t, s| t.measure(Figure::Event500, s, Counts::recall) },
    Measure {
        key: "precision_recording",
        title: "",
        is_timed: false,
        of: |t, s| t.measure(Figure::Recording, s, Counts::precision),
    },
    Measure { key: "recall_recording", title: "", is_timed: false, of: |t, s| t.measure(Figure::Recording, s, Counts::recall) },
    Measure {
        key: "error_rate_500ms",
        title: "",
        is_timed: true,
        of: |t, s| error_rate(t, s, Figure::Event500, ErrorRule::Event500),
    },
    Measure {
        key: "error_rate_segment",
        title: "",
        is_timed: true,
        of: |t, s| error_rate(t, s, Figure::Segment, ErrorRule::Segment),
    },
    Measure { key: "false_alarms_per_hour", title: "false/h", is_timed: false, of: |t, s| t.false_alarms_per_hour(s) },
];

/// The error rate of a label has no substitutions, for they are of two labels.
fn error_rate(totals: &Totals, scope: Scope, figure: Figure, rule: ErrorRule) -> Option<f64> {
    let rate = |counts: Counts| f64::from(counts.missed + counts.false_alarms) / f64::from(counts.hits + counts.missed);
    match scope {
        Scope::Micro => totals.error_rate(rule),
        scope => totals.measure(figure, scope, rate),
    }
}

/// The names of the scenarios, for programs.
pub const PSDS_KEYS: [&str; 2] = ["psds1", "psds2"];

/// The names of the rules of errors, for programs.
pub const ERROR_KEYS: [&str; 3] = ["event_500ms", "event_200ms", "segment"];

/// The numbers of a label, of the mean, or of all labels together.
pub struct Row {
    /// The label's name, `macro` or `micro`.
    pub name: String,
    /// What it is of.
    pub scope: Scope,
    /// The number of true events.
    pub n_true: u32,
    /// The number of events that were heard.
    pub n_heard: u32,
    /// The measures by their keys; `None` where there is no such number.
    pub values: Vec<(&'static str, Option<Estimate>)>,
    /// The errors of onsets and of offsets, and the delays of announcements; none of the mean.
    pub timing: [Option<Spread>; 3],
}

impl Row {
    /// The measure with this key.
    pub fn value(&self, key: &str) -> Option<Estimate> {
        self.values.iter().find(|(own, _)| *own == key).and_then(|(_, value)| *value)
    }
}

/// A recording with its mistakes.
pub struct Worst {
    /// The recording.
    pub path: PathBuf,
    /// Its mistakes in the order of time.
    pub mistakes: Vec<Mistake>,
}

/// All numbers.
pub struct Judgement {
    /// The number of recordings.
    pub n_recordings: usize,
    /// The length of all recordings in hours.
    pub hours: f64,
    /// Whether the length of some is only that of their events.
    pub has_guessed_lengths: bool,
    /// Whether the truth only says which labels are somewhere in a recording.
    pub is_weak: bool,
    /// The names of the labels, by their index.
    pub names: Vec<String>,
    /// The numbers of each label in the order of their names, then of the mean, then of all together.
    pub rows: Vec<Row>,
    /// The errors over all labels by each of [`ERROR_RULES`], and their rates.
    pub errors: Vec<(&'static str, Errors, Option<Estimate>)>,
    /// The PSDS by each of [`SCENARIOS`]; `None` where the scores are not known.
    pub psds: Option<[Outcome; 2]>,
    /// The recordings with the most mistakes, the worst first.
    pub worst: Vec<Worst>,
    /// The labels that are confused most often.
    pub confusions: Vec<(Confusion, PathBuf)>,
    /// The counts of each recording.
    pub tallies: Vec<Tally>,
    /// The replicates of the recordings.
    pub draws: Option<Draws>,
}

impl Judgement {
    /// Judges the recordings; at most `n_worst` recordings and confusions are kept.
    pub fn new(material: &Material, classes: &Classes, scenes: &[Scene], heard: Vec<Heard>, n_worst: usize) -> Self {
        let n = classes.len();
        let names: Vec<String> = (0..n).map(|class| classes.name(class).to_owned()).collect();
        let tallies: Vec<Tally> = scenes.iter().map(Tally::new).collect();
        let draws = draws(tallies.len());
        let sums = Resampled::new(&tallies, n, draws.as_ref());
        let is_weak = material.is_weak;
        let mut timings = vec![Timing::default(); n];
        for (scene, heard) in scenes.iter().zip(&heard) {
            for ((timing, pair), events) in timings.iter_mut().zip(&scene.labels).zip(&heard.events) {
                timing.add(&pair.truth, events);
            }
        }
        let psds = if is_weak { None } else { psds(scenes, heard, n) };
        let (psds, psds_values): (Option<Vec<Outcome>>, Vec<Psds>) = match psds {
            Some(changes) => {
                let values = changes.iter().map(|changes| Psds::new(changes, draws.as_ref())).collect::<Vec<_>>();
                (changes.iter().map(|changes| changes.outcome(None)).collect(), values)
            }
            None => (None, Vec::new()),
        };
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| names[*a].cmp(&names[*b]));
        let scopes = order.iter().map(|class| Scope::Label(*class)).chain([Scope::Macro, Scope::Micro]);
        let row = |scope: Scope| {
            let counts = sums.whole.counts(Figure::Event500, scope);
            let used = MEASURES.iter().filter(|measure| !(is_weak && measure.is_timed));
            let mut values: Vec<_> =
                used.map(|measure| (measure.key, sums.estimate(|totals| (measure.of)(totals, scope)))).collect();
            values.extend(PSDS_KEYS.iter().zip(&psds_values).map(|(key, psds)| (*key, psds.of(scope))));
            let (name, timing) = match scope {
                Scope::Label(class) => (names[class].clone(), timings[class].clone()),
                Scope::Macro => ("macro".to_owned(), Timing::default()),
                Scope::Micro => (
                    "micro".to_owned(),
                    timings.iter().fold(Timing::default(), |mut all, one| {
                        all.extend(one);
                        all
                    }),
                ),
            };
            let timing = if is_weak { Timing::default() } else { timing };
            Row {
                name,
                scope,
                n_true: counts.hits + counts.missed,
                n_heard: counts.hits + counts.false_alarms,
                values,
                timing: [&timing.onset_s, &timing.offset_s, &timing.delay_s].map(|errors| spread(errors)),
            }
        };
        let rows = scopes.map(row).collect();
        let errors = ERROR_KEYS.into_iter().zip(ERROR_RULES).filter(|_| !is_weak);
        let errors =
            errors.map(|(key, rule)| (key, sums.whole.errors(rule), sums.estimate(|totals| totals.error_rate(rule)))).collect();
        let rule = if is_weak { Rule::Overlap } else { Rule::Collar(0.5) };
        let worst = scenes.iter().zip(&material.recordings);
        let mut worst: Vec<Worst> =
            worst.map(|(scene, judged)| Worst { path: judged.path.clone(), mistakes: mistakes::of(scene, rule) }).collect();
        worst.retain(|one| !one.mistakes.is_empty());
        worst.sort_by(|a, b| b.mistakes.len().cmp(&a.mistakes.len()).then(a.path.cmp(&b.path)));
        worst.truncate(n_worst);
        let confusions = mistakes::confusions(scenes).into_iter().take(n_worst);
        Self {
            n_recordings: scenes.len(),
            hours: scenes.iter().map(|scene| scene.lasts_s).sum::<f64>() / 3_600.0,
            has_guessed_lengths: material.has_guessed_lengths,
            is_weak,
            names,
            rows,
            errors,
            psds: psds.and_then(|outcomes| outcomes.try_into().ok()),
            worst,
            confusions: confusions.map(|one| (one.clone(), material.recordings[one.first.0].path.clone())).collect(),
            tallies,
            draws,
        }
    }

    /// The row of the mean over labels.
    pub fn mean(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.scope == Scope::Macro)
    }
}

/// The changes of all recordings, by each scenario.
fn psds(scenes: &[Scene], heard: Vec<Heard>, n_classes: usize) -> Option<Vec<Changes>> {
    let mut all = SCENARIOS.map(|scenario| Changes::new(scenario, n_classes));
    for (scene, heard) in scenes.iter().zip(heard) {
        for (all, changes) in all.iter_mut().zip(heard.changes?) {
            all.add(scene.lasts_s, scene.labels.iter().map(|pair| pair.truth.as_slice()), changes.into_iter());
        }
    }
    all.iter_mut().for_each(Changes::sort);
    Some(all.into())
}

/// The PSDS of all recordings and of each replicate: of each label, and of all.
struct Psds {
    whole: (Vec<Option<f64>>, Option<f64>),
    replicates: Vec<(Vec<Option<f64>>, Option<f64>)>,
}

impl Psds {
    fn new(changes: &Changes, draws: Option<&Draws>) -> Self {
        let scores = |times: Option<&[u16]>| match changes.outcome(times) {
            Some(outcome) => (outcome.labels, Some(outcome.score)),
            None => (Vec::new(), None),
        };
        let replicates = draws.map(|draws| draws.replicates().map(|times| scores(Some(times))).collect()).unwrap_or_default();
        Self { whole: scores(None), replicates }
    }

    fn of(&self, scope: Scope) -> Option<Estimate> {
        let pick = |(labels, all): &(Vec<Option<f64>>, Option<f64>)| match scope {
            Scope::Label(class) => labels.get(class).copied().flatten(),
            Scope::Macro => *all,
            Scope::Micro => None,
        };
        Some(Estimate::new(pick(&self.whole)?, self.replicates.iter().filter_map(pick)))
    }
}
