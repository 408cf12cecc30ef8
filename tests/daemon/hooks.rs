//! Hooks with the real daemon: the examples of the page, a server that is slow, wrong or gone, and restarts.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Client, Daemon, mimid, until, voice_and_silence};

const PAGE: &str = include_str!("../../docs/hooks.md");

/// A request as a server got it.
#[derive(Debug, Clone)]
struct Asked {
    first: String,
    headers: HashMap<String, String>,
    body: String,
}

impl Asked {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
        loop {
            let n = stream.read(&mut piece).ok()?;
            bytes.extend(&piece[..n]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let mut lines = head.split("\r\n");
                let first = lines.next().unwrap_or_default().to_owned();
                let headers: HashMap<String, String> = lines
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                    .collect();
                let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
                if body.len() >= length {
                    return Some(Self { first, headers, body: body.to_owned() });
                }
            }
            if n == 0 {
                return None;
            }
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

const FINE: u8 = 0;
const SLOW: u8 = 1;
const WRONG: u8 = 2;
const NEVER: u8 = 3;

/// A server that remembers what it was asked and answers as it is told to.
struct Server {
    port: u16,
    manner: Arc<AtomicU8>,
    /// Each request with whether its success was answered.
    asked: Arc<Mutex<Vec<(Asked, bool)>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), manner: Arc::default(), asked: Arc::default() };
        let (manner, asked) = (server.manner.clone(), server.asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), manner, asked) = (stream, manner.load(Relaxed), asked.clone()) else { return };
                std::thread::spawn(move || {
                    let Some(request) = Asked::read(&mut stream) else { return };
                    let answer = match manner {
                        SLOW => {
                            std::thread::sleep(Duration::from_millis(200));
                            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
                        }
                        WRONG => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
                        NEVER => "",
                        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                    };
                    asked.lock().unwrap().push((request, manner <= SLOW));
                    if manner == NEVER {
                        std::thread::sleep(Duration::from_secs(60));
                    }
                    let _ = stream.write_all(answer.as_bytes());
                });
            }
        });
        server
    }

    /// How often each event was answered with a success.
    fn successes(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (asked, _) in self.asked.lock().unwrap().iter().filter(|(_, is_success)| *is_success) {
            *counts.entry(asked.json()["event"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    }
}

/// The hook's entry in the status.
fn hook(status: &Value) -> &Value {
    &status["hooks"][0]
}

fn number(status: &Value, key: &str) -> u64 {
    hook(status)[key].as_u64().unwrap_or_default()
}

fn daemon(folder: &Path, config: &str) -> Daemon {
    Daemon::looped(config, voice_and_silence(folder))
}

/// Has `n` events made up, a hundred a second, and returns how long the answers took at most.
fn make_up(client: &mut Client, n: usize) -> Duration {
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    for at in 0..n {
        let asked = Instant::now();
        client.ask(r#"{"op":"test","label":"Sneeze"}"#, "done");
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep((start + Duration::from_millis(10) * at as u32).saturating_duration_since(Instant::now()));
    }
    slowest
}

#[test]
fn a_server_that_is_slow_wrong_or_silent_disturbs_nothing_and_gets_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let config = format!(
        "[[hooks]]\nname = \"a\"\non = [\"Sneeze\"]\nwhen = \"announced\"\nurl = \"http://127.0.0.1:{}/\"\ntimeout_s = 1\nqueue = 300\nat_once = 8\nretries = 100\n",
        server.port
    );
    let daemon = daemon(folder.path(), &config);
    let mut client = daemon.connect();
    client.ask(r#"{"op":"subscribe","types":["event.start"],"labels":["Speech"]}"#, "subscribed");
    let mut asker = daemon.connect();
    asker.ask(r#"{"op":"subscribe","types":["resumed"]}"#, "subscribed");
    let mut made_up = 0;
    for manner in [NEVER, WRONG, SLOW, FINE] {
        server.manner.store(manner, Relaxed);
        let slowest = make_up(&mut asker, 200);
        made_up += 200;
        assert!(slowest < Duration::from_secs(2), "an answer took {slowest:?}");
        // What is heard comes as before.
        client.wait_for("event.start");
        let status = asker.ask(r#"{"op":"status"}"#, "status");
        assert!(number(&status, "waiting") <= 300, "{status}");
        assert_eq!(status["dropped_reports"], 0);
    }
    let status = asker.status_when("all to be told", |status| number(status, "waiting") == 0);
    let (done, dropped) = (number(&status, "done"), number(&status, "dropped"));
    assert_eq!((done + dropped, number(&status, "given_up")), (made_up, 0), "{status}");
    assert!(dropped > 0 && number(&status, "failed") > 0, "{status}");
    let successes = server.successes();
    assert_eq!(successes.len() as u64, done);
    assert!(successes.values().all(|times| *times == 1));
}

#[test]
fn runs_that_wait_outlive_a_restart_where_there_is_a_store_and_a_reload_without() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    let hook = |more: &str| {
        format!(
            "[[hooks]]\nname = \"a\"\non = [\"Sneeze\"]\nwhen = \"announced\"\nurl = \"http://127.0.0.1:{}/\"\nretries = 100\n{more}",
            server.port
        )
    };
    let stored = format!("[store]\npath = {:?}\n{}", folder.path().join("state/events.db"), hook(""));
    server.manner.store(WRONG, Relaxed);
    let recording = voice_and_silence(folder.path());
    let source = format!("file:{}?loop", recording.display());
    for (config, is_killed) in [(stored.clone(), false), (stored, true), (hook(""), false)] {
        server.asked.lock().unwrap().clear();
        server.manner.store(WRONG, Relaxed);
        let mut daemon = Daemon::start(&config, &["--source", &source], &[]);
        let mut client = daemon.connect();
        make_up(&mut client, 20);
        client.status_when("a try", |status| number(status, "failed") > 0 && number(status, "waiting") == 20);
        if config.starts_with("[store]") {
            if is_killed {
                // The file's thread writes in a moment.
                std::thread::sleep(Duration::from_millis(500));
            }
            daemon.signal(if is_killed { "-KILL" } else { "-TERM" });
            daemon.wait();
            server.manner.store(FINE, Relaxed);
            daemon.start_again(&config, &["--source", &source], &[]);
        } else {
            server.manner.store(FINE, Relaxed);
            daemon.reload(&hook("timeout_s = 5\n"));
        }
        daemon.connect().status_when("all to be told", |status| number(status, "done") == 20);
        let successes = server.successes();
        assert_eq!((successes.len(), successes.values().sum::<usize>()), (20, 20));
        // A kill just now could repeat what was done just now.
        daemon.signal("-TERM");
        daemon.wait();
    }
}

#[test]
fn a_program_gets_the_event_and_its_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (out, secret) = (folder.path().join("out"), folder.path().join("secret"));
    std::fs::write(&secret, "geheim\n").unwrap();
    let script = format!("cat >{0}.new; echo \"$MIMID_LABEL $MIMID_SECRET\" >>{0}.new; mv {0}.new {0}", out.display());
    let config = format!(
        "[[hooks]]\nname = \"a\"\non = [\"Sneeze\"]\nwhen = \"ended\"\nexec = [\"bash\", \"-c\", {script:?}]\nsecret_file = {secret:?}\n\
         [[hooks]]\nname = \"b\"\non = [\"Sneeze\"]\nexec = [\"false\"]\n"
    );
    let daemon = daemon(folder.path(), &config);
    let mut client = daemon.connect();
    client.ask(r#"{"op":"test","label":"Sneeze"}"#, "done");
    until("the program to run", || out.exists());
    let written = std::fs::read_to_string(&out).unwrap();
    let (line, rest) = written.split_once('\n').unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(
        (line["type"].as_str(), line["event"]["label"].as_str(), rest),
        (Some("event.end"), Some("Sneeze"), "Sneeze geheim\n")
    );
    client.status_when("the result", |status| status["hooks"][0]["last"]["ok"] == true);
}

/// The hooks of the page, with a server of this machine in the place of each service.
fn examples(folder: &Path, port: u16) -> String {
    let blocks = PAGE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut config = blocks.collect::<String>();
    for host in [
        "https://ntfy.sh",
        "https://gotify.example.org",
        "https://api.telegram.org",
        "https://hooks.slack.com",
        "https://matrix.example.org",
        "http://homeassistant.local:8123",
    ] {
        assert!(config.contains(host), "{host}");
        config = config.replace(host, &format!("http://127.0.0.1:{port}"));
    }
    std::fs::write(folder.join("secret"), "T0/B1/geheim\n").unwrap();
    for name in ["gotify", "telegram", "slack", "matrix", "home_assistant"] {
        config = config.replace(&format!("/etc/mimid/{name}\""), &format!("{}/secret\"", folder.display()));
    }
    config
}

#[test]
fn the_examples_of_the_page_say_what_their_services_expect() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start();
    std::fs::write(folder.path().join("mimid.toml"), examples(folder.path(), server.port)).unwrap();
    // The two programs write down what they are given.
    for program in ["sendmail", "notify-send"] {
        let path = folder.path().join(program);
        std::fs::write(&path, format!("#!/bin/bash\nprintf '%s\\n' \"$@\" >{0}.arguments\ncat >{0}.input\n", path.display()))
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let search = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let test = |name: &str, label: &str| {
        let mut command = mimid();
        command
            .args(["hooks", "test", name, "--label", label, "--config"])
            .arg(folder.path().join("mimid.toml"))
            .env("PATH", &search);
        let output = command.output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!shown.contains("geheim") && shown.contains("result   "), "{shown}");
        server.asked.lock().unwrap().pop().map(|(asked, _)| asked)
    };
    let text = |label: &str| format!("{label}, heard by test, score 0.90");
    let ntfy = test("phone", "Glass").unwrap();
    assert_eq!((ntfy.first.as_str(), ntfy.body.as_str()), ("POST /my-secret-topic HTTP/1.1", text("Glass").as_str()));
    assert_eq!(
        (ntfy.headers["title"].as_str(), ntfy.headers["priority"].as_str(), ntfy.headers["tags"].as_str()),
        ("Glass", "high", "ear")
    );
    let gotify = test("gotify", "Baby cry, infant cry").unwrap();
    assert_eq!(
        (gotify.first.as_str(), gotify.headers["x-gotify-key"].as_str(), gotify.headers["content-type"].as_str()),
        ("POST /message HTTP/1.1", "T0/B1/geheim", "application/json")
    );
    assert_eq!(
        gotify.json(),
        serde_json::json!({"title": "Baby cry, infant cry", "message": text("Baby cry, infant cry"), "priority": 8})
    );
    let telegram = test("telegram", "Doorbell").unwrap();
    assert_eq!(
        (telegram.first.as_str(), &telegram.json()["chat_id"]),
        ("POST /botT0/B1/geheim/sendMessage HTTP/1.1", &Value::from(123_456_789))
    );
    assert!(telegram.json()["text"].as_str().unwrap().ends_with(&text("Doorbell")));
    let slack = test("slack", "Glass").unwrap();
    assert_eq!(slack.first, "POST /services/T0/B1/geheim HTTP/1.1");
    assert!(slack.json()["text"].as_str().unwrap().starts_with("*Glass* at "));
    let matrix = test("matrix", "Glass").unwrap();
    assert!(matrix.first.starts_with("PUT /_matrix/client/v3/rooms/%21room%3Aexample.org/send/m.room.message/0"), "{matrix:?}");
    assert_eq!(matrix.headers["authorization"], "Bearer T0/B1/geheim");
    assert_eq!(matrix.json(), serde_json::json!({"msgtype": "m.text", "body": text("Glass")}));
    let lamp = test("lamp", "Doorbell").unwrap();
    assert_eq!(
        (lamp.first.as_str(), lamp.headers["authorization"].as_str()),
        ("POST /api/services/light/turn_on HTTP/1.1", "Bearer T0/B1/geheim")
    );
    assert_eq!(lamp.json(), serde_json::json!({"entity_id": "light.hall", "flash": "short"}));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(test("mail", "Smoke detector, smoke alarm").is_none());
    assert_eq!(read("sendmail.arguments"), "-i\n-t\n");
    let mail = read("sendmail.input");
    assert!(
        mail.starts_with(
            "To: anna@example.org\nSubject: mimid: Smoke detector, smoke alarm\nContent-Type: text/plain; charset=utf-8\n\n2"
        ),
        "{mail}"
    );
    assert!(test("desktop", "Knock").is_none());
    assert_eq!(read("notify-send.arguments"), format!("--app-name=mimid\n--\nKnock\n{}\n", text("Knock")));
    // All of them are listed, without what may be a secret.
    let output = mimid().args(["hooks", "--config"]).arg(folder.path().join("mimid.toml")).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(listed.lines().count(), 9, "{listed}");
    assert!(listed.contains("Glass, confirmed: POST http://127.0.0.1:"), "{listed}");
    assert!(!listed.contains("services"), "{listed}");
    let wrong = mimid().args(["hooks", "test", "slak", "--config"]).arg(folder.path().join("mimid.toml")).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no hook \"slak\"; did you mean \"slack\"?"));
}
