//! Validation: from the file as it is written to a valid configuration. The meaning and the range of every key are checked here
//! and nowhere else.

use std::path::{Path, PathBuf};

use super::raw::Raw;
use super::table::At;
use super::{Config, Fault, Faults, LogConfig, LogFormat, LogLevel, ModelConfig, Origin, QuietHours};
use crate::model::Labels;
use crate::model::manifest::DetectionOverride;
use crate::publish::settings::SocketConfig;
use crate::text::{did_you_mean, nearest};

mod clips;
mod gate;
mod hooks;
mod origins;
mod rules;
mod sinks;
mod sources;
mod store;
mod summary;
mod warnings;

use gate::pick;

/// A configuration that is valid for the labels of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The configuration.
    pub config: Config,
    /// Settings that are legal but surely not meant.
    pub warnings: Vec<Fault>,
    /// For each label of the model, in the order of its outputs, where its threshold comes from and whether it is reported.
    pub origins: Vec<Origin>,
}

impl Raw {
    /// Validates the whole configuration for a model with these labels.
    ///
    /// # Errors
    /// Every fault at once, including those of the text itself.
    pub fn validate(&self, labels: &Labels) -> Result<Validated, Faults> {
        let mut check = Check { raw: self, labels, faults: self.faults.clone(), warnings: Vec::new() };
        let (rules, ignored, origins) = check.rules();
        let store = check.store();
        let clips = check.clips(&rules, store.as_ref());
        let sinks = check.sinks(clips.as_ref().map(|clips| &clips.folder));
        let config = Config {
            socket: check.socket(),
            model: check.model(),
            sources: check.sources(),
            areas: check.areas(),
            clips,
            rules,
            ignored,
            set_by_clients: self.set_by_clients(),
            keep_thresholds: self.sinks.mqtt.keep_thresholds.value,
            store,
            sinks,
            quiet_hours: check.quiet_hours(),
            watch: self.reload.watch.value,
            log: check.log(),
        };
        if check.faults.is_empty() { Ok(Validated { config, warnings: check.warnings, origins }) } else { Err(check.faults) }
    }

    /// The settings of `[model]` and `[detection]`. Ranges are not checked here: [`Raw::validate`] checks those of `[model]`, and
    /// the model those of `[detection]`, which have to suit it.
    pub(crate) fn model_settings(&self) -> ModelConfig {
        let raw = &self.detection;
        let whole = |value: i64| u32::try_from(value).unwrap_or(0);
        let detection = DetectionOverride {
            windows_ms: raw.windows_ms.value.as_ref().map(|list| list.iter().map(|value| whole(*value)).collect()),
            hop_ms: raw.hop_ms.value.map(whole),
            strides: raw.strides.value.as_ref().map(|list| list.iter().map(|value| whole(*value) as usize).collect()),
            steady_stride: raw.steady_stride.value.map(|value| whole(value) as usize),
            noise_gate_dbfs: raw.noise_gate_dbfs.value.map(|value| value as f32),
            delta: raw.delta.value.map(|value| value as f32),
            median: raw.median.value.map(|value| whole(value) as usize),
            extent: raw.extent.value.map(|value| value as f32),
            valley: raw.valley.value.map(|value| value as f32),
        };
        let raw = &self.model;
        ModelConfig {
            dir: raw.dir.value.clone(),
            runtime: raw.runtime.value.as_ref().map(Into::into),
            sounds: self.sounds_folder(),
            threads: raw.threads.value.map(|threads| usize::try_from(threads).unwrap_or(1)),
            detection,
        }
    }
}

impl Raw {
    /// The folder of learnt sounds: as the file names it, from the file's own folder on, or from that of the user's own file.
    fn sounds_folder(&self) -> Option<PathBuf> {
        let named = Path::new(&self.model.sounds.value);
        let file = || self.path.clone().or_else(super::load::user_file);
        if named.is_absolute() { Some(named.into()) } else { Some(file()?.parent()?.join(named)) }
    }
}

struct Check<'a> {
    raw: &'a Raw,
    labels: &'a Labels,
    faults: Faults,
    warnings: Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, line: Option<usize>, key: &str, message: String) {
        self.faults.push(Fault { path: self.raw.path.clone(), line, key: key.to_owned(), message });
    }

    fn warn(&mut self, line: Option<usize>, key: &str, message: String) {
        self.warnings.push(Fault { path: self.raw.path.clone(), line, key: key.to_owned(), message });
    }

    fn socket(&mut self) -> SocketConfig {
        let raw = &self.raw.socket;
        let mode = u32::from_str_radix(raw.mode.value.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o777);
        if mode.is_none() {
            self.fault(
                raw.mode.line,
                "socket.mode",
                format!("{:?} is no mode; write its octal digits, such as \"0660\"", raw.mode.value),
            );
        }
        if raw.path.value.as_ref().is_some_and(|path| path.is_empty()) {
            self.fault(raw.path.line, "socket.path", "the path is empty; leave the key out for the default place".to_owned());
        }
        SocketConfig {
            path: raw.path.value.as_ref().map(Into::into),
            mode: mode.unwrap_or(0o660),
            group: raw.group.value.clone(),
        }
    }

    fn model(&mut self) -> ModelConfig {
        let raw = &self.raw.model;
        if raw.dir.value.is_empty() {
            self.fault(raw.dir.line, "model.dir", "the folder's name is empty".to_owned());
        }
        if raw.sounds.value.is_empty() {
            self.fault(raw.sounds.line, "model.sounds", "the folder's name is empty; leave the key out for `sounds`".to_owned());
        }
        if let Some(threads) = raw.threads.value.filter(|threads| !(1..=64).contains(threads)) {
            self.fault(raw.threads.line, "model.threads", format!("{threads} is out of range; it must be from 1 to 64"));
        }
        self.raw.model_settings()
    }

    fn quiet_hours(&mut self) -> QuietHours {
        let raw = &self.raw.privacy.quiet_hours;
        let (hours, faults) = QuietHours::parse(&raw.value);
        for message in faults {
            self.fault(raw.line, "privacy.quiet_hours", message);
        }
        hours
    }

    fn log(&mut self) -> LogConfig {
        let raw = &self.raw.log;
        LogConfig {
            level: self.choice("log.level", &raw.level, &LogLevel::NAMES).unwrap_or(LogLevel::Info),
            format: self.choice("log.format", &raw.format, &LogFormat::NAMES).unwrap_or(LogFormat::Text),
        }
    }

    fn choice<T: Copy>(&mut self, key: &str, raw: &At<String>, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&raw.value));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            let hint = did_you_mean(nearest(&raw.value, names.iter().copied()));
            self.fault(raw.line, key, format!("{:?} is not one of {}{hint}", raw.value, names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests;
