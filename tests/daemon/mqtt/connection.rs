//! Brokers that are away, that refuse the connection, or that have a certificate of another authority.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Voice, config, start, voice};
use crate::support::mqtt::{Broker, Subscriber};
use crate::support::{Client, Daemon, run, until};

/// Waits until `status` says that the sink is in this state, and returns the sink.
pub fn wait_for_state(daemon: &Daemon, state: &str) -> Value {
    let what = format!("a sink that is {state}");
    daemon.connect().status_when(&what, |status| status["sinks"][0]["state"] == state)["sinks"][0].clone()
}

/// A daemon whose log goes to a file.
pub fn start_logged(config: &str, voice: &Voice, log: &Path) -> Daemon {
    let log = std::fs::File::create(log).unwrap();
    Daemon::start_as(config, &["--source", &voice.argument], |mut command| {
        command.stderr(log);
        command
    })
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
        let n_refused = || broker.log().matches("not authorised").count();
        let so_far = n_refused();
        until("two more tries", || n_refused() >= so_far + 2);
        std::fs::write(&file, "right\n").unwrap();
        assert_eq!(wait_for_state(&daemon, "up")["reason"], Value::Null);
        let log = std::fs::read_to_string(log).unwrap();
        assert_eq!(log.matches("refuses the user").count(), 1, "{log}");
        assert!(!log.contains("wrong") && !log.contains("right"), "{log}");
    }
}

/// Makes a certificate authority and its certificate for 127.0.0.1 in the folder.
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
    broker.wait_until_written("the subscriber to be written down", |written| holds(written, "watcher"));
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

/// Whether the bytes hold this text.
fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Reads a client's lines until one is of this type, and keeps the numbers of the lines of events.
fn follow(client: &mut Client, expected: &mut Vec<u64>, until: &str) {
    loop {
        let line = client.next();
        let kind = line["type"].as_str().unwrap();
        if kind.starts_with("event.") {
            expected.push(line["seq"].as_u64().unwrap());
        }
        if kind == until {
            return;
        }
    }
}

/// The broker is killed and started again while events come. The states are true soon, and every line of an event arrives once
/// and in order.
#[test]
fn a_broker_that_is_killed_again_and_again_costs_nothing_that_the_queue_holds() {
    let times = if std::env::var_os("MIMID_ENDURANCE").is_some() { 20 } else { 3 };
    let (mut broker, voice) = (Broker::start(), voice());
    let subscriber = Subscriber::new(&broker, &["mimid/+/+/event"], &[]);
    broker.wait_until_written("the subscriber to be written down", |written| holds(written, "watcher"));
    let daemon = start(&config(&broker.url(), ""), &voice);
    wait_for_state(&daemon, "up");
    // One counts the lines, the other asks; who waits for an answer passes over lines.
    let (mut client, mut asking) = (daemon.connect(), daemon.connect());
    let source = client.hello["sources"][0].as_str().unwrap().to_owned();
    let (mut expected, mut told, mut on_their_way) = (Vec::new(), Vec::new(), Vec::new());
    let take = |told: &mut Vec<u64>, last: u64| {
        while told.last() != Some(&last) {
            told.push(subscriber.wait_for("an event", |_| true).json()["seq"].as_u64().unwrap());
        }
    };
    for time in 0..times {
        follow(&mut client, &mut expected, "event.start");
        // Nothing is on its way when it dies: neither to it, nor from it, nor in what it has written down.
        let last = *expected.last().unwrap();
        take(&mut told, last);
        asking.status_when("an empty queue", |status| status["sinks"][0]["queued"] == 0);
        broker.wait_until_written("the event to be done with", |written| !holds(written, &format!("\"seq\":{last},")));
        broker.kill();
        // But for what was said just then, which may come twice.
        on_their_way.push(last + 1..=asking.status()["seq"].as_u64().unwrap());
        follow(&mut client, &mut expected, if time % 2 == 0 { "event.end" } else { "event.start" });
        broker.restart();
        let topic = format!("mimid/pi/{source}/speech/state");
        until("true states", || {
            let open = asking.ask(r#"{"op":"top","k":0}"#, "top");
            let is_open = open["sources"][0]["open"].as_array().unwrap().iter().any(|event| event["label"] == "Speech");
            let state = broker.ask(&topic);
            let is_up = broker.ask("mimid/pi/availability").as_deref() == Some("online");
            let is_true = state.as_deref() == Some(if is_open { "ON" } else { "OFF" });
            if is_up && is_true { Ok(()) } else { Err((is_up, is_open, state)) }
        });
    }
    follow(&mut client, &mut expected, "event.end");
    drop(client);
    take(&mut told, *expected.last().unwrap());
    assert_eq!(wait_for_state(&daemon, "up")["dropped"], 0);
    told.dedup_by(|a, b| a == b && on_their_way.iter().any(|seqs| seqs.contains(a)));
    assert!(told.is_sorted_by(|a, b| a < b), "{told:?}");
    assert_eq!(told.iter().filter(|seq| **seq >= expected[0]).copied().collect::<Vec<_>>(), expected);
    let longest_s = broker.longest_search_s();
    println!("{times} kills: found within {longest_s} s, {} lines of events, none lost", expected.len());
    // It looks for the broker every three seconds at least, and the broker's log has whole seconds.
    assert!(longest_s <= 5, "the broker was there for {longest_s} s before it was found");
}
