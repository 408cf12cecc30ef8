//! Thresholds that clients have set and that are kept: in a file of the state directory, in force over the configuration file where
//! `[sinks.mqtt] keep_thresholds` is on.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Raw;
use crate::control::ThresholdChange;
use crate::event::Subject;
use crate::files::write_whole;
use crate::model::Labels;
use crate::systemd;

/// The file's name.
const NAME: &str = "thresholds.json";
/// A longer file is not ours.
const LONGEST: u64 = 4 << 20;
/// The configuration file of the system's service, and the folder in which the service keeps its state.
const SERVICE: (&str, &str) = ("/etc/mimid/config.toml", "/var/lib/mimid");

/// The kept thresholds by the display names of labels and groups.
type Kept = BTreeMap<String, KeptThresholds>;

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
struct KeptThresholds {
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_threshold: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<f64>,
}

impl Raw {
    /// The file in which thresholds are kept; `None` where none are.
    pub(crate) fn kept_file(&self) -> Option<PathBuf> {
        if !self.sinks.mqtt.keep_thresholds.value {
            return None;
        }
        let is_of_service = self.path.as_deref() == Some(Path::new(SERVICE.0));
        // A command of a user sees what the service keeps.
        let folder = systemd::state_directory().or_else(|| is_of_service.then(|| PathBuf::from(SERVICE.1)))?;
        Some(folder.join(NAME))
    }

    /// The same configuration with the kept thresholds; `None` where none are kept. The fault of a file that cannot be read is a
    /// sentence.
    pub(super) fn with_kept(&self, labels: &Labels) -> Result<Option<Self>, String> {
        let Some(path) = self.kept_file() else { return Ok(None) };
        let kept = read(&path).map_err(|error| format!("the kept thresholds in {} cannot be read: {error}", path.display()))?;
        let mut raw = self.clone();
        for (name, KeptThresholds { threshold, start_threshold, release }) in &kept {
            let group = self.groups.iter().find(|group| group.name == *name);
            let subject = match (group, labels.find(name)) {
                (Some(group), _) => Subject { name: group.name.clone(), slug: String::new(), id: String::new() },
                (None, Some(index)) => (*labels.subjects()[index]).clone(),
                // Another model, or a group that is gone.
                (None, None) => continue,
            };
            let change = ThresholdChange { threshold: *threshold, start_threshold: *start_threshold, release: *release };
            raw.set(&subject, &change, labels);
        }
        Ok((!kept.is_empty()).then_some(raw))
    }

    /// Keeps thresholds that a client has set, where they are to be kept.
    pub(crate) fn keep(&self, name: &str, change: &ThresholdChange) -> Option<io::Result<PathBuf>> {
        let path = self.kept_file()?;
        let written = read(&path).and_then(|mut kept| {
            let entry = kept.entry(name.to_owned()).or_default();
            entry.threshold = change.threshold.or(entry.threshold);
            entry.start_threshold = change.start_threshold.or(entry.start_threshold);
            entry.release = change.release.or(entry.release);
            write_whole(&path, &serde_json::to_vec_pretty(&kept).map_err(io::Error::other)?)
        });
        Some(written.map(|()| path))
    }
}

/// The contents of the file; nothing where there is none.
fn read(path: &Path) -> io::Result<Kept> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(error),
        Ok(metadata) if metadata.len() > LONGEST => return Err(io::Error::other(format!("it has {} bytes", metadata.len()))),
        Ok(_) => {}
    }
    serde_json::from_slice(&std::fs::read(path)?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_a_damaged_file_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        assert_eq!(read(&path).unwrap(), Kept::default());
        std::fs::write(&path, r#"{"Dog":{"threshold":0.4}}"#).unwrap();
        let dog = KeptThresholds { threshold: Some(0.4), ..KeptThresholds::default() };
        assert_eq!(read(&path).unwrap(), Kept::from([("Dog".to_owned(), dog)]));
        std::fs::write(&path, "{").unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn nothing_is_kept_where_it_is_off() {
        let raw = Raw::parse("[sinks.mqtt]\nkeep_thresholds = false", Some(Path::new(SERVICE.0)));
        assert_eq!(raw.kept_file(), None);
        let raw = Raw::parse("[sinks.mqtt]\nkeep_thresholds = true", Some(Path::new(SERVICE.0)));
        assert!(raw.kept_file().is_some_and(|path| path.ends_with(NAME)));
    }
}
