//! The formats of `mimid scan`: for people, JSON lines, a DCASE table, and Audacity labels.
//!
//! It prints events and decides nothing about them.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::event::{EndReason, Subject};
use crate::publish::wire;
use crate::text::visible;

/// The formats of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One aligned line an event
    Pretty,
    /// One JSON object a line
    Jsonl,
    /// The DCASE columns filename, onset, offset, event_label, score; seconds, one header
    Tsv,
    /// An Audacity label track: onset, offset, label; seconds
    Audacity,
}

/// One event of a recording, as it is printed.
#[derive(Debug)]
pub struct Found<'a> {
    /// The recording.
    pub file: &'a Path,
    /// Its label or group.
    pub subject: &'a Subject,
    /// Its onset, in seconds from the recording's start.
    pub onset_s: f64,
    /// Its offset, in seconds from the recording's start.
    pub offset_s: f64,
    /// Its highest score, 0…1.
    pub score: f32,
    /// Its root mean square level in dBFS.
    pub level_dbfs: f32,
    /// The uncertainty of the onset, ± seconds.
    pub onset_uncertainty_s: f64,
    /// The uncertainty of the offset, ± seconds.
    pub offset_uncertainty_s: f64,
    /// The moment at which a daemon would have announced it, in seconds from the recording's start.
    pub announced_s: f64,
    /// The other labels that heard the same sound.
    pub also: Vec<&'a str>,
    /// The reason of its end.
    pub reason: EndReason,
}

/// An event as `--format jsonl` prints it.
#[derive(Debug, Serialize)]
struct JsonLine<'a> {
    file: &'a str,
    label: &'a str,
    slug: &'a str,
    mid: Option<&'a str>,
    onset: f64,
    offset: f64,
    duration_ms: u64,
    peak_score: f64,
    level_dbfs: f64,
    onset_uncertainty_ms: u64,
    offset_uncertainty_ms: u64,
    announced: f64,
    also: &'a [&'a str],
    reason: wire::EndReason,
}

/// Prints events in one format.
#[derive(Debug)]
pub struct Writer<W> {
    format: Format,
    out: W,
}

impl<W: Write> Writer<W> {
    /// A writer to `out`.
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out }
    }

    /// Prints the header, in formats that have one.
    pub fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Tsv => writeln!(self.out, "filename\tonset\toffset\tevent_label\tscore"),
            Format::Pretty | Format::Jsonl | Format::Audacity => Ok(()),
        }
    }

    /// Prints an event.
    pub fn event(&mut self, found: &Found) -> io::Result<()> {
        let Found { file, subject, onset_s, offset_s, score, level_dbfs, .. } = *found;
        let name = subject.name.replace(['\t', '\n', '\r'], " ");
        match self.format {
            Format::Pretty => {
                let (onset, offset) = (clock(onset_s), clock(offset_s));
                writeln!(
                    self.out,
                    "{}  {onset} – {offset}  {score:.2}  {level_dbfs:6.1} dBFS  {name}",
                    visible(&file.display().to_string())
                )
            }
            Format::Jsonl => {
                let line = JsonLine {
                    file: &file.to_string_lossy(),
                    label: &subject.name,
                    slug: &subject.slug,
                    mid: Some(subject.id.as_str()).filter(|id| !id.is_empty()),
                    onset: round(onset_s, 3),
                    offset: round(offset_s, 3),
                    duration_ms: ((offset_s - onset_s) * 1_000.0).round() as u64,
                    peak_score: round(f64::from(score), 4),
                    level_dbfs: round(f64::from(level_dbfs), 1),
                    onset_uncertainty_ms: (found.onset_uncertainty_s * 1_000.0).round() as u64,
                    offset_uncertainty_ms: (found.offset_uncertainty_s * 1_000.0).round() as u64,
                    announced: round(found.announced_s, 3),
                    also: &found.also,
                    reason: found.reason.into(),
                };
                serde_json::to_writer(&mut self.out, &line)?;
                writeln!(self.out)
            }
            Format::Tsv => {
                let file = file.display().to_string().replace(['\t', '\n', '\r'], " ");
                writeln!(self.out, "{file}\t{onset_s:.3}\t{offset_s:.3}\t{name}\t{score:.4}")
            }
            Format::Audacity => writeln!(self.out, "{onset_s:.6}\t{offset_s:.6}\t{name}"),
        }
    }
}

/// Seconds as `minutes:seconds`, to the hundredth.
fn clock(seconds: f64) -> String {
    let hundredths = (seconds * 100.0).round() as u64;
    format!("{:02}:{:02}.{:02}", hundredths / 6_000, hundredths / 100 % 60, hundredths % 100)
}

fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(format: Format) -> String {
        let subject = Subject { name: "Bow-wow".into(), slug: "bow_wow".into(), id: "/m/07qf0zm".into() };
        let mut writer = Writer::new(format, Vec::new());
        writer.begin().unwrap();
        let file = Path::new("yard.wav");
        let found = Found {
            file,
            subject: &subject,
            onset_s: 61.5,
            offset_s: 62.0,
            onset_uncertainty_s: 0.04,
            offset_uncertainty_s: 0.3,
            announced_s: 61.8,
            score: 0.75,
            level_dbfs: -20.04,
            also: vec!["Dog"],
            reason: EndReason::Decay,
        };
        writer.event(&found).unwrap();
        String::from_utf8(writer.out).unwrap()
    }

    #[test]
    fn each_format_prints_the_same_event() {
        assert_eq!(print(Format::Pretty), "yard.wav  01:01.50 – 01:02.00  0.75   -20.0 dBFS  Bow-wow\n");
        assert_eq!(
            print(Format::Tsv),
            "filename\tonset\toffset\tevent_label\tscore\nyard.wav\t61.500\t62.000\tBow-wow\t0.7500\n"
        );
        assert_eq!(print(Format::Audacity), "61.500000\t62.000000\tBow-wow\n");
        assert_eq!(
            print(Format::Jsonl),
            "{\"file\":\"yard.wav\",\"label\":\"Bow-wow\",\"slug\":\"bow_wow\",\"mid\":\"/m/07qf0zm\",\"onset\":61.5,\"offset\":62.0,\
             \"duration_ms\":500,\"peak_score\":0.75,\"level_dbfs\":-20.0,\"onset_uncertainty_ms\":40,\"offset_uncertainty_ms\":300,\"announced\":61.8,\
             \"also\":[\"Dog\"],\"reason\":\"decay\"}\n"
        );
    }
}
