use std::fs::File;

use jiff::SignedDuration;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::*;
use crate::event::{ClipState, EndReason, SoundEvent, Subject};
use crate::publish::store::clips::ClipRow;
use crate::publish::store::history::Cursor;
use crate::publish::store::marks::{KeptMark, Mark};

/// An event, with all that an event can have or not have.
fn event(at: u64) -> KeptEvent {
    let onset = Timestamp::from_millisecond(1_790_000_000_123 + 977 * at as i64).unwrap();
    let after = |ms: i64| onset + SignedDuration::from_millis(ms);
    let names = ["Dog", "Bark, \"loud\"", "Animal", "Glocke é"].map(Subject::example);
    let of = |n: u64| at.is_multiple_of(n);
    let kept_mark = |mark| Some(KeptMark { mark, at: after(60_000) });
    let mut subject = (*names[at as usize % 4]).clone();
    if of(5) {
        subject.id.clear();
    }
    KeptEvent {
        cursor: Cursor(0, 0),
        event: SoundEvent {
            onset,
            offset: (!of(7)).then(|| after(1_234 + at as i64)),
            offset_uncertainty_ms: (!of(7)).then_some(at),
            onset_uncertainty_ms: 80,
            subject: subject.into(),
            also: names[..at as usize % 3].to_vec(),
            score: (at % 10_000) as f32 / 1e4,
            level_dbfs: -0.1 * (at % 900) as f32,
            is_confirmed: of(2),
            ..SoundEvent::example(at.into(), "", "kitchen")
        },
        reason: (!of(7)).then_some(if of(2) { EndReason::Decay } else { EndReason::Unconfirmed }),
        announced: after(300),
        confirmed: of(2).then(|| after(2_345)),
        node: "pi".into(),
        model: "m".into(),
        seq: (3 * at + 1, 3 * at + 3),
        updates: at % 4,
        mark: match at % 6 {
            0 => kept_mark(Mark::Right),
            1 => kept_mark(Mark::Wrong),
            2 => kept_mark(Mark::Other(names[1].clone())),
            _ => None,
        },
        clip: of(3).then(|| ClipRow {
            event: Uuid::from_u128(at.into()),
            file: of(2).then(|| format!("{at}.flac")),
            state: if of(2) { ClipState::Kept } else { ClipState::Cleared },
            reason: (!of(2)).then(|| "there was no room".to_owned()),
            bytes: at,
            from: after(-1_000),
            to: after(3_000),
            is_locked: of(4),
            label: String::new(),
            source: String::new(),
            score: 0.5,
        }),
    }
}

/// Every row of a file by the names of its columns, and how many rows each group has.
fn read(path: &std::path::Path) -> (Vec<Json>, Vec<i64>) {
    fn plain(field: &Field) -> Json {
        match field {
            Field::Null => Json::Null,
            Field::Bool(value) => json!(value),
            Field::Int(value) | Field::Date(value) => json!(value),
            Field::Long(value) | Field::TimestampMicros(value) => json!(value),
            Field::Double(value) => json!(value),
            Field::Str(value) => json!(value),
            Field::ListInternal(list) => list.elements().iter().map(plain).collect(),
            other => panic!("{other:?}"),
        }
    }
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    let row = |row: parquet::record::Row| row.get_column_iter().map(|(name, field)| (name.clone(), plain(field))).collect();
    (reader.get_row_iter(None).unwrap().map(|found| row(found.unwrap())).collect(), groups)
}

/// The row that belongs to a line of `--format jsonl`.
fn row_of(line: &Json) -> Json {
    let time = |value: &Json| value.as_str().map(|time| time.parse::<Timestamp>().unwrap().as_microsecond());
    let seconds = |value: &Json| value.as_u64().map(|ms| ms as f64 / 1e3);
    let (mut row, mark, clip) = (line.clone(), &line["mark"], &line["clip"]);
    for name in ["onset", "offset", "announced", "confirmed_at"] {
        row[name] = json!(time(&line[name]));
    }
    for name in ["duration", "onset_uncertainty", "offset_uncertainty"] {
        row[format!("{name}_s")] = json!(seconds(&row.as_object_mut().unwrap().remove(&format!("{name}_ms")).unwrap()));
    }
    row["reason"] = line["reason"].clone();
    for (name, value) in [("mark", &mark["mark"]), ("mark_label", &mark["label"])] {
        row[name] = value.clone();
    }
    row["marked_at"] = json!(time(&mark["at"]));
    row.as_object_mut().unwrap().remove("clip");
    for name in ["state", "reason", "file", "bytes", "locked"] {
        row[format!("clip_{name}")] = clip[name].clone();
    }
    for name in ["from", "to"] {
        row[format!("clip_{name}")] = json!(time(&clip[name]));
    }
    row
}

#[test]
fn a_file_has_what_the_lines_have_in_groups_of_bounded_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.parquet");
    let events: Vec<KeptEvent> = (0..ROWS as u64 + 30).map(event).collect();
    let mut table = Table::of_events(File::create(&path).unwrap()).unwrap();
    events.iter().try_for_each(|kept| table.event(kept)).unwrap();
    table.end().unwrap();
    let (rows, groups) = read(&path);
    assert_eq!((rows.len(), groups), (events.len(), vec![ROWS as i64, 30]));
    for (row, kept) in rows.iter().zip(&events) {
        assert_eq!(*row, row_of(&serde_json::to_value(wire::KeptEvent::from(kept)).unwrap()));
    }
}

#[test]
fn a_file_without_events_has_the_columns_and_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.parquet");
    Table::of_events(File::create(&path).unwrap()).unwrap().end().unwrap();
    assert_eq!(read(&path), (Vec::new(), Vec::new()));
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let columns: Vec<&str> = reader.metadata().file_metadata().schema().get_fields().iter().map(|field| field.name()).collect();
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/history.md")).unwrap();
    for name in columns {
        assert!(documented.contains(&format!("`{name}`")), "docs/history.md has no column {name}");
    }
}

#[test]
fn numbers_of_events_are_a_table_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.parquet");
    let by = [By::Day, By::Label, By::Weekday, By::Hour];
    let count = HistoryCount {
        day: Some("2026-11-29".to_owned()),
        label: Some("Dog".to_owned()),
        weekday: Some(7),
        hour: Some(3),
        events: 5,
        confirmed: 4,
        unconfirmed: 1,
    };
    let mut table = Table::of_counts(&by, File::create(&path).unwrap()).unwrap();
    table.count(&by, &count).unwrap();
    table.end().unwrap();
    let expected = json!({"day": 20_786, "label": "Dog", "weekday": 7, "hour": 3, "events": 5, "confirmed": 4, "unconfirmed": 1});
    assert_eq!(read(&path).0, [expected]);
}
