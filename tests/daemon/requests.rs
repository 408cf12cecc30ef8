//! The requests of the socket: each is done, or is refused with a reason.

use serde_json::Value;

use crate::support::{Daemon, RINGTONE, VOICE, mimid, run, voice_and_seconds_of_silence};

#[test]
fn a_request_that_cannot_be_taken_is_answered_and_the_connection_lives_on() {
    let daemon = Daemon::looped("", VOICE);
    let mut client = daemon.connect();
    let deep = format!("{{\"op\":{}", "[".repeat(10_000));
    let long = format!("{{\"op\":\"{}\"}}", "x".repeat(70_000));
    for (request, code, part) in [
        ("nonsense", "bad_request", "not JSON"),
        (r#"{"op":"subscrbe"}"#, "bad_request", "subscrbe"),
        (r#"{"op":"subscribe","lables":[]}"#, "bad_request", "lables"),
        (r#"{"op":"subscribe","labels":["Barck"]}"#, "unknown_label", "did you mean \"Bark\"?"),
        (r#"{"op":"subscribe","types":["evnt"]}"#, "unknown_type", "evnt"),
        (r#"{"op":"subscribe","min_score":2}"#, "bad_request", "min_score"),
        (r#"{"op":"pause","seconds":-1}"#, "bad_request", "seconds"),
        (r#"{"op":"test","label":"Smoke alarn"}"#, "unknown_label", "did you mean"),
        (&deep, "bad_request", "recursion limit exceeded"),
        (&long, "too_long", "65536"),
    ] {
        let answer = client.ask(request, "error");
        assert_eq!(answer["code"], code, "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(part), "{answer}");
    }
    client.send_bytes(b"\xff\xfe\0\n");
    assert_eq!(client.wait_for("error")["code"], "bad_request");
    // An empty line is no request.
    client.send("");
    assert_eq!(client.status()["sources"][0]["state"], "live");
}

#[test]
fn status_top_and_test_answer() {
    let daemon = Daemon::looped("", RINGTONE);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    let top = client.ask(r#"{"op":"top","k":3}"#, "top");
    let labels = top["sources"][0]["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 3);
    assert!(labels[0]["score"].as_f64() >= labels[1]["score"].as_f64());
    client.send(r#"{"op":"test","label":"smoke_detector_smoke_alarm"}"#);
    let start = client.wait_for_event("event.start", &["Smoke detector, smoke alarm"]);
    assert_eq!((start["event"]["source"].as_str(), start["event"]["mid"].as_str()), (Some("test"), Some("/m/01y3hg")));
    client.wait_for_event("event.end", &["Smoke detector, smoke alarm"]);
    let socket = daemon.socket();
    let page = run(mimid().args(["status", "--socket"]).arg(&socket));
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains("ced-tiny, 527 labels") && page.contains("phone-incoming-call  live"), "{page}");
    let json = run(mimid().args(["status", "--json", "--socket"]).arg(&socket));
    let status: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(status["sources"][0]["windows"].as_u64().unwrap() > 0 && status["inferences"].as_u64().unwrap() > 0);
}

#[test]
fn top_says_why_a_label_is_an_event_or_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let config =
        "[report]\nlabels = [\"Speech\", \"Bark\", \"Cat\"]\nignore = [\"Cat\"]\n[groups.alarm]\nlabels = [\"Fire alarm\"]\n";
    let daemon = Daemon::start(config, &["--source", &format!("file:{}?loop", recording.display())], &[]);
    let mut client = daemon.connect();
    let open = client.look_until("Speech", |found| found["why"] == "open");
    assert!(open["score"].as_f64() >= open["start_threshold"].as_f64(), "{open}");
    client.look_until("Speech", |found| found["because"] == "an event is open" && found["two_sided"].as_f64() > Some(0.3));
    client.look_until("Speech", |found| found["why"] == "below");
    assert_eq!(client.look("Bark")["why"], "below");
    assert_eq!(client.look("Music")["why"], "not_reported");
    assert_eq!(client.look("Cat")["why"], "ignored");
    assert_eq!(client.look("Fire alarm")["because"], "reported as the group alarm");
    assert_eq!(client.look("alarm")["why"], "below");
    let top = client.ask(r#"{"op":"top","k":1}"#, "top");
    assert!(top["sources"][0]["noise_floor_dbfs"].as_f64() < Some(-60.0), "{top}");
    assert_eq!(top["sources"][0]["hop_ms"], 100);
}

#[test]
fn a_threshold_that_is_set_acts_at_once_and_until_the_next_reload() {
    let (daemon, _folder) = Daemon::voices();
    let mut client = daemon.connect();
    let shipped = client.look_until("Speech", |found| found["why"] == "open")["threshold"].clone();
    let set = client.ask(r#"{"op":"set","label":"speech","threshold":0.999}"#, "set");
    assert_eq!((&set["label"], &set["threshold"], &set["release"]), (&"Speech".into(), &0.999.into(), &0.0999.into()));
    // Nothing reaches that: the open event ends, and none begins. The events so far are not forgotten.
    let found = client.look_until("Speech", |found| found["threshold"] == 0.999);
    assert!(["below", "open"].contains(&found["why"].as_str().unwrap()), "{found}");
    client.look_until("Speech", |found| found["why"] == "below" && found["two_sided"].as_f64() > Some(0.3));
    let set = client.ask(r#"{"op":"set","label":"/m/09x0r","threshold":0.3,"start_threshold":0.05}"#, "set");
    assert_eq!((&set["threshold"], &set["start_threshold"]), (&0.3.into(), &0.05.into()));
    let begun = client.wait_for_event("event.start", &["Speech"]);
    assert_eq!(begun["event"]["threshold"], 0.3);
    // The other clients are told.
    let mut other = daemon.connect();
    client.send(r#"{"op":"set","label":"Speech","threshold":0.25}"#);
    let told = other.wait_for("config.reloaded");
    assert!(told["changes"][0].as_str().unwrap().starts_with("Speech: threshold 0.250, start threshold 0.050"), "{told}");
    for (request, sentence) in [
        (r#"{"op":"set","label":"Speech","threshold":1.5}"#, "threshold: 1.5 is out of range; it must be above 0 and at most 1"),
        (r#"{"op":"set","label":"Speach","threshold":0.5}"#, "there is no label \"Speach\"; did you mean \"Speech\"?"),
        (r#"{"op":"set","label":"Zing","threshold":0.5}"#, "\"Zing\" is not reported by itself; name it under [report] first"),
    ] {
        let refused = client.ask(request, "error");
        assert!(refused["message"].as_str().unwrap().ends_with(sentence), "{refused}");
    }
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(client.look("Speech")["threshold"], shipped);
}

#[test]
fn a_pause_ends_the_open_events_and_resumes_by_itself() {
    let daemon = Daemon::looped("", RINGTONE);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    client.send(r#"{"op":"pause","seconds":1.0}"#);
    assert_eq!(client.wait_for("event.end")["event"]["reason"], "paused");
    assert_eq!(client.wait_for("resumed")["reason"], "request");
    client.wait_for("event.start");
    assert_eq!(client.status()["sources"][0]["state"], "live");
}

#[test]
fn a_reload_applies_what_changed_and_a_bad_one_changes_nothing() {
    let recording = format!("file:{RINGTONE}?loop");
    let daemon = Daemon::start(&format!("[[source]]\nname = \"hall\"\ninput = \"{recording}\"\n"), &[], &[]);
    let mut client = daemon.connect();
    let file = daemon.folder.path().join("mimid.toml");
    let socket = format!("[socket]\npath = {:?}\n", daemon.socket());
    std::fs::write(&file, format!("{socket}[report]\nlabels = [\"Rintone\"]\n")).unwrap();
    let rejected = client.ask(r#"{"op":"reload"}"#, "config.rejected");
    assert!(rejected["faults"][0].as_str().unwrap().contains("did you mean \"Ringtone\"?"), "{rejected}");
    // It is published as well, to everybody.
    let published = client.wait_for("config.rejected");
    assert!(published["seq"].is_u64() != rejected["seq"].is_u64(), "{published}");
    client.wait_for("event.start");
    let two = format!(
        "{socket}[report]\nlabels = [\"Speech\"]\n[[source]]\nname = \"hall\"\ninput = \"{recording}\"\n[[source]]\nname = \"den\"\ninput = \"file:{VOICE}?loop\"\n"
    );
    std::fs::write(&file, two).unwrap();
    daemon.signal("-HUP");
    let reloaded = client.wait_for("config.reloaded");
    assert_eq!(reloaded["changes"].as_array().unwrap().len(), 2, "{reloaded}");
    let line = client.wait_for("event.start");
    assert_eq!((line["event"]["label"].as_str(), line["event"]["source"].as_str()), (Some("Speech"), Some("den")));
}

#[test]
fn a_label_is_announced_when_it_is_confirmed_and_after_a_reload_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let announced =
        |when: &str| format!("[report]\nlabels = [\"Speech\"]\n[labels.Speech]\nannounce = \"{when}\"\nthreshold = 0.3\n");
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let daemon = Daemon::looped(&announced("confirmed"), &recording);
    let mut client = daemon.connect();
    let waits = client.look_until("Speech", |found| found["why"] == "pending");
    assert_eq!(waits["because"], "heard; is announced when confirmed");
    let late = client.wait_for("event.start");
    // A confirmed score is some three seconds old, and the voice is a second long.
    assert!((2_000..5_000).contains(&late["latency_ms"].as_u64().unwrap()), "{late}");
    assert_eq!(client.wait_for_end_of(&late["event"])["event"]["reason"], "decay");
    daemon.reload(&announced("at once"));
    client.wait_for("config.reloaded");
    let mut at_once = client.wait_for("event.start");
    // An event that had begun by then is still told as the old configuration said it.
    if at_once["latency_ms"].as_u64() >= Some(2_000) {
        at_once = client.wait_for("event.start");
    }
    assert!(at_once["latency_ms"].as_u64() < Some(2_000), "{at_once}");
}
