//! Discovery: the entities that Home Assistant makes of the retained messages, and their life.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{config, start, voice};
use crate::support::home_assistant::{Entities, entities, label_state, n_entities};
use crate::support::mqtt::{Broker, Message, Retained, Subscriber};
use crate::support::{Daemon, SoundServer};

/// The entities, once there are `count` and none is being removed.
pub fn entities_when(broker: &Broker, count: usize) -> Entities {
    let what = format!("{count} entities");
    entities(&broker.wait_until(&what, "homeassistant/#", |retained| n_entities(retained) == Some(count)))
}

/// The entity of this platform and this name.
fn entity<'e>(entities: &'e Entities, platform: &str, name: &str) -> &'e Value {
    let found = entities.iter().find(|((is, _), entity)| is == platform && entity["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {platform} {name}")).1
}

fn topic<'e>(entity: &'e Value, what: &str) -> &'e str {
    entity[what].as_str().unwrap()
}

#[test]
fn home_assistant_rebuilds_the_entities_follows_them_and_acts_on_them() {
    let (broker, voice) = (Broker::start(), voice());
    let daemon = start(&config(&broker.url(), ""), &voice);
    // For the source: a sound, a level, a microphone and three labels; for the daemon: a switch, a problem, and three thresholds.
    let entities = entities_when(&broker, 6 + 5);
    for (name, class) in [("Speech", "sound"), ("Dog", "sound"), ("Smoke detector", "smoke")] {
        let label = entity(&entities, "binary_sensor", name);
        assert_eq!((&label["device_class"], label.get("enabled_by_default")), (&class.into(), None));
    }
    let (speech, sound) = (entity(&entities, "binary_sensor", "Speech"), entity(&entities, "event", "Sound"));
    let (pause, threshold) = (entity(&entities, "switch", "Pause"), entity(&entities, "number", "Speech threshold"));
    let mut topics: Vec<&str> = entities.values().map(|entity| topic(entity, "state_topic")).collect();
    let available: Vec<&str> =
        speech["availability"].as_array().unwrap().iter().map(|of| of["topic"].as_str().unwrap()).collect();
    topics.extend(&available);
    let subscriber = Subscriber::new(&broker, &topics, &[]);
    let is_state = |message: &Message, wanted: &str| {
        message.topic == topic(speech, "state_topic") && label_state(speech, &message.payload).0 == wanted
    };
    let [of_daemon, of_source] = available[..] else { panic!("{available:?}") };
    // The daemon comes last, so that nothing that it says is of before.
    subscriber.wait_for_payload(of_daemon, "online");

    let source = daemon.connect().hello["sources"][0].as_str().unwrap().to_owned();
    // An event is one event of the entity when it is announced and one when it is confirmed, if that comes later. It says which
    // sound it is.
    let heard = subscriber.wait_for("an event", |message| message.topic == topic(sound, "state_topic"));
    let heard = heard.json();
    assert_eq!(sound["event_types"], json!(["speech", "dog", "smoke_detector_smoke_alarm"]));
    assert_eq!((&heard["event_type"], &heard["label"], &heard["source"]), (&"speech".into(), &"Speech".into(), &source.into()));
    assert!(heard.as_object().unwrap().values().all(|value| !value.is_object()), "{heard}");
    assert!(heard["score"].is_number() && heard["level_dbfs"].is_number() && heard["onset"].is_string(), "{heard}");
    // On, a confirmation and off are a message each, with the event in it.
    let seen = RefCell::new(Vec::new());
    subscriber.wait_for("OFF", |message| {
        if message.topic != topic(speech, "state_topic") {
            return false;
        }
        let (state, attributes) = label_state(speech, &message.payload);
        seen.borrow_mut().push((state, attributes["confirmed"] == true, attributes["offset"].is_string()));
        state == "OFF" && attributes["id"] == heard["id"]
    });
    let seen = seen.into_inner();
    let from = seen.iter().position(|state| state.0 == "ON").unwrap();
    assert!(seen.len() - from <= 3 && seen.is_sorted_by(|a, b| a != b), "{seen:?}");
    assert!(seen.last().unwrap().2, "the end tells the offset: {seen:?}");

    // A threshold acts, is told, and is told again as it is where it cannot be.
    let mut client = daemon.connect();
    broker.publish(topic(threshold, "command_topic"), "0.9", &[]);
    subscriber.wait_for_payload(topic(threshold, "state_topic"), "0.9");
    assert_eq!(client.look("Speech")["threshold"], 0.9);
    broker.publish(topic(threshold, "command_topic"), "7", &[]);
    subscriber.wait_for_payload(topic(threshold, "state_topic"), "0.9");
    // The settings in force after a reload are published as well.
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    let is_back = |message: &Message| message.topic == topic(threshold, "state_topic") && message.payload != "0.9";
    subscriber.wait_for("the threshold of the file", is_back);

    // The switch pauses, which ends what is heard, and takes it back.
    subscriber.wait_for("ON", |message| is_state(message, "ON"));
    broker.publish(topic(pause, "command_topic"), "ON", &[]);
    // A sensor that cannot hear is unavailable before it is off.
    let was_on = |message: &Message| !is_state(message, "OFF");
    let gone = subscriber.wait_for("no source", |message| {
        assert!(was_on(message) || message.json()["offset"].is_string(), "off by the pause and still available: {message:?}");
        message.topic == of_source
    });
    assert_eq!(gone.payload, "offline");
    subscriber.wait_for_payload(topic(pause, "state_topic"), "ON");
    assert_eq!(client.status()["paused"]["reason"], "request");
    broker.publish(topic(pause, "command_topic"), "OFF", &[]);
    // The one that comes first depends on when the source has opened again.
    let missing = RefCell::new(vec![(topic(pause, "state_topic"), "OFF"), (of_source, "online")]);
    subscriber.wait_for("the switch to be off and the source to be there", |message| {
        missing.borrow_mut().retain(|(topic, payload)| message.topic != *topic || message.payload != *payload);
        missing.borrow().is_empty()
    });
    subscriber.wait_for("ON", |message| is_state(message, "ON"));
}

#[test]
fn the_sensors_of_a_lost_microphone_are_unavailable_within_two_seconds() {
    let (broker, mut server) = (Broker::start(), SoundServer::start());
    let text = format!("[[source]]\nname = \"kitchen\"\narea = \"Kitchen\"\n{}", config(&broker.url(), ""));
    let _daemon = Daemon::start(&text, &[], &server.environment());
    let entities = entities_when(&broker, 11);
    let speech = entity(&entities, "binary_sensor", "Speech");
    let device = &speech["device"];
    assert_eq!((&device["name"], &device["suggested_area"]), (&"Pi kitchen".into(), &"Kitchen".into()));
    let subscriber = Subscriber::new(&broker, &["mimid/pi/kitchen/availability", "mimid/pi/kitchen/connectivity"], &[]);
    subscriber.wait_for_payload("mimid/pi/kitchen/availability", "online");
    server.kill();
    let killed = Instant::now();
    subscriber.wait_for_payload("mimid/pi/kitchen/availability", "offline");
    assert!(killed.elapsed() < Duration::from_secs(2), "it took {:?}", killed.elapsed());
    // The entity that says that the microphone is gone stays available.
    subscriber.wait_for_payload("mimid/pi/kitchen/connectivity", "OFF");
    let microphone = entity(&entities, "binary_sensor", "Microphone");
    assert_eq!(microphone["availability"], json!([{"topic": "mimid/pi/availability"}]));
    server.restart();
    subscriber.wait_for_payload("mimid/pi/kitchen/availability", "online");
}

#[test]
fn of_the_preset_home_at_most_40_entities_are_enabled() {
    let (broker, voice) = (Broker::start(), voice());
    let url = broker.url();
    let text = |more: &str| format!("[sinks.mqtt]\nurl = {url:?}\nnode = \"pi\"\n{more}\n");
    let daemon = start(&text(""), &voice);
    let enabled = |entities: &Entities| entities.values().filter(|entity| entity["enabled_by_default"] != false).count();
    let all = broker.wait_until("all documents", "homeassistant/#", |retained| n_entities(retained) > Some(200));
    let all = entities(&all);
    let n_labels = all.keys().filter(|(platform, id)| platform == "binary_sensor" && id.contains("_label_")).count();
    assert_eq!(all.len(), 2 * n_labels + 5);
    assert!((20..=40).contains(&enabled(&all)), "{} are enabled", enabled(&all));
    daemon.reload(&text("entities = \"reported\""));
    broker.wait_until("all enabled", "homeassistant/#", |retained| {
        n_entities(retained) == Some(all.len()) && enabled(&entities(retained)) == n_labels + 5
    });
    daemon.reload(&text("entities = \"none\""));
    entities_when(&broker, 5);
}

#[test]
fn a_restart_neither_empties_what_home_assistant_reads_nor_forgets_the_last_event() {
    let (broker, voice) = (Broker::start(), voice());
    let text = config(&broker.url(), "");
    let mut daemon = start(&text, &voice);
    let source = daemon.connect().hello["sources"][0].as_str().unwrap().to_owned();
    let (attributes, all) = (format!("mimid/pi/{source}/speech/attributes"), format!("mimid/pi/{source}/+/attributes"));
    let subscriber = Subscriber::new(&broker, &[&all], &["-R"]);
    let is_ended = |message: &Message| message.topic == attributes && message.json()["offset"].is_string();
    subscriber.wait_for("an end", is_ended);
    daemon.signal("-TERM");
    daemon.wait();
    let last = broker.wait_until("nothing heard", &all, |retained| {
        retained.len() == 3 && retained.values().all(|payload| payload.contains("\"heard\":false"))
    });
    let id = |payload: &str| serde_json::from_str::<Value>(payload).unwrap()["id"].clone();
    assert!(id(&last[&attributes]).is_string());
    // After the restart it is paused at once, so that the last event stays the last.
    let quiet = format!("[privacy]\nquiet_hours = [\"00:00-24:00\"]\n{text}");
    daemon.start_again(&quiet, &["--source", &voice.argument], &[]);
    subscriber.wait_for("the last event", |message| {
        assert!(!message.payload.is_empty(), "{message:?}");
        message.topic == attributes && id(&message.payload) == id(&last[&attributes])
    });
}

#[test]
fn home_assistant_that_comes_up_is_told_again() {
    let (broker, voice) = (Broker::start(), voice());
    let _daemon = start(&config(&broker.url(), ""), &voice);
    entities_when(&broker, 11);
    let subscriber = Subscriber::new(&broker, &["homeassistant/device/#"], &["-R"]);
    broker.publish("homeassistant/status", "online", &[]);
    let told: BTreeSet<String> = (0..2).map(|_| subscriber.wait_for("a document", |_| true).topic).collect();
    assert_eq!(told.len(), 2);
}

#[test]
fn a_label_that_is_reported_no_longer_disappears_and_so_does_all_without_discovery() {
    let (broker, voice) = (Broker::start(), voice());
    let text = config(&broker.url(), "");
    let mut daemon = start(&text, &voice);
    entities_when(&broker, 11);
    let subscriber = Subscriber::new(&broker, &["homeassistant/device/#"], &["-R"]);
    daemon.reload(&text.replace("\"Dog\", ", ""));
    // First with nothing but its platform, then not at all.
    let removing = subscriber.wait_for("the removal", |message| message.topic.contains("/source_"));
    assert_eq!(removing.json()["components"]["label_dog"], json!({"platform": "binary_sensor"}));
    let after = subscriber.wait_for("the document", |message| message.topic.contains("/source_"));
    assert_eq!(after.json()["components"]["label_dog"], Value::Null);
    let is_told = |retained: &Retained, part: &str| retained.keys().any(|topic| topic.contains(part));
    broker.wait_until("no more of the dog", "mimid/pi/#", |retained| {
        !is_told(retained, "/dog/") && is_told(retained, "/speech/state")
    });
    entities_when(&broker, 9);
    // An entity that is taken away while the daemon is down is removed when the daemon comes back.
    daemon.signal("-TERM");
    daemon.wait();
    daemon.start_again(&text.replace("\"Speech\", \"Dog\", ", ""), &["--source", &voice.argument], &[]);
    let removing = subscriber
        .wait_for("the removal", |message| message.json()["components"]["label_speech"] == json!({"platform": "binary_sensor"}));
    assert!(removing.topic.contains("/source_"));
    broker.wait_until("no more of speech", "mimid/pi/#", |retained| !is_told(retained, "/speech/"));
    entities_when(&broker, 7);
    // Without discovery nothing is left of it, and the states go on.
    daemon.reload(&format!("{text}discovery = false\n"));
    broker.wait_until("no document", "homeassistant/#", Retained::is_empty);
    broker.wait_until("the state of the dog", "mimid/pi/#", |retained| is_told(retained, "/dog/state"));
}

#[test]
fn a_daemon_that_is_called_otherwise_leaves_nothing_under_its_old_name() {
    let (broker, voice) = (Broker::start(), voice());
    let text = config(&broker.url(), "");
    let daemon = start(&text, &voice);
    let under = |retained: &Retained, first: &str| retained.keys().filter(|topic| topic.starts_with(first)).count();
    broker.wait_until("all of the first name", "#", |retained| {
        retained.contains_key("mimid/pi/health") && under(retained, "homeassistant/") == 2 && under(retained, "mimid/pi/") > 10
    });
    let is_of_another = "mimid/pi2/availability";
    broker.publish(is_of_another, "online", &["-r"]);
    for (change, own, told) in [
        ("node = \"attic\"", "mimid/attic/", "homeassistant/device/mimid_attic/"),
        ("node = \"attic\"\nprefix = \"ears\"", "ears/attic/", "homeassistant/device/mimid_attic/"),
        ("node = \"attic\"\nprefix = \"ears\"\ndiscovery_prefix = \"ha\"", "ears/attic/", "ha/device/mimid_attic/"),
    ] {
        daemon.reload(&text.replace("node = \"pi\"", change));
        // All of it is there, and nothing else is: neither is it left, nor taken with the rest.
        broker.wait_until("the new name alone", "#", |retained| {
            under(retained, told) == 2
                && retained.contains_key(&format!("{own}health"))
                && under(retained, own) > 10
                && under(retained, own) + 2 + 1 == retained.len()
                && retained.contains_key(is_of_another)
        });
    }
}
