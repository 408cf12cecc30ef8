//! The corpora of the fuzzer, given to the same functions without a fuzzer. `fuzz/README.md` describes how they are found.

use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// Calls `take` with each file of a target's corpus.
fn each(target: &str, take: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        // Shown where the test fails.
        println!("{}", path.display());
        take(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn no_wav_file_brings_it_down() {
    each("wav", targets::recording);
}

#[test]
fn no_flac_file_brings_it_down() {
    each("flac", targets::recording);
}

#[test]
fn no_ogg_file_brings_it_down() {
    each("ogg", targets::recording);
}

#[test]
fn no_mp3_file_brings_it_down() {
    each("mp3", targets::recording);
}

#[test]
fn no_mp4_file_brings_it_down() {
    each("mp4", targets::recording);
}

#[test]
fn no_matroska_file_brings_it_down() {
    each("matroska", targets::recording);
}

#[test]
fn no_file_of_another_kind_brings_it_down() {
    each("elementary", targets::recording);
}

#[test]
fn no_table_of_a_data_set_brings_it_down() {
    each("dataset", targets::dataset);
}

#[test]
fn no_satellite_brings_it_down() {
    each("satellite", targets::satellite);
}

#[test]
fn no_answer_of_a_camera_brings_it_down() {
    each("discovery", targets::discovery);
}

#[test]
fn no_line_of_the_socket_brings_it_down() {
    each("request", targets::request);
}

#[test]
fn no_configuration_brings_it_down_and_what_is_printed_of_one_is_the_same() {
    each("configuration", targets::configuration);
}

#[test]
fn no_file_of_a_model_brings_it_down() {
    each("model", targets::model);
}

#[test]
fn no_label_map_or_graph_brings_it_down() {
    each("map", targets::map);
}

#[test]
fn no_truth_or_state_brings_it_down() {
    each("tuning", targets::tuning);
}

#[test]
fn no_learnt_sound_or_bank_brings_it_down() {
    each("learnt", targets::learnt);
}
