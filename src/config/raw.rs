//! The mirror of the configuration file, and the only home of defaults: every key with its line, nothing yet checked but its type.
//!
//! Each key is read by itself, so that one fault hides no other. Meaning and ranges are `validate`'s part.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Faults};
use super::table::{At, Leaf, Reader, Table};
use crate::model::labels::{did_you_mean, nearest};

/// The channel of a source as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum RawChannel {
    /// A word; `mix` is the only one.
    Word(String),
    /// A number, counted from 1.
    Number(i64),
}

impl Leaf for RawChannel {
    const EXPECTED: &'static str = "\"mix\" or a channel's number";
    fn read(value: &DeValue) -> Option<Self> {
        String::read(value).map(RawChannel::Word).or_else(|| i64::read(value).map(RawChannel::Number))
    }
}

/// Declares a section of the file: its keys, their types and their defaults, each once.
macro_rules! section {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $key:ident: $type:ty = $default:expr,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $key: At<$type>,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: At { value: $default, line: None },)* }
            }
        }

        impl $name {
            fn read(table: &mut Table) -> Self {
                let mut section = Self::default();
                $(table.leaf(stringify!($key), &mut section.$key);)*
                section
            }
        }
    };
}

section! {
    /// `[socket]`
    RawSocket {
        /// The socket's path.
        path: Option<String> = None,
        /// Its permission bits in octal.
        mode: String = "0660".to_owned(),
        /// The group whose members may change the daemon.
        group: Option<String> = None,
    }
}

section! {
    /// `[model]`
    RawModel {
        /// The model's folder.
        dir: String = "ced-tiny".to_owned(),
        /// The path of libonnxruntime.
        runtime: Option<String> = None,
        /// Threads within one inference.
        threads: i64 = 1,
    }
}

section! {
    /// `[detection]`: what a user sets instead of the model's own numbers.
    RawDetection {
        /// The lengths of the windows in milliseconds.
        windows_ms: Option<Vec<i64>> = None,
        /// The distance of two windows in milliseconds.
        hop_ms: Option<i64> = None,
        /// How far a window reaches over the moment that it speaks of.
        delta: Option<f64> = None,
        /// Over how many values the median is taken.
        median: Option<i64> = None,
        /// How far down its peak an event reaches.
        extent: Option<f64> = None,
        /// How low a valley parts two events.
        valley: Option<f64> = None,
    }
}

section! {
    /// One `[[source]]`
    RawSource {
        /// The name that events carry.
        name: Option<String> = None,
        /// What to open.
        input: String = "default".to_owned(),
        /// Which channel to hear.
        channel: RawChannel = RawChannel::Word("mix".to_owned()),
        /// Gain in dB.
        gain_db: f64 = 0.0,
        /// The rate of `input = "-"` in Hz.
        rate_hz: i64 = 16_000,
    }
}

section! {
    /// `[defaults]`, and the keys that `[labels.…]` and `[groups.…]` may set again.
    RawGate {
        /// An event begins at this score.
        threshold: Option<f64> = None,
        /// An event ends below this score, whatever its peak.
        release: Option<f64> = None,
        /// An event is announced at once when the causal score reaches this.
        start_threshold: Option<f64> = None,
        /// k of n windows.
        confirm: Option<String> = None,
        /// Shorter events are not reported.
        min_duration_ms: Option<f64> = None,
        /// Longer events end and begin anew.
        max_duration_s: Option<f64> = None,
        /// A shorter gap is bridged.
        hangover_ms: Option<f64> = None,
        /// No other event of the label for so long.
        cooldown_s: Option<f64> = None,
        /// Quieter sounds are not reported.
        min_level_dbfs: Option<f64> = None,
        /// Nor are sounds that stand out of the noise by less.
        min_snr_db: Option<f64> = None,
    }
}

/// The numbers in force where the file says nothing.
#[derive(Debug, Clone, Copy)]
pub struct StandardGate {
    /// See [`RawGate`]; 0…1.
    pub threshold: f64,
    /// The release threshold where none is set, as a part of the threshold in force.
    pub release_ratio: f64,
    /// The start threshold where none is set, as a part of the threshold in force.
    pub start_ratio: f64,
    /// k of n windows.
    pub confirm: &'static str,
    /// In milliseconds.
    pub min_duration_ms: f64,
    /// In seconds; 0 lets events last.
    pub max_duration_s: f64,
    /// In milliseconds.
    pub hangover_ms: f64,
    /// In seconds.
    pub cooldown_s: f64,
    /// In dB.
    pub min_snr_db: f64,
}

/// The one set of default numbers.
pub const STANDARD_GATE: StandardGate = StandardGate {
    threshold: 0.2,
    release_ratio: 0.1,
    start_ratio: 0.7,
    confirm: "1/1",
    min_duration_ms: 0.0,
    max_duration_s: 600.0,
    hangover_ms: 400.0,
    cooldown_s: 0.0,
    min_snr_db: 0.0,
};

section! {
    /// The key of `[groups.…]` that is not a gate's.
    RawMembers {
        /// The labels of the group.
        labels: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[report]`
    RawReport {
        /// The labels that are reported.
        labels: Option<Vec<String>> = None,
        /// Or a list with a name.
        preset: Option<String> = None,
        /// Whether a label and its parents are one event.
        merge: Option<bool> = None,
        /// Labels that are left out.
        ignore: Vec<String> = Vec::new(),
    }
}

/// The preset in force where the file names neither labels nor a preset.
pub const STANDARD_PRESET: &str = "home";

section! {
    /// `[privacy]`
    RawPrivacy {
        /// Whether audio may leave memory.
        store_audio: bool = false,
    }
}

section! {
    /// `[log]`
    RawLog {
        /// The least level.
        level: String = "info".to_owned(),
        /// `text` or `json`.
        format: String = "text".to_owned(),
    }
}

/// A table whose name the user chooses: a label's or a group's.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T> {
    /// The name as it is written.
    pub name: String,
    /// Where the table begins.
    pub line: Option<usize>,
    /// What it says.
    pub body: T,
}

/// `[groups.…]`
#[derive(Debug, Clone, PartialEq)]
pub struct RawGroup {
    /// Its labels.
    pub members: RawMembers,
    /// Its numbers.
    pub gate: RawGate,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Raw {
    /// Where the file lies; `None` for the defaults alone.
    pub path: Option<PathBuf>,
    /// `[socket]`
    pub socket: RawSocket,
    /// `[model]`
    pub model: RawModel,
    /// `[detection]`
    pub detection: RawDetection,
    /// `[[source]]`
    pub sources: Vec<(Option<usize>, RawSource)>,
    /// `[defaults]`
    pub defaults: RawGate,
    /// `[labels.…]`
    pub labels: Vec<Named<RawGate>>,
    /// `[groups.…]`
    pub groups: Vec<Named<RawGroup>>,
    /// `[report]`
    pub report: RawReport,
    /// `[privacy]`
    pub privacy: RawPrivacy,
    /// `[log]`
    pub log: RawLog,
    /// What is wrong with the text itself.
    pub faults: Faults,
}

/// The sections of a file, for the nearest to a wrong one.
const SECTIONS: [&str; 10] =
    ["socket", "model", "detection", "source", "defaults", "labels", "groups", "report", "privacy", "log"];

impl Raw {
    /// Reads the text of a file; what is wrong with it is in `faults`.
    pub fn parse(text: &str, path: Option<&Path>) -> Self {
        let mut raw = Raw { path: path.map(PathBuf::from), ..Raw::default() };
        let mut reader = Reader { text, path: raw.path.clone(), faults: Faults::default() };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map(|span| reader.line(span.start));
            reader.fault(line, "", format!("this is not TOML: {}", error.message().replace('\n', " ")));
        }
        // What can still be made out of a broken file would only bring faults that are none.
        if reader.faults.is_empty() {
            raw.read(root.get_ref(), &mut reader);
        }
        raw.faults = reader.faults;
        raw
    }

    /// A fault of `[detection]` as a whole: its numbers do not suit the model.
    pub fn detection_fault(&self, message: String) -> Fault {
        let raw = &self.detection;
        let lines = [raw.windows_ms.line, raw.hop_ms.line, raw.delta.line, raw.median.line, raw.extent.line, raw.valley.line];
        let line = lines.into_iter().flatten().min();
        Fault { path: self.path.clone(), line, key: "detection".to_owned(), message }
    }

    fn read(&mut self, root: &DeTable, reader: &mut Reader) {
        for (key, value) in root.iter() {
            let line = Some(reader.line(key.span().start));
            let name = key.get_ref().as_ref();
            match (name, value.get_ref()) {
                ("source", DeValue::Array(items)) => {
                    for (index, item) in items.iter().enumerate() {
                        let line = Some(reader.line(item.span().start));
                        match item.get_ref() {
                            DeValue::Table(table) => {
                                let mut table = Table::new(table, format!("source[{}]", index + 1), reader);
                                self.sources.push((line, RawSource::read(&mut table)));
                                table.finish();
                            }
                            other => reader.wrong_type(line, "source", other, "a table, written [[source]]"),
                        }
                    }
                }
                ("source", other) => reader.wrong_type(line, "source", other, "a list of tables, each written [[source]]"),
                (name, DeValue::Table(table)) if SECTIONS.contains(&name) => self.section(name, table, reader),
                (name, other) if SECTIONS.contains(&name) => reader.wrong_type(line, name, other, "a table"),
                (name, _) => {
                    let hint = did_you_mean(nearest(name, SECTIONS));
                    reader.fault(line, name, format!("there is no such section{hint}"));
                }
            }
        }
    }

    fn section(&mut self, name: &str, table: &DeTable, reader: &mut Reader) {
        match name {
            "labels" => {
                for (label, line, table) in named(table, name, reader) {
                    let mut table = Table::new(table, format!("labels.{label:?}"), reader);
                    let body = RawGate::read(&mut table);
                    table.finish();
                    self.labels.push(Named { name: label, line, body });
                }
                return;
            }
            "groups" => {
                for (group, line, table) in named(table, name, reader) {
                    let mut table = Table::new(table, format!("groups.{group}"), reader);
                    let body = RawGroup { members: RawMembers::read(&mut table), gate: RawGate::read(&mut table) };
                    table.finish();
                    self.groups.push(Named { name: group, line, body });
                }
                return;
            }
            _ => {}
        }
        let mut table = Table::new(table, name.to_owned(), reader);
        match name {
            "socket" => self.socket = RawSocket::read(&mut table),
            "model" => self.model = RawModel::read(&mut table),
            "detection" => self.detection = RawDetection::read(&mut table),
            "defaults" => self.defaults = RawGate::read(&mut table),
            "report" => self.report = RawReport::read(&mut table),
            "privacy" => self.privacy = RawPrivacy::read(&mut table),
            _ => self.log = RawLog::read(&mut table),
        }
        table.finish();
    }
}

/// The tables inside `[labels]` or `[groups]`.
fn named<'t, 'i>(table: &'t DeTable<'i>, section: &str, reader: &mut Reader) -> Vec<(String, Option<usize>, &'t DeTable<'i>)> {
    let mut tables = Vec::new();
    for (key, value) in table.iter() {
        let name = key.get_ref().to_string();
        let line = Some(reader.line(key.span().start));
        match value.get_ref() {
            DeValue::Table(table) => tables.push((name, line, table)),
            other => {
                reader.wrong_type(line, &format!("{section}.{name}"), other, &format!("a table, written [{section}.{name:?}]"))
            }
        }
    }
    tables
}
