//! The daemon's load: silence costs no inference, and under too much load every source is scored more rarely.
//!
//! No test measures time. Sources are compared with each other.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Daemon, voice_and_seconds_of_silence, wav};
use serde_json::Value;

fn windows(status: &Value, source: usize) -> u64 {
    status["sources"][source]["windows"].as_u64().unwrap()
}

/// Writes a recording of a minute at 16 kHz: digital silence, or 3 s of it and then noise.
fn minute(folder: &Path, name: &str, is_noise: bool) {
    let mut state = 1u32;
    let samples: Vec<i16> = (0..60 * 16_000)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if is_noise && i >= 3 * 16_000 { (state >> 18) as i16 - 8_192 } else { 0 }
        })
        .collect();
    std::fs::write(folder.join(name), wav(&samples, 16_000, 1)).unwrap();
}

#[test]
fn digital_silence_costs_no_inference() {
    let folder = tempfile::tempdir().unwrap();
    minute(folder.path(), "silence.wav", false);
    let daemon = Daemon::looped("", folder.path().join("silence.wav"));
    let status = daemon.connect().status_when("40 windows of silence", |status| windows(status, 0) > 40);
    assert_eq!(status["inferences"], 0, "{status}");
    assert!(status["inference_ms"].is_null(), "{status}");
}

#[test]
fn an_event_that_ends_in_silence_ends_and_the_silence_after_it_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 10);
    let daemon = Daemon::looped("", recording);
    let mut client = daemon.connect();
    let start = client.wait_for_event("event.start", &["Speech"]);
    let end = client.wait_for_end_of(&start["event"]);
    assert_eq!(end["event"]["reason"], "decay");
    // The voice lasts 1.4 s, and the longest window holds nothing of it 2.9 s later; 10 windows are a second.
    let mut before = client.status();
    let after = client.status_when("a second without an inference", |status| {
        if status["inferences"] != before["inferences"] {
            before = status.clone();
        }
        windows(status, 0) >= windows(&before, 0) + 10
    });
    assert!(after["inferences"] == before["inferences"] && after["inferences"].as_u64() > Some(10), "{after}");
    // It hears on.
    client.wait_for_event("event.start", &["Speech"]);
    assert!(client.status()["inferences"].as_u64() > after["inferences"].as_u64());
    // How busy it is is told also where it keeps up.
    client.status_when("all hops and what they cost", |status| status["busy"].as_f64() > Some(0.0) && status["hop_ms"] == 100);
}

/// Sources that are always heard, and one that costs nothing.
const NOISES: [&str; 8] = ["attic", "barn", "cellar", "den", "eaves", "foyer", "garage", "kitchen"];

#[test]
fn too_much_to_do_is_scored_farther_apart_for_all_alike_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    minute(folder.path(), "noise.wav", true);
    minute(folder.path(), "silence.wav", false);
    let source = |name: &str, recording: &str| {
        format!("[[source]]\nname = {name:?}\ninput = \"file:{}?loop\"\n", folder.path().join(recording).display())
    };
    // Eight times 50 hops a second with both windows of each are far more than one thread can score.
    let config = "[report]\nlabels = [\"Smoke detector, smoke alarm\"]\n[model]\nthreads = 1\n[detection]\nhop_ms = 20\nstrides = [1, 1]\n";
    let quiet = source("hall", "silence.wav");
    let noises: String = NOISES.iter().map(|name| source(name, "noise.wav")).collect();
    let daemon = Daemon::start(&format!("{config}{quiet}{noises}"), &[], &[]);
    let mut client = daemon.connect();
    let n_sources = NOISES.len() + 1;
    // The noise begins when all are there, so that every source is told of the same.
    client.status_when("all sources to be live", |status| {
        status["sources"].as_array().unwrap().iter().all(|source| source["state"] == "live")
    });
    let mut told: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    while told.len() < n_sources {
        let line = client.wait_for("overrun");
        assert_eq!((&line["samples"], &line["gap_ms"]), (&0.into(), &0.into()), "{line}");
        told.entry(line["source"].as_str().unwrap().to_owned()).or_default().push(line["hop_ms"].as_u64().unwrap());
    }
    let first: Vec<u64> = told.values().map(|hops| hops[0]).collect();
    assert_eq!(first, vec![40; n_sources], "{told:?}");
    // It finds a distance at which no source waits for long, for otherwise it would look for another.
    let mut other = daemon.connect();
    let mut from = other.status();
    // All sources get on by the same, but for the hops that may wait: what one of them is behind it has made up at some later look, unless
    // it is behind for good. Where the machine has so much else to do that a source is opened anew, all begin anew.
    let losses =
        |status: &Value| status["sources"].as_array().unwrap().iter().map(|source| source["losses"].as_u64()).collect::<Vec<_>>();
    let until = other.status_when("200 windows of each source at one distance", |status| {
        if status["hop_ms"] != from["hop_ms"] || losses(status) != losses(&from) {
            from = status.clone();
        }
        let grown: Vec<u64> = (0..n_sources).map(|source| windows(status, source) - windows(&from, source)).collect();
        let (least, most) = (grown.iter().min().unwrap(), grown.iter().max().unwrap());
        *least >= 200 && most - least <= 40
    });
    assert!(until["hop_ms"].as_u64() > Some(20), "{until}");
    // And nothing is lost.
    for source in until["sources"].as_array().unwrap() {
        assert_eq!((&source["overrun_samples"], &source["state"]), (&0.into(), &"live".into()), "{until}");
    }
    // With less to do it goes back by itself, and says so.
    daemon.configure(&format!("{config}{quiet}"));
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    let status = other.status_when("all hops", |status| status["hop_ms"] == 20);
    assert_eq!(status["sources"].as_array().map(Vec::len), Some(1), "{status}");
    let last = loop {
        let line = client.wait_for("overrun");
        if line["hop_ms"] == 20 {
            break line;
        }
    };
    assert_eq!((&last["source"], &last["samples"]), (&"hall".into(), &0.into()), "{last}");
}
