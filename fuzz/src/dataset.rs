//! What `mimid evaluate` reads beside truth files: the tables of data sets, events of other programs, and folds.

use mimid::dataset::folds::Folds;
use mimid::dataset::{table, truth};

/// Reads the bytes as a CSV file, as a table of events and as folds: lines are counted from 1, cells are whole, and a fault is one line.
pub fn dataset(bytes: &[u8]) {
    match table::parse(bytes, ["filename", "fold", "category"]) {
        Ok(rows) => assert!(!rows.is_empty() && rows.iter().all(|row| row.line > 1)),
        Err((line, sentence)) => assert!(line != Some(0) && !sentence.contains('\n'), "{line:?}: {sentence}"),
    }
    let heard = truth::parse_heard(bytes);
    for (line, sentence) in &heard.faults {
        assert!(*line > 0 && !sentence.contains('\n'), "{line}: {sentence}");
    }
    if let Ok(folds) = String::from_utf8_lossy(bytes).parse::<Folds>() {
        let _ = folds.has("5");
    }
}
