//! `mimid scan --scores`: the evidence of every label over time as a table, in the format of sed_scores_eval.
//!
//! A row covers 20 ms. A label's score in it is the evidence of the segment that covers the row's middle, and 0 outside of all
//! segments.

use std::io::{self, Write};

use crate::detect::curves::ScoredSpan;
use crate::ear::Ear;
use crate::model::Model;

/// The length of a row, in milliseconds.
pub const ROW_MS: u64 = 20;

/// Writes the scores that `ear` kept.
pub fn write(ear: &Ear, model: &Model, out: &mut dyn Write) -> io::Result<()> {
    let rate_hz = u64::from(ear.model_rate_hz());
    let end = ear.end_of_input().unwrap_or(0).max(1);
    let row_samples = rate_hz * ROW_MS / 1_000;
    let names: Vec<_> = model.labels.subjects().iter().map(|subject| subject.name.as_str()).collect();
    writeln!(out, "onset\toffset\t{}", names.join("\t"))?;
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
        write!(out, "{:.3}\t{:.3}", from as f64 / rate_hz as f64, to as f64 / rate_hz as f64)?;
        for score in &scores {
            // Nearly all scores are 0; a short zero keeps the file small.
            if *score == 0.0 {
                write!(out, "\t0")?;
            } else {
                write!(out, "\t{score:.5}")?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}
