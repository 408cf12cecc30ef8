//! The formats of `mimid history`: tables for people, JSON lines, and tables with commas or tabs.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::Serialize;

use super::table::Table;
use crate::cli::pretty::Style;
use crate::publish::store::history::By;
use crate::publish::wire::{HistoryCount, KeptEvent};

/// The formats of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables by day, with bars
    Pretty,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
    /// Tab-separated values with a header
    Tsv,
    /// A Parquet file with typed columns, for programs that compute with events
    Parquet,
}

/// The columns of an event.
const EVENT: [&str; 18] = [
    "onset",
    "offset",
    "duration_ms",
    "label",
    "also",
    "source",
    "peak_score",
    "threshold",
    "level_dbfs",
    "confirmed",
    "reason",
    "announced",
    "onset_uncertainty_ms",
    "offset_uncertainty_ms",
    "node",
    "id",
    "mark",
    "mark_label",
];

/// Prints events or numbers in one format of text; Parquet has a writer of its own.
pub struct Writer<W> {
    format: Format,
    table: Table,
    out: W,
}

impl<W: Write> Writer<W> {
    /// A writer to `out`.
    pub fn new(format: Format, style: Style, zone: TimeZone, out: W) -> Self {
        Self { format, table: Table::new(style, zone), out }
    }

    /// Prints the header of a list, in formats that have one.
    pub fn begin(&mut self) -> io::Result<()> {
        self.row(EVENT.iter().map(|name| (*name).to_owned()))
    }

    /// Prints an event.
    pub fn event(&mut self, kept: &KeptEvent) -> io::Result<()> {
        let event = &kept.event;
        let mark = kept.mark.as_ref();
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        match self.format {
            Format::Pretty => self.table.event(kept, &mut self.out),
            Format::Jsonl => self.json(kept),
            Format::Csv | Format::Tsv => self.row(
                [
                    event.onset.clone(),
                    event.offset.clone().unwrap_or_default(),
                    number(event.duration_ms),
                    event.label.clone(),
                    event.also.join("; "),
                    event.source.clone(),
                    event.peak_score.to_string(),
                    event.threshold.to_string(),
                    event.level_dbfs.to_string(),
                    event.confirmed.to_string(),
                    event.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
                    kept.announced.clone(),
                    event.onset_uncertainty_ms.to_string(),
                    number(event.offset_uncertainty_ms),
                    kept.node.clone(),
                    event.id.clone(),
                    mark.map(|mark| mark.mark.to_string()).unwrap_or_default(),
                    mark.and_then(|mark| mark.label.clone()).unwrap_or_default(),
                ]
                .into_iter(),
            ),
            Format::Parquet => Ok(()),
        }
    }

    /// Prints what is left of a list.
    pub fn end(&mut self) -> io::Result<()> {
        match self.format {
            Format::Pretty => self.table.end(&mut self.out),
            Format::Jsonl | Format::Csv | Format::Tsv | Format::Parquet => Ok(()),
        }
    }

    /// Prints numbers of events by these values.
    pub fn counts(&mut self, by: &[By], counts: &[HistoryCount]) -> io::Result<()> {
        if self.format == Format::Pretty {
            return self.table.counts(by, counts, &mut self.out);
        }
        let names = by.iter().map(|by| By::NAMES.iter().find(|(_, known)| known == by).map_or("", |(name, _)| *name));
        self.row(names.chain(["events", "confirmed", "unconfirmed"]).map(str::to_owned))?;
        for count in counts {
            if self.format == Format::Jsonl {
                self.json(count)?;
                continue;
            }
            let numbers = [count.events, count.confirmed, count.unconfirmed].map(|n| n.to_string());
            self.row(by.iter().map(|by| value(*by, count)).chain(numbers))?;
        }
        Ok(())
    }

    /// Writes what was printed.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        // Strings, numbers and lists of them cannot fail to be written.
        writeln!(self.out, "{}", serde_json::to_string(value).unwrap_or_default())
    }

    /// Prints a row of a table; formats that are none have no rows.
    fn row(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        let (separator, cells): (_, Vec<String>) = match self.format {
            Format::Csv => (",", cells.map(quoted).collect()),
            Format::Tsv => ("\t", cells.map(|cell| cell.replace(['\t', '\n', '\r'], " ")).collect()),
            Format::Pretty | Format::Jsonl | Format::Parquet => return Ok(()),
        };
        writeln!(self.out, "{}", cells.join(separator))
    }
}

/// The value of a group by which it is counted.
pub fn value(by: By, count: &HistoryCount) -> String {
    match by {
        By::Hour => count.hour.map(|hour| hour.to_string()),
        By::Weekday => count.weekday.map(|weekday| weekday.to_string()),
        By::Day => count.day.clone(),
        By::Label => count.label.clone(),
    }
    .unwrap_or_default()
}

/// A cell of a table with commas.
fn quoted(cell: String) -> String {
    // A cell that begins like a formula would be one in a spreadsheet; numbers are none.
    let is_formula = cell.starts_with(['=', '@', '+', '-']) && cell.parse::<f64>().is_err();
    let cell = if is_formula { format!("'{cell}") } else { cell };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_could_be_taken_for_more_is_quoted() {
        for (cell, expected) in [
            ("Dog", "Dog"),
            ("Smoke detector, smoke alarm", "\"Smoke detector, smoke alarm\""),
            ("a\"b", "\"a\"\"b\""),
            ("-31.2", "-31.2"),
            ("=1+1", "'=1+1"),
        ] {
            assert_eq!(quoted(cell.to_owned()), expected);
        }
    }
}
