//! The configuration file as it is written, and the only home of defaults: every key with its line, checked for its type alone.
//!
//! Each key is read by itself, so that one fault hides no other. `validate` checks meaning and ranges. The ranges here are for
//! the JSON Schema, and so are the comments of the keys: an editor shows them as descriptions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use toml::de::DeValue;

use super::fault::Faults;
use super::stamp::Stamp;
use super::table::{At, Leaf, Table};
use super::{LogFormat, LogLevel, preset};
use crate::detect::rule::{Announce, STANDARD_GATE};
use crate::hours::MAX_ENTRIES;
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
mod clips;
mod hooks;
mod sinks;
mod store;
mod summary;
pub use clips::{MAX_AROUND_S, MAX_CLIP_S, MAX_CLIPS_MB, MIN_CLIP_S, RawClips};
pub use hooks::{MAX_AT_ONCE, MAX_HOOK_QUEUE, MAX_RETRIES, MAX_TIMEOUT_S, RawHook};
pub use sinks::{RawHttp, RawMqtt, RawSinks};
pub use store::{MAX_KEEP_DAYS, MAX_STORE_MB, MIN_STORE_MB, RawStore};
pub use summary::RawSummary;

section! {
    /// `[socket]`
    RawSocket {
        /// The path of the socket to which clients connect. Without it: `$RUNTIME_DIRECTORY/mimid.sock` under systemd, else
        /// `$XDG_RUNTIME_DIR/mimid/mimid.sock`. Takes effect at the next start.
        #[schemars(length(min = 1))]
        path: Option<String> = None,
        /// The socket's permission bits in octal, which say who may connect. Takes effect at the next start.
        #[schemars(regex(pattern = r"^(0o)?0*[0-7]{1,3}$"))]
        mode: String = "0660".to_owned(),
        /// The group that the socket belongs to. Its members may also reload, pause and test the daemon. Without it: only the
        /// daemon's own user and root may. Takes effect at the next start.
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
        /// The folder of learnt sounds, which `mimid learn` writes; a path that does not begin with a slash is below the folder of this file.
        #[schemars(length(min = 1))]
        sounds: String = "sounds".to_owned(),
        /// The highest number of threads that score windows at the same time, from 1 to 64. A second thread starts only when one
        /// does not keep up. Without it: the number of cores of the machine.
        #[schemars(range(min = 1, max = 64))]
        threads: Option<i64> = None,
    }
}

section! {
    /// `[detection]`: numbers that a user sets in place of the model's own.
    RawDetection {
        /// The lengths of the windows that are scored, in milliseconds. Without it: the model's own.
        #[schemars(length(min = 1, max = 8), inner(range(min = 10, max = 60_000)))]
        windows_ms: Option<Vec<i64>> = None,
        /// The hop, that is the distance of two windows, in milliseconds; at most the length of the shortest window. Without it:
        /// the model's own.
        #[schemars(range(min = 10))]
        hop_ms: Option<i64> = None,
        /// The stride of each window length in hops, from 1 to 16, one number for each of windows_ms: with a stride of 4 a window
        /// of that length is scored at every fourth hop. Without it: the model's own, or 1 for each where windows_ms is set.
        #[schemars(length(min = 1, max = 8), inner(range(min = 1, max = 16)))]
        strides: Option<Vec<i64>> = None,
        /// The stride of the first window length while a sound is steady, in hops, from 1 to 16. Without it: the model's own.
        #[schemars(range(min = 1, max = 16))]
        steady_stride: Option<i64> = None,
        /// The noise gate in dBFS, from -150 to 0. A window counts as silence and is not scored if no 10 ms of it are louder.
        /// Without it: the model's own.
        #[schemars(range(min = -150, max = 0))]
        noise_gate_dbfs: Option<f64> = None,
        /// How far the windows on both sides of a moment reach past that moment, as a part of their length, from 0 to 0.5.
        /// Without it: the model's own.
        #[schemars(range(min = 0, max = 0.5))]
        delta: Option<f64> = None,
        /// The length of the median filter over the confirmed score, which has one value a hop. Without it: the model's own.
        #[schemars(extend("enum" = [1, 3, 5, 7, 9]))]
        median: Option<i64> = None,
        /// The extent of an event, as a part of the peak of its score, between 0 and 1: the event lasts as long as the score
        /// stays above it. Without it: the model's own.
        #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
        extent: Option<f64> = None,
        /// The valley that divides two events, as a part of the lower of two peaks of the score, between 0 and 1: where the score
        /// falls below it between two peaks, they are two events. Without it: the model's own.
        #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
        valley: Option<f64> = None,
    }
}

section! {
    /// One `[[source]]`: a microphone, a recording, standard input, a program or the network.
    RawSource {
        /// The name of the source, which its events carry. A single source needs none and is called `default`.
        #[schemars(length(min = 1))]
        name: Option<String> = None,
        /// The input: `default` for the default microphone, an id from `mimid devices`, `file:PATH` for a recording in real time
        /// (`file:PATH?loop` plays it again and again), `-` for standard input, `exec:COMMAND` for what a program writes on its
        /// standard output, `rtsp://USER:PASSWORD@HOST/PATH` for a camera, `http://…` or `https://…` for a station, or
        /// `tcp://ADDRESS:PORT` or `udp://ADDRESS:PORT` to listen for satellites that push raw PCM.
        #[schemars(length(min = 1))]
        input: String = "default".to_owned(),
        /// The channel that is heard: `mix` for the mean of all channels, or the number of one, counted from 1.
        channel: RawChannel = RawChannel::Word("mix".to_owned()),
        /// The gain that is applied first, in dB, from -60 to 60.
        #[schemars(range(min = -60, max = 60))]
        gain_db: f64 = 0.0,
        /// The sample rate of raw PCM in Hz, from 1000 to 768000. Other inputs know their own.
        #[schemars(range(min = MIN_RATE_HZ, max = MAX_RATE_HZ))]
        rate_hz: i64 = 16_000,
        /// The format of a sample of raw PCM: `u8`, `s16le`, `s16be`, `s24le`, `s24be`, `s32le`, `f32le`, `mulaw` or `alaw`. With
        /// `auto` the first bytes tell WAV, FLAC and Ogg, which know their own form, from raw PCM, which is `s16le`; with
        /// `container` no raw PCM is expected, so that MP3 and AAC are known as well.
        #[schemars(extend("enum" = CODINGS))]
        format: String = "auto".to_owned(),
        /// The number of channels of raw PCM, from 1 to 64.
        #[schemars(range(min = 1, max = MAX_CHANNELS))]
        channels: i64 = 1,
        /// A file that holds the password for the user in the address. Without it: the password in the address, where `$NAME` is
        /// the value of that variable, or systemd's credential `source_NAME` of the source `NAME`.
        #[schemars(length(min = 1))]
        password_file: Option<String> = None,
        /// A file with the certificates by which the server of `rtsps://` and `https://` is trusted, instead of the system's: those
        /// of an authority, or the server's own.
        #[schemars(length(min = 1))]
        ca_file: Option<String> = None,
        /// The addresses and networks, such as `192.168.1.0/24`, from which satellites may push to `tcp://` and `udp://`.
        allow: Vec<String> = Vec::new(),
        /// The room or place of the source, such as `Kitchen`, which Home Assistant suggests for its device.
        #[schemars(length(min = 1))]
        area: Option<String> = None,
        /// The time in seconds, at most a day, after which a source that delivers nothing but digital zeros is reported as
        /// silent; 0 is never.
        #[schemars(range(min = 0, max = MAX_SILENT_AFTER_S))]
        silent_after_s: f64 = 10.0,
    }
}

/// The values of `format`.
pub const CODINGS: [&str; 11] =
    ["auto", "container", "u8", "s16le", "s16be", "s24le", "s24be", "s32le", "f32le", "mulaw", "alaw"];
/// The most channels of raw PCM.
pub const MAX_CHANNELS: i64 = 64;

/// The longest time after which a source can be called silent, in seconds: a day.
pub const MAX_SILENT_AFTER_S: f64 = 86_400.0;

section! {
    /// When a sound is an event: in `[defaults]` for all labels, in `[labels.…]` and `[groups.…]` for one of them.
    RawGate {
        /// When an event is announced: `at once`, as soon as its causal score reaches the start threshold, so that an event that
        /// the confirmed score does not bear out is taken back; or `confirmed`, some seconds later, once the confirmed score has
        /// borne it out, so that it is never taken back. Without it: what the preset `home` says of the label, or `at once`.
        #[schemars(extend("enum" = Announce::NAMES.map(|(name, _)| name)))]
        announce: Option<String> = None,
        /// The threshold of the evidence, above 0 and at most 1: a sound is an event if its evidence reaches it. Without it: each
        /// label's own threshold, which comes with the model and is moved by `[report] sure`. `mimid labels` shows the effective
        /// thresholds.
        #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
        threshold: Option<f64> = None,
        /// The release: an event ends at the latest where its evidence stays below it. It is at most the threshold. Without it: a
        /// tenth of the threshold.
        #[schemars(range(min = 0, max = 1))]
        release: Option<f64> = None,
        /// The threshold of the causal score, above 0 and at most 1: an event is announced as soon as its score of windows that
        /// end now reaches it, some seconds before the confirmed score. Without it: the start threshold that comes with the
        /// model, or 0.7 of the threshold where that is set.
        #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
        start_threshold: Option<f64> = None,
        /// The confirmation, written `k/n`: an event is announced only when k of the last n causal scores reach the start
        /// threshold; n is at most 100.
        #[schemars(regex(pattern = r"^\s*[0-9]+\s*/\s*[0-9]+\s*$"), extend("default" = STANDARD_GATE.confirm))]
        confirm: Option<String> = None,
        /// The shortest event that is reported, in milliseconds.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.min_duration_ms))]
        min_duration_ms: Option<f64> = None,
        /// The longest event, in seconds: a longer one ends with the reason `max_duration`, and another begins. 0 means no limit.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.max_duration_s))]
        max_duration_s: Option<f64> = None,
        /// The longest gap in a sound that is bridged, in milliseconds. In a long sound a longer gap is bridged: a fifth of the
        /// time that the sound has lasted, at most 15 s; 90 s in one that comes back after 20 s of it have been told within minutes.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.hangover_ms))]
        hangover_ms: Option<f64> = None,
        /// The time after an event during which no other event of the same label begins, in seconds.
        #[schemars(range(min = 0), extend("default" = STANDARD_GATE.cooldown_s))]
        cooldown_s: Option<f64> = None,
        /// The lowest level of a sound that is reported, as a root mean square in dBFS, from -150 to 0. Without it: any level.
        #[schemars(range(min = -150, max = 0))]
        min_level_dbfs: Option<f64> = None,
        /// The lowest signal-to-noise ratio of a sound that is reported, in dB, from 0 to 40. The noise is that of the last 20
        /// seconds.
        #[schemars(range(min = 0, max = 40), extend("default" = STANDARD_GATE.min_snr_db))]
        min_snr_db: Option<f64> = None,
        /// Whether the sound of its events is kept, where `[clips] enabled` is true. It is for a label or a group, and never for all.
        #[schemars(extend("default" = false))]
        clip: Option<bool> = None,
    }
}

section! {
    /// The key of `[groups.…]` that belongs to no gate.
    RawMembers {
        /// The labels of the group, by display name, slug or id. The score of the group is the highest of theirs, and they are no
        /// longer reported by themselves.
        #[schemars(length(min = 1))]
        labels: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[report]`
    RawReport {
        /// The labels that are reported, by display name, slug or id (`mimid labels`), in place of a preset.
        labels: Option<Vec<String>> = None,
        /// The list of labels that are reported: `home` (what people ask for at home) or `all` (every label of the model).
        #[schemars(extend("enum" = preset::NAMES, "default" = STANDARD_PRESET))]
        preset: Option<String> = None,
        /// How sure an event must be, from 0.01 to 0.99: the least probability that its sound was there. It moves the threshold of
        /// every label that has none of its own in this file; 0.5 demands even odds. Without it: 0.5, but 0.4 with the preset
        /// `all`. A model without calibrated thresholds takes no notice of it.
        #[schemars(range(min = 0.01, max = 0.99))]
        sure: Option<f64> = None,
        /// Whether the labels of one sound make one event: a label and its ancestors in the label hierarchy, and labels that the
        /// model hears in the same sounds. The event carries the surest name, and the others in its field `also`.
        merge: bool = true,
        /// The labels that are reported beside those of the preset, by display name, slug or id.
        include: Vec<String> = Vec::new(),
        /// The labels that are not reported, by display name, slug or id.
        ignore: Vec<String> = Vec::new(),
    }
}

/// The preset in force where the file names neither labels nor a preset.
pub const STANDARD_PRESET: &str = "home";

section! {
    /// `[privacy]`
    RawPrivacy {
        /// Whether audio may be stored: false forbids `[clips]`. Without it: where `[clips] enabled` is true, and there alone.
        store_audio: Option<bool> = None,
        /// Times of day, in the machine's own time zone, at which the microphones are closed. An entry is written `22:00-06:30`,
        /// with days before it where it is not for every day: `Mon-Fri 09:00-17:00`, `Sat,Sun 00:00-24:00`. An entry over
        /// midnight belongs to the day on which it begins.
        #[schemars(length(max = MAX_ENTRIES), inner(regex(pattern = r"[0-9]{1,2}:[0-9]{2}\s*-\s*[0-9]{1,2}:[0-9]{2}\s*$")))]
        quiet_hours: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[reload]`
    RawReload {
        /// Whether the daemon loads this file again by itself when the file has changed.
        watch: bool = false,
    }
}

section! {
    /// `[log]`
    RawLog {
        /// The lowest level of log records that are written. Takes effect at the next start.
        #[schemars(extend("enum" = LogLevel::NAMES.map(|(name, _)| name)))]
        level: String = "info".to_owned(),
        /// The format of log records: `text` for people, or `json` for programs, one object a line. Takes effect at the next
        /// start.
        #[schemars(extend("enum" = LogFormat::NAMES.map(|(name, _)| name)))]
        format: String = "text".to_owned(),
    }
}

/// A table with a name that the user chooses: that of a label or of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T> {
    /// The name as it is written.
    pub name: String,
    /// Where the table begins.
    pub line: Option<usize>,
    /// Its keys.
    pub body: T,
}

/// One of `[groups.…]`: several labels under one name, with a gate of their own.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields, extend("required" = ["labels"]))]
pub struct RawGroup {
    /// Its labels.
    #[schemars(flatten)]
    pub members: RawMembers,
    /// Its gate.
    #[schemars(flatten)]
    pub gate: RawGate,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default, title = "mimid.toml", description = "The configuration of mimid, a daemon that hears.")]
pub struct Raw {
    /// The path of the file; `None` for the defaults alone.
    #[schemars(skip)]
    pub path: Option<PathBuf>,
    /// The socket to which clients connect, and who may.
    pub socket: RawSocket,
    /// The model, and how it is run.
    pub model: RawModel,
    /// How windows are scored and scores become events. Without these keys: the numbers of the model's manifest.
    pub detection: RawDetection,
    /// The sources: one `[[source]]` for each microphone. Without any: the default microphone.
    #[schemars(rename = "source", with = "Vec<RawSource>")]
    pub sources: Vec<(Option<usize>, RawSource)>,
    /// The gate of every label, where neither its own table nor its group says otherwise.
    pub defaults: RawGate,
    /// The gate of one label: `[labels."Dog"]`, by display name, slug or id. Missing keys are taken from `[defaults]`.
    #[schemars(with = "BTreeMap<String, RawGate>")]
    pub labels: Vec<Named<RawGate>>,
    /// Several labels under one name: `[groups.alarm]`. Missing keys are taken from `[defaults]`.
    #[schemars(with = "BTreeMap<String, RawGroup>")]
    pub groups: Vec<Named<RawGroup>>,
    /// The labels that are reported.
    pub report: RawReport,
    /// Privacy: when nothing is heard, and whether sound may be stored.
    pub privacy: RawPrivacy,
    /// The store: what was heard is kept on this machine, not as sound.
    pub store: RawStore,
    /// The summary: what was heard in a day is told once a day.
    pub summary: RawSummary,
    /// The clips: the sound of chosen events is kept on this machine.
    pub clips: RawClips,
    /// The sinks, which events are sent to beside the socket. Each is off until its one required key is set.
    pub sinks: RawSinks,
    /// The hooks: one `[[hooks]]` for each program or server that is told of events.
    #[schemars(with = "Vec<RawHook>")]
    pub hooks: Vec<(Option<usize>, RawHook)>,
    /// Whether the file is loaded again when it has changed.
    pub reload: RawReload,
    /// The level and the format of the log.
    pub log: RawLog,
    /// The state of the file when it was read.
    #[schemars(skip)]
    pub stamp: Option<Stamp>,
    /// The faults of the text itself.
    #[schemars(skip)]
    pub faults: Faults,
}

/// The names of the sections of a file, from which the nearest to a wrong name is suggested.
pub(crate) const SECTIONS: [&str; 16] = [
    "socket",
    "model",
    "detection",
    "source",
    "defaults",
    "labels",
    "groups",
    "report",
    "privacy",
    "store",
    "summary",
    "clips",
    "sinks",
    "hooks",
    "reload",
    "log",
];
