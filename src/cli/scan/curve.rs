//! `mimid scan --scores`: the confirmed score of every label over time as a table, in the format of sed_scores_eval.
//!
//! A row covers 20 ms. A label's score in it is the peak of the segment that covers the row's middle, and 0 outside of all
//! segments.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::RecordingError;
use crate::detect::curves::ScoredSpan;
use crate::ear::Ear;
use crate::model::Model;

/// The length of a row, in milliseconds.
const ROW_MS: u64 = 20;

/// Two of these recordings whose scores would be written to the same file.
pub fn same_table(recordings: &[PathBuf]) -> Option<[&Path; 2]> {
    let mut seen: HashMap<_, &Path> = HashMap::new();
    recordings.iter().find_map(|recording| Some([seen.insert(recording.file_stem(), recording)?, recording]))
}

/// The file of one recording's scores.
pub struct CurveFile {
    out: BufWriter<File>,
    path: PathBuf,
}

impl CurveFile {
    /// Creates the file at once, so that one that cannot be created is an error before the recording is scanned.
    pub fn create(folder: &Path, recording: &Path) -> Result<Self, RecordingError> {
        let path = folder.join(recording.file_stem().unwrap_or_default()).with_extension("tsv");
        let out = File::create(&path).map_err(|error| failed(&path, error))?;
        Ok(Self { out: BufWriter::new(out), path })
    }

    /// Writes the scores that `ear` kept.
    pub fn write(mut self, ear: &Ear, model: &Model) -> Result<(), RecordingError> {
        self.write_rows(ear, model).and_then(|()| self.out.flush()).map_err(|error| failed(&self.path, error))
    }

    fn write_rows(&mut self, ear: &Ear, model: &Model) -> io::Result<()> {
        let rate_hz = u64::from(ear.model_rate_hz());
        let end = ear.end_of_input().unwrap_or(0).max(1);
        let row_samples = rate_hz * ROW_MS / 1_000;
        let names: Vec<_> = model.labels.subjects().iter().map(|subject| subject.name.as_str()).collect();
        writeln!(self.out, "onset\toffset\t{}", names.join("\t"))?;
        let mut segments: Vec<&ScoredSpan> = ear.curves().iter().collect();
        segments.sort_by_key(|segment| segment.onset);
        let mut segments = segments.into_iter().peekable();
        let mut active: Vec<&ScoredSpan> = Vec::new();
        let mut scores = vec![0.0f32; names.len()];
        for row in 0..end.div_ceil(row_samples) {
            let (from, to) = (row * row_samples, ((row + 1) * row_samples).min(end));
            // A segment belongs to the rows that it covers by half, so that its boundaries are at most 10 ms off.
            let middle = from + row_samples / 2;
            while let Some(segment) = segments.next_if(|segment| segment.onset < middle) {
                active.push(segment);
            }
            active.retain(|segment| segment.offset >= middle);
            scores.fill(0.0);
            for segment in &active {
                scores[segment.label] = scores[segment.label].max(segment.score);
            }
            write!(self.out, "{:.3}\t{:.3}", from as f64 / rate_hz as f64, to as f64 / rate_hz as f64)?;
            for score in &scores {
                // Nearly all scores are 0; a short zero keeps the file small.
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
