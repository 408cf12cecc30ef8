//! Presets: the named lists of labels that `[report] preset` takes, and the table behind the preset `home`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::detect::rule::Announce;
use crate::model::Labels;

/// The names of the presets.
pub const NAMES: [&str; 2] = ["home", "all"];

/// A section of the preset `home`: labels for one need.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The need in words, such as `Safety`.
    pub name: String,
    /// Its labels.
    pub labels: Vec<HomeLabel>,
}

/// A label of the preset `home`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HomeLabel {
    /// The display name.
    label: String,
    /// `confirmed` where it is announced only then.
    #[serde(default)]
    announce: Option<String>,
    /// How often it is expected to be told wrongly in a day; `None` where that was not measured.
    #[serde(default)]
    pub false_alarms_per_day: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Home {
    #[serde(rename = "description")]
    _description: String,
    section: Vec<Section>,
}

impl HomeLabel {
    /// When its events are announced where the configuration does not say it.
    pub fn announce(&self) -> Announce {
        self.announce.as_deref().map_or(Announce::AtOnce, announce)
    }
}

static HOME: LazyLock<Vec<Section>> = LazyLock::new(|| {
    // The file is compiled in and a test reads it, so it cannot be wrong at run time.
    toml::from_str::<Home>(include_str!("../../config/presets/home.toml")).map(|home| home.section).unwrap_or_default()
});

/// The place of each label of the preset `home`: its section, and its number there.
static PLACES: LazyLock<HashMap<&'static str, (usize, usize)>> = LazyLock::new(|| {
    let labels = |(section, of): (usize, &'static Section)| {
        of.labels.iter().enumerate().map(move |(at, entry)| (entry.label.as_str(), (section, at)))
    };
    HOME.iter().enumerate().flat_map(labels).collect()
});

/// The labels of the preset `name` that the model has, by their index; `None` if there is no such preset.
pub fn labels(name: &str, labels: &Labels) -> Option<Vec<usize>> {
    match name {
        "all" => Some((0..labels.len()).collect()),
        "home" => Some(HOME.iter().flat_map(|section| &section.labels).filter_map(|entry| labels.find(&entry.label)).collect()),
        _ => None,
    }
}

/// The entry of the label with this display name in the preset `home`, with its section; `None` where the preset does not have it.
pub fn of_home(name: &str) -> Option<(&'static Section, &'static HomeLabel)> {
    let (section, at) = *PLACES.get(name)?;
    let section = HOME.get(section)?;
    Some((section, section.labels.get(at)?))
}

fn announce(word: &str) -> Announce {
    Announce::NAMES.iter().find(|(name, _)| *name == word).map_or(Announce::AtOnce, |(_, choice)| *choice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_home_is_readable_and_names_each_label_once() {
        let home = toml::from_str::<Home>(include_str!("../../config/presets/home.toml")).unwrap().section;
        let entries: Vec<_> = home.iter().flat_map(|section| &section.labels).collect();
        assert!(entries.len() > 100 && home[0].name == "Safety");
        let mut names: Vec<_> = entries.iter().map(|entry| &entry.label).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), entries.len());
        for entry in entries {
            let (_, found) = of_home(&entry.label).unwrap();
            assert_eq!((&found.label, found.announce()), (&entry.label, entry.announce()));
            assert!(entry.announce.as_deref().is_none_or(|word| word == announce(word).name()), "{}", entry.label);
            assert!(entry.false_alarms_per_day.is_none_or(|rate| rate > 0.0), "{}", entry.label);
        }
    }
}
