//! The MQTT sink of the real daemon against a real broker, heard by a subscriber that is no part of this program.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::home_assistant::entities;
use support::mqtt::{Broker, Message, PATIENCE, Subscriber};
use support::{Daemon, run, voice_and_seconds_of_silence};

/// A sink to the broker, and a few labels.
fn config(url: &str, more: &str) -> String {
    format!(
        "[report]\nlabels = [\"Speech\", \"Dog\", \"Smoke detector, smoke alarm\"]\n\
         [sinks.mqtt]\nurl = {url:?}\nnode = \"pi\"\n{more}\n"
    )
}

/// A source that says something again and again.
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
        assert_eq!(daemon.wait(Duration::from_secs(10)).0, 0);
        subscriber.wait_for_payload(&format!("mimid/pi/{source}/speech/state"), "OFF");
        subscriber.wait_for_payload("mimid/pi/availability", "offline");
        let left = broker.retained(&format!("mimid/pi/{source}/+/state"));
        assert!(left.len() == 3 && left.values().all(|state| state == "OFF"), "{left:?}");
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

/// The entity of this platform and this name.
fn entity<'e>(entities: &'e BTreeMap<(String, String), Value>, platform: &str, name: &str) -> &'e Value {
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
    let retained = broker.wait_until("homeassistant/#", |retained| retained.len() == 2);
    let entities = entities(&retained);
    // For the source: a sound, a level, a microphone and three labels; for the daemon: a switch, a problem, and three thresholds.
    assert_eq!(entities.len(), 6 + 5);
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
    let told = client.ask(r#"{"op":"top","k":600}"#, "top");
    let labels = told["sources"][0]["labels"].as_array().unwrap();
    assert_eq!(labels.iter().find(|label| label["label"] == "Speech").unwrap()["threshold"], 0.9);
    broker.publish(topic(threshold, "command_topic"), "7", &[]);
    subscriber.wait_for_payload(topic(threshold, "state_topic"), "0.9");
    // What is in force after a reload is told as well.
    client.ask(r#"{"op":"reload"}"#, "config.reloaded");
    let is_back = |message: &Message| message.topic == topic(threshold, "state_topic") && message.payload != "0.9";
    subscriber.wait_for("the threshold of the file", is_back);

    // The switch pauses, which ends what is heard, and takes it back.
    subscriber.wait_for_payload(topic(speech, "state_topic"), "ON");
    broker.publish(topic(pause, "command_topic"), "ON", &[]);
    subscriber.wait_for("OFF and the pause", {
        let seen = std::cell::RefCell::new(BTreeSet::new());
        move |message| {
            let wanted = [(topic(speech, "state_topic"), "OFF"), (topic(pause, "state_topic"), "ON")];
            if let Some(at) = wanted.iter().position(|(topic, payload)| message.topic == *topic && message.payload == *payload) {
                seen.borrow_mut().insert(at);
            }
            seen.borrow().len() == 2
        }
    });
    assert_eq!(client.ask(r#"{"op":"status"}"#, "status")["paused"]["reason"], "request");
    broker.publish(topic(pause, "command_topic"), "OFF", &[]);
    subscriber.wait_for_payload(topic(pause, "state_topic"), "OFF");
    subscriber.wait_for_payload(topic(speech, "state_topic"), "ON");
}

#[test]
fn home_assistant_that_comes_up_is_told_again() {
    let (broker, voice) = (Broker::start(), voice());
    let _daemon = start(&config(&broker.url(), ""), &voice);
    broker.wait_until("homeassistant/#", |retained| retained.len() == 2);
    let subscriber = Subscriber::new(&broker, &["homeassistant/device/#"], &["-R"]);
    // The subscriber is there before anything is said to it.
    std::thread::sleep(Duration::from_secs(1));
    broker.publish("homeassistant/status", "online", &[]);
    let told: BTreeSet<String> = (0..2).map(|_| subscriber.wait_for("a document", |_| true).topic).collect();
    assert_eq!(told.len(), 2);
}

#[test]
fn a_label_that_is_reported_no_longer_disappears_and_so_does_all_without_discovery() {
    let (broker, voice) = (Broker::start(), voice());
    let text = config(&broker.url(), "");
    let mut daemon = start(&text, &voice);
    let documents = broker.wait_until("homeassistant/#", |retained| retained.len() == 2);
    assert_eq!(entities(&documents).len(), 11);
    let subscriber = Subscriber::new(&broker, &["homeassistant/device/#"], &["-R"]);
    std::thread::sleep(Duration::from_secs(1));
    reload(&daemon, &text.replace("\"Dog\", ", ""));
    // First with nothing but its platform, then not at all.
    let removing = subscriber.wait_for("the removal", |message| message.topic.contains("/source_"));
    assert_eq!(removing.json()["components"]["label_dog"], json!({"platform": "binary_sensor"}));
    let after = subscriber.wait_for("the document", |message| message.topic.contains("/source_"));
    assert_eq!(after.json()["components"]["label_dog"], Value::Null);
    let left = broker.wait_until("mimid/pi/#", |retained| !retained.keys().any(|topic| topic.contains("/dog/")));
    assert!(left.keys().any(|topic| topic.ends_with("/speech/state")));
    assert_eq!(entities(&broker.retained("homeassistant/#")).len(), 9);
    // What is taken away while the daemon is not there is found when it comes back.
    daemon.signal("-TERM");
    daemon.wait(Duration::from_secs(10));
    daemon.start_again(&text.replace("\"Speech\", \"Dog\", ", ""), &["--source", &voice.argument], &[]);
    let removing = subscriber
        .wait_for("the removal", |message| message.json()["components"]["label_speech"] == json!({"platform": "binary_sensor"}));
    assert!(removing.topic.contains("/source_"));
    broker.wait_until("mimid/pi/#", |retained| !retained.keys().any(|topic| topic.contains("/speech/")));
    assert_eq!(entities(&broker.retained("homeassistant/#")).len(), 7);
    // Without discovery nothing is left of it, and the states go on.
    reload(&daemon, &format!("{}discovery = false\n", text.trim_end_matches('\n').to_owned() + "\n"));
    broker.wait_until("homeassistant/#", BTreeMap::is_empty);
    broker.wait_until("mimid/pi/#", |retained| retained.keys().any(|topic| topic.ends_with("/dog/state")));
}

/// Gives a running daemon another configuration.
fn reload(daemon: &Daemon, text: &str) {
    let socket = format!("[socket]\npath = {:?}\n", daemon.socket());
    std::fs::write(daemon.folder.path().join("mimid.toml"), format!("{socket}{text}")).unwrap();
    daemon.connect().ask(r#"{"op":"reload"}"#, "config.reloaded");
}

#[test]
fn a_daemon_that_is_called_otherwise_leaves_nothing_under_its_old_name() {
    let (broker, voice) = (Broker::start(), voice());
    let text = config(&broker.url(), "");
    let daemon = start(&text, &voice);
    let under =
        |retained: &BTreeMap<String, String>, first: &str| retained.keys().filter(|topic| topic.starts_with(first)).count();
    let before =
        broker.wait_until("#", |retained| retained.contains_key("mimid/pi/health") && under(retained, "homeassistant/") == 2);
    let is_of_another = "mimid/pi2/availability";
    broker.publish(is_of_another, "online", &["-r"]);
    for (change, own, told) in [
        ("node = \"attic\"", "mimid/attic/", "homeassistant/device/mimid_attic/"),
        ("node = \"attic\"\nprefix = \"ears\"", "ears/attic/", "homeassistant/device/mimid_attic/"),
        ("node = \"attic\"\nprefix = \"ears\"\ndiscovery_prefix = \"ha\"", "ears/attic/", "ha/device/mimid_attic/"),
    ] {
        reload(&daemon, &text.replace("node = \"pi\"", change));
        // All of it is there, and nothing else is: neither is it left, nor taken with the rest.
        broker.wait_until("#", |retained| {
            under(retained, told) == 2
                && retained.contains_key(&format!("{own}health"))
                && under(retained, own) + 2 + 1 == retained.len()
                && retained.contains_key(is_of_another)
        });
    }
    assert!(under(&before, "mimid/pi/") > 10);
}

/// Waits until the sink's state in `status` is this, and gives the reason.
fn wait_for_state(daemon: &Daemon, state: &str) -> Value {
    let (mut client, deadline) = (daemon.connect(), Instant::now() + PATIENCE);
    loop {
        let status = client.ask(r#"{"op":"status"}"#, "status");
        let sink = &status["sinks"][0];
        if sink["state"] == state {
            return sink.clone();
        }
        assert!(Instant::now() < deadline, "{sink}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_wrong_password_is_one_sentence_and_the_right_one_is_taken_by_itself() {
    let broker = Broker::with("allow_anonymous false\npassword_file DIR/p\n", |folder| {
        let made = Command::new("mosquitto_passwd").arg("-b").arg("-c").arg(folder.join("p")).args(["mimid", "right"]).status();
        assert!(made.unwrap().success());
        std::fs::set_permissions(folder.join("p"), std::fs::Permissions::from_mode(0o644)).unwrap();
    });
    for version in ["3.1.1", "5"] {
        let (secret, voice) = (tempfile::tempdir().unwrap(), voice());
        let file = secret.path().join("p");
        std::fs::write(&file, "wrong\n").unwrap();
        let user = format!("username = \"mimid\"\npassword_file = {file:?}\nversion = {version:?}");
        let log = secret.path().join("log");
        let daemon = start_logged(&config(&broker.url(), &user), &voice, &log);
        let sink = wait_for_state(&daemon, "down");
        let reason = sink["reason"].as_str().unwrap();
        assert!(reason.contains("refuses the user or the password") && reason.contains("password_file"), "{reason}");
        // It is tried some more times, and told once.
        std::thread::sleep(Duration::from_secs(2));
        std::fs::write(&file, "right\n").unwrap();
        assert_eq!(wait_for_state(&daemon, "up")["reason"], Value::Null);
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log.matches("refuses the user").count(), 1, "{log}");
        assert!(!log.contains("wrong") && !log.contains("right"), "{log}");
    }
}

/// A daemon whose log goes to a file.
fn start_logged(config: &str, voice: &Voice, log: &Path) -> Daemon {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    std::fs::write(folder.path().join("mimid.toml"), format!("[socket]\npath = {socket:?}\n{config}")).unwrap();
    let mut command = support::mimid();
    command.arg("run").arg("--config").arg(folder.path().join("mimid.toml")).args(["--source", &voice.argument]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(log).unwrap()).spawn().unwrap();
    let daemon = Daemon { child, folder };
    let deadline = Instant::now() + PATIENCE;
    while std::os::unix::net::UnixStream::connect(daemon.socket()).is_err() {
        assert!(Instant::now() < deadline, "the daemon does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon
}

/// Makes an authority and a certificate of it for 127.0.0.1 in the folder.
fn certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        let output = run(Command::new("openssl").args(arguments).current_dir(folder));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(&[&new[..], &["-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"]].concat());
    openssl(&[&new[..], &["-subj", "/CN=broker", "-keyout", "key", "-out", "request"]].concat());
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let sign = ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    openssl(&[&sign[..], &["-extfile", "names", "-out", "cert"]].concat());
    std::fs::set_permissions(folder.join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn over_tls_the_broker_must_be_signed_by_whom_the_file_names() {
    let lines = "allow_anonymous true\ncafile DIR/ca.pem\ncertfile DIR/cert\nkeyfile DIR/key\n";
    let broker = Broker::with(lines, certificates);
    let url = format!("mqtts://127.0.0.1:{}", broker.port);
    let file: PathBuf = broker.folder.path().join("ca.pem");
    for version in ["3.1.1", "5"] {
        let (voice, others) = (voice(), tempfile::tempdir().unwrap());
        let daemon = start(&config(&url, &format!("version = {version:?}\nca_file = {file:?}")), &voice);
        wait_for_state(&daemon, "up");
        drop(daemon);
        certificates(others.path());
        let other = others.path().join("ca.pem");
        let daemon = start(&config(&url, &format!("version = {version:?}\nca_file = {other:?}")), &voice);
        let reason = wait_for_state(&daemon, "down")["reason"].to_string();
        assert!(reason.contains("is not who it should be") && reason.contains("certificate"), "{reason}");
    }
}

#[test]
fn a_broker_that_is_away_at_the_start_is_waited_for_and_gets_what_was_heard() {
    let (mut broker, voice) = (Broker::start(), voice());
    let subscriber = Subscriber::new(&broker, &["mimid/#"], &[]);
    std::thread::sleep(Duration::from_secs(2));
    broker.kill();
    let daemon = start(&config(&broker.url(), ""), &voice);
    let sink = wait_for_state(&daemon, "down");
    assert!(sink["reason"].as_str().unwrap().contains("cannot be reached"), "{sink}");
    let heard = daemon.connect().wait_for_event("event.start", &["Speech"]);
    broker.restart();
    let told =
        subscriber.wait_for("the event", |message| message.topic.ends_with("/event") && message.json()["seq"] == heard["seq"]);
    // With its own time, not that of the sending.
    assert_eq!((&told.json()["ts"], &told.json()["event"]["onset"]), (&heard["ts"], &heard["event"]["onset"]));
}

/// Killed and started again under events: the states are true soon, and every line of an event arrives once and in order.
#[test]
fn a_broker_that_is_killed_again_and_again_costs_nothing_that_the_queue_holds() {
    let times = if std::env::var_os("MIMID_ENDURANCE").is_some() { 20 } else { 3 };
    let (mut broker, voice) = (Broker::start(), voice());
    let subscriber = Subscriber::new(&broker, &["mimid/+/+/event"], &[]);
    // The broker has written down that there is a subscriber.
    std::thread::sleep(Duration::from_secs(2));
    let daemon = start(&config(&broker.url(), ""), &voice);
    wait_for_state(&daemon, "up");
    // One counts the lines, the other asks; who waits for an answer passes over lines.
    let (mut client, mut asking) = (daemon.connect(), daemon.connect());
    let source = client.hello["sources"][0].as_str().unwrap().to_owned();
    let mut expected = Vec::new();
    let follow = |client: &mut support::Client, expected: &mut Vec<u64>, until: &str| loop {
        let line = client.next();
        let kind = line["type"].as_str().unwrap().to_owned();
        if kind.starts_with("event.") {
            expected.push(line["seq"].as_u64().unwrap());
        }
        if kind == until {
            break;
        }
    };
    let mut slowest = Duration::ZERO;
    for time in 0..times {
        follow(&mut client, &mut expected, "event.start");
        // Nothing is on its way just when it dies.
        std::thread::sleep(Duration::from_millis(200));
        broker.kill();
        follow(&mut client, &mut expected, if time % 2 == 0 { "event.end" } else { "event.start" });
        broker.restart();
        let back = Instant::now();
        let topic = format!("mimid/pi/{source}/speech/state");
        loop {
            let open = asking.ask(r#"{"op":"top","k":0}"#, "top");
            let is_open = open["sources"][0]["open"].as_array().unwrap().iter().any(|event| event["label"] == "Speech");
            let state = broker.retained(&topic).remove(&topic);
            let is_up = broker.retained("mimid/pi/availability").values().any(|availability| availability == "online");
            if is_up && state.as_deref() == Some(if is_open { "ON" } else { "OFF" }) {
                slowest = slowest.max(back.elapsed());
                break;
            }
            assert!(back.elapsed() < Duration::from_secs(5), "{state:?} although open: {is_open}");
        }
    }
    follow(&mut client, &mut expected, "event.end");
    drop(client);
    let mut told = Vec::new();
    let last = *expected.last().unwrap();
    while told.last() != Some(&last) {
        told.push(subscriber.wait_for("an event", |_| true).json()["seq"].as_u64().unwrap());
    }
    let sink = wait_for_state(&daemon, "up");
    assert_eq!(sink["dropped"], 0);
    assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
    assert_eq!(told.iter().filter(|seq| **seq >= expected[0]).copied().collect::<Vec<_>>(), expected);
    println!(
        "{times} kills: states true within {slowest:.1?} of the restart, {} lines of events, none twice, none lost",
        expected.len()
    );
}
