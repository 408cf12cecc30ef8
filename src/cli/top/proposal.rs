//! What would be written to the configuration file, and writing it: the only place here that touches a file.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Raw;
use crate::config::edit::{self, Assignment, EditError, Key};
use crate::model::Model;

/// A new text for the configuration file.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The file.
    pub path: PathBuf,
    /// What it would change, as a unified diff.
    pub diff: String,
    old: String,
    new: String,
}

impl Proposal {
    /// Thresholds set in the file that the daemon has loaded, or in the one that it would load.
    ///
    /// # Errors
    /// A sentence, where the file or its model cannot be read, or would not be a configuration any more.
    pub fn new<'a>(config: Option<&Path>, thresholds: impl Iterator<Item = (&'a str, f64)>) -> Result<Self, String> {
        let path = edit::target(config).map_err(|error| error.to_string())?;
        let old = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let raw = Raw::parse(&old, Some(&path));
        let labels = Model::open(&raw.model.dir.value).map_err(|error| format!("nothing can be written: {error}"))?.labels;
        let is_group = |name: &str| raw.groups.iter().any(|group| group.name == name);
        let assignments: Vec<Assignment> = thresholds
            .map(|(name, value)| match is_group(name) {
                true => Assignment::Group { group: name.to_owned(), key: Key::Threshold, value },
                false => Assignment::Label { label: name.to_owned(), key: Key::Threshold, value },
            })
            .collect();
        let named = |error: EditError| format!("{}: {error}", path.display());
        let new = edit::assign(&old, &assignments, &labels).map_err(named)?;
        Raw::parse(&new, Some(&path)).validate(&labels).map_err(|faults| faults.to_string().replace('\n', "; "))?;
        Ok(Self { diff: edit::diff(&path, &old, &new), path, old, new })
    }

    /// Writes it.
    ///
    /// # Errors
    /// A sentence; the file is then as it was.
    pub fn write(&self) -> Result<(), String> {
        edit::replace(&self.path, &self.old, &self.new).map_err(|error| error.to_string())
    }
}
