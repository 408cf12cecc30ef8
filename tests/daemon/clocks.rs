//! The daemon and its clocks: its process is stopped, the wall clock is set, and a watchdog supervises it.

use std::path::Path;
use std::time::Duration;

use crate::support::{Client, Daemon, ServiceManager, SoundServer, VOICE, WallClock};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// A sound server and a daemon that has heard something on its microphone.
fn hearing(server: &SoundServer, environment: &[(&str, &Path)]) -> (Daemon, Client) {
    let environment: Vec<_> = server.environment().into_iter().chain(environment.iter().copied()).collect();
    let daemon = Daemon::start("", &[], &environment);
    let mut client = daemon.connect();
    client.hear_on(2.0);
    (daemon, client)
}

fn source(client: &mut Client) -> Value {
    client.status()["sources"][0].clone()
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Plays a voice, and returns the lines of its start and its end. Its onset must be right by a clock that is `ahead_s` ahead.
fn hear_a_voice(server: &SoundServer, client: &mut Client, ahead_s: i64) -> (Value, Value) {
    let played = server.play(VOICE);
    let start = client.wait_for_event("event.start", &["Speech"]);
    let end = client.wait_for_end_of(&start["event"]);
    played.check_onset(time(&end["event"]["onset"]) - SignedDuration::from_secs(ahead_s), 1.4);
    (start, end)
}

#[test]
fn a_daemon_that_stood_still_for_half_a_minute_says_so_and_goes_on_with_right_times() {
    let server = SoundServer::start();
    let (daemon, mut client) = hearing(&server, &[]);
    daemon.signal("-STOP");
    // The passing of time is what is tested: it stands still for longer than anything between it and the microphone remembers.
    std::thread::sleep(Duration::from_secs(30));
    daemon.signal("-CONT");
    // The server may have kept more than the ring holds, sound that it did not keep is a gap, and a server may give up such a client.
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
    client.hear_on(3.0);
    hear_a_voice(&server, &mut client, 0);
    let source = source(&mut client);
    let losses = u64::from(told["type"] == "source.lost");
    assert_eq!((source["state"].as_str(), source["losses"].as_u64()), (Some("live"), Some(losses)), "{source}");
}

#[test]
fn a_wall_clock_that_is_set_is_told_and_times_follow_it() {
    let server = SoundServer::start();
    for (set, by_s) in [("+3600", 3_600), ("-3600", -3_600)] {
        let clock = WallClock::new();
        let (_daemon, mut client) = hearing(&server, &clock.environment());
        let (_, before) = hear_a_voice(&server, &mut client, 0);
        clock.set(set);
        let stepped = client.wait_for("clock.stepped");
        assert!((stepped["by_ms"].as_i64().unwrap() - 1_000 * by_s).abs() < 500, "{stepped}");
        let (start, after) = hear_a_voice(&server, &mut client, by_s);
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
    (0..3).for_each(|_| drop(manager.told_of("WATCHDOG=1")));
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
