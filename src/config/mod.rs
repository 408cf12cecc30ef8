//! The configuration: TOML in, a checked [`Config`] out, or every fault at once with its line.
//!
//! `raw` mirrors the file and is the only home of defaults; `validate` turns it into the types below, after which no
//! later code checks again; `diff` says what a reload changes, `print` writes a configuration back, `edit` changes a file in place, `schema` describes one to editors. Nothing here starts, stops or
//! listens to anything.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::capture::source::SourceConfig;
use crate::detect::rule::Rule;
use crate::event::Subject;
use crate::model::Labels;
use crate::model::manifest::DetectionOverride;
use crate::publish::settings::{SinksConfig, SocketConfig};
use stamp::Stamp;

pub mod diff;
pub mod edit;
pub mod fault;
pub mod origin;
pub mod preset;
pub mod print;
pub mod quiet;
pub mod raw;
pub mod schema;
mod set;
pub mod stamp;
pub mod table;
pub mod validate;

pub use fault::{Fault, Faults};
pub use origin::Origin;
pub use quiet::QuietHours;
pub use raw::Raw;

/// The longest configuration, in bytes: a hundred times one that names every label.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A configuration that may be put in force, and what is legal in it but odd.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is legal but surely not meant.
    pub warnings: Vec<Fault>,
    /// For each label of the model, in the order of its outputs, where its threshold comes from and whether it is reported.
    pub origins: Vec<Origin>,
}

/// Reads the configuration file: `explicit`, which must be there, else the first that is there of `/etc/mimid/config.toml` and the
/// user's own, else none.
///
/// # Errors
/// A file that cannot be read. What is wrong inside it is in [`Raw::faults`], and comes out with [`Raw::validate`].
pub fn read(explicit: Option<&Path>) -> Result<Raw, Faults> {
    let Some(path) = explicit.map(PathBuf::from).or_else(find) else { return Ok(Raw::default()) };
    let fault = |message: String| {
        let mut faults = Faults::default();
        faults.push(Fault { path: Some(path.clone()), line: None, key: String::new(), message });
        faults
    };
    if path.is_dir() {
        return Err(fault("this is a folder; name the configuration file in it".to_owned()));
    }
    let (stamp, bytes) = contents(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => fault("there is no such configuration file".to_owned()),
        std::io::ErrorKind::PermissionDenied => fault("this user may not read the configuration file".to_owned()),
        std::io::ErrorKind::NotSeekable => {
            fault("this is a pipe or a socket, which cannot be read again; name a file".to_owned())
        }
        std::io::ErrorKind::FileTooLarge => fault(format!("this is longer than {MAX_BYTES} bytes and no configuration")),
        _ => fault(format!("the configuration file cannot be read ({error})")),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        fault(format!("line {line} holds bytes that are not UTF-8"))
    })?;
    Ok(Raw { stamp, ..Raw::parse(&text, Some(&path)) })
}

/// The bytes of a file that ends, soon, and can be read again by a reload; and the stamp of the very file that is read, from before it
/// is: whatever is written meanwhile is seen as a change.
fn contents(path: &Path) -> std::io::Result<(Option<Stamp>, Vec<u8>)> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        // Opening a pipe that nobody writes to would never return.
        return Err(std::io::ErrorKind::NotSeekable.into());
    }
    let file = File::open(path)?;
    let (stamp, mut bytes) = (file.metadata().ok().map(|metadata| Stamp::new(&metadata)), Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok((stamp, bytes)) }
}

/// The configuration file that is there: the system's before the user's own. One in a folder that this user may not look into may be
/// there, and who reads it is told; to go on without it would be to hear by other rules than were written down.
fn find() -> Option<PathBuf> {
    let may_be = |path: &PathBuf| match path.try_exists() {
        Ok(is_there) => is_there,
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    };
    [PathBuf::from("/etc/mimid/config.toml")].into_iter().chain(user_file()).find(may_be)
}

/// Where the user's own configuration file is, or would be.
fn user_file() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(".config"));
    let user = std::env::var_os("XDG_CONFIG_HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(home);
    user.map(|folder| folder.join("mimid/config.toml"))
}

/// Reads and checks a configuration for a model with these labels.
pub fn load(explicit: Option<&Path>, labels: &Labels) -> Result<Loaded, Faults> {
    read(explicit)?.validate(labels)
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where and for whom the socket is.
    pub socket: SocketConfig,
    /// Which model, run how.
    pub model: ModelConfig,
    /// What to listen to; at least one.
    pub sources: Vec<SourceConfig>,
    /// What is reported, and when; one rule for each reported label or group.
    pub rules: Vec<Rule>,
    /// The labels that `[report] ignore` names, by their indices among the model's outputs.
    pub ignored: Vec<usize>,
    /// What events are sent to beside the socket.
    pub sinks: SinksConfig,
    /// When nothing is heard.
    pub quiet_hours: QuietHours,
    /// Whether the file is loaded again by itself when it has changed.
    pub watch: bool,
    /// What is logged, and how.
    pub log: LogConfig,
}

impl Config {
    /// The groups that are reported.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Subject>> {
        self.rules.iter().map(|rule| &rule.subject).filter(|subject| subject.is_group())
    }

    /// The group or the label of this name; a group comes first.
    ///
    /// # Errors
    /// The sentence that says that there is none, and what comes nearest.
    pub fn subject(&self, labels: &Labels, name: &str) -> Result<Arc<Subject>, String> {
        if let Some(group) = self.groups().find(|group| group.is_called(name)) {
            return Ok(group.clone());
        }
        let unknown = || labels.unknown_beside(self.groups().map(|group| group.name.as_str()), name);
        labels.find(name).map(|label| labels.subjects()[label].clone()).ok_or_else(unknown)
    }
}

/// Which model, run how.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The model's folder: a name among the installed models, or a path.
    pub dir: String,
    /// The path of libonnxruntime; `None` means the places that `model::runtime` looks in.
    pub runtime: Option<PathBuf>,
    /// How many threads may score windows at the same time; `None` means as many as the machine has cores.
    pub threads: Option<usize>,
    /// What takes the place of the model's own way from scores to events.
    pub detection: DetectionOverride,
}

impl ModelConfig {
    /// How many threads may score windows at the same time.
    pub fn n_threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |cores| cores.get()))
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The least level that is logged.
    pub level: LogLevel,
    /// One line a record, for people or for machines.
    pub format: LogFormat,
}

/// The least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what may fail soon.
    Warn,
    /// And what changed.
    Info,
    /// And why.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    /// Every level with its name in the file.
    pub const NAMES: [(&str, Self); 5] =
        [("error", Self::Error), ("warn", Self::Warn), ("info", Self::Info), ("debug", Self::Debug), ("trace", Self::Trace)];
}

/// How log records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Every format with its name in the file.
    pub const NAMES: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

#[cfg(test)]
mod tests;
