//! The mirror of the configuration file, and the only home of defaults: every key with its line, nothing yet checked but its type.
//!
//! Each key is read by itself, so that one fault hides no other. Meaning and ranges are `validate`'s part; what stands here of ranges
//! is for the JSON Schema, whose descriptions are the comments of the keys: an editor shows them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::de::DeValue;

use super::fault::Faults;
use super::stamp::Stamp;
use super::table::{At, Leaf, Table};
use super::{LogFormat, LogLevel, preset, quiet};
use crate::detect::rule::STANDARD_GATE;
use crate::resample::{MAX_RATE_HZ, MIN_RATE_HZ};

mod parse;

/// The channel of a source as it is written.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
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

impl JsonSchema for RawChannel {
    fn schema_name() -> Cow<'static, str> {
        "Channel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "mix" }, { "type": "integer", "minimum": 1, "maximum": 1024 }] })
    }
}

/// Declares a section of the file: its keys, their types, defaults and ranges, each once.
macro_rules! section {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $key:ident: $type:ty = $default:expr,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, JsonSchema)]
        #[schemars(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$doc])* pub $key: At<$type>,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: At { value: $default, line: None },)* }
            }
        }

        impl $name {
            pub(in crate::config::raw) fn read(table: &mut Table) -> Self {
                let mut section = Self::default();
                $(table.leaf(stringify!($key), &mut section.$key);)*
                section
            }
        }
    };
}

// After the macro, which it uses.
mod sinks;
pub use sinks::{RawHttp, RawMqtt, RawSinks};

section! {
    /// `[socket]`
    RawSocket {
        /// Where subscribers connect: the path of the socket. Without it: `$RUNTIME_DIRECTORY/mimid.sock` under systemd, else
        /// `$XDG_RUNTIME_DIR/mimid/mimid.sock`. Takes effect at the next start.
        #[schemars(length(min = 1))]
        path: Option<String> = None,
        /// Who may connect: the socket's permission bits, in octal. Takes effect at the next start.
        #[schemars(regex(pattern = r"^(0o)?0*[0-7]{1,3}$"))]
        mode: String = "0660".to_owned(),
        /// The group that the socket belongs to. Its members may also reload, pause and test the daemon; without it only the daemon's
        /// own user and root may. Takes effect at the next start.
        group: Option<String> = None,
    }
}

section! {
    /// `[model]`
    RawModel {
        /// The model's folder, which holds a `manifest.toml`: a name among the installed models, or a path with a slash in it.
        #[schemars(length(min = 1))]
        dir: String = "ced-tiny".to_owned(),
        /// The path of libonnxruntime. Without it: `$MIMID_ONNXRUNTIME`, beside the binary, then the system's.
        runtime: Option<String> = None,
        /// How many threads may score windows at the same time, from 1 to 64. A second one starts only when one does not keep up.
        /// Without it: as many as the machine has cores.
        #[schemars(range(min = 1, max = 64))]
        threads: Option<i64> = None,
    }
}

section! {
    /// `[detection]`: what a user sets instead of the model's own numbers.
    RawDetection {
        /// The lengths of the windows that the model is given, in milliseconds. Without it: the model's own.
        #[schemars(length(min = 1, max = 8), inner(range(min = 10, max = 60_000)))]
        windows_ms: Option<Vec<i64>> = None,
        /// The distance of two windows in milliseconds; at most the shortest window. Without it: the model's own.
        #[schemars(range(min = 10))]
        hop_ms: Option<i64> = None,
        /// At every so-manieth hop a window of each length is scored, 1 to 16; one number for each of windows_ms. Without it: the
        /// model's own, or 1 for each where windows_ms is set.
        #[schemars(length(min = 1, max = 8), inner(range(min = 1, max = 16)))]
        strides: Option<Vec<i64>> = None,
        /// While a sound is steady the first window is scored at every so-manieth hop, 1 to 16. Without it: the model's own.
        #[schemars(range(min = 1, max = 16))]
        steady_stride: Option<i64> = None,
        /// A window in which the level of no 10 ms exceeds this counts as silence and costs nothing, in dBFS. Without it: the
        /// model's own.
        #[schemars(range(min = -150, max = 0))]
        noise_gate_dbfs: Option<f64> = None,
        /// How far a window reaches over the moment that it speaks of, as a part of its length, 0 to 0.5. Without it: the model's own.
        #[schemars(range(min = 0, max = 0.5))]
        delta: Option<f64> = None,
        /// Over how many values of the curve the median is taken. Without it: the model's own.
        #[schemars(extend("enum" = [1, 3, 5, 7, 9]))]
        median: Option<i64> = None,
        /// An event reaches as far as its curve stays above this part of its peak, between 0 and 1. Without it: the model's own.
        #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
        extent: Option<f64> = None,
        /// Two peaks are two events where the curve between them falls below this part of the lower one, between 0 and 1. Without
        /// it: the model's own.
        #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
        valley: Option<f64> = None,
    }
}

section! {
    /// One `[[source]]`: a microphone, a recording or standard input.
    RawSource {
        /// The name that events carry. A single source needs none: it is called `default`.
        #[schemars(length(min = 1))]
        name: Option<String> = None,
        /// What to open: `default`, an id from `mimid devices`, `file:PATH` (played in real time; `file:PATH?loop` again and again),
        /// or `-` (raw signed 16-bit little-endian mono PCM on standard input, at `rate_hz`).
        #[schemars(length(min = 1))]
        input: String = "default".to_owned(),
        /// Which channel to hear: `mix` for the mean of all, or one channel's number, counted from 1.
        channel: RawChannel = RawChannel::Word("mix".to_owned()),
        /// Gain applied before anything else, in dB, -60 to 60.
        #[schemars(range(min = -60, max = 60))]
        gain_db: f64 = 0.0,
        /// The sample rate of `input = "-"` in Hz, 8000 to 192000. Other inputs know their own.
        #[schemars(range(min = MIN_RATE_HZ, max = MAX_RATE_HZ))]
        rate_hz: i64 = 16_000,
        /// A source that has delivered nothing but digital zeros for so long is said to be silent, in seconds, at most a day; 0 is never.
        #[schemars(range(min = 0, max = MAX_SILENT_AFTER_S))]
        silent_after_s: f64 = 10.0,
    }
}

/// The longest time after which a source can be called silent, in seconds: a day.
pub const MAX_SILENT_AFTER_S: f64 = 86_400.0;

section! {
    /// When a sound is an event: in `[defaults]` for all labels, in `[labels.…]` and `[groups.…]` for one of them.
    RawGate {
        /// A sound is an event if its score, looked at from both sides of the moment, reaches this, above 0 and at most 1. Without
        /// it: each label's own threshold, which comes with the model. `mimid labels` shows what is in force.
        #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
        threshold: Option<f64> = None,
        /// An event ends where its score stays below this, if it has not ended before by its own course; at most the threshold.
        /// Without it: a tenth of the threshold.
        #[schemars(range(min = 0, max = 1))]
        release: Option<f64> = None,
        /// An event is announced at once, before the score of both sides is there, when the causal score reaches this, above 0 and
        /// at most 1. Without it: what comes with the model's threshold, or 0.7 of another threshold.
        #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
        start_threshold: Option<f64> = None,
        /// An event is announced only when k of the last n windows reach the start threshold, written `k/n`; n is at most 100.
        #[schemars(regex(pattern = r"^\s*[0-9]+\s*/\s*[0-9]+\s*$"), extend("default" = STANDARD_GATE.confirm))]
        confirm: Option<String> = None,
        /// A shorter event is not reported, in milliseconds.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.min_duration_ms))]
        min_duration_ms: Option<f64> = None,
        /// A longer event ends with the reason `max_duration` and begins anew, in seconds; 0 lets it last.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.max_duration_s))]
        max_duration_s: Option<f64> = None,
        /// A gap in a sound is bridged up to this length, in milliseconds; in a long sound up to a fifth of what it has lasted, at
        /// most 15 s.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.hangover_ms))]
        hangover_ms: Option<f64> = None,
        /// After an event's end no other of the same label begins for so long, in seconds.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.cooldown_s))]
        cooldown_s: Option<f64> = None,
        /// Quieter sounds are not reported: root mean square level in dBFS, -150 to 0. Without it: any level.
        #[schemars(range(min = -150, max = 0))]
        min_level_dbfs: Option<f64> = None,
        /// Sounds that stand out of the noise of the last 20 seconds by less than this are not reported, in dB, 0 to 40.
        #[schemars(range(min = 0, max = 40), extend("default" = STANDARD_GATE.min_snr_db))]
        min_snr_db: Option<f64> = None,
    }
}

section! {
    /// The key of `[groups.…]` that is not a gate's.
    RawMembers {
        /// The labels of the group, by display name, slug or id. The highest of their scores is the group's, and they are no longer
        /// reported by themselves.
        #[schemars(length(min = 1))]
        labels: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[report]`
    RawReport {
        /// The labels that are reported, by display name, slug or id (`mimid labels`). Instead of a preset.
        labels: Option<Vec<String>> = None,
        /// What is reported: `home` (what people ask for at home) or `all` (every label of the model).
        #[schemars(extend("enum" = preset::NAMES, "default" = STANDARD_PRESET))]
        preset: Option<String> = None,
        /// Whether a label and what is above it in the ontology are one event, with the most specific name that is sure and the others
        /// in its field `also`. Without it: true, and false with the preset `all`, which shows everything.
        merge: Option<bool> = None,
        /// Labels that are left out, by display name, slug or id.
        ignore: Vec<String> = Vec::new(),
    }
}

/// The preset in force where the file names neither labels nor a preset.
pub const STANDARD_PRESET: &str = "home";

section! {
    /// `[privacy]`
    RawPrivacy {
        /// Whether audio may leave memory. This version cannot store any, so false is the only value.
        #[schemars(extend("const" = false))]
        store_audio: bool = false,
        /// Times of day, by the machine's own time zone, at which nothing is heard: the microphones are closed. Each is
        /// `22:00-06:30`, with days before it where it is not every day: `Mon-Fri 09:00-17:00`, `Sat,Sun 00:00-24:00`. A time over
        /// midnight belongs to the day on which it begins.
        #[schemars(length(max = quiet::MAX_ENTRIES), inner(regex(pattern = r"[0-9]{1,2}:[0-9]{2}\s*-\s*[0-9]{1,2}:[0-9]{2}\s*$")))]
        quiet_hours: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[reload]`
    RawReload {
        /// Whether the daemon loads this file again by itself when it has changed.
        watch: bool = false,
    }
}

section! {
    /// `[log]`
    RawLog {
        /// The least level that is logged. Takes effect at the next start.
        #[schemars(extend("enum" = LogLevel::NAMES.map(|(name, _)| name)))]
        level: String = "info".to_owned(),
        /// `text` for people, `json` for machines: one object a line. Takes effect at the next start.
        #[schemars(extend("enum" = LogFormat::NAMES.map(|(name, _)| name)))]
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

/// One of `[groups.…]`: labels under one name, and when they are an event.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, extend("required" = ["labels"]))]
pub struct RawGroup {
    /// Its labels.
    #[schemars(flatten)]
    pub members: RawMembers,
    /// Its numbers.
    #[schemars(flatten)]
    pub gate: RawGate,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, title = "mimid.toml", description = "The configuration of mimid, a daemon that hears.")]
pub struct Raw {
    /// Where the file lies; `None` for the defaults alone.
    #[schemars(skip)]
    pub path: Option<PathBuf>,
    /// Where subscribers connect, and who may.
    pub socket: RawSocket,
    /// Which model hears, and how it is run.
    pub model: RawModel,
    /// How scores become events. Without these keys: what suits the model, from its manifest.
    pub detection: RawDetection,
    /// What to hear: one `[[source]]` for each microphone. Without any: the default microphone.
    #[schemars(rename = "source", with = "Vec<RawSource>")]
    pub sources: Vec<(Option<usize>, RawSource)>,
    /// When a label is reported, where neither its own table nor its group says it.
    pub defaults: RawGate,
    /// One label's own numbers: `[labels."Dog"]`, by display name, slug or id. What is missing is taken from `[defaults]`.
    #[schemars(with = "BTreeMap<String, RawGate>")]
    pub labels: Vec<Named<RawGate>>,
    /// Several labels under one name: `[groups.alarm]`. What is missing is taken from `[defaults]`.
    #[schemars(with = "BTreeMap<String, RawGroup>")]
    pub groups: Vec<Named<RawGroup>>,
    /// What is reported.
    pub report: RawReport,
    /// What becomes of the sound.
    pub privacy: RawPrivacy,
    /// What events are sent to beside the socket; off where nothing is said.
    pub sinks: RawSinks,
    /// When the file is loaded again.
    pub reload: RawReload,
    /// What is logged, and how.
    pub log: RawLog,
    /// What the file looked like when it was read.
    #[schemars(skip)]
    pub stamp: Option<Stamp>,
    /// What is wrong with the text itself.
    #[schemars(skip)]
    pub faults: Faults,
}

/// The sections of a file, for the nearest to a wrong one.
pub(crate) const SECTIONS: [&str; 12] =
    ["socket", "model", "detection", "source", "defaults", "labels", "groups", "report", "privacy", "sinks", "reload", "log"];
