//! What stands in a model's folder beside the graph.

use std::fs;

use mimid::config::Raw;
use mimid::ear::{Ear, MAX_PUSH};
use mimid::model::hierarchy::LabelHierarchy;
use mimid::model::{Labels, Model};

use super::{file, memory};

/// Reads the bytes as each of a model's files: a manifest that is taken is one that sound can be made features by, in bounded memory.
pub fn model(bytes: &[u8]) {
    let table = file(bytes);
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("room for temporary files");
    let labels = folder.path().join("labels.tsv");
    write("labels.tsv", b"id\tname\n/m/0\tDog\n/m/1\tBark\n");
    memory::within(64, || {
        if let Ok(read) = Labels::read(table.path(), None, None) {
            for subject in read.subjects() {
                assert!(!subject.name.trim().is_empty() && read.find(&subject.name).is_some(), "{subject:?}");
            }
            // Whatever the names are, a configuration can be made of them.
            let _ = Raw::default().reporting_all().validate(&read);
        }
        // Whatever stands above what, in a circle even, is found in the end.
        if let Ok(read) = Labels::read(&labels, Some(table.path()), None) {
            assert_eq!(LabelHierarchy::new(&read).n_labels(), read.len());
        }
        if let Ok(read) = Labels::read(&labels, None, Some(table.path())) {
            for thresholds in (0..read.len()).filter_map(|label| read.thresholds(label)) {
                assert!(thresholds.threshold > 0.0 && thresholds.start_threshold > 0.0, "{thresholds:?}");
            }
        }
    });
    write("manifest.toml", bytes);
    write("graph.onnx", b"");
    let dir = folder.path().to_str().expect("a temporary folder's name is text");
    memory::within(512, || {
        let Ok(model) = Model::open(dir) else { return };
        let Ok(loaded) = Raw::default().reporting_all().validate(&model.labels) else { return };
        let mut ear = Ear::new(&model, loaded.config.rules, 48_000).expect("a common rate is heard");
        ear.push(&[0.25; MAX_PUSH]);
        assert!(ear.hop_samples() > 0);
    });
}
