//! The file in which the backgrounds of the sources outlive the daemon: read at the start, written at the end.
//!
//! It lies in the folder that the service manager names in `STATE_DIRECTORY`; without one nothing is kept. A file that cannot be
//! read or written is told in the log and stops nothing, for a background is learnt again within half a minute.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::analysis::backgrounds::{Background, Backgrounds};
use crate::files::write_whole;
use crate::systemd;

/// The file's name.
const NAME: &str = "backgrounds.json";
/// A longer file is not ours.
const LONGEST: u64 = 4 << 20;

/// The contents of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// The checksum of the model whose labels these are.
    model: String,
    sources: BTreeMap<String, KeptSource>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSource {
    /// When it was last heard, in seconds since 1970.
    heard: i64,
    labels: BTreeMap<String, f32>,
}

/// The backgrounds that were kept with this model; none where there is no file, or one of another model.
pub(super) fn load(model_sha256: &str) -> Backgrounds {
    let Some(path) = path() else { return Backgrounds::default() };
    match read(&path) {
        Ok(kept) if kept.model == model_sha256 => {
            let background = |source: KeptSource| {
                let heard = Timestamp::from_second(source.heard).unwrap_or(Timestamp::UNIX_EPOCH);
                Background { heard, labels: source.labels }
            };
            Backgrounds(kept.sources.into_iter().map(|(name, source)| (name.into(), background(source))).collect())
        }
        Ok(_) => Backgrounds::default(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Backgrounds::default(),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "the backgrounds cannot be read and are learnt anew");
            Backgrounds::default()
        }
    }
}

/// Writes the backgrounds, where there is a folder for them.
pub(super) fn save(model_sha256: &str, backgrounds: Backgrounds) {
    let Some(path) = path() else { return };
    let source = |background: Background| KeptSource { heard: background.heard.as_second(), labels: background.labels };
    let sources = backgrounds.0.into_iter().map(|(name, background)| (name.to_string(), source(background))).collect();
    if let Err(error) = write(&path, &Kept { model: model_sha256.to_owned(), sources }) {
        tracing::warn!(file = %path.display(), %error, "the backgrounds cannot be written and will be learnt anew");
    }
}

fn path() -> Option<PathBuf> {
    Some(systemd::state_directory()?.join(NAME))
}

fn read(path: &Path) -> io::Result<Kept> {
    let length = std::fs::metadata(path)?.len();
    if length > LONGEST {
        return Err(io::Error::other(format!("it has {length} bytes")));
    }
    serde_json::from_slice(&std::fs::read(path)?).map_err(io::Error::other)
}

fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    write_whole(path, &serde_json::to_vec(kept).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let labels = BTreeMap::from([("speech".to_owned(), -0.5)]);
        let sources = BTreeMap::from([("kitchen".to_owned(), KeptSource { heard: 5, labels: labels.clone() })]);
        write(&path, &Kept { model: "abc".to_owned(), sources }).unwrap();
        let kept = read(&path).unwrap();
        assert_eq!((kept.model.as_str(), &kept.sources["kitchen"].labels), ("abc", &labels));
        std::fs::write(&path, "{\"model\": 1").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("line 1"));
        std::fs::write(&path, vec![b' '; LONGEST as usize + 1]).unwrap();
        assert_eq!(read(&path).unwrap_err().to_string(), "it has 4194305 bytes");
    }
}
