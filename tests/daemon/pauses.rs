//! Pauses by request and by quiet hours: the microphone is closed, and all clients are told.

use std::path::Path;

use crate::support::{Daemon, RINGTONE, ServiceManager, SoundServer, VOICE, WallClock, looped, mimid, run, until};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Waits until this number of programs have the microphone open, because a sound server takes a moment to close it.
fn wait_for_listeners(server: &SoundServer, count: usize) {
    until(&format!("{count} programs to have the microphone open"), || server.listeners() == count);
}

#[test]
fn a_daemon_that_starts_in_quiet_hours_opens_no_microphone_until_somebody_asks_it_to() {
    let (server, manager) = (SoundServer::start(), ServiceManager::new());
    let mut environment = server.environment().to_vec();
    environment.push(("NOTIFY_SOCKET", &manager.path));
    let quiet = "[privacy]\nquiet_hours = [\"00:00-24:00\"]\n";
    let daemon = Daemon::start(quiet, &[], &environment);
    let ready = manager.told_of("READY=1");
    assert!(ready.contains("STATUS=paused: default (quiet hours)"), "{ready}");
    // It is alive all the same.
    (0..3).for_each(|_| drop(manager.told_of("WATCHDOG=1")));
    let mut client = daemon.connect();
    let told = client.status();
    assert_eq!(told["paused"], json!({"reason": "quiet_hours", "until": null}));
    let source = &told["sources"][0];
    assert_eq!((&source["state"], &source["reason"]), (&"paused".into(), &"quiet hours".into()));
    assert_eq!((&source["samples"], &source["losses"]), (&0.into(), &0.into()));
    assert_eq!(server.listeners(), 0);
    client.ask(r#"{"op":"resume"}"#, "done");
    assert_eq!(client.status_when_it_is("live")["paused"], Value::Null);
    wait_for_listeners(&server, 1);
    client.hear_on(2.0);
    server.play(VOICE);
    client.wait_for_event("event.start", &["Speech"]);
    // The same hours loaded again are no others: what was asked for holds. A source that is new in others is never opened.
    let file = daemon.folder.path().join("mimid.toml");
    let socket = format!("[socket]\npath = {:?}\n", daemon.socket());
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    assert_eq!(client.status()["paused"], Value::Null);
    let others = "[privacy]\nquiet_hours = [\"00:00-12:00\", \"12:00-24:00\"]\n[[source]]\nname = \"porch\"\n";
    std::fs::write(&file, format!("{socket}{others}")).unwrap();
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    let told = client.status_when_it_is("paused");
    assert_eq!((&told["sources"][0]["name"], &told["sources"][0]["samples"]), (&"porch".into(), &0.into()));
    wait_for_listeners(&server, 0);
    std::fs::write(&file, socket).unwrap();
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    client.status_when_it_is("live");
}

#[test]
fn quiet_hours_come_and_go_by_the_local_clock_also_where_it_is_set() {
    let clock = WallClock::new();
    let zone = "<+0545>-5:45";
    let mut environment = clock.environment().to_vec();
    environment.push(("TZ", Path::new(zone)));
    let zone = TimeZone::posix(zone).unwrap();
    // The clock shows this time of the day after tomorrow or of the days after that.
    let at = |days: i64, hour: i8, minute: i8| {
        let day = zone.to_datetime(Timestamp::now() + SignedDuration::from_hours(24 * days)).date();
        zone.to_timestamp(day.at(hour, minute, 0, 0)).unwrap()
    };
    let set = |time: Timestamp| clock.set(&format!("+{}", time.duration_since(Timestamp::now()).as_secs()));
    set(at(2, 21, 0));
    let quiet = "[privacy]\nquiet_hours = [\"22:00-06:30\"]\n";
    let daemon = Daemon::start(quiet, &["--source", &looped(RINGTONE)], &environment);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    set(at(2, 23, 30));
    let paused = client.wait_for("paused");
    let until = mimid::publish::wire::time(at(3, 6, 30));
    assert_eq!((&paused["reason"], &paused["until"]), (&"quiet_hours".into(), &until.clone().into()));
    assert_eq!(client.wait_for("event.end")["event"]["reason"], "paused");
    let told = client.status();
    assert_eq!(told["paused"], json!({"reason": "quiet_hours", "until": until}));
    assert_eq!(told["sources"][0]["reason"], "quiet hours until 06:30");
    // The machine slept until the morning.
    set(at(3, 6, 30));
    assert_eq!(client.wait_for("resumed")["reason"], "quiet_hours");
    client.wait_for("event.start");
    // Somebody who is up at night hears; the next night is quiet again.
    set(at(3, 22, 15));
    client.wait_for("paused");
    client.send(r#"{"op":"resume"}"#);
    assert_eq!(client.wait_for("resumed")["reason"], "request");
    set(at(4, 5, 0));
    client.wait_for("event.start");
    set(at(4, 23, 0));
    assert_eq!(client.wait_for("paused")["until"], mimid::publish::wire::time(at(5, 6, 30)));
}

#[test]
fn a_pause_is_told_to_everybody_with_its_end_and_can_be_replayed() {
    let daemon = Daemon::looped("", RINGTONE);
    let (mut client, mut other) = (daemon.connect(), daemon.connect());
    other.ask(r#"{"op":"subscribe","types":["paused","resumed"],"labels":["Dog"],"sources":["garden"]}"#, "subscribed");
    client.wait_for("event.start");
    let end_of = |line: &Value| line["until"].as_str().unwrap().parse::<Timestamp>().unwrap();
    client.ask(r#"{"op":"pause","seconds":600}"#, "done");
    let paused = other.next();
    assert_eq!((&paused["type"], &paused["reason"]), (&"paused".into(), &"request".into()));
    let left = end_of(&paused).duration_since(Timestamp::now()).as_secs();
    assert!((590..=600).contains(&left), "{paused}");
    let told = client.status_when_it_is("paused");
    assert_eq!(told["paused"], json!({"reason": "request", "until": paused["until"]}));
    let reason = told["sources"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("paused by a request until "), "{reason}");
    let page = run(mimid().args(["status", "--socket"]).arg(daemon.socket()));
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.contains("\npaused    paused by a request until "), "{page}");
    // Asked again: the new end is told, and the sources know it.
    client.ask(r#"{"op":"pause","seconds":3600}"#, "done");
    assert!(end_of(&other.next()).duration_since(end_of(&paused)).as_secs() > 2_990);
    client.ask(r#"{"op":"pause"}"#, "done");
    assert_eq!(other.next()["until"], Value::Null);
    client.status_when("no end of the pause", |status| status["sources"][0]["reason"] == "paused by a request");
    client.ask(r#"{"op":"resume"}"#, "done");
    assert_eq!(other.next()["type"], "resumed");
    assert_eq!(client.status_when_it_is("live")["sources"][0]["reason"], Value::Null);
    let mut late = daemon.connect();
    late.ask(r#"{"op":"subscribe","types":["paused","resumed"],"since":0}"#, "subscribed");
    let kinds: Vec<Value> = (0..4).map(|_| late.next()["type"].clone()).collect();
    assert_eq!(kinds, ["paused", "paused", "paused", "resumed"]);
    let types = ["--since", "0", "--type", "paused", "--type", "resumed", "--count", "4", "--format", "pretty"];
    let listen = run(mimid().args(["listen", "--socket"]).arg(daemon.socket()).args(types));
    let told = String::from_utf8(listen.stdout).unwrap();
    assert!(
        told.contains("  nothing is heard: paused by a request until ") && told.ends_with("  sound is heard again\n"),
        "{told}"
    );
}

#[test]
fn a_recording_that_has_ended_is_not_played_again_after_a_pause() {
    let recordings = [format!("file:{VOICE}"), looped(RINGTONE)];
    let daemon = Daemon::start("", &["--source", &recordings[0], "--source", &recordings[1]], &[]);
    let mut client = daemon.connect();
    client.status_when_it_is("ended");
    client.ask(r#"{"op":"pause"}"#, "done");
    client.ask(r#"{"op":"resume"}"#, "done");
    let status = client.status_when("the other source to be live", |status| status["sources"][1]["state"] == "live");
    assert_eq!(status["sources"][0]["state"], "ended");
}

#[test]
fn quiet_hours_by_a_clock_that_nobody_knows_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mimid.toml");
    let warnings = |text: &str, zone: &str| {
        std::fs::write(&file, text).unwrap();
        let checked = run(mimid().arg("check").arg("--config").arg(&file).env("TZ", zone));
        assert!(checked.status.success());
        String::from_utf8(checked.stderr).unwrap()
    };
    let quiet = "[privacy]\nquiet_hours = [\"22:00-06:30\"]\n";
    let told = warnings(quiet, "Mars/Olympus");
    assert!(told.contains("mimid.toml:2: privacy.quiet_hours: the machine's time zone is unknown"), "{told}");
    assert_eq!((warnings(quiet, "<+0545>-5:45"), warnings("", "Mars/Olympus")), (String::new(), String::new()));
}
