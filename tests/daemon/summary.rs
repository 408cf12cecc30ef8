//! The daily summary: at its time of day on the socket, over HTTP, MQTT and to a hook; and where there is no store.

use std::path::Path;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::support::mqtt::{Broker, Subscriber};
use crate::support::{Daemon, WallClock, failure, looped, mimid, run, until, voice_and_silence};

/// The seconds from now to the next eight o'clock, by a clock that shows UTC.
fn ahead_s() -> i64 {
    let now = jiff::Timestamp::now();
    let today = TimeZone::UTC.to_datetime(now).date();
    let eight = |day: jiff::civil::Date| TimeZone::UTC.to_timestamp(day.at(8, 0, 0, 0)).unwrap();
    let due = if eight(today) > now { eight(today) } else { eight(today.tomorrow().unwrap()) };
    due.as_second() - now.as_second()
}

#[test]
fn at_its_time_of_day_it_is_told_to_clients_and_hooks_and_kept() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), WallClock::new());
    let (store, told) = (folder.path().join("events.db"), folder.path().join("told"));
    let broker = Broker::start();
    let subscriber = Subscriber::new(&broker, &["mimid/pi/summary"], &[]);
    let config = format!(
        "[store]\npath = {store:?}\n[summary]\nat = \"08:00\"\n[[hooks]]\nname = \"morning\"\non = [\"summary\"]\n\
         exec = [\"sh\", \"-c\", \"cat > {}\"]\n[sinks.mqtt]\nurl = {:?}\nnode = \"pi\"\n",
        told.display(),
        broker.url()
    );
    let mut environment = clock.environment().to_vec();
    environment.push(("TZ", Path::new("UTC")));
    let daemon = Daemon::start(&config, &["--source", &looped(voice_and_silence(folder.path()))], &environment);
    let mut client = daemon.connect();
    let start = client.wait_for_event("event.start", &["Speech"]);
    client.wait_for_end_of(&start["event"]);
    // It is in the store before the clock is set.
    client.ask(r#"{"op":"pause"}"#, "paused");
    clock.set(&format!("+{}", ahead_s() + 1));
    let summary = client.wait_for("summary");
    assert!(summary["until"].as_str().unwrap().ends_with("T08:00:00.000Z") && summary["days"] == 0, "{summary}");
    let heard = summary["heard"].as_array().unwrap();
    let speech = heard.iter().find(|heard| heard["label"] == "Speech").unwrap_or_else(|| panic!("{summary}"));
    assert!(
        speech["events"].as_u64() >= Some(1) && speech["duration_ms"].as_u64() > Some(0) && speech["new"] == false,
        "{summary}"
    );
    assert!(summary["unheard"].as_array().unwrap().iter().any(|unheard| unheard["kind"] == "paused"), "{summary}");
    let published = subscriber.wait_for("the summary", |message| message.topic == "mimid/pi/summary");
    assert!(published.json()["heard"] == summary["heard"] && !published.is_retained, "{}", published.payload);
    until("the hook to be told", || std::fs::read_to_string(&told).ok().filter(|text| text.ends_with('\n')));
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&told).unwrap()).unwrap();
    assert_eq!((&line["type"], &line["heard"]), (&"summary".into(), &summary["heard"]));
    // It is one of the reports that are kept and replayed.
    client.send(r#"{"op":"subscribe","since":0,"types":["summary"]}"#);
    assert_eq!(client.wait_for("summary"), summary);
    let command = |arguments: &[&str]| {
        let mut command = mimid();
        command.args(["history", "--summary", "--store"]).arg(&store).args(arguments).env("TZ", "UTC");
        command
    };
    let own: Value =
        serde_json::from_slice(&run(command(&["--format", "jsonl", "--since", "1h"]).env("TZ", "UTC")).stdout).unwrap();
    assert!(own["heard"].as_array().unwrap().iter().any(|heard| heard["label"] == "Speech"), "{own}");
    let pretty = String::from_utf8(run(&mut command(&["--since", "1h"])).stdout).unwrap();
    assert!(pretty.contains("  Speech ") && pretty.contains("too few to say what is usual"), "{pretty}");
    let (code, stderr) = failure(&mut command(&["--since", "1h", "--until", "2h"]));
    assert!(code == 2 && stderr.contains("--since must be before --until"), "{stderr}");
}

#[test]
fn without_a_store_there_is_a_sentence_and_no_summary() {
    let folder = tempfile::tempdir().unwrap();
    let source = looped(voice_and_silence(folder.path()));
    let daemon = Daemon::start("[summary]\nat = \"08:00\"\n", &["--source", &source], &[("HOME", folder.path())]);
    let of = |status: &Value| status["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "summary").cloned();
    let status = daemon.connect().status_when("it to be told", |status| of(status).is_some_and(|sink| sink["state"] == "down"));
    let reason = of(&status).unwrap()["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("there is no summary: this daemon keeps no events"), "{reason}");
    daemon.reload("");
    daemon.connect().status_when("it to be gone", |status| of(status).is_none());
}
