//! The daemon while time does odd things: it is stopped, the wall clock is set, and whoever supervises it wants to know that it hears.

mod support;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use support::{Client, Daemon, ServiceManager, SoundServer, VOICE, WallClock};

/// A microphone that has been heard, with a daemon that hears it.
fn hearing(server: &SoundServer, environment: &[(&str, &Path)]) -> (Daemon, Client) {
    let environment: Vec<_> = server.environment().into_iter().chain(environment.iter().copied()).collect();
    let daemon = Daemon::start("", &[], &environment);
    let mut client = daemon.connect();
    wait_until_heard(&mut client);
    (daemon, client)
}

fn wait_until_heard(client: &mut Client) {
    while source(client)["windows"].as_u64().unwrap() < 20 {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn source(client: &mut Client) -> Value {
    client.ask(r#"{"op":"status"}"#, "status")["sources"][0].clone()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Plays a voice and gives its start and its end, and how many seconds after the player the voice was said to begin.
fn hear_a_voice(server: &SoundServer, client: &mut Client) -> (Value, Value, f64) {
    let played = server.play(VOICE);
    let start = client.wait_for_event("event.start", &["Speech"]);
    let end = loop {
        let end = client.wait_for_event("event.end", &["Speech"]);
        if end["event"]["id"] == start["event"]["id"] {
            break end;
        }
    };
    let after_s = time(&end["event"]["onset"]).duration_since(played).as_secs_f64();
    (start, end, after_s)
}

#[test]
fn a_daemon_that_stood_still_for_half_a_minute_says_so_and_goes_on_with_right_times() {
    let server = SoundServer::start();
    let (daemon, mut client) = hearing(&server, &[]);
    daemon.signal("-STOP");
    std::thread::sleep(Duration::from_secs(30));
    daemon.signal("-CONT");
    // What the server kept may be more than the ring holds, what it did not keep is a gap, and a server may give up such a client.
    let told = loop {
        let line = client.next();
        if ["source.gap", "overrun", "source.lost"].iter().any(|kind| line["type"] == *kind) {
            break line;
        }
    };
    assert_eq!(told["source"], "default");
    if told["type"] == "source.lost" {
        client.wait_for("source.restored");
    }
    std::thread::sleep(Duration::from_secs(3));
    let (_, _, after_s) = hear_a_voice(&server, &mut client);
    assert!((-0.3..1.5).contains(&after_s), "the voice begins {after_s} s after it was played");
    let source = source(&mut client);
    let losses = u64::from(told["type"] == "source.lost");
    assert_eq!((source["state"].as_str(), source["losses"].as_u64()), (Some("live"), Some(losses)), "{source}");
}

#[test]
fn a_wall_clock_that_is_set_is_told_and_times_follow_it() {
    let server = SoundServer::start();
    for (set, by_ms) in [("+3600", 3_600_000.0), ("-3600", -3_600_000.0)] {
        let clock = WallClock::new();
        let (_daemon, mut client) = hearing(&server, &clock.environment());
        let (_, before, after_s) = hear_a_voice(&server, &mut client);
        assert!((-0.3..1.5).contains(&after_s), "the voice begins {after_s} s after it was played");
        clock.set(set);
        let stepped = client.wait_for("clock.stepped");
        assert!((stepped["by_ms"].as_f64().unwrap() - by_ms).abs() < 500.0, "{stepped}");
        let (start, after, after_s) = hear_a_voice(&server, &mut client);
        let after_s = after_s - by_ms / 1e3;
        assert!((-0.3..1.5).contains(&after_s), "the voice begins {after_s} s after it was played");
        // A length is a count of samples, whatever the clock was set to; the latency is by the same clock as the onset.
        let lengths = [&before, &after].map(|end| end["event"]["duration_ms"].as_f64().unwrap());
        assert!((lengths[0] - lengths[1]).abs() < 300.0, "{lengths:?}");
        assert!(start["latency_ms"].as_u64().unwrap() < 3_000, "{start}");
        assert_eq!(source(&mut client)["losses"], 0);
    }
}

#[test]
fn the_service_manager_is_told_that_it_hears_once_it_does_and_what_is_lost() {
    let (mut server, manager) = (SoundServer::start(), ServiceManager::new());
    let (daemon, mut client) = hearing(&server, &[("NOTIFY_SOCKET", &manager.path)]);
    let ready = manager.told_of("READY=1");
    assert!(ready.contains("STATUS=hearing") && ready.contains("on default"), "{ready}");
    assert!((0..3).all(|_| manager.told().contains("WATCHDOG=1")), "the watchdog is not fed");
    server.kill();
    let status = manager.told_of("STATUS=default is lost");
    assert!(!status.contains("READY"), "{status}");
    // Deaf and knowing it is not stuck.
    manager.told_of("WATCHDOG=1");
    let lost = source(&mut client);
    assert!(lost["state"] == "lost" && !lost["reason"].as_str().unwrap().is_empty(), "{lost}");
    server.restart();
    manager.told_of("STATUS=hearing");
    daemon.signal("-TERM");
    manager.told_of("STOPPING=1");
}

#[test]
fn a_daemon_without_any_microphone_is_ready_and_says_so() {
    let manager = ServiceManager::new();
    let _daemon = Daemon::start("", &["--wait"], &[("NOTIFY_SOCKET", &manager.path)]);
    let ready = manager.told_of("READY=1");
    assert!(ready.contains("STATUS=default is lost: "), "{ready}");
}
