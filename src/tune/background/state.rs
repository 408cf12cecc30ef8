//! The state file: the statistics of the hours heard so far, so that a restart loses nothing and another day can be added.
//!
//! The file is written whole or not at all. It is read only if it is whole and belongs to the effective model.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::statistics::{Alarm, Moment, N_BINS, Place, Record, STRONGEST, Statistics};
use crate::detect::peaks::CurveKind;
use crate::files::write_whole;
use crate::model::{Labels, Model};

/// The version of the file's format.
const VERSION: u32 = 1;

/// The reason why a state file is not used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file cannot be read.
    #[error("the state file {} cannot be read ({error}); name another with --state", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file cannot be written.
    #[error("the state file {} cannot be written ({error}); name another with --state", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file is damaged, or is no state file.
    #[error("{} is torn, or no state of `mimid tune` ({what}); remove it, or name another with --state", path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// The fault.
        what: String,
    },
    /// The file has another version of the format.
    #[error("the state file {} has version {actual}, not {VERSION}; remove it, or name another with --state", path.display())]
    WrongVersion {
        /// The file.
        path: PathBuf,
        /// The file's version.
        actual: u64,
    },
    /// The file has the scores of another model.
    #[error("the state file {} is of the model {actual}, not {expected}; remove it, or name another with --state", path.display())]
    WrongModel {
        /// The file.
        path: PathBuf,
        /// The model of the file.
        actual: String,
        /// The effective model.
        expected: String,
    },
}

/// The model that the scores come from.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The SHA-256 of the model's graph.
    pub sha256: &'a str,
    /// The model's labels.
    pub labels: &'a Labels,
}

impl<'a> From<&'a Model> for Identity<'a> {
    fn from(model: &'a Model) -> Self {
        Self { name: &model.name, sha256: &model.sha256, labels: &model.labels }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    model: String,
    model_sha256: String,
    heard_ms: u64,
    recordings: Vec<String>,
    /// The places, to which the strongest alarms refer by index.
    places: Vec<SavedPlace>,
    /// The records by the label's id.
    labels: BTreeMap<String, SavedLabel>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SavedPlace {
    Recording(String),
    Source(String),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLabel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    two_sided: Option<SavedRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causal: Option<SavedRecord>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRecord {
    counts: Vec<u32>,
    /// Each alarm's score, the index of its place, and its time in milliseconds.
    strongest: Vec<(f32, usize, i64)>,
}

/// Reads the statistics of this model from `path`; `None` if there is no such file.
pub fn read(path: &Path, model: Identity) -> Result<Option<Statistics>, StateError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateError::Unreadable { path: path.into(), error }),
    };
    let torn = |what: String| StateError::Torn { path: path.into(), what };
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| torn(error.to_string()))?;
    // Another version may have other fields, so the version is checked before the fields.
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(actual) => return Err(StateError::WrongVersion { path: path.into(), actual }),
        None => return Err(torn("it has no version".to_owned())),
    }
    let saved: Saved = serde_json::from_value(value).map_err(|error| torn(error.to_string()))?;
    if saved.model_sha256 != model.sha256 {
        let named = |name: &str, sha256: &str| format!("{name} ({})", sha256.get(..8).unwrap_or(sha256));
        let (actual, expected) = (named(&saved.model, &saved.model_sha256), named(model.name, model.sha256));
        return Err(StateError::WrongModel { path: path.into(), actual, expected });
    }
    saved.statistics(model).map(Some).map_err(torn)
}

/// Writes the statistics of this model to `path`, and makes its folder if need be. The old file stays until the new one is whole.
pub fn write(path: &Path, statistics: &Statistics, model: Identity) -> Result<(), StateError> {
    let unwritable = |error| StateError::Unwritable { path: path.into(), error };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let replace = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        write_whole(path, &serde_json::to_vec(&Saved::new(statistics, model))?)
    };
    replace().map_err(unwritable)
}

impl Saved {
    fn new(statistics: &Statistics, model: Identity) -> Self {
        let (mut places, mut index) = (Vec::new(), HashMap::new());
        let mut labels: BTreeMap<String, SavedLabel> = BTreeMap::new();
        for ((label, kind), record) in &statistics.records {
            let Some(subject) = model.labels.subjects().get(*label) else { continue };
            let mut place = |alarm: &Alarm| {
                *index.entry(alarm.moment.place.clone()).or_insert_with(|| {
                    places.push(match &alarm.moment.place {
                        Place::Recording(path) => SavedPlace::Recording(path.to_string()),
                        Place::Source(name) => SavedPlace::Source(name.to_string()),
                    });
                    places.len() - 1
                })
            };
            let strongest = record.strongest.iter().map(|alarm| (alarm.score, place(alarm), alarm.moment.at_ms)).collect();
            let saved = Some(SavedRecord { counts: record.counts.clone(), strongest });
            let entry = labels.entry(subject.id.clone()).or_default();
            match kind {
                CurveKind::Confirmed => entry.two_sided = saved,
                CurveKind::Causal => entry.causal = saved,
            }
        }
        Self {
            version: VERSION,
            model: model.name.to_owned(),
            model_sha256: model.sha256.to_owned(),
            heard_ms: statistics.heard_ms,
            recordings: statistics.recordings.iter().cloned().collect(),
            places,
            labels,
        }
    }

    /// The statistics. The error is the fault of a file that contradicts itself or the model.
    fn statistics(self, model: Identity) -> Result<Statistics, String> {
        let place = |saved: &SavedPlace| match saved {
            SavedPlace::Recording(path) => Place::Recording(path.as_str().into()),
            SavedPlace::Source(name) => Place::Source(name.as_str().into()),
        };
        let places: Vec<Place> = self.places.iter().map(place).collect();
        let record = |saved: SavedRecord| {
            let strongest = saved.strongest.iter().map(|(score, place, at_ms)| {
                let place = places.get(*place).filter(|_| (0.0..=1.0).contains(score)).ok_or("an alarm that cannot be")?;
                Ok(Alarm { score: *score, moment: Moment { place: place.clone(), at_ms: *at_ms } })
            });
            let record = Record { counts: saved.counts, strongest: strongest.collect::<Result<_, String>>()? };
            let is_sorted = record.strongest.is_sorted_by(|a, b| a.score >= b.score);
            let n_strongest = record.n_alarms().min(STRONGEST as u64);
            if record.counts.len() > N_BINS || !is_sorted || record.strongest.len() as u64 != n_strongest {
                return Err("counts that cannot be".to_owned());
            }
            Ok(record)
        };
        let mut records = BTreeMap::new();
        for (id, label) in self.labels {
            let index = model.labels.find(&id).ok_or_else(|| format!("{id} is no label"))?;
            for (kind, saved) in [(CurveKind::Confirmed, label.two_sided), (CurveKind::Causal, label.causal)] {
                if let Some(saved) = saved {
                    records.insert((index, kind), record(saved)?);
                }
            }
        }
        Ok(Statistics { records, heard_ms: self.heard_ms, recordings: self.recordings.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests;
