//! Label maps: the tables that come with foreign models, in any of their usual forms, as ids and names in the order of the outputs.
//!
//! A map has one label a line, or columns with a header, separated by tabs, commas or semicolons. AudioSet's tables have `index`,
//! `mid` and `display_name`. The bytes may be any.

use std::collections::HashMap;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::labels::{Labels, Node, slug};
use crate::text::shown;

/// The longest map in bytes, a hundred times that of AudioSet.
pub const MAX_BYTES: usize = 4 << 20;
/// The most labels, which are a hundred times those of AudioSet.
const MAX_LABELS: usize = 50_000;
/// The longest name or id in characters.
const MAX_NAME: usize = 200;

/// The names of the columns, in lower case; the first that a header has is taken.
const NAMES: [&str; 8] = ["display_name", "name", "label", "class_name", "class", "category", "labels", "names"];
const IDS: [&str; 4] = ["mid", "mids", "id", "machine_id"];
const INDICES: [&str; 4] = ["index", "idx", "class_index", "number"];

/// A label of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapLabel {
    /// Its id; `None` where the map has none.
    pub id: Option<String>,
    /// Its display name.
    pub name: String,
}

/// The fault of a map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct MapError {
    /// Counted from 1.
    pub line: u64,
    /// The fault.
    pub what: String,
}

/// A row of a map, with its line.
struct Row {
    line: u64,
    cells: StringRecord,
}

/// The places of the columns.
struct Columns {
    name: usize,
    id: Option<usize>,
    index: Option<usize>,
}

/// Reads a map: the labels in the order of a model's outputs.
///
/// # Errors
/// The first fault: bytes that are no text, a label without a name, one that is there twice, an index that is missing.
pub fn parse(bytes: &[u8]) -> Result<Vec<MapLabel>, MapError> {
    let fault = |line: u64, what: &str| MapError { line, what: what.to_owned() };
    if bytes.len() > MAX_BYTES {
        return Err(MapError { line: 1, what: format!("the file is longer than {MAX_BYTES} bytes and no label map") });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        fault(line, "it holds bytes that are not UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Some(first) = text.lines().find(|line| !line.trim().is_empty()) else {
        return Err(fault(1, "the file is empty; a label map has one label a line"));
    };
    let delimiter = [b'\t', b',', b';'].into_iter().find(|delimiter| first.as_bytes().contains(delimiter)).unwrap_or(b',');
    let mut rows = rows(text, delimiter)?;
    let columns = match rows.first().and_then(|first| header(&first.cells)) {
        Some(columns) => {
            rows.remove(0);
            columns
        }
        None => match numbered(&rows) {
            Some(columns) => columns,
            None if delimiter == b'\t' => {
                return Err(fault(
                    1,
                    "no column has a known name; a table of labels has the column name, and perhaps id or index",
                ));
            }
            None => {
                // A line is one name, whatever stands in it, unless all lines are quoted.
                if rows.iter().any(|row| row.cells.len() > 1) {
                    rows = lines(text);
                }
                Columns { name: 0, id: None, index: None }
            }
        },
    };
    if rows.len() > MAX_LABELS {
        return Err(MapError { line: 1, what: format!("the file has more than {MAX_LABELS} labels") });
    }
    labels(&rows, &columns)
}

fn rows(text: &str, delimiter: u8) -> Result<Vec<Row>, MapError> {
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    let (mut rows, mut line, mut counted) = (Vec::new(), 1, 0);
    for record in reader.records() {
        let cells = record.map_err(|error| MapError { line: 1, what: error.to_string().replace('\n', " ") })?;
        // A record begins with the empty lines before it.
        let begin = cells.position().and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(counted);
        let empty = text[begin..].bytes().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        line += text[counted..begin + empty].bytes().filter(|byte| *byte == b'\n').count() as u64;
        counted = begin + empty;
        if cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { line, cells });
        }
    }
    Ok(rows)
}

/// One row a line that is not empty.
fn lines(text: &str) -> Vec<Row> {
    let row = |(at, line): (usize, &str)| Row { line: at as u64 + 1, cells: StringRecord::from(vec![line.trim()]) };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(row).collect()
}

/// The columns of a header; `None` where the row is none.
fn header(cells: &StringRecord) -> Option<Columns> {
    let place = |names: &[&str]| names.iter().find_map(|name| cells.iter().position(|cell| cell.eq_ignore_ascii_case(name)));
    Some(Columns { name: place(&NAMES)?, id: place(&IDS), index: place(&INDICES) })
}

/// The columns of a table without a header whose rows begin with their number or with an id of AudioSet's.
fn numbered(rows: &[Row]) -> Option<Columns> {
    let all = |holds: &dyn Fn(usize, &StringRecord) -> bool| rows.iter().enumerate().all(|(at, row)| holds(at, &row.cells));
    let cells = rows.first()?.cells.len();
    if cells > 1 && all(&|at, cells| cells.get(0).and_then(|cell| cell.parse().ok()) == Some(at) && cells.len() > 1) {
        return Some(match cells {
            2 => Columns { name: 1, id: None, index: Some(0) },
            _ => Columns { name: 2, id: Some(1), index: Some(0) },
        });
    }
    let is_id = |cell: &str| ["/m/", "/t/", "/g/"].iter().any(|start| cell.starts_with(start));
    if all(&|_, cells| cells.len() == 2 && cells.get(0).is_some_and(is_id)) {
        return Some(Columns { name: 1, id: Some(0), index: None });
    }
    None
}

fn labels(rows: &[Row], columns: &Columns) -> Result<Vec<MapLabel>, MapError> {
    // A column of numbers is no id, because the numbers of two models mean different labels.
    let is_number = |row: &Row, column: usize| row.cells.get(column).is_some_and(|cell| cell.parse::<u32>().is_ok());
    let numbers = columns.id.filter(|id| rows.iter().all(|row| is_number(row, *id)));
    let (id, index) = (columns.id.filter(|_| numbers.is_none()), columns.index.or(numbers));
    let mut labels: Vec<Option<MapLabel>> = vec![None; rows.len()];
    let mut seen: HashMap<String, u64> = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        let fault = |what: String| Err(MapError { line: row.line, what });
        let name = row.cells.get(columns.name).unwrap_or_default();
        let own = id.map(|id| row.cells.get(id).unwrap_or_default());
        if name.is_empty() {
            return fault("a label without a name".to_owned());
        }
        if own.is_some_and(str::is_empty) {
            return fault(format!("the label {:?} has no id", shown(name)));
        }
        let keys = [Some(name), own].into_iter().flatten();
        for key in keys {
            if key.chars().any(char::is_control) {
                return fault("it holds control characters".to_owned());
            }
            if key.chars().count() > MAX_NAME {
                return fault(format!("a name or an id is longer than {MAX_NAME} characters"));
            }
            if let Some(line) = seen.insert(key.to_lowercase(), row.line).filter(|line| *line != row.line) {
                return fault(format!("{:?} stands in line {line} already; two labels need two names", shown(key)));
            }
        }
        let place = match index {
            None => at,
            Some(column) => match row.cells.get(column).and_then(|cell| cell.parse().ok()) {
                Some(place) if place < labels.len() => place,
                _ => {
                    let last = rows.len().saturating_sub(1);
                    return fault(format!("the index must be a number from 0 to {last}, for there are {} labels", rows.len()));
                }
            },
        };
        if labels[place].is_some() {
            return fault(format!("the index {place} stands there twice"));
        }
        labels[place] = Some(MapLabel { id: own.map(str::to_owned), name: name.to_owned() });
    }
    // As many labels as places, and none of these twice: every place has its label.
    Ok(labels.into_iter().flatten().collect())
}

/// The table of labels of a model's folder. A label without an id gets that of the ontology's node of its name, or one of its own.
pub fn to_table(labels: &[MapLabel], ontology: &[Node]) -> String {
    let by_name: HashMap<String, &str> = ontology.iter().map(|node| (node.name.to_lowercase(), node.id.as_str())).collect();
    let mut table = "id\tname\n".to_owned();
    for (at, MapLabel { id, name }) in labels.iter().enumerate() {
        let known = by_name.get(&name.to_lowercase()).map(|id| (*id).to_owned());
        // The number keeps apart names that differ in nothing but their signs.
        let id = id.clone().or(known).unwrap_or_else(|| format!("own:{at}:{}", slug(name)));
        table.extend([&id, "\t", name, "\n"]);
    }
    table
}

/// The number of the labels that are in an ontology, by their id or by their name.
pub fn known(labels: &[MapLabel], ontology: &[Node]) -> usize {
    let nodes = Labels::new(ontology.iter().map(|node| (node.id.clone(), node.name.clone())), Vec::new());
    labels.iter().filter(|label| nodes.find(label.id.as_deref().unwrap_or(&label.name)).is_some()).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> Vec<String> {
        parse(text.as_bytes()).unwrap().into_iter().map(|label| label.name).collect()
    }

    fn told(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_usual_forms_are_read() {
        let speech = ["Speech", "Child speech, kid speaking"];
        for text in [
            "index,mid,display_name\n0,/m/09x0r,Speech\n1,/m/0ytgt,\"Child speech, kid speaking\"\n",
            "\u{feff}index,mid,display_name\r\n1,/m/0ytgt,\"Child speech, kid speaking\"\r\n0,/m/09x0r,Speech\r\n",
            "id\tname\n/m/09x0r\tSpeech\n/m/0ytgt\tChild speech, kid speaking\n",
            "name\tid\nSpeech\t/m/09x0r\nChild speech, kid speaking\t/m/0ytgt\n",
            "/m/09x0r;Speech\n/m/0ytgt;Child speech, kid speaking\n",
            "0\t/m/09x0r\tSpeech\n1\t/m/0ytgt\tChild speech, kid speaking\n",
        ] {
            let labels = parse(text.as_bytes()).unwrap();
            assert_eq!(labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>(), speech, "{text}");
            assert_eq!(labels[1].id.as_deref(), Some("/m/0ytgt"), "{text}");
        }
        for text in [
            "Speech\nChild speech, kid speaking\n",
            "\n Speech \n\nChild speech, kid speaking",
            "Speech\n\"Child speech, kid speaking\"\n",
            "labels\nSpeech\n\"Child speech, kid speaking\"\n",
            "0,Speech\n1,\"Child speech, kid speaking\"\n",
            "id,name\n1,\"Child speech, kid speaking\"\n0,Speech\n",
        ] {
            assert_eq!(names(text), speech, "{text}");
            assert!(parse(text.as_bytes()).unwrap().iter().all(|label| label.id.is_none()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_map_is_told_with_its_line() {
        insta::assert_snapshot!(told(""), @"line 1: the file is empty; a label map has one label a line");
        insta::assert_snapshot!(told("Dog\nCat\n\ndog\n"), @r#"line 4: "dog" stands in line 1 already; two labels need two names"#);
        insta::assert_snapshot!(told("index,name\n0,Dog\n2,Cat\n"), @"line 3: the index must be a number from 0 to 1, for there are 2 labels");
        insta::assert_snapshot!(told("index,name\n0,Dog\n0,Cat\n"), @"line 3: the index 0 stands there twice");
        insta::assert_snapshot!(told("id,name\n/m/0,Dog\n/m/1,\n"), @"line 3: a label without a name");
        insta::assert_snapshot!(told("id,name\n/m/0,Dog\n,Cat\n"), @r#"line 3: the label "Cat" has no id"#);
        insta::assert_snapshot!(told("Hund\tDog\nKatze\tCat\n"), @"line 1: no column has a known name; a table of labels has the column name, and perhaps id or index");
        insta::assert_snapshot!(told("Dog\nC\u{7}at\n"), @"line 2: it holds control characters");
        assert_eq!(parse(b"Dog\nC\xffat").unwrap_err().to_string(), "line 2: it holds bytes that are not UTF-8");
    }

    #[test]
    fn a_table_takes_ids_from_the_map_then_from_the_ontology() {
        let node = |id: &str, name: &str| Node { id: id.to_owned(), name: name.to_owned(), parents: Vec::new() };
        let ontology = [node("/m/0bt9lr", "Dog"), node("/m/01yrx", "Cat")];
        let labels = parse(b"dog\nKettle\n").unwrap();
        assert_eq!(to_table(&labels, &ontology), "id\tname\n/m/0bt9lr\tdog\nown:1:kettle\tKettle\n");
        assert_eq!(known(&labels, &ontology), 1);
        let labels = parse(b"id,name\n/m/01yrx,Katze\n").unwrap();
        assert_eq!((to_table(&labels, &ontology).as_str(), known(&labels, &ontology)), ("id\tname\n/m/01yrx\tKatze\n", 1));
    }

    proptest! {
        #[test]
        fn any_text_is_labels_or_one_fault(text in "(name|id|index|/m/|[0-3]|[,;\t\"\r\n]|[a-c]| ){0,40}") {
            match parse(text.as_bytes()) {
                Ok(labels) => prop_assert!(!labels.iter().any(|label| label.name.is_empty())),
                Err(MapError { line, .. }) => prop_assert!(line >= 1 && line <= text.lines().count().max(1) as u64),
            }
        }
    }
}
