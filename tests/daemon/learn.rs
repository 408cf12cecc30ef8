//! Learnt sounds and corrections in a running daemon: taken up by a reload, told like any label, and forgotten.

use std::process::Output;

use crate::support::{Daemon, VOICE, mimid, run, voice_and_seconds_of_silence};

fn learn(daemon: &Daemon, arguments: &[&str]) -> Output {
    let output = run(mimid().arg("learn").args(arguments).arg("--config").arg(daemon.config_file()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The changes that a reload told, but for that of the rules, which follow the labels.
fn changes(told: &serde_json::Value) -> Vec<&str> {
    let changes = told["changes"].as_array().unwrap().iter().map(|change| change.as_str().unwrap());
    changes.filter(|change| *change != "the labels, groups or thresholds changed").collect()
}

#[test]
fn a_live_source_teaches_a_sound() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("c.toml");
    std::fs::write(&config, "").unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 4);
    let source = format!("file:{}?loop", recording.display());
    let mut command = mimid();
    let output = run(command.args(["learn", "Centre", "--live", "--plays", "2", "--source", &source, "--config"]).arg(&config));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Be quiet for 4 seconds") && said.contains("  2 of 2: 1."), "{said}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.starts_with("Centre: learnt from 2 recordings\n  play 1: used "), "{told}");
    let heard = run(mimid().args(["scan", "--format", "tsv", VOICE, "--config"]).arg(&config));
    assert!(String::from_utf8_lossy(&heard.stdout).contains("\tCentre\t"), "{}", String::from_utf8_lossy(&heard.stdout));
}

#[test]
fn a_reload_takes_learnt_sounds_up_and_forgets_them() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let daemon = Daemon::start("", &["--source", &format!("file:{}?loop", recording.display())], &[]);
    let mut client = daemon.connect();
    learn(&daemon, &["Hello melody", VOICE]);
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(changes(&told), ["the learnt sound \"Hello melody\" is new"]);
    let begun = client.wait_for_event("event.start", &["Hello melody"]);
    assert_eq!((&begun["event"]["slug"], &begun["event"]["mid"]), (&"hello_melody".into(), &"learnt:hello_melody".into()));
    let ended = client.wait_for_event("event.end", &["Hello melody"]);
    assert_eq!(ended["event"]["confirmed"], true, "{ended}");
    // A reload without a change keeps the model, and a torn file changes nothing but its own sound.
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(told["changes"], serde_json::json!([]));
    let sounds = daemon.config_file().with_file_name("sounds");
    std::fs::write(sounds.join("torn.toml"), "name = ").unwrap();
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(told["changes"], serde_json::json!([]));
    client.wait_for_event("event.start", &["Hello melody"]);
    learn(&daemon, &["Hello melody", "--forget"]);
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(changes(&told), ["the learnt sound \"Hello melody\" is gone"]);
    let refused = client.ask(r#"{"op":"set","label":"Hello melody","threshold":0.5}"#, "error");
    assert!(refused["message"].as_str().unwrap().contains("there is no label \"Hello melody\""), "{refused}");
}

#[test]
fn an_event_of_the_store_teaches_a_sound_and_a_correction() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("events.db");
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let config = format!("[report]\nlabels = [\"Speech\"]\n[store]\npath = \"{}\"\n", store.display());
    let daemon = Daemon::start(&config, &["--source", &format!("file:{}?loop", recording.display())], &[]);
    let mut client = daemon.connect();
    let ended = client.wait_for_event("event.end", &["Speech"]);
    assert_eq!(ended["event"]["confirmed"], true, "{ended}");
    let id = ended["event"]["id"].as_str().unwrap().to_owned();
    let store = store.to_str().unwrap();
    let told = learn(&daemon, &["--correct", &id, "--was", "speech synthesizer", "--store", store]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.starts_with("Speech: where it sounds like these events of Speech synthesizer its score is lowered"), "{told}");
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(changes(&told), ["the learnt sound \"Speech synthesizer, not Speech\" is new"]);
    let refused = |arguments: &[&str]| {
        let output = run(mimid().arg("learn").args(arguments).args(["--store", store, "--config"]).arg(daemon.config_file()));
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(refused(&["--correct", &id, "--was", "Speech"]), "mimid: --was: the event is one of \"Speech\" already\n");
    let none = "01a22fed-d276-70a8-b744-000000000000";
    assert_eq!(refused(&["--correct", none]), format!("mimid: the store has no event {none}\n"));
    // The same event teaches a sound, which is heard where the corrected label is no more.
    learn(&daemon, &["Centre", "--event", &id, "--store", store]);
    let mut other = daemon.connect();
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    // A voice that begins is not yet like the whole of it, so that it may still be announced; but its score is lower.
    let before = ended["event"]["peak_score"].as_f64();
    let mut n_heard = 0;
    while n_heard < 2 {
        let ended = other.wait_for("event.end");
        let event = &ended["event"];
        assert!(event["label"] == "Centre" || event["peak_score"].as_f64() < before, "{ended}");
        n_heard += usize::from(event["label"] == "Centre" && event["confirmed"] == true);
    }
    learn(&daemon, &["--forget", "Speech synthesizer, not Speech"]);
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    client.wait_for_event("event.start", &["Speech"]);
}
