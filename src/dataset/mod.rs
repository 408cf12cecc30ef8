//! Data sets of labelled recordings: their layouts on disk, and truth files.
//!
//! | module | does |
//! | --- | --- |
//! | `truth` | reads a truth file: a DCASE table, or an Audacity label track |
//! | `layouts` | reads the folders of ESC-50, FSD50K, DESED, UrbanSound8K, and recordings beside Audacity's label tracks |
//! | `table` | the CSV files of these |
//! | `folds` | the choice of parts of a data set |
//! | `names` | the names that a data set has for labels of AudioSet |
//!
//! A reader takes what is on disk as it was published: nothing has to be unpacked, renamed or converted. No recording is opened here.

use std::fmt;
use std::path::{Path, PathBuf};

pub mod folds;
mod layouts;
mod names;
pub mod table;
pub mod truth;

pub use layouts::Layout;
pub use names::audioset_name;

/// A data set: what its tables say of the recordings that are there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dataset {
    /// The recordings, in the order of the tables.
    pub recordings: Vec<Recording>,
    /// The recordings that the tables name and that are not there.
    pub missing: Vec<PathBuf>,
}

/// A recording of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Its path, below the folder of the data set.
    pub path: PathBuf,
    /// The fold or part that it belongs to, such as `1` or `validation`; empty where the data set has none.
    pub fold: String,
    /// What is heard in it; empty where nothing is.
    pub labels: Vec<Labelled>,
}

/// A label of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The name, as the data set writes it.
    pub name: String,
    /// The AudioSet id, where the data set states one.
    pub id: Option<String>,
    /// The onset and the offset in seconds from the recording's start, the onset first; `None` where the data set only says that the
    /// label is somewhere in the recording.
    pub span_s: Option<[f64; 2]>,
}

/// The reason why a data set cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetError {
    /// The file or folder.
    pub path: PathBuf,
    /// The line of the file, counted from 1.
    pub line: Option<usize>,
    /// The sentence: the fault, and the remedy.
    pub message: String,
}

impl DatasetError {
    fn new(path: &Path, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into() }
    }
}

impl fmt::Display for DatasetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for DatasetError {}

/// Reads the data set in `folder`, as far as it belongs to `folds`.
///
/// # Errors
/// A table that is not there or cannot be read, or folds that the data set does not have.
pub fn read(layout: Layout, folder: &Path, folds: Option<&folds::Folds>) -> Result<Dataset, DatasetError> {
    if !folder.is_dir() {
        return Err(DatasetError::new(folder, None, "there is no such folder"));
    }
    let mut all = layout.read(folder)?;
    let mut names: Vec<String> = all.iter().map(|recording| recording.fold.clone()).filter(|fold| !fold.is_empty()).collect();
    names.sort();
    names.dedup();
    if let Some(folds) = folds {
        if let Some(unknown) = folds.unknown(&names) {
            let has = if names.is_empty() { "no folds".to_owned() } else { format!("the folds {}", names.join(", ")) };
            return Err(DatasetError::new(folder, None, format!("there is no fold {unknown:?}; the data set has {has}")));
        }
        all.retain(|recording| folds.has(&recording.fold));
    }
    let (recordings, missing): (Vec<Recording>, Vec<Recording>) = all.into_iter().partition(|recording| recording.path.is_file());
    let missing: Vec<PathBuf> = missing.into_iter().map(|recording| recording.path).collect();
    match (recordings.is_empty(), missing.first()) {
        (true, Some(first)) => {
            let message = format!("none of its {} recordings is there; the first should be {}", missing.len(), first.display());
            Err(DatasetError::new(folder, None, message))
        }
        (true, None) => Err(DatasetError::new(folder, None, "there is no recording in it")),
        (false, _) => Ok(Dataset { recordings, missing }),
    }
}

#[cfg(test)]
mod tests;
