//! Truth files, which name the true events of recordings: tables with the DCASE columns, or Audacity label tracks.
//!
//! Every fault is collected with its line, so that one read shows all of them. The parser opens no file and knows no labels;
//! `recordings` finds the recording of a row and its label.

use std::collections::HashMap;

use crate::text::nearest;

/// The columns of a DCASE table that are read, in any order; others are ignored.
const COLUMNS: [&str; 4] = ["filename", "onset", "offset", "event_label"];

/// A truth file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Truth {
    /// The rows.
    pub rows: Vec<TruthRow>,
    /// The faults: the line, counted from 1, and a sentence.
    pub faults: Vec<(usize, String)>,
}

/// A row of a truth file.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthRow {
    /// The line, counted from 1.
    pub line: usize,
    /// The recording's name as it is written; `None` in a label track, which belongs to one recording.
    pub filename: Option<String>,
    /// The event; `None` in a row that only names the recording.
    pub event: Option<Event>,
}

/// An event as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The onset in seconds from the recording's start.
    pub onset_s: f64,
    /// The offset in seconds from the recording's start; after the onset.
    pub offset_s: f64,
    /// The label's name.
    pub label: String,
}

/// Reads a truth file. A line that cannot be read is a fault, and so is one that stands there twice.
pub fn parse(bytes: &[u8]) -> Truth {
    let mut truth = parse_heard(bytes);
    truth.find_repetitions();
    if truth.rows.is_empty() && truth.faults.is_empty() {
        let line = bytes.split(|byte| *byte == b'\n').position(|line| !line.trim_ascii().is_empty()).unwrap_or(0) + 1;
        truth.faults.push((line, "nothing stands below the header; name each recording, and what is heard in it".to_owned()));
    }
    truth
}

/// Reads a table of what was heard, in the same format. Unlike a truth file it may say nothing, or the same twice.
pub fn parse_heard(bytes: &[u8]) -> Truth {
    let mut truth = Truth::default();
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            truth.faults.push((line, "this line holds bytes that are not UTF-8; save the file as UTF-8".to_owned()));
            return truth;
        }
    };
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let Some((first, header)) = lines.next() else {
        truth.faults.push((1, "the file is empty".to_owned()));
        return truth;
    };
    if is_label_track(header) {
        for (line, text) in std::iter::once((first, header)).chain(lines).filter(|(_, text)| !text.starts_with('\\')) {
            let [onset, offset, label] = fields(text, [Some(0), Some(1), Some(2)]);
            truth.add(line, None, onset, offset, label);
        }
    } else {
        match columns(header) {
            Err(sentence) => {
                truth.faults.push((first, sentence));
                return truth;
            }
            Ok(columns) => {
                for (line, text) in lines {
                    let [filename, onset, offset, label] = fields(text, columns);
                    if filename.is_empty() {
                        truth.faults.push((line, "the filename is missing".to_owned()));
                    }
                    truth.add(line, Some(filename.to_owned()), onset, offset, label);
                }
            }
        }
    }
    truth
}

impl Truth {
    fn add(&mut self, line: usize, filename: Option<String>, onset: &str, offset: &str, label: &str) {
        if label.is_empty() {
            match &filename {
                Some(_) if onset.is_empty() && offset.is_empty() => self.rows.push(TruthRow { line, filename, event: None }),
                Some(_) => {
                    let what = "the label is missing; leave the times out as well to say that nothing is heard in the recording";
                    self.faults.push((line, what.to_owned()));
                }
                None => self.faults.push((line, "the label is missing".to_owned())),
            }
            return;
        }
        let mut time = |name: &str, text: &str| {
            let time: Option<f64> = text.parse().ok().filter(|time: &f64| time.is_finite());
            let sentence = match time {
                Some(time) if time >= 0.0 => return Some(time),
                Some(time) => format!("the {name} {time} is negative"),
                None if text.is_empty() => format!("the {name} is missing"),
                None => format!("the {name} {text:?} is not a number of seconds, such as 12.5"),
            };
            self.faults.push((line, sentence));
            None
        };
        let (onset, offset) = (time("onset", onset), time("offset", offset));
        let (Some(onset_s), Some(offset_s)) = (onset, offset) else { return };
        if offset_s <= onset_s {
            self.faults.push((line, format!("the offset {offset_s} is not after the onset {onset_s}")));
            return;
        }
        self.rows.push(TruthRow { line, filename, event: Some(Event { onset_s, offset_s, label: label.to_owned() }) });
    }

    /// Adds a fault for each row that repeats another, because its event would count twice.
    fn find_repetitions(&mut self) {
        let mut seen = HashMap::new();
        for TruthRow { line, filename, event } in &self.rows {
            let event = event.as_ref().map(|event| (event.onset_s.to_bits(), event.offset_s.to_bits(), &event.label));
            match seen.get(&(filename, event)) {
                Some(before) => self.faults.push((*line, format!("this row is the same as line {before}"))),
                None => {
                    seen.insert((filename, event), *line);
                }
            }
        }
    }
}

/// Whether a file that begins with this line is an Audacity label track. Its lines begin with two times, or with a backslash
/// before the frequencies of the label above.
fn is_label_track(line: &str) -> bool {
    let mut fields = line.split('\t');
    let is_time = |field: Option<&str>| field.is_some_and(|field| field.trim().parse::<f64>().is_ok());
    line.starts_with('\\') || (is_time(fields.next()) && is_time(fields.next()))
}

/// The index of each of [`COLUMNS`], or the fault of the header.
fn columns(header: &str) -> Result<[Option<usize>; 4], String> {
    let names: Vec<String> = header.split('\t').map(|name| name.trim().to_lowercase()).collect();
    let found = COLUMNS.map(|column| names.iter().position(|name| name == column));
    let missing: Vec<&str> = COLUMNS.iter().zip(found).filter(|(_, at)| at.is_none()).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    for (delimiter, name) in [(',', "commas"), (';', "semicolons"), (' ', "spaces")] {
        let parts: Vec<String> = header.split(delimiter).map(|part| part.trim().trim_matches('"').to_lowercase()).collect();
        if COLUMNS.iter().filter(|column| parts.iter().any(|part| part == *column)).count() >= 2 {
            return Err(format!("the columns are separated by {name}; separate them by tabs"));
        }
    }
    let known = names.iter().any(|name| COLUMNS.contains(&name.as_str()) || nearest(name, COLUMNS).is_some());
    if !known {
        return Err(format!(
            "there is no header; the first line must name the columns {}, separated by tabs (or be the first of an Audacity label \
             track: onset, offset, label)",
            COLUMNS.join(", ")
        ));
    }
    let sentences = missing.iter().map(|missing| {
        let unknown = names.iter().map(String::as_str).filter(|name| !COLUMNS.contains(name));
        let hint = nearest(missing, unknown).map(|name| format!(" ({name:?} stands there)")).unwrap_or_default();
        format!("the column {missing} is missing{hint}")
    });
    Err(sentences.collect::<Vec<_>>().join("; "))
}

/// The fields of a line at these indices; a missing field is empty.
fn fields<const N: usize>(line: &str, places: [Option<usize>; N]) -> [&str; N] {
    let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
    places.map(|place| place.and_then(|at| fields.get(at)).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
