//! The daemon as its users meet it: the socket, its requests, its signals, and a real microphone behind a real sound server.

mod support;

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use support::{Client, Daemon, RINGTONE, SoundServer, VOICE, mimid, run, voice_and_seconds_of_silence, voice_and_silence};

/// How long a daemon may take to end.
const SOON: Duration = Duration::from_secs(2);

fn looped(recording: &str) -> Daemon {
    Daemon::start("", &["--source", &format!("file:{recording}?loop")], &[])
}

/// A daemon that hears one voice after the other; the folder holds its recording.
fn voices() -> (Daemon, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    (looped(recording.to_str().unwrap()), folder)
}

/// Waits until the daemon's first source is open.
fn wait_until_live(client: &mut Client) {
    while client.ask(r#"{"op":"status"}"#, "status")["sources"][0]["state"] != "live" {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

#[test]
fn a_voice_and_a_telephone_played_into_the_microphone_are_heard() {
    let server = SoundServer::start();
    let mut daemon = Daemon::start("", &[], &server.environment());
    let mut client = daemon.connect();
    assert_eq!(client.hello["type"], "hello");
    assert_eq!(client.hello["model"]["labels"], 527);
    assert_eq!(client.hello["sources"], serde_json::json!(["default"]));
    wait_until_live(&mut client);
    // The first samples may take a moment where a server has just started.
    std::thread::sleep(Duration::from_secs(2));
    for (recording, labels) in [(VOICE, &["Speech"][..]), (RINGTONE, &["Ringtone", "Telephone bell ringing", "Telephone"])] {
        let played = server.play(recording);
        let start = client.wait_for_event("event.start", labels);
        let end = loop {
            let end = client.wait_for_event("event.end", labels);
            if end["event"]["id"] == start["event"]["id"] {
                break end;
            }
        };
        let (event, ended) = (&start["event"], &end["event"]);
        assert_eq!(event["source"], "default");
        assert!(event["offset"].is_null() && event["duration_ms"].is_null());
        assert_eq!(ended["reason"], "decay");
        // The sound begins a little after the player does, and both recordings last about 1.5 s.
        let onset = seconds(played, time(&event["onset"]));
        assert!((-0.5..1.5).contains(&onset), "{recording} begins after {onset} s: {start}");
        let lasted = seconds(time(&ended["onset"]), time(&ended["offset"]));
        assert!((0.7..2.5).contains(&lasted), "{recording} lasts {lasted} s: {end}");
        assert_eq!(ended["duration_ms"].as_f64().unwrap(), (lasted * 1_000.0).round());
        let late = start["latency_ms"].as_u64().unwrap();
        assert!(late < 3_000, "{start}");
        assert!((seconds(time(&event["onset"]), time(&start["ts"])) * 1_000.0 - late as f64).abs() <= 1.0);
    }
    daemon.signal("-TERM");
    let (code, took) = daemon.wait(SOON);
    assert_eq!(code, 0);
    assert!(took < SOON);
    assert!(!daemon.socket().exists());
}

#[test]
fn a_microphone_that_is_unplugged_is_lost_and_comes_back() {
    let mut server = SoundServer::start();
    let daemon = Daemon::start("", &[], &server.environment());
    let mut client = daemon.connect();
    wait_until_live(&mut client);
    server.kill();
    let lost = client.wait_for("source.lost");
    assert_eq!(lost["source"], "default");
    assert!(!lost["reason"].as_str().unwrap().is_empty());
    assert_eq!(client.ask(r#"{"op":"status"}"#, "status")["sources"][0]["state"], "lost");
    server.restart();
    client.wait_for("source.restored");
    std::thread::sleep(Duration::from_secs(2));
    server.play(VOICE);
    client.wait_for_event("event.start", &["Speech"]);
}

#[test]
fn every_start_has_an_end_also_when_the_daemon_ends() {
    for (signal, code) in [("-INT", 130), ("-TERM", 0)] {
        let mut daemon = looped(RINGTONE);
        let mut client = daemon.connect();
        client.wait_for("event.start");
        daemon.signal(signal);
        assert_eq!(daemon.wait(SOON).0, code);
        let mut open = 1;
        while let Some(line) = client.try_next() {
            match line["type"].as_str().unwrap() {
                "event.start" => open += 1,
                "event.end" => {
                    open -= 1;
                    assert!(["shutdown", "decay"].contains(&line["event"]["reason"].as_str().unwrap()), "{line}");
                }
                _ => {}
            }
        }
        assert_eq!(open, 0);
    }
}

#[test]
fn a_recording_that_ends_ends_the_daemon() {
    let mut daemon = Daemon::start("", &["--source", &format!("file:{VOICE}"), "--print"], &[]);
    assert_eq!(daemon.wait(Duration::from_secs(10)).0, 0);
    let mut printed = String::new();
    std::io::Read::read_to_string(daemon.child.stdout.as_mut().unwrap(), &mut printed).unwrap();
    assert!(printed.contains("┌ Speech") && printed.contains("└ Speech"), "{printed}");
}

#[test]
fn raw_samples_on_standard_input_are_heard() {
    let mut daemon = Daemon::start("", &["--source", "-", "--rate", "48000"], &[]);
    let mut client = daemon.connect();
    let voice = std::fs::read(VOICE).unwrap();
    let mut input = daemon.child.stdin.take().unwrap();
    // The samples of a WAV file stand behind a header of 44 bytes; this one is 16-bit mono at 48 kHz.
    input.write_all(&voice[44..]).unwrap();
    drop(input);
    assert_eq!(client.wait_for_event("event.end", &["Speech"])["event"]["source"], "stdin");
    assert_eq!(daemon.wait(SOON).0, 0);
}

#[test]
fn standard_input_that_never_ends_holds_up_no_request_and_no_end() {
    let mut daemon = Daemon::start("", &["--source", "-"], &[]);
    let mut client = daemon.connect();
    let mut input = daemon.child.stdin.take().unwrap();
    // Noise as fast as it is taken; the daemon's end breaks the pipe.
    let feeder = std::thread::spawn(move || while input.write_all(&[0x11, 0x02, 0x93, 0xfd].repeat(4_096)).is_ok() {});
    wait_until_live(&mut client);
    client.ask(r#"{"op":"top"}"#, "top");
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(SOON).0, 0);
    feeder.join().unwrap();
}

#[test]
fn a_filter_lets_pass_what_it_names() {
    let (daemon, _folder) = voices();
    let mut client = daemon.connect();
    let answer = client
        .ask(r#"{"op":"subscribe","labels":["ringtone","/M/09X0R"],"types":["event.start"],"min_score":0.1}"#, "subscribed");
    assert_eq!(answer["labels"], serde_json::json!(["Ringtone", "Speech"]));
    for _ in 0..2 {
        let line = client.next();
        assert_eq!((line["type"].as_str(), line["event"]["label"].as_str()), (Some("event.start"), Some("Speech")));
    }
    // What came before can be had again, once, in order, and goes on without a gap.
    let mut again = daemon.connect();
    again.send(r#"{"op":"subscribe","since":0}"#);
    let now = again.wait_for("subscribed")["seq"].as_u64().unwrap();
    assert!(now >= 2);
    for expected in 1..=now + 2 {
        assert_eq!(again.next()["seq"], expected);
    }
}

#[test]
fn a_request_that_cannot_be_taken_is_answered_and_the_connection_lives_on() {
    let daemon = looped(VOICE);
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
    assert_eq!(client.ask(r#"{"op":"status"}"#, "status")["sources"][0]["state"], "live");
}

#[test]
fn status_top_and_test_answer() {
    let daemon = looped(RINGTONE);
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

/// What `top` says of one label of the first source.
fn look(client: &mut Client, label: &str) -> Value {
    let top = client.ask(r#"{"op":"top","k":527}"#, "top");
    let labels = top["sources"][0]["labels"].as_array().cloned().unwrap_or_default();
    labels.into_iter().find(|found| found["label"] == label).unwrap_or_default()
}

/// Asks again and again until `top` says this of the label.
fn look_until(client: &mut Client, label: &str, holds: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1_500 {
        let found = look(client, label);
        if holds(&found) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it never came to that: {}", look(client, label));
}

#[test]
fn top_says_why_a_label_is_an_event_or_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_seconds_of_silence(folder.path(), 8);
    let config =
        "[report]\nlabels = [\"Speech\", \"Bark\", \"Cat\"]\nignore = [\"Cat\"]\n[groups.alarm]\nlabels = [\"Fire alarm\"]\n";
    let daemon = Daemon::start(config, &["--source", &format!("file:{}?loop", recording.display())], &[]);
    let mut client = daemon.connect();
    let open = look_until(&mut client, "Speech", |found| found["why"] == "open");
    assert!(open["score"].as_f64() >= open["start_threshold"].as_f64(), "{open}");
    look_until(&mut client, "Speech", |found| found["because"] == "an event is open" && found["two_sided"].as_f64() > Some(0.3));
    look_until(&mut client, "Speech", |found| found["why"] == "below");
    assert_eq!(look(&mut client, "Bark")["why"], "below");
    assert_eq!(look(&mut client, "Music")["why"], "not_reported");
    assert_eq!(look(&mut client, "Cat")["why"], "ignored");
    assert_eq!(look(&mut client, "Fire alarm")["because"], "reported as the group alarm");
    assert_eq!(look(&mut client, "alarm")["why"], "below");
    let top = client.ask(r#"{"op":"top","k":1}"#, "top");
    assert!(top["sources"][0]["noise_floor_dbfs"].as_f64() < Some(-60.0), "{top}");
    assert_eq!(top["sources"][0]["hop_ms"], 100);
}

#[test]
fn a_threshold_that_is_set_acts_at_once_and_until_the_next_reload() {
    let (daemon, _folder) = voices();
    let mut client = daemon.connect();
    let shipped = look_until(&mut client, "Speech", |found| found["why"] == "open")["threshold"].clone();
    let set = client.ask(r#"{"op":"set","label":"speech","threshold":0.999}"#, "set");
    assert_eq!((&set["label"], &set["threshold"], &set["release"]), (&"Speech".into(), &0.999.into(), &0.0999.into()));
    // Nothing reaches that: the open event ends, and none begins. What was heard is not forgotten.
    let found = look_until(&mut client, "Speech", |found| found["threshold"] == 0.999);
    assert!(["below", "open"].contains(&found["why"].as_str().unwrap()), "{found}");
    look_until(&mut client, "Speech", |found| found["why"] == "below" && found["two_sided"].as_f64() > Some(0.3));
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
    assert_eq!(look(&mut client, "Speech")["threshold"], shipped);
}

#[test]
fn a_pause_ends_the_open_events_and_resumes_by_itself() {
    let daemon = looped(RINGTONE);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    client.send(r#"{"op":"pause","seconds":1.0}"#);
    assert_eq!(client.wait_for("event.end")["event"]["reason"], "paused");
    assert_eq!(client.ask(r#"{"op":"status"}"#, "status")["sources"][0]["state"], "paused");
    client.wait_for("event.start");
    assert_eq!(client.ask(r#"{"op":"status"}"#, "status")["sources"][0]["state"], "live");
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
fn a_stalled_client_holds_up_nobody() {
    let daemon = looped(RINGTONE);
    let mut stalled = daemon.connect();
    let mut healthy = daemon.connect();
    healthy.send(r#"{"op":"subscribe","labels":["Sneeze"]}"#);
    // Far more lines than a queue and a socket's buffer hold; the test requests make two each.
    for _ in 0..1_500 {
        healthy.send(r#"{"op":"test","label":"Sneeze"}"#);
        healthy.wait_for_event("event.start", &["Sneeze"]);
        healthy.wait_for_event("event.end", &["Sneeze"]);
    }
    let status = healthy.ask(r#"{"op":"status"}"#, "status");
    let missed = status["dropped_lines"].as_u64().unwrap();
    assert!(missed > 0, "{status}");
    // The stalled client is told what it missed, in its place: a line's number is one more than the last, and than what was missed.
    let until = status["seq"].as_u64().unwrap();
    let (mut at, mut told) = (stalled.hello["seq"].as_u64().unwrap(), 0);
    while at < until {
        let line = stalled.next();
        match line["type"].as_str() {
            Some("dropped") => {
                told += line["count"].as_u64().unwrap();
                at += line["count"].as_u64().unwrap();
            }
            _ => {
                at += 1;
                assert_eq!(line["seq"], at, "{line}");
            }
        }
    }
    assert!(told >= missed, "told {told}, missed {missed}");
}

#[test]
fn listen_prints_what_the_daemon_sends() {
    let (daemon, _folder) = voices();
    let socket = daemon.socket();
    let listen = |arguments: &[&str]| run(mimid().args(["listen", "--socket"]).arg(&socket).args(arguments));
    let json = listen(&["--type", "event.start", "--count", "2"]);
    assert!(json.status.success());
    let lines: Vec<Value> =
        String::from_utf8(json.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line["type"] == "event.start"), "{lines:?}");
    let pretty = String::from_utf8(listen(&["--label", "speech", "--count", "2", "--format", "pretty"]).stdout).unwrap();
    assert!(pretty.contains("mimid 0.1.0 hears 527 kinds of sound") && pretty.contains("Speech"), "{pretty}");
    let wrong = listen(&["--label", "Rintone"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(String::from_utf8(wrong.stderr).unwrap(), "mimid: there is no label \"Rintone\"; did you mean \"Ringtone\"?\n");
    let wrong = listen(&[
        "--source", "voiec", "--source", "test", "--since", "0", "--type", "event", "--label", "speech", "--count", "0",
    ]);
    assert_eq!(wrong.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(wrong.stderr).unwrap(),
        "warning: the daemon has no source \"voiec\"; did you mean \"voice\"?\n"
    );
    // A reader that goes away ends the listener quietly.
    let mut command = std::process::Command::new("bash");
    let line = format!("{} listen --socket {} | head -1 >/dev/null", env!("CARGO_BIN_EXE_mimid"), socket.display());
    let output = run(command.args(["-o", "pipefail", "-c", &line]));
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn listen_says_that_what_another_start_of_the_daemon_said_is_gone() {
    let daemon = looped(RINGTONE);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    let status = client.ask(r#"{"op":"status"}"#, "status");
    assert_eq!(status["instance"], client.hello["instance"]);
    let listen = |instance: &str| {
        let mut command = mimid();
        command.args(["listen", "--since", "0", "--count", "1", "--instance", instance, "--socket"]).arg(daemon.socket());
        String::from_utf8(run(&mut command).stderr).unwrap()
    };
    assert_eq!(listen(status["instance"].as_str().unwrap()), "");
    let gone = "warning: the daemon was started again; what it said before that is gone\n";
    assert_eq!(listen("01a20f57-9b70-767d-a625-5b09be1d5f7a"), gone);
}

#[test]
fn socat_is_a_full_client() {
    let daemon = looped(VOICE);
    let mut socat = std::process::Command::new("socat");
    socat.args(["-t", "2", "-"]).arg(format!("UNIX-CONNECT:{}", daemon.socket().display()));
    let mut child = socat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("socat is needed; `make test` installs it");
    child.stdin.take().unwrap().write_all(b"{\"op\":\"status\"}\n").unwrap();
    let out = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(out.lines().next().unwrap().contains("\"type\":\"hello\""), "{out}");
    assert!(out.contains("\"type\":\"status\""), "{out}");
}

#[test]
fn a_stale_socket_is_taken_over() {
    let mut daemon = looped(VOICE);
    daemon.signal("-KILL");
    daemon.wait(SOON);
    assert!(daemon.socket().exists());
    let config = daemon.folder.path().join("mimid.toml");
    let mut second =
        mimid().arg("run").arg("--config").arg(config).args(["--source", &format!("file:{VOICE}?loop")]).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while std::os::unix::net::UnixStream::connect(daemon.socket()).is_err() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    Client::connect(&daemon.socket());
    second.kill().unwrap();
    second.wait().unwrap();
}
