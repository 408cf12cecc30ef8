//! Presets: the named lists of labels that `[report] preset` takes.

use serde::Deserialize;

use crate::model::Labels;

/// The names of the presets.
pub const NAMES: [&str; 2] = ["home", "all"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Preset {
    #[serde(rename = "description")]
    _description: String,
    labels: Vec<String>,
}

/// The labels of the preset `name` that the model has, by their index; `None` if there is no such preset.
pub fn labels(name: &str, labels: &Labels) -> Option<Vec<usize>> {
    match name {
        "all" => Some((0..labels.len()).collect()),
        "home" => Some(home().iter().filter_map(|label| labels.find(label)).collect()),
        _ => None,
    }
}

fn home() -> Vec<String> {
    // The file is compiled in and a test reads it, so it cannot be wrong at run time.
    toml::from_str::<Preset>(include_str!("../../config/presets/home.toml")).map(|preset| preset.labels).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_home_is_readable_and_names_each_label_once() {
        let mut names = toml::from_str::<Preset>(include_str!("../../config/presets/home.toml")).unwrap().labels;
        assert!(names.len() > 100);
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
