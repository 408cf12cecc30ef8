//! Learnt sounds and corrections in a running daemon: taken up by a reload, told like any label, and forgotten.

use std::process::Output;

use crate::support::{Daemon, RINGTONE, mimid, run};

const LOGIN: &str = "/usr/share/sounds/freedesktop/stereo/service-login.oga";
const ADDED: &str = "/usr/share/sounds/freedesktop/stereo/device-added.oga";

fn learn(daemon: &Daemon, arguments: &[&str]) -> Output {
    let output = run(mimid().arg("learn").args(arguments).arg("--config").arg(daemon.config_file()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn a_reload_takes_learnt_sounds_up_and_forgets_them() {
    let daemon = Daemon::looped("[report]\npreset = \"home\"\n", LOGIN);
    let mut client = daemon.connect();
    learn(&daemon, &["Hello melody", LOGIN]);
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(told["changes"], serde_json::json!(["the learnt sound \"Hello melody\" is new"]));
    let begun = client.wait_for_event("event.start", &["Hello melody"]);
    assert_eq!((&begun["event"]["slug"], &begun["event"]["mid"]), (&"hello_melody".into(), &"learnt:hello_melody".into()));
    let ended = client.wait_for_event("event.end", &["Hello melody"]);
    assert_eq!(ended["event"]["confirmed"], true, "{ended}");
    assert_eq!(client.look("hello_melody")["label"], "Hello melody");
    // A reload without a change keeps the model, and a torn file changes nothing but its own sound.
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(told["changes"], serde_json::json!([]));
    let folder = daemon.config_file().with_file_name("sounds");
    std::fs::write(folder.join("torn.toml"), "name = ").unwrap();
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(told["changes"], serde_json::json!([]));
    client.wait_for_event("event.start", &["Hello melody"]);
    learn(&daemon, &["Hello melody", "--forget"]);
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(told["changes"], serde_json::json!(["the learnt sound \"Hello melody\" is gone"]));
    assert_eq!(client.ask(r#"{"op":"look","label":"Hello melody"}"#, "error")["code"], "unknown_label");
}

#[test]
fn an_event_of_the_store_teaches_a_sound_and_a_correction() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("events.db");
    let config = format!("[report]\nlabels = [\"Knock\", \"Telephone\"]\n[store]\npath = \"{}\"\n", store.display());
    let daemon = Daemon::looped(&config, ADDED);
    let mut client = daemon.connect();
    let ended = client.wait_for_event("event.end", &["Knock"]);
    assert_eq!(ended["event"]["confirmed"], true, "{ended}");
    let id = ended["event"]["id"].as_str().unwrap().to_owned();
    let store = store.to_str().unwrap();
    let told = learn(&daemon, &["--correct", &id, "--was", "clicking", "--store", store]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.starts_with("Knock: where it sounds like these events of Clicking its score is lowered"), "{told}");
    let told = client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(told["changes"], serde_json::json!(["the learnt sound \"Clicking, not Knock\" is new"]));
    // The same sound over and over is no knock any more.
    client.look_until("Knock", |found| found["two_sided"].as_f64() < Some(0.1) && found["why"] == "below");
    let refused = run(mimid()
        .args(["learn", "--correct", &id, "--was", "Knock", "--store", store])
        .arg("--config")
        .arg(daemon.config_file()));
    assert_eq!(String::from_utf8_lossy(&refused.stderr), "mimid: --was: the event is one of \"Knock\" already\n");
    let none = "01a22fed-d276-70a8-b744-000000000000";
    let refused = run(mimid().args(["learn", "--correct", none, "--store", store]).arg("--config").arg(daemon.config_file()));
    assert_eq!(String::from_utf8_lossy(&refused.stderr), format!("mimid: the store has no event {none}\n"));
    // It is undone; and the same event teaches a sound.
    learn(&daemon, &["--forget", "Clicking, not Knock"]);
    learn(&daemon, &["Plug", "--event", &id, "--store", store]);
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    client.wait_for_event("event.start", &["Plug"]);
}

#[test]
fn a_learnt_sound_does_not_ring_for_another_one() {
    let daemon = Daemon::looped("[report]\nlabels = [\"Telephone bell ringing\"]\n", RINGTONE);
    learn(&daemon, &["Hello melody", LOGIN]);
    let mut client = daemon.connect();
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    for _ in 0..2 {
        let begun = client.wait_for("event.start");
        assert_eq!(begun["event"]["label"], "Telephone bell ringing", "{begun}");
        client.wait_for("event.end");
    }
}
