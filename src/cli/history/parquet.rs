//! Events and numbers as a Parquet file, for programs that compute with them. It is written in row groups of bounded size, so that a
//! store of any size needs the same memory.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;
use parquet::basic::{Compression, Type};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::publish::store::history::{By, KeptEvent};
use crate::publish::wire::{self, HistoryCount};

/// The rows of a group, which wait in memory until it is written.
const ROWS: usize = 32_768;
/// The different names that are remembered, so that rows share them.
const SHARED: usize = 4_096;

/// The columns of an event. Their names and types stay; further ones may come behind them.
const EVENT: &str = "message event {
    REQUIRED BINARY id (STRING);
    REQUIRED INT64 first_seq;
    REQUIRED INT64 last_seq;
    REQUIRED INT64 updates;
    REQUIRED BINARY node (STRING);
    REQUIRED BINARY source (STRING);
    REQUIRED BINARY model (STRING);
    REQUIRED BINARY label (STRING);
    REQUIRED BINARY slug (STRING);
    OPTIONAL BINARY mid (STRING);
    REQUIRED GROUP also (LIST) { REPEATED GROUP list { REQUIRED BINARY element (STRING); } }
    REQUIRED INT64 onset (TIMESTAMP(MICROS,true));
    OPTIONAL INT64 offset (TIMESTAMP(MICROS,true));
    OPTIONAL DOUBLE duration_s;
    REQUIRED INT64 announced (TIMESTAMP(MICROS,true));
    REQUIRED BOOLEAN confirmed;
    OPTIONAL INT64 confirmed_at (TIMESTAMP(MICROS,true));
    OPTIONAL BINARY reason (STRING);
    REQUIRED DOUBLE score;
    REQUIRED DOUBLE peak_score;
    REQUIRED DOUBLE threshold;
    REQUIRED DOUBLE level_dbfs;
    REQUIRED DOUBLE onset_uncertainty_s;
    OPTIONAL DOUBLE offset_uncertainty_s;
    OPTIONAL BINARY mark (STRING);
    OPTIONAL BINARY mark_label (STRING);
    OPTIONAL INT64 marked_at (TIMESTAMP(MICROS,true));
    OPTIONAL BINARY clip_state (STRING);
    OPTIONAL BINARY clip_reason (STRING);
    OPTIONAL BINARY clip_file (STRING);
    OPTIONAL INT64 clip_from (TIMESTAMP(MICROS,true));
    OPTIONAL INT64 clip_to (TIMESTAMP(MICROS,true));
    OPTIONAL INT64 clip_bytes;
    OPTIONAL BOOLEAN clip_locked;
}";

/// A cell of a row.
enum Value {
    /// A text that hardly any other row has.
    Text(Option<String>),
    /// A text that many rows have.
    Name(Option<String>),
    Names(Vec<String>),
    Time(Option<Timestamp>),
    Whole(Option<i64>),
    Number(Option<f64>),
    Truth(Option<bool>),
}

/// The values of a column that are there, as Parquet has them.
enum Cells {
    Text(Vec<ByteArray>),
    Whole(Vec<i64>),
    Small(Vec<i32>),
    Number(Vec<f64>),
    Truth(Vec<bool>),
}

/// A column of the rows that wait: its values, and by Parquet's levels which rows have one, or several.
struct Column {
    cells: Cells,
    is_required: bool,
    present: Vec<i16>,
    repeated: Vec<i16>,
}

/// A table that is being written.
pub struct Table<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
    shared: HashMap<String, ByteArray>,
}

impl<W: Write + Send> Table<W> {
    /// A table of events.
    pub fn of_events(out: W) -> io::Result<Self> {
        Self::new(EVENT, out).map_err(told)
    }

    /// A table of numbers of events by these values.
    pub fn of_counts(by: &[By], out: W) -> io::Result<Self> {
        let columns: String = by.iter().map(|by| format!("REQUIRED {};\n", declared(*by))).collect();
        let numbers = "REQUIRED INT64 events; REQUIRED INT64 confirmed; REQUIRED INT64 unconfirmed;";
        Self::new(&format!("message count {{ {columns} {numbers} }}"), out).map_err(told)
    }

    fn new(schema: &str, out: W) -> Result<Self> {
        let schema = Arc::new(parse_message_type(schema)?);
        let written_by = KeyValue::new("mimid".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("mimid ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(vec![written_by]))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            // Every id is another one, so that a dictionary would only be tried in vain.
            .set_column_dictionary_enabled("id".into(), false);
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties.build()))?;
        let column = |at| {
            let described = file.schema_descr().column(at);
            let cells = match described.physical_type() {
                Type::INT32 => Cells::Small(Vec::new()),
                Type::INT64 => Cells::Whole(Vec::new()),
                Type::DOUBLE => Cells::Number(Vec::new()),
                Type::BOOLEAN => Cells::Truth(Vec::new()),
                _ => Cells::Text(Vec::new()),
            };
            let is_required = described.max_def_level() == 0;
            Column { cells, is_required, present: Vec::new(), repeated: Vec::new() }
        };
        let columns = (0..file.schema_descr().num_columns()).map(column).collect();
        Ok(Self { file, columns, rows: 0, shared: HashMap::new() })
    }

    /// Takes an event.
    pub fn event(&mut self, kept: &KeptEvent) -> io::Result<()> {
        self.row(values(kept)).map_err(told)
    }

    /// Takes the numbers of one group.
    pub fn count(&mut self, by: &[By], count: &HistoryCount) -> io::Result<()> {
        let of = |by: &By| match by {
            By::Day => Value::Whole(count.day.as_deref().and_then(days_since_1970)),
            By::Weekday => Value::Whole(count.weekday.map(i64::from)),
            By::Hour => Value::Whole(count.hour.map(i64::from)),
            By::Label => Value::Name(count.label.clone()),
        };
        let numbers = [count.events, count.confirmed, count.unconfirmed].map(|n| Value::Whole(Some(n as i64)));
        self.row(by.iter().map(of).chain(numbers)).map_err(told)
    }

    /// Writes what waits, and the end of the file.
    pub fn end(mut self) -> io::Result<()> {
        self.write_group().and_then(|()| self.file.close()).map(drop).map_err(told)
    }

    fn row(&mut self, values: impl IntoIterator<Item = Value>) -> Result<()> {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value, &mut self.shared)?;
        }
        self.rows += 1;
        if self.rows == ROWS { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

impl Column {
    fn push(&mut self, value: Value, shared: &mut HashMap<String, ByteArray>) -> Result<()> {
        let is_there = match (&mut self.cells, value) {
            (Cells::Text(cells), Value::Text(text)) => push(cells, text.map(|text| ByteArray::from(text.into_bytes()))),
            (Cells::Text(cells), Value::Name(name)) => push(cells, name.map(|name| share(shared, name))),
            (Cells::Text(cells), Value::Names(names)) => {
                // A list without a member has a place, and no value there.
                self.present.extend(std::iter::repeat_n(1, names.len()));
                self.repeated.extend((0..names.len().max(1)).map(|at| i16::from(at > 0)));
                let is_empty = names.is_empty();
                cells.extend(names.into_iter().map(|name| share(shared, name)));
                self.present.extend(is_empty.then_some(0));
                return Ok(());
            }
            (Cells::Whole(cells), Value::Time(time)) => push(cells, time.map(Timestamp::as_microsecond)),
            (Cells::Whole(cells), Value::Whole(number)) => push(cells, number),
            (Cells::Small(cells), Value::Whole(number)) => push(cells, number.and_then(|number| i32::try_from(number).ok())),
            (Cells::Number(cells), Value::Number(number)) => push(cells, number),
            (Cells::Truth(cells), Value::Truth(truth)) => push(cells, truth),
            _ => return Err(ParquetError::General("a value is not of its column's type".to_owned())),
        };
        if !self.is_required {
            self.present.push(i16::from(is_there));
        }
        Ok(())
    }

    /// Writes the column into a group, and forgets it.
    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, impl Write + Send>) -> Result<()> {
        let missing = || ParquetError::General("the group has no further column".to_owned());
        let mut writer = group.next_column()?.ok_or_else(missing)?;
        let present = (!self.is_required).then_some(&*self.present);
        let repeated = (!self.repeated.is_empty()).then_some(&*self.repeated);
        match &self.cells {
            Cells::Text(cells) => writer.typed::<ByteArrayType>().write_batch(cells, present, repeated)?,
            Cells::Whole(cells) => writer.typed::<Int64Type>().write_batch(cells, present, repeated)?,
            Cells::Small(cells) => writer.typed::<Int32Type>().write_batch(cells, present, repeated)?,
            Cells::Number(cells) => writer.typed::<DoubleType>().write_batch(cells, present, repeated)?,
            Cells::Truth(cells) => writer.typed::<BoolType>().write_batch(cells, present, repeated)?,
        };
        writer.close()?;
        match &mut self.cells {
            Cells::Text(cells) => cells.clear(),
            Cells::Whole(cells) => cells.clear(),
            Cells::Small(cells) => cells.clear(),
            Cells::Number(cells) => cells.clear(),
            Cells::Truth(cells) => cells.clear(),
        }
        self.present.clear();
        self.repeated.clear();
        Ok(())
    }
}

/// The values of an event, in the order of the columns.
fn values(kept: &KeptEvent) -> [Value; 34] {
    let wire::KeptEvent { event, node, model, first_seq, last_seq, updates, mark, clip, .. } = wire::KeptEvent::from(kept);
    let name = |name: String| Value::Name(Some(name));
    let whole = |number: u64| Value::Whole(i64::try_from(number).ok());
    let seconds = |ms: Option<u64>| Value::Number(ms.map(|ms| ms as f64 / 1e3));
    let number = |number: f64| Value::Number(Some(number));
    let (mark, mark_label) = mark.map_or((None, None), |mark| (Some(mark.mark.to_string()), mark.label));
    let row = kept.clip.as_ref();
    [
        Value::Text(Some(event.id)),
        whole(first_seq),
        whole(last_seq),
        whole(updates),
        name(node),
        name(event.source),
        name(model),
        name(event.label),
        name(event.slug),
        Value::Name(event.mid),
        Value::Names(event.also),
        Value::Time(Some(kept.event.onset)),
        Value::Time(kept.event.offset),
        seconds(event.duration_ms),
        Value::Time(Some(kept.announced)),
        Value::Truth(Some(event.confirmed)),
        Value::Time(kept.confirmed),
        Value::Name(event.reason.map(|reason| reason.to_string())),
        number(event.score),
        number(event.peak_score),
        number(event.threshold),
        number(event.level_dbfs),
        seconds(Some(event.onset_uncertainty_ms)),
        seconds(event.offset_uncertainty_ms),
        Value::Name(mark),
        Value::Name(mark_label),
        Value::Time(kept.mark.as_ref().map(|mark| mark.at)),
        Value::Name(clip.as_ref().map(|clip| clip.state.to_string())),
        Value::Name(row.and_then(|row| row.reason.clone())),
        Value::Text(row.and_then(|row| row.file.clone())),
        Value::Time(row.map(|row| row.from)),
        Value::Time(row.map(|row| row.to)),
        Value::Whole(row.and_then(|row| i64::try_from(row.bytes).ok())),
        Value::Truth(row.map(|row| row.is_locked)),
    ]
}

/// The column of a value by which events are counted.
fn declared(by: By) -> &'static str {
    match by {
        By::Day => "INT32 day (DATE)",
        By::Weekday => "INT32 weekday",
        By::Hour => "INT32 hour",
        By::Label => "BINARY label (STRING)",
    }
}

fn days_since_1970(day: &str) -> Option<i64> {
    let day: jiff::civil::Date = day.parse().ok()?;
    let first = jiff::civil::date(1970, 1, 1);
    day.since((jiff::Unit::Day, first)).ok().map(|span| span.get_days().into())
}

/// Adds a value where there is one; returns whether there is.
fn push<T>(cells: &mut Vec<T>, value: Option<T>) -> bool {
    let before = cells.len();
    cells.extend(value);
    cells.len() > before
}

/// The name as Parquet has it; names that come again are one in memory.
fn share(shared: &mut HashMap<String, ByteArray>, text: String) -> ByteArray {
    if let Some(known) = shared.get(&text) {
        return known.clone();
    }
    let made = ByteArray::from(text.as_str());
    if shared.len() < SHARED {
        shared.insert(text, made.clone());
    }
    made
}

/// The failure of the writing itself, where it is one.
fn told(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => cause.downcast::<io::Error>().map_or_else(io::Error::other, |cause| *cause),
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests;
