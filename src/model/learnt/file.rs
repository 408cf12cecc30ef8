//! The file of a learnt sound: read, checked and written. It is one small text in TOML; docs/learning.md explains its keys.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use half::f16;
use serde::{Deserialize, Serialize};

use super::{Corrects, Example, Head, LearntSound};
use crate::files::write_whole;
use crate::model::labels::{SuitedThresholds, slug};
use crate::text::visible;

/// The version of the file's format.
const FORMAT: u32 = 1;
/// The ending of a sound's file.
const ENDING: &str = "toml";
/// The longest file that is read, in bytes: ten times one of a hundred recordings.
const MOST_BYTES: u64 = 8 << 20;
/// The most files of a folder that are read.
const MOST_FILES: usize = 2 * super::MOST_SOUNDS;
/// The most embeddings of a sound.
const MOST_EMBEDDINGS: usize = 5_000;
/// The most log odds by which a correction may lower a score.
const MOST_LOWERED: f32 = 12.0;
/// The longest name in characters.
const LONGEST_NAME: usize = 80;
/// The greatest weight and the greatest offset. Their sums stay finite, so that every score is a number.
const GREATEST: f32 = 1e15;

/// The reason why a sound's file, or its folder, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SoundFileError {
    /// The file or the folder cannot be read.
    #[error("{} cannot be read ({error})", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file cannot be written.
    #[error("{} cannot be written ({error})", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file is torn, or no sound's.
    #[error("{} is torn, or no file of a learnt sound ({what}); learn the sound again, or remove the file", .path.display())]
    Torn {
        /// The file.
        path: PathBuf,
        /// The fault, with its line.
        what: String,
    },
    /// The file is whole, but not for this model.
    #[error("{} is not used: {what}", .path.display())]
    Unsuited {
        /// The file.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// Another sound lies in the place where the file would be written.
    #[error("{} holds the sound {holds:?} already; give this one another name, or forget that one first", .path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// The name of the sound in it.
        holds: String,
    },
    /// The folder holds too many files.
    #[error("the folder {} holds more than {MOST_FILES} files ending in .{ENDING}; none of its sounds is used", .path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

impl SoundFileError {
    /// The file, or the folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Unwritable { path, .. }
            | Self::Torn { path, .. }
            | Self::Unsuited { path, .. }
            | Self::Taken { path, .. }
            | Self::TooMany { path } => path,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_a: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    corrects: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<f32>,
    threshold: f32,
    start_threshold: f32,
    model_sha256: String,
    head: WrittenHead,
    #[serde(default, rename = "example")]
    examples: Vec<WrittenExample>,
    #[serde(default, rename = "negative", skip_serializing_if = "Vec::is_empty")]
    negatives: Vec<WrittenExample>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHead {
    size: usize,
    offset: f32,
    /// Floats of 32 bits, the lowest byte first, in Base64.
    weights: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenExample {
    recording: String,
    /// Floats of 16 bits, the lowest byte first, in Base64, one string an embedding.
    embeddings: Vec<String>,
}

/// The name of a sound's file.
pub fn file_name(name: &str) -> String {
    let slug = slug(name);
    let slug = if slug.is_empty() { "sound".to_owned() } else { slug };
    format!("{slug}.{ENDING}")
}

/// The reason why a name cannot be a sound's; `None` where it can.
pub fn fault_of_name(name: &str) -> Option<String> {
    if slug(name).is_empty() {
        return Some("it needs a letter from A to Z or a digit".to_owned());
    }
    // The characters that turn the direction of writing would make a name look like another one.
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if name.trim() != name || name.chars().any(|c| c.is_control() || turns(c)) {
        return Some("it must not begin or end with a space, nor hold control characters".to_owned());
    }
    (name.chars().count() > LONGEST_NAME).then(|| format!("it is longer than {LONGEST_NAME} characters"))
}

/// The files of a folder that may be sounds, in the order of their file names.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, SoundFileError> {
    let unreadable = |error| SoundFileError::Unreadable { path: folder.into(), error };
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|ending| ending == ENDING) && !is_hidden {
            paths.push(path);
        }
        if paths.len() > MOST_FILES {
            return Err(SoundFileError::TooMany { path: folder.into() });
        }
    }
    paths.sort();
    Ok(paths)
}

/// The file of a folder that holds a sound: mostly the one that bears its name, and else the first that holds it, which somebody has
/// renamed.
pub fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let holds = |path: &PathBuf| read(path).is_ok_and(|sound| sound.name == name);
    let own = folder.join(file_name(name));
    if holds(&own) {
        return Some(own);
    }
    list(folder).ok()?.into_iter().find(holds)
}

/// Reads a sound's file.
pub fn read(path: &Path) -> Result<LearntSound, SoundFileError> {
    let unreadable = |error| SoundFileError::Unreadable { path: path.into(), error };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no file")));
    }
    if metadata.len() > MOST_BYTES {
        return Err(SoundFileError::Torn { path: path.into(), what: format!("it is longer than {MOST_BYTES} bytes") });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    parse(&bytes).map_err(|what| SoundFileError::Torn { path: path.into(), what })
}

/// Reads a sound from the text of its file.
///
/// # Errors
/// The first fault, with its line where it has one.
pub fn parse(bytes: &[u8]) -> Result<LearntSound, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    let written: Written = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        // A key of the file stands in the message as it is.
        format!("{place}{}", visible(&error.message().replace('\n', " ")))
    })?;
    if written.format != FORMAT {
        return Err(format!("its format is {}, and this program reads format {FORMAT}", written.format));
    }
    if let Some(fault) = fault_of_name(&written.name) {
        return Err(format!("name: {fault}"));
    }
    for (key, value) in [("threshold", written.threshold), ("start_threshold", written.start_threshold)] {
        if !(value > 0.0 && value <= 1.0) {
            return Err(format!("{key} is not above 0 and at most 1"));
        }
    }
    let is_hash = !written.model_sha256.is_empty() && written.model_sha256.chars().all(|c| c.is_ascii_hexdigit());
    if !is_hash {
        return Err("model_sha256 is no number in hexadecimal".to_owned());
    }
    let corrects = match (&written.corrects, written.at_most) {
        (None, None) => None,
        (Some(label), Some(at_most)) if (0.0..=MOST_LOWERED).contains(&at_most) => {
            Some(Corrects { label: label.clone(), at_most })
        }
        (Some(_), Some(_)) => return Err(format!("at_most is not from 0 to {MOST_LOWERED}")),
        _ => return Err("corrects and at_most belong together".to_owned()),
    };
    let size = written.head.size;
    if !(2..=4_096).contains(&size) {
        return Err("head.size is not from 2 to 4096".to_owned());
    }
    let weights = numbers(&written.head.weights, 4, |bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let weights =
        weights.filter(|weights| weights.len() == size).ok_or("head.weights are not so many finite numbers as head.size says")?;
    if !weights.iter().chain([&written.head.offset]).all(|number| number.abs() <= GREATEST) {
        return Err(format!("head.offset and head.weights are not from -{GREATEST:e} to {GREATEST:e}"));
    }
    let all = written.examples.iter().chain(&written.negatives);
    if all.map(|example| example.embeddings.len()).sum::<usize>() > MOST_EMBEDDINGS {
        return Err(format!("it has more than {MOST_EMBEDDINGS} embeddings"));
    }
    Ok(LearntSound {
        examples: embeddings(written.examples, size)?,
        negatives: embeddings(written.negatives, size)?,
        name: written.name,
        is_a: written.is_a,
        corrects,
        model_sha256: written.model_sha256.to_lowercase(),
        thresholds: SuitedThresholds { threshold: written.threshold, start_threshold: written.start_threshold, highest: None },
        head: Head { weights, offset: written.head.offset },
    })
}

/// The examples of a file, of embeddings of `size` numbers.
fn embeddings(examples: Vec<WrittenExample>, size: usize) -> Result<Vec<Example>, String> {
    let one = |example: WrittenExample| {
        let mut embeddings = Vec::with_capacity(example.embeddings.len() * size);
        for text in &example.embeddings {
            let embedding = numbers(text, 2, |bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32());
            let embedding = embedding.filter(|numbers| numbers.len() == size);
            embeddings.extend(embedding.ok_or_else(|| format!("an embedding of {:?} is none", example.recording))?);
        }
        // The recording's name is printed.
        Ok(Example { recording: visible(&example.recording), embeddings })
    };
    examples.into_iter().map(one).collect()
}

/// The number as a file keeps it, in 16 bits. One that is too large for that becomes the largest there is.
fn half(number: f32) -> f16 {
    f16::from_f32(number.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()))
}

/// The embedding as a file keeps it, with floats of 16 bits.
pub fn rounded(embeddings: &[f32]) -> Vec<f32> {
    embeddings.iter().map(|number| half(*number).to_f32()).collect()
}

/// Writes a sound's file into a folder, which is made if need be, and returns its path: that of the file which holds the sound already,
/// else one with its name. The old file stays until the new one is whole.
///
/// # Errors
/// `Taken` where another sound is in the way, `Unwritable` where the system refuses.
pub fn write(folder: &Path, sound: &LearntSound) -> Result<PathBuf, SoundFileError> {
    let path = match find(folder, &sound.name) {
        Some(path) => path,
        None => {
            let path = folder.join(file_name(&sound.name));
            if let Ok(other) = read(&path) {
                return Err(SoundFileError::Taken { path, holds: other.name });
            }
            path
        }
    };
    let replace = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        write_whole(&path, print(sound).as_bytes())
    };
    replace().map_err(|error| SoundFileError::Unwritable { path: path.clone(), error })?;
    Ok(path)
}

/// The text of a sound's file.
pub fn print(sound: &LearntSound) -> String {
    let size = sound.head.weights.len();
    let embedding = |numbers: &[f32]| {
        let bytes = numbers.iter().flat_map(|number| half(*number).to_le_bytes());
        BASE64_STANDARD.encode(bytes.collect::<Vec<u8>>())
    };
    let written_examples = |examples: &[Example]| -> Vec<WrittenExample> {
        let one = |example: &Example| WrittenExample {
            recording: example.recording.clone(),
            embeddings: example.embeddings.chunks_exact(size.max(1)).map(embedding).collect(),
        };
        examples.iter().map(one).collect()
    };
    let weights = sound.head.weights.iter().flat_map(|weight| weight.to_le_bytes());
    let written = Written {
        format: FORMAT,
        name: sound.name.clone(),
        is_a: sound.is_a.clone(),
        corrects: sound.corrects.as_ref().map(|corrects| corrects.label.clone()),
        at_most: sound.corrects.as_ref().map(|corrects| corrects.at_most),
        threshold: sound.thresholds.threshold,
        start_threshold: sound.thresholds.start_threshold,
        model_sha256: sound.model_sha256.clone(),
        head: WrittenHead { size, offset: sound.head.offset, weights: BASE64_STANDARD.encode(weights.collect::<Vec<u8>>()) },
        examples: written_examples(&sound.examples),
        negatives: written_examples(&sound.negatives),
    };
    let text = toml::to_string(&written).unwrap_or_default();
    format!("# A sound that mimid has learnt. `mimid learn` writes this file, and docs/learning.md explains its keys.\n{text}")
}

/// Numbers from Base64, each of so many bytes; `None` where it is none, or holds a number that is not finite.
fn numbers(text: &str, bytes: usize, number: impl Fn(&[u8]) -> f32) -> Option<Vec<f32>> {
    let raw = BASE64_STANDARD.decode(text).ok()?;
    if raw.len() % bytes != 0 {
        return None;
    }
    let numbers: Vec<f32> = raw.chunks_exact(bytes).map(number).collect();
    numbers.iter().all(|number| number.is_finite()).then_some(numbers)
}
