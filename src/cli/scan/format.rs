//! The formats of `mimid scan`: for people, JSON lines, a DCASE table, and Audacity labels.
//!
//! It prints events and decides nothing about them.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, ZonedDateTime};
use serde::Serialize;

use crate::event::{EndReason, Subject};
use crate::publish::wire;
use crate::text::{escaped, visible};

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

/// Whether the times of day are told beside the seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// They are, where the recording's beginning is known.
    Told,
    /// They are not.
    Untold,
}

/// One event of a recording, as it is printed.
#[derive(Debug)]
pub struct Found<'a> {
    /// The recording.
    pub file: &'a Path,
    /// The moment at which the recording began, if that is told.
    pub began: Option<&'a ZonedDateTime>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
    label: &'a str,
    slug: &'a str,
    mid: Option<&'a str>,
    onset: f64,
    offset: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    onset_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset_time: Option<String>,
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
    clock: Clock,
    out: W,
}

impl<W: Write> Writer<W> {
    /// A writer to `out`.
    pub fn new(format: Format, clock: Clock, out: W) -> Self {
        Self { format, clock, out }
    }

    /// Prints the header, in formats that have one.
    pub fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Tsv => {
                let times = if self.clock == Clock::Told { "\tonset_time\toffset_time" } else { "" };
                writeln!(self.out, "filename\tonset\toffset\tevent_label\tscore{times}")
            }
            Format::Pretty | Format::Jsonl | Format::Audacity => Ok(()),
        }
    }

    /// Prints an event.
    pub fn event(&mut self, found: &Found) -> io::Result<()> {
        let Found { file, subject, onset_s, offset_s, score, level_dbfs, .. } = *found;
        let name = subject.name.replace(['\t', '\n', '\r'], " ");
        let time = |seconds: f64| found.began.and_then(|began| time_of_day(began, seconds));
        let (onset_time, offset_time) = (time(onset_s), time(offset_s));
        match self.format {
            Format::Pretty => {
                let (onset, offset) = (clock(onset_s), clock(offset_s));
                let time = onset_time.map(|time| time + "  ").unwrap_or_default();
                writeln!(
                    self.out,
                    "{}  {time}{onset} – {offset}  {score:.2}  {level_dbfs:6.1} dBFS  {name}",
                    visible(&file.display().to_string())
                )
            }
            Format::Jsonl => {
                let line = JsonLine {
                    file: &file.to_string_lossy(),
                    file_bytes: file.to_str().is_none().then(|| BASE64_STANDARD.encode(file.as_os_str().as_bytes())),
                    label: &subject.name,
                    slug: &subject.slug,
                    mid: Some(subject.id.as_str()).filter(|id| !id.is_empty()),
                    onset: round(onset_s, 3),
                    offset: round(offset_s, 3),
                    onset_time,
                    offset_time,
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
                let file = escaped(file.as_os_str().as_bytes());
                write!(self.out, "{file}\t{onset_s:.3}\t{offset_s:.3}\t{name}\t{score:.4}")?;
                if self.clock == Clock::Told {
                    write!(self.out, "\t{}\t{}", onset_time.unwrap_or_default(), offset_time.unwrap_or_default())?;
                }
                writeln!(self.out)
            }
            Format::Audacity => writeln!(self.out, "{onset_s:.6}\t{offset_s:.6}\t{name}"),
        }
    }
}

/// The time of day so many seconds after a moment: RFC 3339, with milliseconds.
fn time_of_day(began: &ZonedDateTime, seconds: f64) -> Option<String> {
    let at = began.checked_add(SignedDuration::from_millis((seconds * 1_000.0).round() as i64)).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string())
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
        print_at(format, Clock::Untold, Path::new("yard.wav"), None)
    }

    fn print_at(format: Format, clock: Clock, file: &Path, began: Option<&ZonedDateTime>) -> String {
        let subject = Subject { name: "Bow-wow".into(), slug: "bow_wow".into(), id: "/m/07qf0zm".into() };
        let mut writer = Writer::new(format, clock, Vec::new());
        writer.begin().unwrap();
        let found = Found {
            file,
            began,
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
    fn times_of_day_stand_beside_the_seconds() {
        let began: ZonedDateTime = "2026-03-14T23:59:30+01:00[+01:00]".parse().unwrap();
        let print = |format| print_at(format, Clock::Told, Path::new("yard.wav"), Some(&began));
        assert!(print(Format::Pretty).starts_with("yard.wav  2026-03-15T00:00:31.500+01:00  01:01.50 – 01:02.00  0.75"));
        let table = print(Format::Tsv);
        assert!(table.starts_with("filename\tonset\toffset\tevent_label\tscore\tonset_time\toffset_time\n"), "{table}");
        assert!(table.ends_with("\t0.7500\t2026-03-15T00:00:31.500+01:00\t2026-03-15T00:00:32.000+01:00\n"), "{table}");
        let json = print(Format::Jsonl);
        assert!(json.contains("\"onset_time\":\"2026-03-15T00:00:31.500+01:00\",\"offset_time\":"), "{json}");
        let unknown = print_at(Format::Tsv, Clock::Told, Path::new("yard.wav"), None);
        assert!(unknown.ends_with("\t0.7500\t\t\n"), "{unknown}");
    }

    #[test]
    fn a_name_breaks_no_line_and_reaches_no_terminal_raw() {
        use std::ffi::OsStr;
        let file = Path::new(OsStr::from_bytes(b"a\tb\n\x1b[2J\xff.wav"));
        let print = |format| print_at(format, Clock::Untold, file, None);
        assert!(print(Format::Tsv).ends_with("a\\tb\\n\\x1b[2J\\xff.wav\t61.500\t62.000\tBow-wow\t0.7500\n"));
        let (pretty, json) = (print(Format::Pretty), print(Format::Jsonl));
        assert!(
            !pretty.trim_end().contains(char::is_control) && json.contains("\"file_bytes\":\"YQliChtbMkr/Lndhdg==\""),
            "{json}"
        );
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
