//! The settings of the clips: whose sound is kept, how much of it, and for how long.

use std::path::PathBuf;

use super::Check;
use crate::analysis::clips::ClipPolicy;
use crate::config::raw::{MAX_AROUND_S, MAX_CLIP_S, MAX_CLIPS_MB, MAX_KEEP_DAYS, MIN_CLIP_S};
use crate::config::table::At;
use crate::detect::rule::Rule;
use crate::publish::settings::{ClipFormat, ClipKeep, ClipsConfig, StoreConfig};

/// The folder beside the store's file.
const FOLDER: &str = "clips";

impl Check<'_> {
    pub(super) fn clips(&mut self, rules: &[Rule], store: Option<&StoreConfig>) -> Option<ClipsConfig> {
        let raw = &self.raw.clips;
        let before_s = self.seconds("clips.before_s", &raw.before_s, (0.0, MAX_AROUND_S));
        let after_s = self.seconds("clips.after_s", &raw.after_s, (0.0, MAX_AROUND_S));
        let max_s = self.seconds("clips.max_s", &raw.max_s, (MIN_CLIP_S, MAX_CLIP_S));
        if max_s <= before_s + after_s {
            let message = format!("{max_s} s leave no room for an event between before_s ({before_s}) and after_s ({after_s})");
            self.fault(raw.max_s.line.or(raw.before_s.line).or(raw.after_s.line), "clips.max_s", message);
        }
        let format = self.choice("clips.format", &raw.format, &ClipFormat::NAMES).unwrap_or(ClipFormat::Flac);
        let threshold = raw.voice_threshold.value;
        if !(threshold as f32 > 0.0 && threshold <= 1.0) {
            let message = format!("{threshold} is out of range; it must be above 0 and at most 1");
            self.fault(raw.voice_threshold.line, "clips.voice_threshold", message);
        }
        let days = self.whole("clips.keep_days", &raw.keep_days, 1..=MAX_KEEP_DAYS);
        let max_mb = self.whole("clips.max_mb", &raw.max_mb, 1..=MAX_CLIPS_MB);
        let min_free_mb = self.whole("clips.min_free_mb", &raw.min_free_mb, 0..=MAX_CLIPS_MB);
        if raw.path.value.as_ref().is_some_and(String::is_empty) {
            self.fault(raw.path.line, "clips.path", "the path is empty; leave the key out for the default place".to_owned());
        }
        if let Some(true) = self.raw.defaults.clip.value {
            let message = "clips are kept of chosen labels and groups alone; set clip = true in their own tables".to_owned();
            self.fault(self.raw.defaults.clip.line, "defaults.clip", message);
        }
        let chosen = self.chosen();
        if !raw.enabled.value {
            if let Some((line, key, name)) = chosen.first() {
                let message = format!("no sound of {name:?} is kept, because [clips] enabled is false");
                self.warn(*line, &format!("{key}.clip"), message);
            }
            return None;
        }
        if self.raw.privacy.store_audio.value == Some(false) {
            let message = "[privacy] store_audio = false forbids it; leave that key out, or set it to true".to_owned();
            self.fault(raw.enabled.line, "clips.enabled", message);
        }
        if chosen.is_empty() {
            let message = "no label or group has clip = true, so that no sound is kept".to_owned();
            self.warn(raw.enabled.line, "clips.enabled", message);
        }
        let Some(store) = store else {
            let message = "clips need the store, which knows whose they are; set [store] enabled = true".to_owned();
            self.fault(raw.enabled.line, "clips.enabled", message);
            return None;
        };
        let folder = raw.path.value.as_ref().map_or_else(|| store.path.with_file_name(FOLDER), PathBuf::from);
        let is_reported = |name: &String| rules.iter().any(|rule| rule.subject.name == *name);
        let names = chosen.into_iter().map(|(.., name)| name).filter(is_reported).collect();
        let voice_threshold = raw.without_voice.value.then_some(threshold as f32);
        Some(ClipsConfig {
            folder,
            policy: ClipPolicy { names, before_s, after_s, max_s, voice_threshold },
            voice_threshold: threshold,
            format,
            keep: ClipKeep {
                days: u32::try_from(days).unwrap_or(1),
                max_mb: max_mb.unsigned_abs(),
                min_free_mb: min_free_mb.unsigned_abs(),
            },
        })
    }

    /// The labels and groups with `clip = true`: the line, the table's key and the display name of each.
    fn chosen(&self) -> Vec<(Option<usize>, String, String)> {
        let labels = self.raw.labels.iter().filter_map(|entry| {
            let name = self.labels.subjects()[self.labels.find(&entry.name)?].name.clone();
            Some((&entry.body.clip, format!("labels.{:?}", entry.name), name))
        });
        let groups =
            self.raw.groups.iter().map(|group| (&group.body.gate.clip, format!("groups.{}", group.name), group.name.clone()));
        labels
            .chain(groups)
            .filter(|(clip, ..)| clip.value == Some(true))
            .map(|(clip, key, name)| (clip.line, key, name))
            .collect()
    }

    /// A time in seconds within a range.
    fn seconds(&mut self, key: &str, raw: &At<f64>, (from, to): (f64, f64)) -> f64 {
        if !(from..=to).contains(&raw.value) {
            self.fault(raw.line, key, format!("{} is out of range; it must be from {from} to {to}", raw.value));
        }
        raw.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;
    use crate::model::Labels;

    fn clips(text: &str) -> Result<(Option<ClipsConfig>, Vec<String>), Vec<String>> {
        let labels = Labels::new([("/m/0".to_owned(), "Dog".to_owned()), ("/m/1".to_owned(), "Glass".to_owned())], Vec::new());
        let loaded = Raw::parse(text, None).validate(&labels).map_err(|faults| faults.sentences())?;
        Ok((loaded.config.clips, loaded.warnings.iter().map(ToString::to_string).collect()))
    }

    const ON: &str = "[report]\nlabels = [\"Dog\", \"Glass\"]\n[store]\npath = \"/a/events.db\"\n[clips]\nenabled = true\n";

    #[test]
    fn clips_are_off_and_of_chosen_labels_and_groups_alone() {
        assert_eq!(clips("[report]\nlabels = [\"Dog\"]").unwrap().0, None);
        let (config, warnings) = clips(&format!(
            "{ON}[labels.glass]\nclip = true\n[labels.Dog]\nclip = false\n[groups.pets]\nlabels = [\"Dog\"]\nclip = true"
        ))
        .unwrap();
        let config = config.unwrap();
        assert_eq!((config.folder, config.policy.names), ("/a/clips".into(), vec!["Glass".to_owned(), "pets".to_owned()]));
        assert!(config.policy.voice_threshold.is_none() && warnings.is_empty(), "{warnings:?}");
        let (_, warnings) = clips(ON).unwrap();
        assert!(warnings.join("").contains("no label or group has clip = true"), "{warnings:?}");
        let (off, warnings) = clips("[report]\nlabels = [\"Dog\"]\n[labels.Dog]\nclip = true").unwrap();
        assert!(off.is_none() && warnings.join("").contains("[clips] enabled is false"), "{warnings:?}");
    }

    #[test]
    fn every_fault_is_told_with_its_key() {
        let text = format!(
            "{ON}before_s = 30\nafter_s = 30\nmax_s = 60\nformat = \"mp3\"\nvoice_threshold = 0\nkeep_days = 0\nmax_mb = 0\nmin_free_mb = -1\n\
             path = \"\"\n[defaults]\nclip = true\n[privacy]\nstore_audio = false"
        );
        let faults = clips(&text).unwrap_err().join("\n");
        for said in [
            "clips.max_s: 60 s leave no room",
            "clips.format: \"mp3\" is not one of flac, wav",
            "clips.voice_threshold: 0 is out of range",
            "clips.keep_days: 0 is out of range",
            "clips.max_mb: 0 is out of range",
            "clips.min_free_mb: -1 is out of range",
            "clips.path: the path is empty",
            "defaults.clip: clips are kept of chosen labels",
            "clips.enabled: [privacy] store_audio = false forbids it",
        ] {
            assert!(faults.contains(said), "{said:?} is missing in:\n{faults}");
        }
        let faults =
            clips("[report]\nlabels = [\"Dog\"]\n[store]\nenabled = false\n[clips]\nenabled = true").unwrap_err().join("\n");
        assert!(faults.contains("clips.enabled: clips need the store"), "{faults}");
    }
}
