//! The configuration: reads TOML into a valid [`Config`], or gives every fault at once with its line.
//!
//! `raw` is the file as it is written, and the only home of defaults. `validate` turns it into the types below, and no later code
//! checks them again. `load` does both, together with the model, for every command and for a reload. `diff` compares two
//! configurations, `print` writes the effective one as TOML, `edit` changes a file in place, `schema` describes a file to
//! editors. Nothing here starts or stops a stage. The settings of a stage are types of that stage.

use std::path::PathBuf;
use std::sync::Arc;

use crate::capture::source::SourceConfig;
use crate::detect::rule::Rule;
use crate::model::manifest::DetectionOverride;
use crate::publish::settings::{ClipsConfig, SinksConfig, SocketConfig, StoreConfig};

pub(crate) mod diff;
pub mod edit;
mod fault;
mod kept;
pub(crate) mod load;
pub(crate) mod origin;
pub mod preset;
pub mod print;
pub mod raw;
pub(crate) mod schema;
mod set;
pub(crate) mod stamp;
mod table;
mod validate;

pub use crate::hours::QuietHours;
pub use fault::{Fault, Faults};
pub(crate) use load::{LoadError, Loaded, Running, load};
pub use origin::Origin;
pub use raw::Raw;
pub use validate::Validated;

/// A valid configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The socket.
    pub socket: SocketConfig,
    /// The model.
    pub model: ModelConfig,
    /// The sources; at least one.
    pub sources: Vec<SourceConfig>,
    /// The places of the sources that have one, by the source's name.
    pub areas: Vec<(Arc<str>, String)>,
    /// The rules, one for each label or group that is reported.
    pub rules: Vec<Rule>,
    /// The labels that `[report] ignore` names, by their indices among the model's outputs.
    pub ignored: Vec<usize>,
    /// The labels and groups with thresholds that are not from the file, because a client has set them.
    pub set_by_clients: Vec<String>,
    /// Whether thresholds that clients set are kept.
    pub keep_thresholds: bool,
    /// The store; `None` where nothing is kept.
    pub store: Option<StoreConfig>,
    /// The clips; `None` where no sound is kept.
    pub clips: Option<ClipsConfig>,
    /// The sinks, which events are sent to beside the socket.
    pub sinks: SinksConfig,
    /// The times at which nothing is heard.
    pub quiet_hours: QuietHours,
    /// Whether the file is loaded again without a request when it has changed.
    pub watch: bool,
    /// The log.
    pub log: LogConfig,
}

/// The model, and how it is run.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The model's folder: a name among the installed models, or a path.
    pub dir: String,
    /// The path of libonnxruntime; `None` means the first that [`find_runtime`](crate::model::onnx::find_runtime) finds.
    pub runtime: Option<PathBuf>,
    /// The folder of learnt sounds; `None` where there is no folder that it could lie in.
    pub sounds: Option<PathBuf>,
    /// The highest number of threads that score windows at the same time; `None` means the number of cores.
    pub threads: Option<usize>,
    /// The numbers of `[detection]`, which take the place of the model's own.
    pub detection: DetectionOverride,
}

impl ModelConfig {
    /// The highest number of threads that score windows at the same time.
    pub fn n_threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()))
    }
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The lowest level of records that are written.
    pub level: LogLevel,
    /// The format of a record.
    pub format: LogFormat,
}

/// The level of a log record. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures.
    Error,
    /// Conditions that may lead to a failure.
    Warn,
    /// Changes of state.
    Info,
    /// Reasons.
    Debug,
    /// Single steps.
    Trace,
}

impl LogLevel {
    /// Every level with its name in the file.
    pub const NAMES: [(&str, Self); 5] =
        [("error", Self::Error), ("warn", Self::Warn), ("info", Self::Info), ("debug", Self::Debug), ("trace", Self::Trace)];
}

/// The format of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text, for people.
    Text,
    /// One JSON object on a line, for programs.
    Json,
}

impl LogFormat {
    /// Every format with its name in the file.
    pub const NAMES: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

#[cfg(test)]
mod tests;
