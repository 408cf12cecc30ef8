//! Reading the configuration file and loading it: the one way for start-up, for every command and for a reload.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::stamp::Stamp;
use super::{Config, Fault, Faults, ModelConfig, Origin, Raw, Validated};
use crate::model::learnt::SoundFileError;
use crate::model::{Labels, Model, ModelError};

/// The longest configuration, in bytes: a hundred times one that names every label.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A configuration that may take effect, with the model that it names.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration as the file has it.
    pub raw: Raw,
    /// The configuration.
    pub config: Config,
    /// Settings that are legal but surely not meant, by line.
    pub warnings: Vec<Fault>,
    /// For each label of the model, in the order of its outputs, where its threshold comes from and whether it is reported.
    pub origins: Vec<Origin>,
    /// The model's folder, read and checked, with the numbers of `[detection]` in place of its own.
    pub model: Model,
}

/// The model that a daemon runs, and the settings that it was opened with.
#[derive(Debug, Clone, Copy)]
pub struct Running<'a> {
    /// The settings.
    pub settings: &'a ModelConfig,
    /// The model.
    pub model: &'a Model,
}

/// Why a configuration cannot take effect.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration is wrong.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// The configuration is readable, but its model is not.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl LoadError {
    /// One sentence for each fault.
    pub fn sentences(&self) -> Vec<String> {
        match self {
            LoadError::Faults(faults) => faults.sentences(),
            LoadError::Model(error) => vec![error.to_string()],
        }
    }
}

/// Reads the configuration file as [`read`] does, opens its model and validates both together. The model of `running` is taken
/// over where the settings of the model are the same, because opening a model reads and hashes all of it.
///
/// # Errors
/// All faults of the configuration at once, or the reason why the model cannot be opened.
pub fn load(explicit: Option<&Path>, running: Option<Running>) -> Result<Loaded, LoadError> {
    let raw = read(explicit)?;
    let settings = raw.model_settings();
    let reused = running.filter(|running| *running.settings == settings).and_then(|running| {
        let unused = running.model.has_sounds_of(settings.sounds.as_deref())?;
        let mut model = running.model.clone();
        model.leave_out(&unused);
        Some((model, unused))
    });
    let is_reused = reused.is_some();
    let (reused, mut unused) = reused.unzip();
    let mut model = match reused.map_or_else(|| Model::open(&settings.dir), Ok) {
        // A file with faults may name the wrong model, so its faults come first.
        Err(_) if !raw.faults.is_empty() => return Err(raw.faults.into()),
        model => model?,
    };
    if let Some(folder) = settings.sounds.as_deref().filter(|_| !is_reused) {
        unused = Some(model.take_up_sounds(folder));
    }
    let validated = raw.validate(&model.labels)?;
    let (raw, Validated { config, mut warnings, origins }) = with_kept(raw, validated, &model.labels);
    if !is_reused {
        model.override_detection(&settings.detection).map_err(|message| Faults::from(raw.detection_fault(message)))?;
    }
    warnings.extend(raw.confirm_warnings(&model.detection));
    warnings.extend(raw.unknown_zone());
    let sounds = |error: SoundFileError| raw.sounds_warning(error.to_string());
    warnings.extend(unused.into_iter().flatten().map(sounds));
    warnings.sort_by_key(|warning| warning.line);
    Ok(Loaded { raw, config, warnings, origins, model })
}

/// The configuration with the thresholds that are kept for it. It stays as it is, with a warning, where those are not valid, for
/// they are in no file that a user wrote.
fn with_kept(raw: Raw, mut validated: Validated, labels: &Labels) -> (Raw, Validated) {
    let reason = match raw.with_kept(labels) {
        Ok(None) => return (raw, validated),
        Ok(Some(kept)) => match kept.validate(labels) {
            Ok(validated) => return (kept, validated),
            Err(faults) => format!("the kept thresholds are not valid and are left out: {}", faults.sentences().join("; ")),
        },
        Err(reason) => reason,
    };
    let (path, line) = (raw.path.clone(), raw.sinks.mqtt.keep_thresholds.line);
    validated.warnings.push(Fault { path, line, key: "sinks.mqtt.keep_thresholds".to_owned(), message: reason });
    (raw, validated)
}

/// Reads the configuration file: `explicit`, which must exist, else the first that exists of `/etc/mimid/config.toml` and the
/// user's own, else none.
///
/// # Errors
/// A file that cannot be read. The faults of its text are in [`Raw::faults`], and [`Raw::validate`] returns them with its own.
pub fn read(explicit: Option<&Path>) -> Result<Raw, Faults> {
    let Some(path) = explicit.map(PathBuf::from).or_else(find) else { return Ok(Raw::default()) };
    let fault = |message: String| Faults::from(Fault { path: Some(path.clone()), line: None, key: String::new(), message });
    let (stamp, text) = text(&path).map_err(|unreadable| fault(unreadable.message))?;
    Ok(Raw { stamp, ..Raw::parse(&text, Some(&path)) })
}

/// The reason why a configuration file cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// The sentence, which does not name the file.
    pub message: String,
    /// Whether there is no such file.
    pub is_missing: bool,
}

/// The stamp and the text of a configuration file.
pub(super) fn text(path: &Path) -> Result<(Option<Stamp>, String), Unreadable> {
    let refuse = |message: String| Unreadable { message, is_missing: false };
    if path.is_dir() {
        return Err(refuse("this is a folder; name the configuration file in it".to_owned()));
    }
    let (stamp, bytes) = contents(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Unreadable { message: "there is no such configuration file".to_owned(), is_missing: true }
        }
        std::io::ErrorKind::PermissionDenied => refuse("this user may not read the configuration file".to_owned()),
        std::io::ErrorKind::NotSeekable => {
            refuse("this is a pipe or a socket, which cannot be read again; name a file".to_owned())
        }
        std::io::ErrorKind::FileTooLarge => refuse(format!("this is longer than {MAX_BYTES} bytes and no configuration")),
        _ => refuse(format!("the configuration file cannot be read ({error})")),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        refuse(format!("line {line} holds bytes that are not UTF-8"))
    })?;
    Ok((stamp, text))
}

/// The stamp and the bytes of a file. A file that a reload could not read again, or of more than [`MAX_BYTES`], is an error. The
/// stamp is taken from the opened file before it is read, so that a write during the read counts as a change.
fn contents(path: &Path) -> std::io::Result<(Option<Stamp>, Vec<u8>)> {
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        // To open a pipe without a writer would block for ever.
        return Err(std::io::ErrorKind::NotSeekable.into());
    }
    let file = File::open(path)?;
    let (stamp, mut bytes) = (file.metadata().ok().map(|metadata| Stamp::new(&metadata)), Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok((stamp, bytes)) }
}

/// The path of the configuration file that exists: the system's before the user's own. A file in a folder that this user may not
/// enter counts as existing, and reading it fails: to go on without it would be to apply other rules than the user wrote.
pub(super) fn find() -> Option<PathBuf> {
    let may_be = |path: &PathBuf| match path.try_exists() {
        Ok(is_there) => is_there,
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    };
    [PathBuf::from("/etc/mimid/config.toml")].into_iter().chain(user_file()).find(may_be)
}

/// The path of the user's own configuration file, whether it exists or not; `None` without a home folder.
pub(super) fn user_file() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(".config"));
    let user = std::env::var_os("XDG_CONFIG_HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(home);
    user.map(|folder| folder.join("mimid/config.toml"))
}

#[cfg(test)]
mod tests;
