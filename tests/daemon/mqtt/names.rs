//! The names that a daemon has at the broker: two daemons of one name, names that are given up, and what a broker does not take.

use std::path::Path;

use super::connection::{start_logged, wait_for_state};
use super::home_assistant::entities_when;
use super::{Voice, config, start, voice};
use crate::support::mqtt::{Broker, Retained};
use crate::support::{Daemon, mimid, run, until};

fn under(retained: &Retained, first: &str) -> usize {
    retained.keys().filter(|topic| topic.starts_with(first)).count()
}

#[test]
fn of_two_daemons_of_one_name_the_later_one_gives_way_and_takes_over_when_the_other_is_gone() {
    for version in ["3.1.1", "5"] {
        let (broker, voice) = (Broker::start(), voice());
        let text = config(&broker.url(), &format!("version = {version:?}"));
        let mut first = start(&text, &voice);
        wait_for_state(&first, "up");
        broker.wait_until("everything of the first", "mimid/pi/#", |retained| under(retained, "mimid/pi/") > 10);
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let second = start_logged(&text, &voice, &log);
        let sink = second.connect().status_when("word of the other daemon", |status| {
            let sink = &status["sinks"][0];
            sink["state"] == "down" && sink["reason"].as_str().is_some_and(|reason| reason.contains("another mimid"))
        })["sinks"][0]
            .clone();
        let reason = sink["reason"].as_str().unwrap();
        assert!(reason.contains("\"pi\"") && reason.contains("another node under [sinks.mqtt]"), "{reason}");
        // The first one has the broker for itself again.
        wait_for_state(&first, "up");
        broker.wait_until("the first to be there", "mimid/pi/#", |retained| retained["mimid/pi/availability"] == "online");
        assert_eq!(std::fs::read_to_string(&log).unwrap().matches("another mimid").count(), 1);
        first.child.kill().unwrap();
        wait_for_state(&second, "up");
        broker.wait_until("the second to be there", "mimid/pi/#", |retained| retained["mimid/pi/availability"] == "online");
    }
}

#[test]
fn a_broker_of_small_packets_gets_a_document_for_each_entity() {
    let mut broker = Broker::with("allow_anonymous true\nmax_packet_size 4000\n", |_| ());
    broker.watch();
    let (voice, url) = (voice(), broker.url());
    // Of the whole preset, so that the document of the source does not fit into a packet, and each of its entities does.
    let daemon = start(&format!("[sinks.mqtt]\nurl = {url:?}\nnode = \"pi\"\nversion = \"5\"\n"), &voice);
    let retained = broker.wait_until("single documents", "homeassistant/#", |retained| {
        ["sensor", "event", "binary_sensor"]
            .iter()
            .all(|platform| under(retained, &format!("homeassistant/{platform}/mimid_pi/")) > 0)
    });
    assert_eq!(under(&retained, "homeassistant/device/mimid_pi/source_"), 0, "{retained:?}");
    assert!(under(&retained, "homeassistant/binary_sensor/mimid_pi/") > 5, "{retained:?}");
    assert_eq!(wait_for_state(&daemon, "up")["reason"], serde_json::Value::Null);
}

#[test]
fn a_broker_that_lets_nothing_be_published_is_told_by_what_it_says() {
    // Without a bound of its queue mosquitto 2.0.11 hangs up on whomever it refuses, before it says why.
    let lines = "allow_anonymous true\nacl_file DIR/acl\nmax_queued_messages 1000\n";
    let broker = Broker::with(lines, |folder| std::fs::write(folder.join("acl"), "topic read #\n").unwrap());
    let (voice, folder) = (voice(), tempfile::tempdir().unwrap());
    let log = folder.path().join("log");
    let _daemon = start_logged(&config(&broker.url(), "version = \"5\""), &voice, &log);
    until("word of the access control", || std::fs::read_to_string(&log).unwrap().contains("access control"));
    assert_eq!(std::fs::read_to_string(&log).unwrap().matches("access control").count(), 1);
}

#[test]
fn without_its_section_nothing_is_left() {
    let (broker, voice) = (Broker::start(), voice());
    let daemon = start(&config(&broker.url(), ""), &voice);
    entities_when(&broker, 11);
    daemon.reload("[report]\nlabels = [\"Speech\"]\n");
    broker.wait_until("nothing", "#", Retained::is_empty);
}

/// A daemon that has a state directory.
fn start_with_state(daemon: Option<&mut Daemon>, text: &str, voice: &Voice, state: &Path) -> Option<Daemon> {
    let (arguments, environment) = (["--source", voice.argument.as_str()], [("STATE_DIRECTORY", state)]);
    match daemon {
        Some(daemon) => {
            daemon.signal("-TERM");
            daemon.wait();
            daemon.start_again(text, &arguments, &environment);
            None
        }
        None => Some(Daemon::start(text, &arguments, &environment)),
    }
}

#[test]
fn names_that_go_while_it_is_stopped_leave_nothing() {
    let (broker, voice, state) = (Broker::start(), voice(), tempfile::tempdir().unwrap());
    let text = config(&broker.url(), "");
    let mut daemon = start_with_state(None, &text, &voice, state.path()).unwrap();
    entities_when(&broker, 11);
    until("the topics to be remembered", || {
        std::fs::read_to_string(state.path().join("mqtt.json")).is_ok_and(|kept| kept.contains("mimid/pi/availability"))
    });
    start_with_state(Some(&mut daemon), &text.replace("\"pi\"", "\"attic\""), &voice, state.path());
    broker.wait_until("the new name alone", "#", |retained| {
        under(retained, "mimid/attic/") > 10
            && under(retained, "mimid/pi/") == 0
            && under(retained, "homeassistant/device/mimid_attic/") == 2
            && under(retained, "homeassistant/") == 2
    });
    start_with_state(Some(&mut daemon), "[report]\nlabels = [\"Speech\"]\n", &voice, state.path());
    broker.wait_until("nothing", "#", Retained::is_empty);
    until("nothing to be remembered", || {
        std::fs::read_to_string(state.path().join("mqtt.json")).is_ok_and(|kept| !kept.contains("mimid/"))
    });
}

#[test]
fn a_node_that_is_gone_is_cleaned_by_hand_and_one_that_is_there_is_not() {
    let (broker, voice) = (Broker::start(), voice());
    let text = config(&broker.url(), "");
    let mut daemon = start(&text, &voice);
    entities_when(&broker, 11);
    broker.wait_until("it to be there", "mimid/pi/availability", |retained| !retained.is_empty());
    let config_file = daemon.config_file();
    let clean = || {
        let output = run(mimid().args(["mqtt", "clean", "pi", "--config"]).arg(&config_file));
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = clean();
    assert!(code == Some(1) && said.contains("pi is connected to the broker"), "{code:?} {said}");
    daemon.child.kill().unwrap();
    daemon.wait();
    broker.publish("mimid/pi2/availability", "online", &["-r"]);
    broker.wait_until("it to be gone", "mimid/pi/availability", |retained| retained.values().all(|payload| payload == "offline"));
    let (code, said) = clean();
    assert!(code == Some(0) && said.ends_with("messages of pi are removed\n"), "{code:?} {said}");
    broker.wait_until("nothing but the other node", "#", |retained| retained.keys().eq(["mimid/pi2/availability"]));
    assert_eq!(clean(), (Some(0), "the broker has retained nothing of pi\n".to_owned()));
}
