//! From what a file says to what may be put in force: every key's meaning and range is checked here and nowhere else.

use std::collections::HashMap;
use std::sync::Arc;

use super::raw::{Named, RawChannel, RawGate, RawSource, STANDARD_GATE, STANDARD_PRESET};
use super::table::{At, did_you_mean};
use super::{
    Channel, Config, Fault, Faults, Gate, Input, Loaded, LogConfig, LogFormat, LogLevel, ModelConfig, Raw, Rule, SocketConfig,
    SourceConfig, preset,
};
use crate::capture::parse_input;
use crate::event::Subject;
use crate::model::Labels;
use crate::model::labels::{Thresholds, nearest, slug};
use crate::model::manifest::DetectionOverride;
use crate::resample::{MAX_RATE_HZ, MIN_RATE_HZ};

/// The most windows that `confirm` may look back.
const MAX_CONFIRM: usize = 100;
/// The longest time that may be configured, in seconds: a year.
const LONGEST_S: f64 = 366.0 * 86_400.0;

impl Raw {
    /// Checks everything for a model with these labels.
    ///
    /// # Errors
    /// Every fault at once, those of the text itself among them.
    pub fn validate(&self, labels: &Labels) -> Result<Loaded, Faults> {
        let mut check = Check { raw: self, labels, faults: self.faults.clone(), warnings: Vec::new() };
        let config = Config {
            socket: check.socket(),
            model: check.model(),
            sources: check.sources(),
            rules: check.rules(),
            log: check.log(),
        };
        if self.privacy.store_audio.value {
            check.fault(
                self.privacy.store_audio.line,
                "privacy.store_audio",
                "this version never stores audio; set it to false".to_owned(),
            );
        }
        if check.faults.is_empty() { Ok(Loaded { config, warnings: check.warnings }) } else { Err(check.faults) }
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
        if !(1..=64).contains(&raw.threads.value) {
            self.fault(
                raw.threads.line,
                "model.threads",
                format!("{} is out of range; it must be from 1 to 64", raw.threads.value),
            );
        }
        ModelConfig {
            dir: raw.dir.value.clone(),
            runtime: raw.runtime.value.as_ref().map(Into::into),
            threads: usize::try_from(raw.threads.value).unwrap_or(1),
            detection: self.detection(),
        }
    }

    /// Only that the numbers are numbers of their kind; whether they suit the model is asked where it is opened.
    fn detection(&mut self) -> DetectionOverride {
        let raw = &self.raw.detection;
        let whole = |value: i64| u32::try_from(value).unwrap_or(0);
        DetectionOverride {
            windows_ms: raw.windows_ms.value.as_ref().map(|list| list.iter().map(|value| whole(*value)).collect()),
            hop_ms: raw.hop_ms.value.map(whole),
            delta: raw.delta.value.map(|value| value as f32),
            median: raw.median.value.map(|value| whole(value) as usize),
            extent: raw.extent.value.map(|value| value as f32),
            valley: raw.valley.value.map(|value| value as f32),
        }
    }

    fn log(&mut self) -> LogConfig {
        let raw = &self.raw.log;
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
            ("trace", LogLevel::Trace),
        ];
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        LogConfig {
            level: self.choice("log.level", &raw.level, &levels).unwrap_or(LogLevel::Info),
            format: self.choice("log.format", &raw.format, &formats).unwrap_or(LogFormat::Text),
        }
    }

    fn choice<T: Copy>(&mut self, key: &str, raw: &At<String>, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&raw.value));
        if found.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(raw.line, key, format!("{:?} is not one of {}", raw.value, names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    fn sources(&mut self) -> Vec<SourceConfig> {
        let standard = [(None, RawSource::default())];
        let raw = if self.raw.sources.is_empty() { standard.as_slice() } else { self.raw.sources.as_slice() };
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut stdin = 0;
        let mut sources = Vec::new();
        for (index, (line, source)) in raw.iter().enumerate() {
            let key = |name: &str| format!("source[{}].{name}", index + 1);
            let name = match &source.name.value {
                Some(name) => name.clone(),
                None if raw.len() == 1 => "default".to_owned(),
                None => {
                    self.fault(*line, &key("name"), "each of several sources needs a name".to_owned());
                    String::new()
                }
            };
            let name_line = source.name.line.or(*line);
            if source.name.value.is_some() && (name.trim().is_empty() || name.chars().any(char::is_control)) {
                self.fault(name_line, &key("name"), "a source's name must not be empty or hold control characters".to_owned());
            } else if !name.is_empty() && seen.insert(name.clone(), index).is_some() {
                self.fault(name_line, &key("name"), format!("two sources have the name {name:?}"));
            }
            let input = self.input(source, &key("input"), &key("rate_hz"));
            stdin += usize::from(matches!(input, Input::Stdin { .. }));
            if stdin == 2 {
                self.fault(source.input.line, &key("input"), "standard input can be read by one source only".to_owned());
            }
            let channel = match &source.channel.value {
                RawChannel::Word(word) if word.eq_ignore_ascii_case("mix") => Channel::Mix,
                RawChannel::Number(number @ 1..=1_024) => Channel::Pick(u16::try_from(*number).unwrap_or(1)),
                RawChannel::Word(word) => {
                    self.fault(source.channel.line, &key("channel"), format!("{word:?} is not \"mix\" or a channel's number"));
                    Channel::Mix
                }
                RawChannel::Number(number) => {
                    self.fault(
                        source.channel.line,
                        &key("channel"),
                        format!("channels are counted from 1 to 1024, not {number}"),
                    );
                    Channel::Mix
                }
            };
            let gain = source.gain_db.value;
            if !(-60.0..=60.0).contains(&gain) {
                self.fault(source.gain_db.line, &key("gain_db"), format!("{gain} is out of range; it must be from -60 to 60"));
            }
            sources.push(SourceConfig { name: name.into(), input, channel, gain_db: gain as f32 });
        }
        sources
    }

    fn input(&mut self, source: &RawSource, key: &str, rate_key: &str) -> Input {
        let rate = u32::try_from(source.rate_hz.value).ok().filter(|rate| (MIN_RATE_HZ..=MAX_RATE_HZ).contains(rate));
        if rate.is_none() {
            let message = format!("{} is out of range; it must be from {MIN_RATE_HZ} to {MAX_RATE_HZ}", source.rate_hz.value);
            self.fault(source.rate_hz.line, rate_key, message);
        }
        let input = parse_input(&source.input.value, rate.unwrap_or(16_000));
        match &input {
            Input::File { path, .. } if path.as_os_str().is_empty() => {
                self.fault(source.input.line, key, "file: is not followed by a path".to_owned());
            }
            Input::Device(id) if id.trim().is_empty() => {
                self.fault(source.input.line, key, "the input is empty; write \"default\" for the default microphone".to_owned());
            }
            _ => {}
        }
        if source.rate_hz.line.is_some() && !matches!(input, Input::Stdin { .. }) {
            self.warn(source.rate_hz.line, rate_key, "rate_hz is used with input = \"-\" only".to_owned());
        }
        input
    }

    /// The labels of a list by their index; what is not there is a fault.
    fn label_list(&mut self, key: &str, list: &[String], line: Option<usize>) -> Vec<usize> {
        let mut found = Vec::new();
        for name in list {
            match self.labels.find(name) {
                Some(index) if !found.contains(&index) => found.push(index),
                Some(_) => {}
                None => self.fault(line, key, self.labels.unknown(name)),
            }
        }
        found
    }

    fn rules(&mut self) -> Vec<Rule> {
        let raw = self.raw;
        let reported = self.reported();
        let ignored = self.label_list("report.ignore", &raw.report.ignore.value, raw.report.ignore.line);
        let named = raw.report.labels.value.is_some();
        // Everything of the preset `all` is shown as it is; elsewhere one sound is one event.
        let all = raw.report.labels.value.is_none() && raw.report.preset.value.as_deref() == Some("all");
        let merge = raw.report.merge.value.unwrap_or(!all);
        self.gate(&raw.defaults, &RawGate::default(), "defaults", None);
        let by_label = self.label_gates();

        let mut grouped: Vec<usize> = Vec::new();
        let mut groups = Vec::new();
        for group in &raw.groups {
            let key = format!("groups.{}", group.name);
            let members =
                self.label_list(&format!("{key}.labels"), &group.body.members.labels.value, group.body.members.labels.line);
            if group.body.members.labels.value.is_empty() {
                self.fault(group.line, &format!("{key}.labels"), "a group needs at least one label".to_owned());
            }
            if group.name.trim().is_empty() || group.name.chars().any(char::is_control) {
                self.fault(group.line, &key, "a group's name must not be empty or hold control characters".to_owned());
            }
            // The score of a group is the highest of its members', so the most sensitive of them decides: a missed alarm costs more.
            let suited = members
                .iter()
                .filter_map(|label| self.labels.thresholds(*label))
                .min_by(|a, b| a.threshold.total_cmp(&b.threshold));
            let gate = self.gate(&group.body.gate, &raw.defaults, &key, suited);
            grouped.extend(&members);
            let subject = Arc::new(Subject { name: group.name.clone(), slug: slug(&group.name), id: String::new() });
            groups.extend((!members.is_empty()).then_some(Rule { subject, members, gate, merge }));
        }

        let mut rules = Vec::new();
        for label in reported {
            // A label in a group is heard under the group's name, unless the report names it as well.
            if ignored.contains(&label) || (grouped.contains(&label) && !named) {
                continue;
            }
            let gate = match by_label.get(&label) {
                Some(gate) => *gate,
                None => self.gate(&RawGate::default(), &raw.defaults, "defaults", self.labels.thresholds(label)),
            };
            rules.push(Rule { subject: self.labels.subjects()[label].clone(), members: vec![label], gate, merge });
        }
        for entry in &raw.labels {
            if let Some(index) = self.labels.find(&entry.name)
                && !rules.iter().any(|rule| rule.members == [index])
            {
                self.warn(
                    entry.line,
                    &format!("labels.{:?}", entry.name),
                    "this label is configured, but [report] leaves it out".to_owned(),
                );
            }
        }
        rules.extend(groups);
        if rules.is_empty() && self.faults.is_empty() {
            self.fault(raw.report.labels.line.or(raw.report.preset.line), "report", "no label is left to be reported".to_owned());
        }
        rules
    }

    /// The labels that `[report]` asks for, before anything is left out.
    fn reported(&mut self) -> Vec<usize> {
        let report = &self.raw.report;
        if let (Some(_), Some(_)) = (&report.labels.value, &report.preset.value) {
            self.fault(report.preset.line, "report.preset", "give labels or a preset, not both".to_owned());
        }
        if let Some(list) = &report.labels.value {
            return self.label_list("report.labels", list, report.labels.line);
        }
        let name = report.preset.value.as_deref().unwrap_or(STANDARD_PRESET);
        preset::labels(name, self.labels).unwrap_or_else(|| {
            let hint = did_you_mean(nearest(name, preset::NAMES));
            let message = format!("there is no preset {name:?}, only {}{hint}", preset::NAMES.join(" and "));
            self.fault(report.preset.line, "report.preset", message);
            Vec::new()
        })
    }

    fn label_gates(&mut self) -> HashMap<usize, Gate> {
        let raw = self.raw;
        let mut gates = HashMap::new();
        let mut spelled: HashMap<usize, &Named<RawGate>> = HashMap::new();
        for entry in &raw.labels {
            let key = format!("labels.{:?}", entry.name);
            let index = self.labels.find(&entry.name);
            let suited = index.and_then(|label| self.labels.thresholds(label));
            let gate = self.gate(&entry.body, &raw.defaults, &key, suited);
            let Some(index) = index else {
                let hint = did_you_mean(self.labels.suggest(&entry.name));
                self.fault(entry.line, &key, format!("there is no such label{hint}"));
                continue;
            };
            if let Some(other) = spelled.insert(index, entry) {
                let line = other.line.unwrap_or(0);
                self.fault(entry.line, &key, format!("the same label is configured in line {line} as {:?}", other.name));
            }
            gates.insert(index, gate);
        }
        gates
    }

    /// The numbers of `own`, then of `defaults`, then the threshold that suits the label, then the standard ones.
    fn gate(&mut self, own: &RawGate, defaults: &RawGate, key: &str, suited: Option<Thresholds>) -> Gate {
        let threshold = pick(&own.threshold, &defaults.threshold);
        let release = pick(&own.release, &defaults.release);
        let threshold_value = threshold.value.or(suited.map(|suited| suited.threshold.into())).unwrap_or(STANDARD_GATE.threshold);
        // Only what this table says itself is this table's fault; the defaults are checked once, as a table of their own.
        let threshold_ok = (0.0..=1.0).contains(&threshold_value) && threshold_value > 0.0;
        if !threshold_ok && own.threshold.value.is_some() {
            self.fault(
                own.threshold.line,
                &format!("{key}.threshold"),
                format!("{threshold_value} is out of range; it must be above 0 and at most 1"),
            );
        }
        let release_value = release.value.unwrap_or(threshold_value * STANDARD_GATE.release_ratio);
        let release_ok = (0.0..=1.0).contains(&release_value);
        if !release_ok && own.release.value.is_some() {
            self.fault(
                own.release.line,
                &format!("{key}.release"),
                format!("{release_value} is out of range; it must be from 0 to 1"),
            );
        } else if release_ok
            && threshold_ok
            && release_value > threshold_value
            && (own.release.value.is_some() || own.threshold.value.is_some())
        {
            let line = own.release.line.or(own.threshold.line);
            let message =
                format!("the release {release_value} is above the threshold {threshold_value}; it must be at most as high");
            self.fault(line, &format!("{key}.release"), message);
        }
        let start = pick(&own.start_threshold, &defaults.start_threshold);
        // The start threshold that comes with the model belongs to its threshold: another threshold brings another.
        let suited_start = suited.filter(|_| threshold.value.is_none()).map(|suited| suited.start_threshold.into());
        let start_value = start.value.or(suited_start).unwrap_or(STANDARD_GATE.start_ratio * threshold_value);
        if !(start_value > 0.0 && start_value <= 1.0) && own.start_threshold.value.is_some() {
            self.fault(
                own.start_threshold.line,
                &format!("{key}.start_threshold"),
                format!("{start_value} is out of range; it must be above 0 and at most 1"),
            );
        }
        let min_level = pick(&own.min_level_dbfs, &defaults.min_level_dbfs).value;
        if let Some(level) = own.min_level_dbfs.value.filter(|level| !(-150.0..=0.0).contains(level)) {
            self.fault(
                own.min_level_dbfs.line,
                &format!("{key}.min_level_dbfs"),
                format!("{level} is out of range; it must be from -150 to 0"),
            );
        }
        let min_snr = pick(&own.min_snr_db, &defaults.min_snr_db).value.unwrap_or(STANDARD_GATE.min_snr_db);
        if !(0.0..=40.0).contains(&min_snr) && own.min_snr_db.value.is_some() {
            self.fault(
                own.min_snr_db.line,
                &format!("{key}.min_snr_db"),
                format!("{min_snr} is out of range; it must be from 0 to 40"),
            );
        }
        let (confirm_k, confirm_n) = self.confirm(own, defaults, key);
        let min = self.time(
            &own.min_duration_ms,
            &defaults.min_duration_ms,
            STANDARD_GATE.min_duration_ms,
            1e-3,
            &format!("{key}.min_duration_ms"),
        );
        let max = self.time(
            &own.max_duration_s,
            &defaults.max_duration_s,
            STANDARD_GATE.max_duration_s,
            1.0,
            &format!("{key}.max_duration_s"),
        );
        if max > 0 && min > max && (own.min_duration_ms.value.is_some() || own.max_duration_s.value.is_some()) {
            let line = own.min_duration_ms.line.or(own.max_duration_s.line);
            self.fault(
                line,
                &format!("{key}.min_duration_ms"),
                format!("the least duration {min} ms is above the greatest, {max} ms"),
            );
        }
        Gate {
            threshold: threshold_value as f32,
            release: release_value as f32,
            start_threshold: start_value as f32,
            confirm_k,
            confirm_n,
            min_duration_ms: min,
            max_duration_ms: (max > 0).then_some(max),
            hangover_ms: self.time(
                &own.hangover_ms,
                &defaults.hangover_ms,
                STANDARD_GATE.hangover_ms,
                1e-3,
                &format!("{key}.hangover_ms"),
            ),
            cooldown_ms: self.time(
                &own.cooldown_s,
                &defaults.cooldown_s,
                STANDARD_GATE.cooldown_s,
                1.0,
                &format!("{key}.cooldown_s"),
            ),
            min_level_dbfs: min_level.map(|level| level as f32),
            min_snr_db: min_snr as f32,
        }
    }

    fn confirm(&mut self, own: &RawGate, defaults: &RawGate, key: &str) -> (usize, usize) {
        let text = pick(&own.confirm, &defaults.confirm).value.clone().unwrap_or_else(|| STANDARD_GATE.confirm.to_owned());
        let parsed = text.split_once('/').and_then(|(k, n)| Some((k.trim().parse().ok()?, n.trim().parse().ok()?)));
        match parsed {
            Some((k, n)) if 1 <= k && k <= n && n <= MAX_CONFIRM => (k, n),
            _ => {
                if own.confirm.value.is_some() {
                    let message = format!("{text:?} is not \"k/n\" with 1 ≤ k ≤ n ≤ {MAX_CONFIRM}, such as \"2/3\"");
                    self.fault(own.confirm.line, &format!("{key}.confirm"), message);
                }
                (1, 1)
            }
        }
    }

    /// A time in milliseconds; `unit_s` is the unit of the key in seconds.
    fn time(&mut self, own: &At<Option<f64>>, defaults: &At<Option<f64>>, standard: f64, unit_s: f64, key: &str) -> u64 {
        let value = pick(own, defaults).value.unwrap_or(standard);
        let seconds = value * unit_s;
        if !(0.0..=LONGEST_S).contains(&seconds) && own.value.is_some() {
            let what = if value < 0.0 { "must not be negative" } else { "must be a time of at most a year" };
            self.fault(own.line, key, format!("{value} is out of range; it {what}"));
        }
        (seconds * 1_000.0).round() as u64
    }
}

/// What a table says itself, else what the defaults say.
fn pick<'a, T>(own: &'a At<Option<T>>, defaults: &'a At<Option<T>>) -> &'a At<Option<T>> {
    if own.value.is_some() { own } else { defaults }
}
