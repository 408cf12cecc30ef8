//! The plan to write the changed thresholds into the configuration file: the only place here that reads it.

use std::path::Path;

use crate::config::edit::{Assignment, EditError, Key, Original, Plan};
use crate::model::Model;

/// A plan to set thresholds in the file that the daemon has loaded, or in the one that it would load.
///
/// # Errors
/// A sentence, where the file or its model cannot be read, or would not be a valid configuration any more.
pub fn plan<'a>(config: Option<&Path>, thresholds: impl Iterator<Item = (&'a str, f64)>) -> Result<Plan, String> {
    let sentence = |error: EditError| error.to_string();
    let original = Original::open(config).map_err(sentence)?;
    let raw = original.raw();
    let settings = raw.model_settings();
    let mut model = Model::open(&settings.dir).map_err(|error| format!("nothing can be written: {error}"))?;
    if let Some(folder) = &settings.sounds {
        // The daemon has warned of the files that cannot be used.
        let _ = model.take_up_sounds(folder);
    }
    let labels = model.labels;
    let is_group = |name: &str| raw.groups.iter().any(|group| group.name == name);
    let assignments: Vec<Assignment> = thresholds
        .map(|(name, value)| match is_group(name) {
            true => Assignment::Group { group: name.to_owned(), key: Key::Threshold, value },
            false => Assignment::Label { label: name.to_owned(), key: Key::Threshold, value },
        })
        .collect();
    original.plan(&assignments, &labels).map_err(sentence)
}
