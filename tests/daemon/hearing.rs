//! From sound to events: a real microphone behind a real sound server, recordings, and samples on standard input.

use std::io::Write;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Daemon, RINGTONE, SoundServer, VOICE};

/// The longest time that a daemon may take to end. Its own deadlines add up to less, and a daemon that waits for anything else
/// waits for ever.
const SOON: Duration = Duration::from_secs(10);

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
    // The first samples may take a moment where a server has just started.
    client.hear_on(2.0);
    for (recording, labels) in [(VOICE, &["Speech"][..]), (RINGTONE, &["Ringtone", "Telephone bell ringing", "Telephone"])] {
        let played = server.play(recording);
        let start = client.wait_for_event("event.start", labels);
        let end = client.wait_for_end_of(&start["event"]);
        let (event, ended) = (&start["event"], &end["event"]);
        assert_eq!(event["source"], "default");
        assert!(event["offset"].is_null() && event["duration_ms"].is_null());
        assert_eq!(ended["reason"], "decay");
        // Both recordings last about 1.5 s.
        played.check_onset(time(&event["onset"]), 1.4);
        let lasted = seconds(time(&ended["onset"]), time(&ended["offset"]));
        assert!((0.7..2.5).contains(&lasted), "{recording} lasts {lasted} s: {end}");
        assert_eq!(ended["duration_ms"].as_f64().unwrap(), (lasted * 1_000.0).round());
        let late = start["latency_ms"].as_u64().unwrap();
        assert!(late < 3_000, "{start}");
        assert!((seconds(time(&event["onset"]), time(&start["ts"])) * 1_000.0 - late as f64).abs() <= 1.0);
    }
    daemon.signal("-TERM");
    let began = Instant::now();
    assert_eq!(daemon.wait(), 0);
    assert!(began.elapsed() < SOON, "it took {:?} to end", began.elapsed());
    assert!(!daemon.socket().exists());
}

#[test]
fn a_microphone_that_is_unplugged_is_lost_and_comes_back() {
    let mut server = SoundServer::start();
    let daemon = Daemon::start("", &[], &server.environment());
    let mut client = daemon.connect();
    client.status_when_it_is("live");
    server.kill();
    let lost = client.wait_for("source.lost");
    assert_eq!(lost["source"], "default");
    assert!(!lost["reason"].as_str().unwrap().is_empty());
    assert_eq!(client.status()["sources"][0]["state"], "lost");
    server.restart();
    client.wait_for("source.restored");
    client.hear_on(2.0);
    server.play(VOICE);
    client.wait_for_event("event.start", &["Speech"]);
}

#[test]
fn every_start_has_an_end_also_when_the_daemon_ends() {
    for (signal, code) in [("-INT", 130), ("-TERM", 0)] {
        let mut daemon = Daemon::looped("", RINGTONE);
        let mut client = daemon.connect();
        client.wait_for("event.start");
        daemon.signal(signal);
        assert_eq!(daemon.wait(), code);
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
    assert_eq!(daemon.wait(), 0);
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
    assert_eq!(daemon.wait(), 0);
}

#[test]
fn standard_input_that_never_ends_holds_up_no_request_and_no_end() {
    let mut daemon = Daemon::start("", &["--source", "-"], &[]);
    let mut client = daemon.connect();
    let mut input = daemon.child.stdin.take().unwrap();
    // Noise as fast as it is taken; the daemon's end breaks the pipe.
    let feeder = std::thread::spawn(move || while input.write_all(&[0x11, 0x02, 0x93, 0xfd].repeat(4_096)).is_ok() {});
    client.status_when_it_is("live");
    client.ask(r#"{"op":"top"}"#, "top");
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(), 0);
    feeder.join().unwrap();
}
