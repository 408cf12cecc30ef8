//! The MQTT sink of the real daemon with a real broker. The subscriber is an independent program.

mod connection;
mod home_assistant;
mod names;

use crate::support::mqtt::{Broker, Subscriber};
use crate::support::{Daemon, voice_and_seconds_of_silence};

/// The configuration of a sink to the broker, with a few labels.
fn config(url: &str, more: &str) -> String {
    format!(
        "[report]\nlabels = [\"Speech\", \"Dog\", \"Smoke detector, smoke alarm\"]\n\
         [sinks.mqtt]\nurl = {url:?}\nnode = \"pi\"\n{more}\n"
    )
}

/// A source that plays a voice again and again.
struct Voice {
    _folder: tempfile::TempDir,
    argument: String,
}

fn voice() -> Voice {
    let folder = tempfile::tempdir().unwrap();
    let argument = format!("file:{}?loop", voice_and_seconds_of_silence(folder.path(), 8).display());
    Voice { _folder: folder, argument }
}

fn start(config: &str, voice: &Voice) -> Daemon {
    Daemon::start(config, &["--source", &voice.argument], &[])
}

#[test]
fn events_and_states_reach_a_subscriber_and_an_end_leaves_everything_off() {
    for version in ["3.1.1", "5"] {
        let (broker, voice) = (Broker::start(), voice());
        let subscriber = Subscriber::new(&broker, &["mimid/#"], &[]);
        let mut daemon = start(&config(&broker.url(), &format!("version = {version:?}")), &voice);
        let source = daemon.connect().hello["sources"][0].as_str().unwrap().to_owned();
        subscriber.wait_for_payload("mimid/pi/availability", "online");
        let started = subscriber.wait_for("a start", |message| message.topic == format!("mimid/pi/{source}/event"));
        let (line, event) = (started.json(), &started.json()["event"]);
        assert_eq!(
            (&line["event_type"], &line["type"], &event["label"]),
            (&"start".into(), &"event.start".into(), &"Speech".into())
        );
        assert!(!started.is_retained);
        let attributes = subscriber.wait_for("attributes", |message| message.topic.ends_with("/speech/attributes"));
        assert_eq!(attributes.json()["id"], event["id"]);
        let ended = subscriber.wait_for("its end", |message| {
            message.topic.ends_with("/event")
                && message.json()["event_type"] == "end"
                && message.json()["event"]["id"] == event["id"]
        });
        assert!(ended.json()["event"]["reason"].is_string());
        subscriber.wait_for_payload(&format!("mimid/pi/{source}/speech/state"), "OFF");
        let level = subscriber.wait_for("a level", |message| message.topic == format!("mimid/pi/{source}/level"));
        assert!((-150.0..=0.0).contains(&level.payload.parse::<f64>().unwrap()), "{}", level.payload);
        // It goes while it hears something.
        subscriber.wait_for_payload(&format!("mimid/pi/{source}/speech/state"), "ON");
        daemon.signal("-TERM");
        assert_eq!(daemon.wait(), 0);
        // A sensor is unavailable before it is off.
        subscriber.wait_for_payload("mimid/pi/availability", "offline");
        subscriber.wait_for_payload(&format!("mimid/pi/{source}/speech/state"), "OFF");
        broker.wait_until("three states, all off", &format!("mimid/pi/{source}/+/state"), |states| {
            states.len() == 3 && states.values().all(|state| state == "OFF")
        });
    }
}

#[test]
fn a_daemon_that_is_killed_is_offline_by_its_will() {
    let (broker, voice) = (Broker::start(), voice());
    let mut daemon = start(&config(&broker.url(), ""), &voice);
    let subscriber = Subscriber::new(&broker, &["mimid/pi/availability"], &[]);
    subscriber.wait_for_payload("mimid/pi/availability", "online");
    daemon.child.kill().unwrap();
    subscriber.wait_for_payload("mimid/pi/availability", "offline");
}
