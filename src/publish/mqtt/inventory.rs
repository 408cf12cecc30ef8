//! The sources, and the reported labels with their thresholds.

use super::topics::key;
use crate::publish::settings::{Entities, MqttConfig};
use crate::publish::shared::Shared;
use crate::publish::wire::score;

/// The labels that most people use, by their slugs, the most urgent ones first.
const FEW: [&str; 28] = [
    "smoke_detector_smoke_alarm",
    "fire_alarm",
    "civil_defense_siren",
    "glass",
    "shatter",
    "screaming",
    "baby_cry_infant_cry",
    "doorbell",
    "ding_dong",
    "knock",
    "telephone_bell_ringing",
    "alarm_clock",
    "dog",
    "bark",
    "cat",
    "meow",
    "speech",
    "music",
    "cough",
    "snoring",
    "vacuum_cleaner",
    "water_tap_faucet",
    "toilet_flush",
    "microwave_oven",
    "siren",
    "car_alarm",
    "thunder",
    "rain",
];
/// The most labels and groups that are enabled from the beginning with `entities = "few"`. With the other entities of a source and
/// of the daemon they are fewer than 40.
pub const MOST_ENABLED: usize = 32;

/// The sources and labels that the broker gets messages about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inventory {
    /// The sources.
    pub sources: Vec<KnownSource>,
    /// The labels and groups that are reported.
    pub labels: Vec<ReportedLabel>,
    /// The model's name.
    pub model: String,
    /// The address of the page for people; `None` where other machines reach none.
    pub page: Option<String>,
    /// Whether labels have entities.
    pub has_entities: bool,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KnownSource {
    /// The name.
    pub name: String,
    /// The room or place, where the configuration names it.
    pub area: Option<String>,
}

/// A label or a group that is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedLabel {
    /// The unique name in topics.
    pub key: String,
    /// The display name.
    pub name: String,
    /// The first part of the display name, where it is unique among the labels: `Baby cry` for `Baby cry, infant cry`.
    pub short: String,
    /// The threshold, 0…1.
    pub threshold: f64,
    /// Whether its entity is enabled from the beginning.
    pub is_enabled: bool,
    /// Whether it is a group.
    pub is_group: bool,
}

impl Inventory {
    /// The present sources and labels.
    pub fn of(shared: &Shared, config: &MqttConfig) -> Self {
        let directory = shared.directory();
        let area = |name: &str| directory.areas.iter().find(|(of, _)| **of == *name).map(|(_, area)| area.clone());
        let mut sources: Vec<String> = directory.sources.iter().map(ToString::to_string).collect();
        // A source that is being opened again still counts, and a recording that plays instead of a microphone is in no
        // configuration.
        let others = shared.stats.all().into_iter().map(|source| source.name.to_string());
        sources.extend(others.filter(|name| directory.sources.iter().all(|source| **source != **name)));
        let mut labels: Vec<ReportedLabel> = Vec::new();
        for rule in &directory.rules {
            let (key, name, is_group) = (key(&rule.subject), rule.subject.name.clone(), rule.subject.is_group());
            let threshold = score(rule.gate.threshold);
            let new = ReportedLabel { key, short: name.clone(), name, threshold, is_enabled: true, is_group };
            // A group may have the name of a label. A request with this name means the group, and so does the topic.
            match labels.iter_mut().find(|label| label.key == new.key) {
                Some(_) if !is_group => {}
                Some(known) => *known = new,
                None => labels.push(new),
            }
        }
        shorten(&mut labels);
        if config.entities == Entities::Few {
            enable_few(&mut labels);
        }
        Self {
            sources: sources.into_iter().map(|name| KnownSource { area: area(&name), name }).collect(),
            labels,
            model: directory.model.name.clone(),
            page: config.page.clone(),
            has_entities: config.entities != Entities::None,
        }
    }

    /// The label with this display name.
    pub fn named(&self, name: &str) -> Option<&ReportedLabel> {
        self.labels.iter().find(|label| label.name == name)
    }

    /// Whether it is the name of one of the sources.
    pub fn has_source(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.name == name)
    }
}

/// The display name up to its first comma or bracket.
fn first_part(name: &str) -> &str {
    let first = name.split(',').next().and_then(|part| part.split(" (").next()).unwrap_or(name).trim();
    if first.is_empty() { name } else { first }
}

fn shorten(labels: &mut [ReportedLabel]) {
    let firsts: Vec<String> = labels.iter().map(|label| first_part(&label.name).to_lowercase()).collect();
    for label in labels.iter_mut().filter(|label| !label.is_group) {
        let first = first_part(&label.name);
        if firsts.iter().filter(|other| **other == first.to_lowercase()).count() == 1 {
            label.short = first.to_owned();
        }
    }
}

/// Leaves at most [`MOST_ENABLED`] labels enabled: the groups, then the labels that most people use. All are where there are no
/// more.
fn enable_few(labels: &mut [ReportedLabel]) {
    if labels.len() <= MOST_ENABLED {
        return;
    }
    let place = |label: &ReportedLabel| match label.is_group {
        true => Some(0),
        false => FEW.iter().position(|key| *key == label.key).map(|place| place + 1),
    };
    let mut order: Vec<(usize, usize)> = labels.iter().enumerate().filter_map(|(at, label)| Some((place(label)?, at))).collect();
    order.sort_unstable();
    labels.iter_mut().for_each(|label| label.is_enabled = false);
    for (_, at) in order.into_iter().take(MOST_ENABLED) {
        labels[at].is_enabled = true;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::labels::slug;

    pub fn label(name: &str, threshold: f64) -> ReportedLabel {
        let (name, key) = (name.to_owned(), slug(name));
        ReportedLabel { key, short: name.clone(), name, threshold, is_enabled: true, is_group: false }
    }

    /// The display names of the preset `home`.
    fn preset_home() -> Vec<String> {
        let home: toml::Table = include_str!("../../../config/presets/home.toml").parse().unwrap();
        let sections = home["section"].as_array().unwrap();
        let labels = sections.iter().flat_map(|section| section["labels"].as_array().unwrap());
        labels.map(|entry| entry["label"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_name_is_as_short_as_it_is_unique() {
        let names = ["Baby cry, infant cry", "Whimper", "Whimper (dog)", "Sink (filling or washing)", "Dog"];
        let mut labels: Vec<_> = names.iter().map(|name| label(name, 0.5)).collect();
        shorten(&mut labels);
        let shorts: Vec<_> = labels.iter().map(|label| label.short.as_str()).collect();
        assert_eq!(shorts, ["Baby cry", "Whimper", "Whimper (dog)", "Sink", "Dog"]);
    }

    #[test]
    fn of_many_labels_the_groups_and_those_that_people_use_are_enabled() {
        let mut labels: Vec<_> = preset_home().iter().map(|name| label(name, 0.5)).collect();
        labels.push(ReportedLabel { is_group: true, ..label("machines", 0.5) });
        enable_few(&mut labels);
        let enabled: Vec<_> = labels.iter().filter(|label| label.is_enabled).map(|label| label.key.as_str()).collect();
        assert_eq!(enabled.len(), FEW.len() + 1, "every one of the few is in the preset: {enabled:?}");
        assert!(enabled.contains(&"machines") && enabled.len() <= MOST_ENABLED);
        let mut fewer = labels[..MOST_ENABLED].to_vec();
        fewer.iter_mut().for_each(|label| label.is_enabled = true);
        enable_few(&mut fewer);
        assert!(fewer.iter().all(|label| label.is_enabled));
        let mut groups: Vec<_> = (0..50).map(|n| ReportedLabel { is_group: true, ..label(&format!("g{n}"), 0.5) }).collect();
        enable_few(&mut groups);
        assert_eq!(groups.iter().filter(|label| label.is_enabled).count(), MOST_ENABLED);
    }
}
