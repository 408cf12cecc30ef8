//! `mimid scan --segments`: every segment of every label's curve as a table, with the facts from which its evidence follows.
//!
//! `models/tools/thresholds.py` fits the weights of the evidence and the thresholds to these tables.

use std::io::{self, Write};

use crate::ear::Ear;
use crate::model::Model;

/// The least peak of a causal curve whose segment is written: no event can come of less.
const LEAST_CAUSAL: f32 = 0.01;

/// Writes the segments that `ear` kept.
pub fn write(ear: &Ear, model: &Model, out: &mut dyn Write) -> io::Result<()> {
    let seconds = |samples: u64| samples as f64 / f64::from(ear.model_rate_hz());
    writeln!(out, "label\tonset\toffset\tevidence\tconfirmed\tcausal\tduration_s\tsnr_db\tbackground")?;
    for span in ear.curves() {
        let Some(parts) = span.parts.filter(|parts| parts.causal >= LEAST_CAUSAL) else { continue };
        let snr = parts.snr_db.map(|snr| format!("{snr:.1}")).unwrap_or_default();
        let label = &model.labels.subjects()[span.label].name;
        let (onset, offset) = (seconds(span.onset), seconds(span.offset));
        write!(out, "{label}\t{onset:.3}\t{offset:.3}\t{:.4}\t{:.5}\t{:.4}", span.score, parts.confirmed, parts.causal)?;
        writeln!(out, "\t{:.1}\t{snr}\t{:.3}", parts.duration_s, parts.background)?;
    }
    Ok(())
}
