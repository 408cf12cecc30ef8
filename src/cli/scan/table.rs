//! The table that `mimid scan` writes of a recording beside its events: DIR/NAME.tsv.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::RecordingError;

/// Two of these recordings whose tables would be the same file.
pub fn same_table(recordings: &[PathBuf]) -> Option<[&Path; 2]> {
    let mut seen: HashMap<_, &Path> = HashMap::new();
    recordings.iter().find_map(|recording| Some([seen.insert(recording.file_stem(), recording)?, recording]))
}

/// The file of one recording's table.
pub struct TableFile {
    out: BufWriter<File>,
    path: PathBuf,
}

impl TableFile {
    /// Creates the file at once, so that one that cannot be created is an error before the recording is scanned.
    pub fn create(folder: &Path, recording: &Path) -> Result<Self, RecordingError> {
        let path = folder.join(recording.file_stem().unwrap_or_default()).with_extension("tsv");
        let out = File::create(&path).map_err(|error| failed(&path, error))?;
        Ok(Self { out: BufWriter::new(out), path })
    }

    /// Writes the table with `write`.
    pub fn write(mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), RecordingError> {
        write(&mut self.out).and_then(|()| self.out.flush()).map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: io::Error) -> RecordingError {
    RecordingError::File(format!("{} cannot be written: {error}", path.display()))
}
