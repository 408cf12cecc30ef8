//! A CSV file with a header line: its rows as cells of named columns, each with its line.

use std::path::Path;

use super::DatasetError;

/// A row: the line, counted from 1, and a cell for each column that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<const N: usize> {
    /// The line.
    pub line: usize,
    /// The cells, without spaces around them.
    pub cells: [String; N],
}

/// Reads the file at `path`, which must have these columns, in any order and among others.
pub fn read<const N: usize>(path: &Path, columns: [&str; N]) -> Result<Vec<Row<N>>, DatasetError> {
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            DatasetError::new(path, None, "the data set's table is not there; give the folder in which the data set was unpacked")
        }
        _ => DatasetError::new(path, None, format!("the table cannot be read: {error}")),
    })?;
    parse(&bytes, columns).map_err(|(line, message)| DatasetError::new(path, line, message))
}

/// Parses a CSV file.
///
/// # Errors
/// The line, if it is known, and a sentence.
pub fn parse<const N: usize>(bytes: &[u8], columns: [&str; N]) -> Result<Vec<Row<N>>, (Option<usize>, String)> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let told = |error: csv::Error| {
        let line = error.position().map(|position| line_of(bytes, position));
        let message = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => "this line holds bytes that are not UTF-8; save the file as UTF-8".to_owned(),
            _ => format!("the table cannot be read: {error}"),
        };
        (line, message)
    };
    let header = reader.headers().map_err(told)?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|name| name.eq_ignore_ascii_case(column))
            .ok_or_else(|| (Some(1), format!("the column {column} is missing; the columns must be {}", columns.join(", "))))?;
    }
    let mut rows = Vec::new();
    let (mut line, mut counted) = (1, 0);
    for record in reader.records() {
        let record = record.map_err(told)?;
        let from = usize::try_from(record.position().map_or(0, csv::Position::byte)).unwrap_or(usize::MAX).min(bytes.len());
        let from = from + breaks_at(&bytes[from..]);
        line += bytes[counted..from].iter().filter(|byte| **byte == b'\n').count();
        counted = from;
        if let Some((_, column)) = places.iter().zip(columns).find(|(place, _)| **place >= record.len()) {
            return Err((Some(line), format!("the row ends before the column {column}; the file may have been cut off")));
        }
        rows.push(Row { line, cells: places.map(|place| record[place].to_owned()) });
    }
    if rows.is_empty() {
        return Err((Some(1), "nothing stands below the header".to_owned()));
    }
    Ok(rows)
}

/// The number of bytes of line breaks with which the bytes begin. The reader stops between a return and its line feed, and before empty
/// lines.
fn breaks_at(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// The line at a position, counted from 1.
fn line_of(bytes: &[u8], position: &csv::Position) -> usize {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(bytes.len());
    let from = from + breaks_at(&bytes[from..]);
    bytes[..from].iter().filter(|byte| **byte == b'\n').count() + 1
}
