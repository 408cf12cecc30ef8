//! The labels of a model and their ontology: look-up by name, slug or id, and the nearest name to a misspelt one.
//!
//! The module knows no particular model: the names come from the files that the manifest names.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::event::Subject;

use super::error::ModelError;
use super::learnt::LearntSound;
use super::odds::{log_odds, probability};
use crate::text::{did_you_mean, nearest, shown};

/// The labels of a model, in the order of its outputs.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    subjects: Vec<Arc<Subject>>,
    by_key: HashMap<String, usize>,
    ontology: Vec<Node>,
    /// For each label, the thresholds that suit it; empty where the model has none.
    thresholds: Vec<Option<SuitedThresholds>>,
    /// For each label, the labels that are alike to it; empty where the model does not say it.
    alike: Vec<Vec<usize>>,
    /// Whether the thresholds are probabilities.
    is_calibrated: bool,
    /// The number of learnt sounds, whose labels are the last ones.
    n_learnt: usize,
    /// The slugs of the learnt sounds whose files cannot be used.
    left_out: Vec<String>,
}

/// The thresholds that the model's authors found to suit a label, 0…1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuitedThresholds {
    /// The threshold for the confirmed score.
    pub threshold: f32,
    /// The start threshold for the causal score, at which an event is announced.
    pub start_threshold: f32,
    /// The highest score that the label is likely to reach; `None` where the model does not say it.
    pub highest: Option<f32>,
}

/// A node of the ontology. An abstract node is no label of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The id, such as AudioSet's `/m/…` or `/t/…`.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The ids of the nodes above it.
    pub parents: Vec<String>,
}

/// A display name as an identifier, in lower case: each run of anything but ASCII letters and digits becomes one `_`.
///
/// ```
/// assert_eq!(mimid::model::labels::slug("Smoke detector, smoke alarm"), "smoke_detector_smoke_alarm");
/// ```
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('_') && c != '\'' {
            slug.push('_');
        }
    }
    slug.truncate(slug.trim_end_matches('_').len());
    slug
}

impl SuitedThresholds {
    /// The thresholds for events that are at least as probable as `sure`, 0…1. The model's own are for even odds, 0.5.
    pub(crate) fn at(&self, sure: f32) -> Self {
        let asked = log_odds(sure);
        // Even odds leave the numbers as the table has them, to the last digit.
        let shifted = |threshold: f32| if asked == 0.0 { threshold } else { probability(log_odds(threshold) + asked) };
        Self { threshold: shifted(self.threshold), start_threshold: shifted(self.start_threshold), ..*self }
    }
}

impl Labels {
    /// Labels from (id, name) pairs in the order of the model's outputs.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>, ontology: Vec<Node>) -> Self {
        let mut labels = Labels { ontology, ..Labels::default() };
        for (id, name) in pairs {
            let index = labels.subjects.len();
            let subject = Subject { slug: slug(&name), name, id };
            // The first of two equal keys wins. In AudioSet names are unique, slugs nearly so, and ids always.
            // A name without ASCII letters has no slug, and must not be found under an empty one.
            let keys = [subject.id.to_lowercase(), subject.name.to_lowercase(), subject.slug.clone()];
            for key in keys.into_iter().filter(|key| !key.is_empty()) {
                labels.by_key.entry(key).or_insert(index);
            }
            labels.subjects.push(Arc::new(subject));
        }
        labels
    }

    /// The same labels, of which two are alike.
    #[cfg(test)]
    pub(crate) fn with_alike(mut self, one: usize, other: usize) -> Self {
        self.alike = vec![Vec::new(); self.len()];
        self.alike[one].push(other);
        self.alike[other].push(one);
        self
    }

    /// Reads the tables of a model, which are tab-separated with one header line.
    ///
    /// `labels` has the columns `id` and `name`. `ontology` has `id`, `name` and `parents`, which are separated by spaces.
    /// `thresholds` has `id`, `name`, `threshold`, `start_threshold` and, at any place, `highest` and `alike`, which may be
    /// missing or empty; `alike` holds ids, separated by spaces.
    pub fn read(labels: &Path, ontology: Option<&Path>, thresholds: Option<&Path>) -> Result<Self, ModelError> {
        let (_, rows) = table(labels)?;
        let mut pairs = Vec::with_capacity(rows.len());
        for TableRow { line, cells } in rows {
            let bad = |what: &str| ModelError::BadTable { path: labels.into(), line, what: what.to_owned() };
            match cells.as_slice() {
                [id, ..] if id.is_empty() => return Err(bad("a label without an id")),
                [id, name, ..] if !name.is_empty() => pairs.push((id.clone(), name.clone())),
                _ => return Err(bad("a label without a name")),
            }
        }
        let nodes = ontology.map(read_ontology).transpose()?.unwrap_or_default();
        let mut read = Self::new(pairs, nodes);
        if let Some(path) = thresholds {
            read.thresholds = vec![None; read.len()];
            read.alike = vec![Vec::new(); read.len()];
            let (header, rows) = table(path)?;
            let alike = header.iter().position(|name| name == "alike");
            let highest = header.iter().position(|name| name == "highest");
            for TableRow { line, cells: row } in rows {
                let bad = |what: &str| ModelError::BadTable { path: path.into(), line, what: what.to_owned() };
                let label = row.first().and_then(|id| read.find(id)).ok_or_else(|| bad("an id that is no label's"))?;
                let number = |column: usize| row.get(column)?.parse().ok().filter(|value| *value > 0.0 && *value <= 1.0);
                let (Some(threshold), Some(start_threshold)) = (number(2), number(3)) else {
                    return Err(bad("a threshold that is not above 0 and at most 1"));
                };
                let given = highest.filter(|column| row.get(*column).is_some_and(|text| !text.is_empty()));
                let highest =
                    given.map(|column| number(column).ok_or_else(|| bad("a highest score that is not above 0 and at most 1")));
                let others = alike.and_then(|column| row.get(column)).map_or("", String::as_str).split_whitespace();
                let others = others.map(|id| read.find(id).ok_or_else(|| bad("a label that is alike to no label's id")));
                read.alike[label] = others.collect::<Result<_, _>>()?;
                read.thresholds[label] = Some(SuitedThresholds { threshold, start_threshold, highest: highest.transpose()? });
            }
        }
        Ok(read)
    }

    /// Adds learnt sounds behind the labels that are there. A sound's id is `learnt:` and its slug.
    pub(super) fn learn(&mut self, sounds: &[LearntSound]) {
        self.thresholds.resize(self.len(), None);
        self.alike.resize(self.len(), Vec::new());
        for sound in sounds {
            let slug = slug(&sound.name);
            let subject = Subject { id: format!("learnt:{slug}"), name: sound.name.clone(), slug };
            let parents = sound.is_a.iter().filter_map(|name| self.find(name)).map(|parent| self.subjects[parent].id.clone());
            self.ontology.push(Node { id: subject.id.clone(), name: subject.name.clone(), parents: parents.collect() });
            for key in [subject.id.to_lowercase(), subject.name.to_lowercase(), subject.slug.clone()] {
                self.by_key.entry(key).or_insert(self.subjects.len());
            }
            self.subjects.push(Arc::new(subject));
            self.thresholds.push(Some(sound.thresholds));
            self.alike.push(Vec::new());
            self.n_learnt += 1;
        }
    }

    /// Remembers learnt sounds whose files cannot be used, by the stems of those.
    pub(super) fn leave_out(&mut self, stems: impl Iterator<Item = String>) {
        self.left_out = stems.map(|stem| slug(&stem)).collect();
    }

    /// Whether this is the name of a learnt sound whose file cannot be used.
    pub(crate) fn is_left_out(&self, name: &str) -> bool {
        self.left_out.contains(&slug(name))
    }

    /// The labels of learnt sounds, by their index.
    pub(crate) fn learnt(&self) -> std::ops::Range<usize> {
        self.len() - self.n_learnt..self.len()
    }

    /// The thresholds that suit a label; `None` where the model has none.
    pub fn thresholds(&self, label: usize) -> Option<SuitedThresholds> {
        self.thresholds.get(label).copied().flatten()
    }

    /// Whether the thresholds are probabilities, so that one number says for all labels how sure an event must be.
    pub(crate) fn is_calibrated(&self) -> bool {
        self.is_calibrated
    }

    /// Says that the thresholds are probabilities of the evidence; the highest score of each label becomes its highest evidence.
    pub(super) fn calibrate(&mut self, evidence: impl Fn(f32) -> f32) {
        self.is_calibrated = true;
        for highest in self.thresholds.iter_mut().flatten().filter_map(|suited| suited.highest.as_mut()) {
            *highest = evidence(*highest);
        }
    }

    /// The labels that are alike to a label: the model hears them in the same sounds.
    pub(crate) fn alike(&self, label: usize) -> &[usize] {
        self.alike.get(label).map_or(&[], Vec::as_slice)
    }

    /// The number of labels: the length of a row of scores.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// All labels in the order of the model's outputs.
    pub fn subjects(&self) -> &[Arc<Subject>] {
        &self.subjects
    }

    /// All nodes of the ontology, abstract ones included.
    pub(crate) fn ontology(&self) -> &[Node] {
        &self.ontology
    }

    /// The index of the label with this display name, slug or id, in upper or lower case.
    pub fn find(&self, key: &str) -> Option<usize> {
        self.by_key.get(&key.trim().to_lowercase()).copied()
    }

    /// The display name nearest to `key`; `None` where none is near enough to be meant.
    pub(crate) fn suggest(&self, key: &str) -> Option<&str> {
        let names = self.subjects.iter().map(|s| s.name.as_str());
        nearest(key, names)
    }

    /// The sentence about a name that is no label, with the nearest label.
    pub(crate) fn unknown(&self, key: &str) -> String {
        format!("there is no label {key:?}{}", did_you_mean(self.suggest(key)))
    }

    /// The sentence about a name that is neither a label nor a group, with the nearest label or group.
    pub(crate) fn unknown_beside<'a>(&'a self, groups: impl IntoIterator<Item = &'a str>, key: &str) -> String {
        let near = nearest(key, groups.into_iter().chain(self.subjects.iter().map(|subject| subject.name.as_str())));
        format!("there is no label {:?}{}", shown(key), did_you_mean(near))
    }
}

/// Reads the table of an ontology, which has the columns `id`, `name` and `parents`.
pub fn read_ontology(path: &Path) -> Result<Vec<Node>, ModelError> {
    let node = |row: TableRow| {
        let column = |i: usize| row.cells.get(i).cloned().unwrap_or_default();
        Node { id: column(0), name: column(1), parents: column(2).split_whitespace().map(str::to_owned).collect() }
    };
    Ok(table(path)?.1.into_iter().map(node).collect())
}

/// A row of a table.
struct TableRow {
    /// The line, counted from 1.
    line: usize,
    cells: Vec<String>,
}

/// The header line of a tab-separated table, and the rows after it. Spaces around a cell are removed, because nobody who asks for
/// a name would write them.
fn table(path: &Path) -> Result<(Vec<String>, Vec<TableRow>), ModelError> {
    let text = std::fs::read_to_string(path).map_err(|error| ModelError::Unreadable { path: path.into(), error })?;
    let cells = |line: &str| line.split('\t').map(|cell| cell.trim().to_owned()).collect();
    let mut lines = text.lines().zip(1..);
    let header = lines.next().map(|(text, _)| cells(text)).unwrap_or_default();
    let rows = lines.filter(|(text, _)| !text.is_empty()).map(|(text, line)| TableRow { line, cells: cells(text) });
    let rows: Vec<TableRow> = rows.collect();
    // Control characters are refused, because a name goes to terminals and tables as it is.
    let is_odd = |row: &&TableRow| row.cells.iter().any(|cell| cell.chars().any(char::is_control));
    if let Some(row) = rows.iter().find(is_odd) {
        return Err(ModelError::BadTable { path: path.into(), line: row.line, what: "it holds control characters".to_owned() });
    }
    Ok((header, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let names = ["Dog", "Bark", "Smoke detector, smoke alarm", "Baby cry, infant cry", "Cat", "Car"];
        Labels::new(names.iter().enumerate().map(|(i, n)| (format!("/m/{i}"), n.to_string())), Vec::new())
    }

    #[test]
    fn a_label_is_found_by_name_slug_and_id_in_any_case() {
        let labels = labels();
        for key in ["Smoke detector, smoke alarm", "SMOKE_DETECTOR_SMOKE_ALARM", "/M/2", " smoke detector, smoke alarm "] {
            assert_eq!(labels.find(key), Some(2), "{key}");
        }
        assert_eq!(labels.find("smoke"), None);
    }

    #[test]
    fn a_name_that_is_longer_than_any_is_compared_with_none_and_repeated_in_part() {
        let labels = labels();
        assert_eq!(labels.suggest(&"Dog ".repeat(26)), None);
        assert!(labels.unknown_beside([], &"é".repeat(30_000)).len() < 300);
    }

    #[test]
    fn a_wrong_name_brings_the_nearest() {
        let labels = labels();
        assert_eq!(labels.suggest("Barck"), Some("Bark"));
        assert_eq!(labels.suggest("smoke alarm"), Some("Smoke detector, smoke alarm"));
        assert_eq!(labels.suggest("baby crying"), Some("Baby cry, infant cry"));
        assert_eq!(labels.suggest("xylophone"), None);
    }

    #[test]
    fn what_a_table_of_labels_holds_can_be_found_and_what_is_missing_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.tsv");
        let read = |rows: &str| {
            std::fs::write(&path, format!("id\tname\n{rows}")).unwrap();
            Labels::read(&path, None, None).map_err(|error| error.to_string())
        };
        let labels = read("/m/0\t Dog\u{b}\n\n /m/1\t吠え声\n").unwrap();
        assert_eq!(
            ["dog", "/M/0", "吠え声", "/m/1", "", " "].map(|key| labels.find(key)),
            [Some(0), Some(0), Some(1), Some(1), None, None]
        );
        for (rows, line, what) in [
            ("/m/0\tDog\n\n\tBark\n", 4, "a label without an id"),
            ("/m/0\n", 2, "a label without a name"),
            ("\n/m/0\t \n", 3, "a label without a name"),
        ] {
            let told = read(rows).unwrap_err();
            assert!(told.starts_with(&format!("line {line} of ")) && told.ends_with(what), "{told}");
        }
    }

    #[test]
    fn a_highest_score_that_is_none_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let (labels, thresholds) = (folder.path().join("labels.tsv"), folder.path().join("thresholds.tsv"));
        std::fs::write(&labels, "id\tname\n/m/0\tDog\n").unwrap();
        let read = |row: &str| {
            std::fs::write(&thresholds, format!("id\tname\tthreshold\tstart_threshold\thighest\n/m/0\tDog\t0.3\t0.2{row}\n"))
                .unwrap();
            Labels::read(&labels, None, Some(&thresholds)).map(|labels| labels.thresholds(0).unwrap().highest)
        };
        assert_eq!((read("").unwrap(), read("\t").unwrap(), read("\t0.75").unwrap()), (None, None, Some(0.75)));
        let told = read("\t1.5").unwrap_err().to_string();
        assert!(told.starts_with("line 2 of ") && told.ends_with("a highest score that is not above 0 and at most 1"), "{told}");
    }

    #[test]
    fn slugs_hold_letters_digits_and_single_underscores() {
        assert_eq!(slug("Baby cry, infant cry"), "baby_cry_infant_cry");
        assert_eq!(slug("Bow-wow"), "bow_wow");
        assert_eq!(slug("Children's shouting"), "childrens_shouting");
        assert_eq!(slug("(odd) name!"), "odd_name");
    }
}
