//! The HTTP sink of the real daemon, asked over plain sockets.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};
use support::formats::{faults, named, samples};
use support::http::{Answer, Event, Stream, frame};
use support::{Daemon, free_port, voice_and_silence, wait_until};

const TOKEN: &str = "a token of the tests";

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
        wait_until(|| TcpStream::connect(server.address).is_ok());
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
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET /api/v1/events{query} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address).unwrap();
        let mut stream = Stream(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.0.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream"), "{head}");
        let first = stream.next();
        assert_eq!(first.kind, "subscribed");
        (stream, first)
    }
}

/// A daemon that hears a voice again and again, and the folder with the voice.
fn hearing(config: &str) -> (Daemon, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let recording = voice_and_silence(folder.path());
    let source = format!("file:{}?loop", recording.display());
    let daemon = Daemon::start(config, &["--source", &source], &[]);
    wait_until(|| daemon.connect().ask(r#"{"op":"status"}"#, "status")["sources"][0]["windows"].as_u64() > Some(0));
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
        ("get", "/api/v1/labels", "", 200),
        ("get", "/api/v1/counts", "", 200),
        ("get", "/api/v1/live", "", 426),
        ("get", "/api/v1/live?source=cellar", "", 404),
        ("get", "/api/v1/live?sauce=kitchen", "", 400),
        ("patch", "/api/v1/labels/speech", r#"{"threshold":0.25}"#, 200),
        ("patch", "/api/v1/labels/speach", r#"{"threshold":0.25}"#, 404),
        ("patch", "/api/v1/labels/speech", r#"{"treshold":0.25}"#, 400),
        ("patch", "/api/v1/labels/speech", r#"{"threshold":2}"#, 400),
        ("post", "/api/v1/test", r#"{"label":"Dog"}"#, 200),
        ("post", "/api/v1/test", r#"{"label":"Dgo"}"#, 404),
        ("post", "/api/v1/reload", "", 200),
        ("get", "/healthz", "", 200),
        ("post", "/api/v1/pause", r#"{"seconds":60}"#, 200),
        ("post", "/api/v1/pause", r#"{"seconds":-1}"#, 400),
        ("post", "/api/v1/resume", "{}", 200),
        ("post", "/api/v1/login", r#"{"token":"x"}"#, 409),
        ("post", "/api/v1/logout", "", 200),
    ] {
        let answer = server.ask(&method.to_uppercase(), path, json, body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        let route = path.split('?').next().unwrap().replace("/speech", "/{slug}").replace("/speach", "/{slug}");
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
    server.daemon.wait(Duration::from_secs(10));
    let config = format!("[sinks.http]\nlisten = \"{}\"\n", server.address);
    server.daemon.start_again(&config, &["--source", &format!("file:{}?loop", support::VOICE)], &[]);
    wait_until(|| TcpStream::connect(server.address).is_ok());
    let (_, restarted) =
        server.stream("?label=Dog&type=event", &format!("Last-Event-ID: 1@{}\r\n", last.id.split_once('@').unwrap().1));
    assert_eq!(restarted.data["restarted"], true);
}

#[test]
fn a_websocket_gets_lines_and_takes_a_subscribe() {
    let server = Server::start("");
    let open = |origin: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
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

#[test]
fn nothing_is_told_or_changed_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let server = Server::start_at("0.0.0.0", &format!("token_file = {file:?}\n"));
    let described = {
        let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
        server.ask("GET", "/api/v1/openapi.json", &bearer, "").json()
    };
    let json = "Content-Type: application/json\r\n";
    let mut open = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            if described["security"] == json!([]) {
                open.push(path);
                continue;
            }
            for headers in ["", "Authorization: Bearer a token of the testz\r\n", "Cookie: mimid_session=0\r\n"] {
                let answer = server.ask(&method.to_uppercase(), path, &format!("{json}{headers}"), "{}");
                assert_eq!((answer.status, &answer.json()["code"]), (401, &json!("unauthorized")), "{method} {path}");
            }
        }
    }
    assert_eq!(open, ["/", "/api/v1/login", "/api/v1/logout", "/page/{part}"]);
    assert_eq!((server.get("/").status, server.get("/page/main.js").status, server.get("/page/none").status), (200, 200, 404));
    assert_eq!(server.get("/none").status, 401);
    assert_eq!(server.post("/api/v1/login", r#"{"token":"wrong"}"#).status, 401);
    let login = server.post("/api/v1/login", &json!({ "token": TOKEN }).to_string());
    assert_eq!(login.status, 200, "{login:?}");
    let cookie =
        login.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap().split(';').next().unwrap().to_owned();
    let cookie = format!("Cookie: {cookie}\r\n");
    assert_eq!(server.ask("GET", "/api/v1/status", &cookie, "").status, 200);
    assert_eq!(server.ask("POST", "/api/v1/resume", &cookie, "").status, 200);
    assert_eq!(server.ask("POST", "/api/v1/logout", &cookie, "").status, 200);
    assert_eq!(server.ask("GET", "/api/v1/status", &cookie, "").status, 401);
    let effective = server.ask("GET", "/api/v1/config", &format!("Authorization: Bearer {TOKEN}\r\n"), "");
    assert!(effective.status == 200 && !effective.body.contains(TOKEN));
}

#[test]
fn an_open_address_without_a_token_is_not_served() {
    let port = free_port();
    let (daemon, _recording) = hearing(&format!("[sinks.http]\nlisten = \"0.0.0.0:{port}\"\n"));
    let status = daemon.connect().ask(r#"{"op":"status"}"#, "status");
    let sink = &status["sinks"][0];
    assert_eq!((&sink["name"], &sink["state"]), (&json!("http"), &json!("down")));
    assert!(sink["reason"].as_str().unwrap().contains("there is no access token"), "{sink}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn other_hosts_other_sites_and_tricks_are_refused() {
    let server = Server::start("");
    let host =
        |host: &str| server.raw(&format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status;
    assert_eq!(
        (host("localhost"), host("evil.example"), host(&format!("evil.example:{}", server.address.port()))),
        (200, 421, 421)
    );
    assert_eq!(server.raw("GET /api/v1/status HTTP/1.0\r\n\r\n").status, 421);
    let origin = "Origin: http://evil.example\r\n";
    assert_eq!(server.ask("GET", "/api/v1/events", origin, "").status, 403);
    assert_eq!(server.ask("POST", "/api/v1/pause", origin, "").status, 403);
    assert_eq!(server.ask("POST", "/api/v1/pause", "Content-Type: text/plain\r\n", "{}").status, 415);
    assert_eq!(server.get("/api/v1/status").json()["paused"], Value::Null);
    let long = format!("/{}", "a".repeat(20_000));
    for path in [
        "/..",
        "/api/v1/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/v1/labels/%00",
        "/api/v1/%2e/status",
        "//",
        "/api//v1/status",
        "/api/v1/labels/%ff",
        "*",
        &long,
    ] {
        let status = server.ask("GET", path, "", "").status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    let json = "Content-Type: application/json\r\n";
    for slug in ["%00", "%ff", "..%2f..%2fetc", "%F0%9F%92%A9"] {
        let answer = server.ask("PATCH", &format!("/api/v1/labels/{slug}"), json, r#"{"threshold":0.5,"save":true}"#);
        assert!(matches!(answer.status, 400 | 404), "{slug}: {answer:?}");
    }
    assert_eq!(server.post("/api/v1/test", &" ".repeat(70_000)).status, 413);
    assert_eq!(server.get(&format!("/api/v1/status?{}", "a".repeat(20_000))).status, 431);
    assert_eq!(server.get("/api/v1/status").status, 200);
}

#[test]
fn who_asks_slowly_is_not_waited_for() {
    let server = Server::start("");
    let open = |text: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let head = open(&format!("GET /api/v1/status HTTP/1.1\r\nHost: {}\r\nX: ", server.address));
    let silent = open("");
    let body = open(&format!(
        "POST /api/v1/pause HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{",
        server.address
    ));
    // Each sends a byte now and then, which does not help.
    for mut slow in [head.try_clone().unwrap(), body.try_clone().unwrap()] {
        std::thread::spawn(move || {
            while slow.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_secs(2))
            }
        });
    }
    assert_eq!(Answer::read(body).status, 408);
    assert!(matches!(Answer::read(head).status, 0 | 408));
    assert_eq!(Answer::read(silent).status, 0);
    assert_eq!(server.get("/api/v1/status").json()["paused"], Value::Null);
}

#[test]
fn over_a_unix_socket_the_own_user_may_do_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("http");
    let (mut daemon, _recording) = hearing(&format!("[sinks.http]\nlisten = \"unix:{}\"\n", path.display()));
    wait_until(|| path.exists());
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(stream)
    };
    assert_eq!(ask("GET /healthz HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n").status, 200);
    assert_eq!(ask("POST /api/v1/resume HTTP/1.1\r\nHost: any\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").status, 200);
    assert_eq!(
        ask(
            "POST /api/v1/resume HTTP/1.1\r\nHost: any\r\nOrigin: http://other\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        .status,
        403
    );
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(Duration::from_secs(10)).0, 0);
    assert!(!path.exists());
}

#[test]
fn an_address_in_use_is_told_and_served_when_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (daemon, _recording) = hearing(&format!("[sinks.http]\nlisten = \"{address}\"\n"));
    let sink = || daemon.connect().ask(r#"{"op":"status"}"#, "status")["sinks"][0].clone();
    let down = sink();
    assert_eq!(down["state"], "down");
    assert!(down["reason"].as_str().unwrap().starts_with(&format!("{address} cannot be listened on: ")), "{down}");
    drop(taken);
    wait_until(|| sink()["state"] == "up");
    assert!(TcpStream::connect(address).is_ok());
}

#[test]
fn the_metrics_are_what_prometheus_reads_and_what_the_dashboard_shows() {
    let server = Server::start("");
    server.post("/api/v1/test", r#"{"label":"Dog"}"#);
    let metrics = || {
        let answer = server.get("/metrics");
        assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", answer.head);
        samples(&answer.body)
    };
    wait_until(|| metrics().contains_key("mimid_events_total{label=\"dog\",source=\"test\"}"));
    let (before, after) = (metrics(), metrics());
    let source = server.get("/api/v1/status").json()["sources"][0]["name"].as_str().unwrap().to_owned();
    let of = |name: &str| format!("{name}{{source=\"{source}\"}}");
    assert!(after[&of("mimid_windows_total")] > 0.0 && after[&of("mimid_source_up")] == 1.0);
    assert_eq!(after["process_start_time_seconds"], before["process_start_time_seconds"]);
    assert!(after["process_resident_memory_bytes"] > 1e6 && after["mimid_sink_up{sink=\"http\"}"] == 1.0);
    let buckets: Vec<f64> =
        after.iter().filter(|(key, _)| key.starts_with("mimid_latency_seconds_bucket")).map(|(_, value)| *value).collect();
    let count = after[&of("mimid_latency_seconds_count")];
    assert!(
        buckets.len() > 10 && buckets.iter().all(|bucket| *bucket <= count) && buckets.contains(&count),
        "{buckets:?} {count}"
    );
    for (key, value) in before.iter().filter(|(key, _)| key.split('{').next().unwrap().ends_with("_total")) {
        assert!(after[key] >= *value, "{key} fell");
    }
    let dashboard: Value = serde_json::from_str(include_str!("../config/grafana.json")).unwrap();
    let text = dashboard.to_string();
    let words = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("mimid_") || word.starts_with("process_"));
    let names: Vec<&str> = words.collect();
    assert!(names.len() > 10);
    for name in names {
        assert!(after.keys().any(|key| key.split('{').next() == Some(name)), "{name} is not among the metrics");
    }
}

#[test]
fn health_is_hearing() {
    let server = Server::start("");
    let health = || {
        let answer = server.get("/healthz");
        (answer.status, answer.json())
    };
    assert_eq!(health().0, 200);
    server.post("/api/v1/pause", "");
    wait_until(|| health().1["sources"][0]["message"].as_str().unwrap().contains("is paused"));
    assert_eq!(health().0, 200);
}

#[test]
fn a_source_that_is_lost_is_no_health() {
    let port = free_port();
    let _daemon = Daemon::start(
        &format!("[[source]]\nname = \"a\"\ninput = \"no-such-device\"\n[sinks.http]\nlisten = \"127.0.0.1:{port}\"\n"),
        &["--wait"],
        &[],
    );
    let mut last = String::new();
    wait_until(|| {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let answer = Answer::read(stream);
        assert_eq!(answer.status, 503, "{answer:?}");
        last = answer.json()["sources"][0]["message"].as_str().unwrap_or_default().to_owned();
        last.starts_with("a is lost: ")
    });
}

#[test]
fn two_hundred_browsers_half_of_them_stalled_cost_nobody_anything() {
    let server = Server::start("");
    let rate = || server.get("/api/v1/status").json()["sources"][0]["windows_per_s"].as_f64().unwrap();
    wait_until(|| rate() > 8.0);
    // The stalled ones never read a byte; their buffers, which are small, are full soon, and then their queues.
    let stalled: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            setsockopt(&stream, sockopt::RcvBuf, &4_096).unwrap();
            write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).unwrap();
            stream
        })
        .collect();
    let mut healthy: Vec<Stream> = (0..100).map(|_| server.stream("?label=Dog&type=event.start", "").0).collect();
    let mut socket = server.daemon.connect();
    socket.ask(r#"{"op":"subscribe","labels":["Dog"],"types":["event.start"]}"#, "subscribed");
    let mut control = server.daemon.connect();
    control.ask(r#"{"op":"subscribe","types":["paused"]}"#, "subscribed");
    let (mut delays, rounds) = (Vec::new(), 20);
    for _ in 0..rounds {
        // Many lines besides, for queues to fill.
        for _ in 0..50 {
            control.send(r#"{"op":"test","label":"Cat"}"#);
        }
        control.send(r#"{"op":"test","label":"Dog"}"#);
        let line = socket.wait_for("event.start");
        let told = Instant::now();
        for stream in &mut healthy {
            assert_eq!(stream.wait_for("event.start").data["seq"], line["seq"]);
            delays.push(told.elapsed());
        }
        (0..51).for_each(|_| assert_eq!(control.next()["type"], "done"));
    }
    delays.sort();
    let worst = delays.last().copied().unwrap();
    println!(
        "100 healthy browsers beside 100 stalled: median {:?}, worst {worst:?} after the socket's client",
        delays[delays.len() / 2]
    );
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    let status = server.get("/api/v1/status").json();
    assert!(status["sources"][0]["windows_per_s"].as_f64().unwrap() > 8.0, "{status}");
    assert_eq!(status["sources"][0]["overrun_samples"], 0);
    assert!(status["dropped_lines"].as_u64().unwrap() > 0, "nobody was stalled: {status}");
    assert!(status["sinks"][0]["clients"].as_u64().unwrap() >= 200, "{status}");
    drop(stalled);
    drop(healthy);
    wait_until(|| server.get("/api/v1/status").json()["sinks"][0]["clients"].as_u64().unwrap() < 3);
}
