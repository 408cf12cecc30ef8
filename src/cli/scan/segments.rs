//! `mimid scan --segments`: every segment of every label's curve as a table, with the facts from which its evidence follows.
//!
//! `models/tools/thresholds.py` fits the weights of the evidence and the thresholds to these tables.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::RecordingError;
use crate::ear::Ear;
use crate::model::Model;

/// The least peak of a causal curve whose segment is written: no event can come of less.
const LEAST_CAUSAL: f32 = 0.01;

/// The file of one recording's segments.
pub struct SegmentFile {
    out: BufWriter<File>,
    path: PathBuf,
}

impl SegmentFile {
    /// Creates the file at once, so that one that cannot be created is an error before the recording is scanned.
    pub fn create(folder: &Path, recording: &Path) -> Result<Self, RecordingError> {
        let path = folder.join(recording.file_stem().unwrap_or_default()).with_extension("tsv");
        let out = File::create(&path).map_err(|error| failed(&path, error))?;
        Ok(Self { out: BufWriter::new(out), path })
    }

    /// Writes the segments that `ear` kept.
    pub fn write(mut self, ear: &Ear, model: &Model) -> Result<(), RecordingError> {
        self.write_rows(ear, model).and_then(|()| self.out.flush()).map_err(|error| failed(&self.path, error))
    }

    fn write_rows(&mut self, ear: &Ear, model: &Model) -> io::Result<()> {
        let seconds = |samples: u64| samples as f64 / f64::from(ear.model_rate_hz());
        writeln!(self.out, "label\tonset\toffset\tevidence\tconfirmed\tcausal\tduration_s\tsnr_db\tbackground")?;
        for span in ear.curves() {
            let Some(parts) = span.parts.filter(|parts| parts.causal >= LEAST_CAUSAL) else { continue };
            let snr = parts.snr_db.map(|snr| format!("{snr:.1}")).unwrap_or_default();
            let label = &model.labels.subjects()[span.label].name;
            let (onset, offset) = (seconds(span.onset), seconds(span.offset));
            write!(self.out, "{label}\t{onset:.3}\t{offset:.3}\t{:.4}\t{:.5}\t{:.4}", span.score, parts.confirmed, parts.causal)?;
            writeln!(self.out, "\t{:.1}\t{snr}\t{:.3}", parts.duration_s, parts.background)?;
        }
        Ok(())
    }
}

fn failed(path: &Path, error: io::Error) -> RecordingError {
    RecordingError::File(format!("{} cannot be written: {error}", path.display()))
}
