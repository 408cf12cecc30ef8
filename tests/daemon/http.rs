//! The HTTP sink of the real daemon, over plain sockets.

mod operation;
mod prometheus;
mod refusals;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::support::formats::{faults, named};
use crate::support::http::{Answer, Event, Stream, frame};
use crate::support::{Daemon, PATIENCE, VOICE, free_port, looped, until, voice_and_silence};

/// A daemon that hears a voice again and again, and serves HTTP.
struct Server {
    daemon: Daemon,
    address: SocketAddr,
    _recording: tempfile::TempDir,
}

impl Server {
    fn start(section: &str) -> Self {
        Self::start_at("127.0.0.1", section)
    }

    fn start_at(ip: &str, section: &str) -> Self {
        let port = free_port();
        let config = format!("[sinks.http]\nlisten = \"{ip}:{port}\"\n{section}");
        let (daemon, _recording) = hearing(&config);
        let server = Self { daemon, address: format!("127.0.0.1:{port}").parse().unwrap(), _recording };
        until("HTTP to be served", || TcpStream::connect(server.address));
        server
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        ))
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, "Content-Type: application/json\r\n", body)
    }

    fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    }

    /// A stream of events, and its first event.
    fn stream(&self, query: &str, headers: &str) -> (Stream, Event) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET /api/v1/events{query} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address).unwrap();
        let mut stream = Stream(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream"), "{head}");
        let hello = stream.next();
        assert_eq!(
            (&*hello.kind, &hello.data["type"], hello.data["model"]["labels"].as_u64()),
            ("hello", &json!("hello"), Some(527))
        );
        let first = stream.next();
        assert_eq!(first.kind, "subscribed");
        (stream, first)
    }
}

/// A daemon that hears a voice again and again, and the folder with the voice.
fn hearing(config: &str) -> (Daemon, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    let daemon = Daemon::looped(config, recording);
    daemon.connect().status_when("a window", |status| status["sources"][0]["windows"].as_u64() > Some(0));
    (daemon, folder)
}

#[test]
fn what_is_answered_is_what_is_described() {
    let server = Server::start("");
    let described = server.get("/api/v1/openapi.json").json();
    assert_eq!(described["openapi"], "3.1.0");
    let json = "Content-Type: application/json\r\n";
    for (method, path, body, status) in [
        ("get", "/api/v1/status", "", 200),
        ("get", "/api/v1/top?k=3", "", 200),
        ("get", "/api/v1/top?k=x", "", 400),
        ("get", "/api/v1/top?k=10001", "", 400),
        ("get", "/api/v1/labels", "", 200),
        ("get", "/api/v1/counts", "", 200),
        ("get", "/api/v1/live", "", 426),
        ("get", "/api/v1/live?source=cellar", "", 404),
        ("get", "/api/v1/live?sauce=kitchen", "", 400),
        ("patch", "/api/v1/labels/speech", r#"{"threshold":0.25}"#, 200),
        ("patch", "/api/v1/labels/speach", r#"{"threshold":0.25}"#, 404),
        ("patch", "/api/v1/labels/speech", r#"{"treshold":0.25}"#, 400),
        ("patch", "/api/v1/labels/speech", r#"{"threshold":2}"#, 400),
        ("patch", "/api/v1/labels/speech", r#"{"threshold":0}"#, 400),
        ("patch", "/api/v1/labels/speech", r#"{"threshold":0.2,"release":0.3}"#, 409),
        ("put", "/api/v1/labels/zing/reported", r#"{"reported":true}"#, 200),
        ("put", "/api/v1/labels/zing/reported", r#"{"reported":null}"#, 400),
        ("put", "/api/v1/labels/zign/reported", r#"{"reported":true}"#, 404),
        ("post", "/api/v1/test", r#"{"label":"Dog"}"#, 200),
        ("post", "/api/v1/test", r#"{"label":"Dgo"}"#, 404),
        ("post", "/api/v1/reload", "", 200),
        ("get", "/healthz", "", 200),
        ("post", "/api/v1/pause", r#"{"seconds":60}"#, 200),
        ("post", "/api/v1/pause", r#"{"seconds":null}"#, 200),
        ("post", "/api/v1/pause", r#"{"seconds":-1}"#, 400),
        ("post", "/api/v1/resume", "{}", 200),
        ("post", "/api/v1/login", r#"{"token":"x"}"#, 409),
        ("post", "/api/v1/logout", "", 200),
    ] {
        let answer = server.ask(&method.to_uppercase(), path, json, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        let route = path.split('?').next().unwrap();
        let route = ["speech", "speach", "zing", "zign"]
            .iter()
            .fold(route.to_owned(), |route, slug| route.replace(&format!("/{slug}"), "/{slug}"));
        let mut response = &described["paths"][&route][method]["responses"][status.to_string()];
        if let Some(reference) = response["$ref"].as_str() {
            response = described.pointer(&reference[1..]).unwrap();
        }
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} {status} is not described");
        let value = answer.json();
        let mut found = faults(&value, schema, &described);
        let fields = named(schema, &described);
        found.extend(
            value
                .as_object()
                .unwrap()
                .keys()
                .filter(|name| !fields.contains(name))
                .map(|name| format!("{name} is not described")),
        );
        assert!(found.is_empty(), "{method} {path}: {found:#?}");
    }
    let config = server.get("/api/v1/config");
    assert!(config.status == 200 && config.body.contains("[sinks.http]"), "{config:?}");
    let [all, wrong] = [server.get("/api/v2"), server.ask("DELETE", "/api/v1/status", "", "")];
    assert_eq!((all.status, wrong.status), (404, 405));
    assert_eq!((&all.json()["code"], &wrong.json()["code"]), (&json!("not_found"), &json!("wrong_method")));
    for header in ["cache-control: no-store", "x-content-type-options: nosniff", "content-security-policy: default-src 'none'"] {
        assert!(all.head.contains(header) && config.head.contains(header), "{header}");
    }
}

#[test]
fn a_threshold_acts_at_once_and_is_saved_if_so_asked() {
    let server = Server::start("");
    let json = "Content-Type: application/json\r\n";
    let file = server.daemon.folder.path().join("mimid.toml");
    let before = std::fs::read_to_string(&file).unwrap();
    let speech = |field: &str| {
        let all = server.get("/api/v1/labels").json();
        all["labels"].as_array().unwrap().iter().find(|label| label["slug"] == "speech").unwrap()[field].clone()
    };
    assert_eq!(server.ask("PATCH", "/api/v1/labels/speech", json, r#"{"threshold":0.31}"#).json()["threshold"], 0.31);
    assert_eq!((speech("threshold"), speech("reported")), (json!(0.31), json!("yes")));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
    let saved = server.ask("PATCH", "/api/v1/labels/Speech", json, r#"{"threshold":0.32,"save":true}"#);
    assert_eq!(saved.status, 200, "{saved:?}");
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(after.starts_with(&before) && after.contains("threshold = 0.32"), "{after}");
    // Whoever may write any file may write this one, too, so it is made what no one can: a folder.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let unsaved = server.ask("PATCH", "/api/v1/labels/speech", json, r#"{"threshold":0.33,"save":true}"#);
    assert_eq!((unsaved.status, &unsaved.json()["code"]), (409, &json!("not_saved")), "{unsaved:?}");
    assert_eq!(speech("threshold"), 0.33);
}

#[test]
fn a_label_is_reported_because_a_client_chose_it_and_the_file_says_so() {
    let server = Server::start("\n[report]\nignore = [\"Dog\"] # he is old\n");
    let file = server.daemon.folder.path().join("mimid.toml");
    let json = "Content-Type: application/json\r\n";
    let choose = |slug: &str, body: &str| server.ask("PUT", &format!("/api/v1/labels/{slug}/reported"), json, body);
    let (mut stream, _) = server.stream("?type=config", "");
    let dog = choose("dog", r#"{"reported":true}"#);
    assert_eq!((dog.status, &dog.json()["reported"], dog.json()["threshold"].is_number()), (200, &json!("yes"), true), "{dog:?}");
    stream.wait_for("config.reloaded");
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(after.contains("ignore = [] # he is old"), "{after}");
    let zing = choose("zing", r#"{"reported":true}"#);
    assert_eq!((zing.status, &zing.json()["reported"]), (200, &json!("yes")), "{zing:?}");
    assert_eq!(choose("zing", r#"{"reported":false}"#).json()["reported"], "left_out");
    assert_eq!(choose("speech", r#"{"reported":false}"#).json()["reported"], "ignored");
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(after.contains("include = []") && after.contains("ignore = [\"Speech\"] # he is old"), "{after}");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let unsaved = choose("dog", r#"{"reported":false}"#);
    assert_eq!((unsaved.status, &unsaved.json()["code"]), (409, &json!("not_saved")), "{unsaved:?}");
}

#[test]
fn what_is_missed_between_two_connections_is_replayed_and_a_restart_is_told() {
    let mut server = Server::start("");
    let test = || assert_eq!(server.post("/api/v1/test", r#"{"label":"Dog"}"#).status, 200);
    let (mut stream, first) = server.stream("?label=Dog&type=event", "");
    assert_eq!(first.data["labels"], json!(["Dog"]));
    test();
    let last = stream.wait_for("event.end");
    assert_eq!(last.id.split_once('@').unwrap().0, last.data["seq"].to_string());
    drop(stream);
    test();
    let (mut stream, again) = server.stream("?label=Dog&type=event", &format!("Last-Event-ID: {}\r\n", last.id));
    assert_eq!(again.data["restarted"], false);
    let missed = [stream.next(), stream.next()];
    assert_eq!([&*missed[0].kind, &*missed[1].kind], ["event.start", "event.end"]);
    assert!(missed[0].data["seq"].as_u64() > last.data["seq"].as_u64());
    let problem = server.get("/api/v1/events?label=Dgo").json();
    assert!(problem["message"].as_str().unwrap().contains("did you mean \"Dog\""), "{problem}");
    server.daemon.signal("-TERM");
    server.daemon.wait();
    let config = format!("[sinks.http]\nlisten = \"{}\"\n", server.address);
    server.daemon.start_again(&config, &["--source", &looped(VOICE)], &[]);
    until("HTTP to be served again", || TcpStream::connect(server.address));
    let (_, restarted) =
        server.stream("?label=Dog&type=event", &format!("Last-Event-ID: 1@{}\r\n", last.id.split_once('@').unwrap().1));
    assert_eq!(restarted.data["restarted"], true);
}

#[test]
fn a_websocket_gets_lines_and_takes_a_subscribe() {
    let server = Server::start("");
    let open = |origin: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        write!(stream, "GET /api/v1/events?type=paused HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}{origin}\r\n", server.address).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (stream, String::from_utf8(head).unwrap())
    };
    assert!(open("Origin: http://evil.example\r\n").1.starts_with("HTTP/1.1 403"));
    let (mut stream, head) = open(&format!("Origin: http://{}\r\n", server.address));
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut next = |kind: &str| loop {
        let line: Value = serde_json::from_str(&frame(&mut stream)).unwrap();
        if line["type"] == kind {
            return (line, stream.try_clone().unwrap());
        }
    };
    assert_eq!(next("hello").0["sources"].as_array().unwrap().len(), 1);
    let (subscribed, mut writer) = next("subscribed");
    assert_eq!(subscribed["types"], json!(["paused"]));
    let mut send = |text: &str| {
        let mut bytes = vec![0x81, 0x80 | text.len() as u8, 1, 2, 3, 4];
        bytes.extend(text.bytes().enumerate().map(|(i, byte)| byte ^ [1, 2, 3, 4][i % 4]));
        writer.write_all(&bytes).unwrap();
    };
    send(r#"{"op":"subscribe","labels":["Dog"]}"#);
    assert_eq!(next("subscribed").0["labels"], json!(["Dog"]));
    send(r#"{"op":"pause"}"#);
    assert_eq!(next("error").0["code"], "bad_request");
    server.post("/api/v1/test", r#"{"label":"Dog"}"#);
    assert_eq!(next("event.start").0["event"]["label"], "Dog");
}
