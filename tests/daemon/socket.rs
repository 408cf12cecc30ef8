//! The socket with real clients: filters, replays, stalled clients, `mimid listen`, socat.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Client, Daemon, RINGTONE, VOICE, mimid, run, until};

#[test]
fn a_filter_lets_pass_what_it_names() {
    let (daemon, _folder) = Daemon::voices();
    let mut client = daemon.connect();
    let answer = client
        .ask(r#"{"op":"subscribe","labels":["ringtone","/M/09X0R"],"types":["event.start"],"min_score":0.1}"#, "subscribed");
    assert_eq!(answer["labels"], serde_json::json!(["Ringtone", "Speech"]));
    for _ in 0..2 {
        let line = client.next();
        assert_eq!((line["type"].as_str(), line["event"]["label"].as_str()), (Some("event.start"), Some("Speech")));
    }
    // The replay gives the earlier lines once and in order, and the live lines follow without a gap.
    let mut again = daemon.connect();
    again.send(r#"{"op":"subscribe","since":0}"#);
    let now = again.wait_for("subscribed")["seq"].as_u64().unwrap();
    assert!(now >= 2);
    for expected in 1..=now + 2 {
        assert_eq!(again.next()["seq"], expected);
    }
}

#[test]
fn a_stalled_client_holds_up_nobody() {
    let daemon = Daemon::looped("", RINGTONE);
    let mut stalled = daemon.connect();
    let mut healthy = daemon.connect();
    healthy.send(r#"{"op":"subscribe","labels":["Sneeze"]}"#);
    // Far more lines than a queue and a socket's buffer hold; the test requests make two each. Beyond a few hundred open ones, each
    // ends the oldest.
    for _ in 0..1_500 {
        healthy.send(r#"{"op":"test","label":"Sneeze"}"#);
        healthy.wait_for_event("event.start", &["Sneeze"]);
    }
    healthy.wait_for_event("event.end", &["Sneeze"]);
    let status = healthy.status();
    let missed = status["dropped_lines"].as_u64().unwrap();
    assert!(missed > 0, "{status}");
    // The stalled client is told what it missed, in its place: a line's number is one more than the last, and than what was missed.
    let until = status["seq"].as_u64().unwrap();
    let (mut at, mut told) = (stalled.hello["seq"].as_u64().unwrap(), 0);
    while at < until {
        let line = stalled.next();
        match line["type"].as_str() {
            Some("dropped") => {
                told += line["count"].as_u64().unwrap();
                at += line["count"].as_u64().unwrap();
            }
            _ => {
                at += 1;
                assert_eq!(line["seq"], at, "{line}");
            }
        }
    }
    assert!(told >= missed, "told {told}, missed {missed}");
}

#[test]
fn listen_prints_what_the_daemon_sends() {
    let (daemon, _folder) = Daemon::voices();
    let socket = daemon.socket();
    let listen = |arguments: &[&str]| run(mimid().args(["listen", "--socket"]).arg(&socket).args(arguments));
    let json = listen(&["--type", "event.start", "--count", "2"]);
    assert!(json.status.success());
    let lines: Vec<Value> =
        String::from_utf8(json.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line["type"] == "event.start"), "{lines:?}");
    let pretty = String::from_utf8(listen(&["--label", "speech", "--count", "2", "--format", "pretty"]).stdout).unwrap();
    assert!(pretty.contains("mimid 0.1.0 hears 527 kinds of sound") && pretty.contains("Speech"), "{pretty}");
    let wrong = listen(&["--label", "Rintone"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(String::from_utf8(wrong.stderr).unwrap(), "mimid: there is no label \"Rintone\"; did you mean \"Ringtone\"?\n");
    let wrong = listen(&[
        "--source", "voiec", "--source", "test", "--since", "0", "--type", "event", "--label", "speech", "--count", "0",
    ]);
    assert_eq!(wrong.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(wrong.stderr).unwrap(),
        "warning: the daemon has no source \"voiec\"; did you mean \"voice\"?\n"
    );
    // A reader that goes away ends the listener quietly.
    let mut command = std::process::Command::new("bash");
    let line = format!("{} listen --socket {} | head -1 >/dev/null", env!("CARGO_BIN_EXE_mimid"), socket.display());
    let output = run(command.args(["-o", "pipefail", "-c", &line]));
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn listen_says_that_what_another_start_of_the_daemon_said_is_gone() {
    let daemon = Daemon::looped("", RINGTONE);
    let mut client = daemon.connect();
    client.wait_for("event.start");
    let status = client.status();
    assert_eq!(status["instance"], client.hello["instance"]);
    let listen = |instance: &str| {
        let mut command = mimid();
        command.args(["listen", "--since", "0", "--count", "1", "--instance", instance, "--socket"]).arg(daemon.socket());
        String::from_utf8(run(&mut command).stderr).unwrap()
    };
    assert_eq!(listen(status["instance"].as_str().unwrap()), "");
    let gone = "warning: the daemon was restarted; the lines before that are lost\n";
    assert_eq!(listen("01a20f57-9b70-767d-a625-5b09be1d5f7a"), gone);
}

#[test]
fn socat_is_a_full_client() {
    let daemon = Daemon::looped("", VOICE);
    let mut socat = std::process::Command::new("socat");
    socat.arg("-").arg(format!("UNIX-CONNECT:{}", daemon.socket().display()));
    let mut child = socat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("socat is needed; `make test` installs it");
    child.stdin.as_mut().unwrap().write_all(b"{\"op\":\"status\"}\n").unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.next().unwrap().contains("\"type\":\"hello\""));
    assert!(lines.any(|line| line.contains("\"type\":\"status\"")), "socat ended without an answer");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_stale_socket_is_taken_over() {
    let mut daemon = Daemon::looped("", VOICE);
    daemon.signal("-KILL");
    daemon.wait();
    assert!(daemon.socket().exists());
    let config = daemon.folder.path().join("mimid.toml");
    let mut second =
        mimid().arg("run").arg("--config").arg(config).args(["--source", &format!("file:{VOICE}?loop")]).spawn().unwrap();
    until("the second one to listen", || UnixStream::connect(daemon.socket()));
    Client::connect(&daemon.socket());
    second.kill().unwrap();
    second.wait().unwrap();
}
