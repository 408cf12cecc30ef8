//! Discovery: the entities that Home Assistant makes of the retained messages, and their life.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{config, start, voice};
use crate::support::home_assistant::{Entities, entities, n_entities};
use crate::support::mqtt::{Broker, Message, Retained, Subscriber};

/// The entities, once there are `count` and none is being removed.
fn entities_when(broker: &Broker, count: usize) -> Entities {
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
    for (name, class) in [("Speech", "sound"), ("Dog", "sound"), ("Smoke detector, smoke alarm", "smoke")] {
        assert_eq!(entity(&entities, "binary_sensor", name)["device_class"], class);
    }
    let (speech, sound) = (entity(&entities, "binary_sensor", "Speech"), entity(&entities, "event", "Sound"));
    let (pause, threshold) = (entity(&entities, "switch", "Pause"), entity(&entities, "number", "Speech threshold"));
    let mut topics: Vec<&str> = entities.values().map(|entity| topic(entity, "state_topic")).collect();
    topics.push(topic(speech, "availability_topic"));
    let subscriber = Subscriber::new(&broker, &topics, &[]);
    subscriber.wait_for_payload(topic(speech, "availability_topic"), "online");
    subscriber.wait_for_payload(topic(speech, "state_topic"), "ON");
    subscriber.wait_for_payload(topic(speech, "state_topic"), "OFF");
    let heard = subscriber.wait_for("an event", |message| message.topic == topic(sound, "state_topic"));
    assert!(sound["event_types"].as_array().unwrap().contains(&heard.json()["event_type"]));

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
    subscriber.wait_for_payload(topic(speech, "state_topic"), "ON");
    broker.publish(topic(pause, "command_topic"), "ON", &[]);
    subscriber.wait_for("OFF and the pause", {
        let seen = RefCell::new(BTreeSet::new());
        move |message| {
            let wanted = [(topic(speech, "state_topic"), "OFF"), (topic(pause, "state_topic"), "ON")];
            if let Some(at) = wanted.iter().position(|(topic, payload)| message.topic == *topic && message.payload == *payload) {
                seen.borrow_mut().insert(at);
            }
            seen.borrow().len() == 2
        }
    });
    assert_eq!(client.status()["paused"]["reason"], "request");
    broker.publish(topic(pause, "command_topic"), "OFF", &[]);
    subscriber.wait_for_payload(topic(pause, "state_topic"), "OFF");
    subscriber.wait_for_payload(topic(speech, "state_topic"), "ON");
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
