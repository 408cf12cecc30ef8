//! `mimid scan --scores`: the score curve of every label as a table, in sed_scores_eval's format.
//!
//! Rows of 20 ms from 0 to the recording's end; a label's score is that of the box that it is in, and 0 outside of all.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::RecordingError;
use crate::detect::curves::ScoredSpan;
use crate::ear::Ear;
use crate::model::Model;

/// How long a row is, in milliseconds.
const ROW_MS: u64 = 20;

/// The file that a recording's curves go to.
pub struct CurveFile {
    out: BufWriter<File>,
    path: PathBuf,
}

impl CurveFile {
    /// Makes the file at once, so that one that cannot be made is told before the recording is scanned.
    pub fn create(folder: &Path, recording: &Path) -> Result<Self, RecordingError> {
        let path = folder.join(recording.file_stem().unwrap_or_default()).with_extension("tsv");
        let out = File::create(&path).map_err(|error| failed(&path, error))?;
        Ok(Self { out: BufWriter::new(out), path })
    }

    /// Writes the curves that `ear` kept.
    pub fn write(mut self, ear: &Ear, model: &Model) -> Result<(), RecordingError> {
        self.write_rows(ear, model).and_then(|()| self.out.flush()).map_err(|error| failed(&self.path, error))
    }

    fn write_rows(&mut self, ear: &Ear, model: &Model) -> io::Result<()> {
        let rate_hz = u64::from(ear.model_rate_hz());
        let end = ear.end_of_input().unwrap_or(0).max(1);
        let row_samples = rate_hz * ROW_MS / 1_000;
        let names: Vec<_> = model.labels.subjects().iter().map(|subject| subject.name.as_str()).collect();
        writeln!(self.out, "onset\toffset\t{}", names.join("\t"))?;
        let mut spans: Vec<&ScoredSpan> = ear.curves().iter().collect();
        spans.sort_by_key(|span| span.onset);
        let mut spans = spans.into_iter().peekable();
        let mut active: Vec<&ScoredSpan> = Vec::new();
        let mut scores = vec![0.0f32; names.len()];
        for row in 0..end.div_ceil(row_samples) {
            let (from, to) = (row * row_samples, ((row + 1) * row_samples).min(end));
            // A box is in a row that it covers by half, so that its edges are at most 10 ms off.
            let middle = from + row_samples / 2;
            while let Some(span) = spans.next_if(|span| span.onset < middle) {
                active.push(span);
            }
            active.retain(|span| span.offset >= middle);
            scores.fill(0.0);
            for span in &active {
                scores[span.label] = scores[span.label].max(span.score);
            }
            write!(self.out, "{:.3}\t{:.3}", from as f64 / rate_hz as f64, to as f64 / rate_hz as f64)?;
            for score in &scores {
                // Nearly all are nothing; a short zero keeps the file small.
                if *score == 0.0 {
                    write!(self.out, "\t0")?;
                } else {
                    write!(self.out, "\t{score:.5}")?;
                }
            }
            writeln!(self.out)?;
        }
        Ok(())
    }
}

fn failed(path: &Path, error: io::Error) -> RecordingError {
    RecordingError::File(format!("{} cannot be written: {error}", path.display()))
}
