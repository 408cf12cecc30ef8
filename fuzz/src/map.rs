//! What comes with a foreign graph: its label map, and the graph's own bytes as far as mimid reads them.

use std::fs;

use mimid::model::labels::slug;
use mimid::model::{Labels, external, map as label_map};

use super::{file, memory};

/// Reads the bytes as a label map, whose labels become a model's table that is read again, and as a graph that names its files.
pub fn map(bytes: &[u8]) {
    memory::within(64, || {
        match label_map::parse(bytes) {
            Ok(labels) => {
                let table = file(b"");
                fs::write(table.path(), label_map::to_table(&labels, &[])).expect("room for temporary files");
                let read = Labels::read(table.path(), None, None).expect("the labels of a map are those of a model");
                assert_eq!(read.len(), labels.len());
                for (subject, label) in read.subjects().iter().zip(&labels) {
                    assert_eq!((&subject.name, &subject.slug), (&label.name, &slug(&label.name)));
                }
            }
            Err(fault) => assert!(fault.line > 0 && fault.to_string().lines().count() == 1, "{fault}"),
        }
        if let Some(files) = external::files(bytes) {
            assert!(files.is_sorted());
        }
    });
}
