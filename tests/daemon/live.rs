//! The live view and the counts of the real daemon, over plain sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::formats::faults;
use crate::support::http::{Answer, frame};
use crate::support::{Daemon, PATIENCE, free_port, onnx, until, voice_and_silence, wav};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};

/// The tone that the source `kitchen` hears.
const TONE_HZ: f64 = 1_000.0;

/// A daemon whose source `kitchen` hears a tone and whose source `porch` hears a voice, each again and again.
struct Server {
    daemon: Daemon,
    address: SocketAddr,
    recordings: tempfile::TempDir,
}

impl Server {
    fn start(section: &str) -> Self {
        let recordings = tempfile::tempdir().unwrap();
        let sample = |n: u32| (8_000.0 * (f64::from(n) * TONE_HZ / 48_000.0 * std::f64::consts::TAU).sin()) as i16;
        std::fs::write(recordings.path().join("tone.wav"), wav(&(0..96_000).map(sample).collect::<Vec<_>>(), 48_000, 1)).unwrap();
        voice_and_silence(recordings.path());
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let sink = format!("[sinks.http]\nlisten = \"{address}\"\n{section}");
        let config = [source(&recordings, "kitchen", "tone"), source(&recordings, "porch", "voice"), sink].concat();
        let server = Self { daemon: Daemon::start(&config, &[], &[]), address, recordings };
        until("HTTP to be served", || TcpStream::connect(address));
        server.daemon.connect().status_when("windows of both sources", |status| {
            (0..2).all(|source| status["sources"][source]["windows"].as_u64() > Some(0))
        });
        server
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let host = self.address;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
        Answer::read(stream)
    }

    fn post(&self, path: &str, body: &str) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let (host, length) = (self.address, body.len());
        let head = format!("Host: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}");
        write!(stream, "POST {path} HTTP/1.1\r\n{head}\r\n\r\n{body}").unwrap();
        assert_eq!(Answer::read(stream).status, 200);
    }

    /// Opens a live view, or returns the refusal.
    fn look(&self, query: &str, headers: &str) -> Result<Looker, Answer> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        setsockopt(&stream, sockopt::RcvBuf, &4_096).unwrap();
        let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let (host, upgrade) = (self.address, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
        write!(stream, "GET /api/v1/live{query} HTTP/1.1\r\nHost: {host}\r\n{upgrade}{key}{headers}\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        if head.starts_with(b"HTTP/1.1 101 ") {
            return Ok(Looker(stream));
        }
        // The rest of a refusal, whose connection stays open, is as long as its head says.
        let text = String::from_utf8(head.clone()).unwrap().to_lowercase();
        let length = text.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        head.extend(body);
        Err(Answer::read(&*head))
    }
}

fn source(recordings: &tempfile::TempDir, name: &str, recording: &str) -> String {
    let path = recordings.path().join(format!("{recording}.wav"));
    format!("[[source]]\nname = \"{name}\"\ninput = \"file:{}?loop\"\n", path.display())
}

/// The client of a live view.
struct Looker(TcpStream);

impl Looker {
    fn next(&mut self) -> Value {
        serde_json::from_str(&frame(&mut self.0)).unwrap()
    }

    /// The next message of this type. Others are skipped.
    fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next();
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Whether the daemon ends the view with a close frame. Messages before it are skipped.
    fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        rest.ends_with(&[0x88, 0])
    }
}

fn columns(message: &Value) -> Vec<u8> {
    STANDARD.decode(message["columns"].as_str().unwrap()).unwrap()
}

fn at(message: &Value) -> Timestamp {
    message["at"].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_picture_goes_on_without_a_gap_and_a_tone_is_where_it_sounds() {
    let server = Server::start("");
    let described = server.ask("GET", "/api/v1/openapi.json", "").json();
    let check = |message: &Value| {
        assert_eq!(faults(message, &json!({"$ref": "#/components/schemas/Live"}), &described), Vec::<String>::new());
    };
    // The kitchen is the first source of the configuration.
    let mut looker = server.look("", "").unwrap();
    let start = looker.next();
    check(&start);
    assert_eq!((&start["type"], &start["source"]), (&json!("live.start"), &json!("kitchen")));
    assert_eq!((start["column_ms"].as_f64(), start["two_sided_lag_ms"].as_u64() > Some(500)), (Some(20.0), true));
    let bands_hz: Vec<f64> = start["bands_hz"].as_array().unwrap().iter().map(|hz| hz.as_f64().unwrap()).collect();
    let distance = |band: usize| (bands_hz[band] - TONE_HZ).abs();
    let nearest = (0..bands_hz.len()).min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap();
    let first = looker.next();
    let first_at = at(&first);
    let mut next = first["column"].as_u64().unwrap() + (columns(&first).len() / bands_hz.len()) as u64;
    let (from, mut lags_ms, mut unscored_ms) = (next, Vec::new(), Vec::new());
    // Four seconds of it.
    while next < from + 200 {
        let message = looker.next();
        check(&message);
        assert_eq!((&message["type"], message["column"].as_u64()), (&json!("live"), Some(next)));
        let bytes = columns(&message);
        assert_eq!(bytes.len() % bands_hz.len(), 0);
        for column in bytes.chunks(bands_hz.len()) {
            let loudest = (0..column.len()).max_by_key(|band| column[*band]).unwrap();
            assert!(loudest.abs_diff(nearest) <= 1, "band {loudest} instead of {nearest}: {column:?}");
        }
        // The time of a column is a count of columns, but for the drift of the clock that they are laid on.
        let expected_ms = 20 * (next - first["column"].as_u64().unwrap()) as i64;
        let told_ms = at(&message).as_millisecond() - first_at.as_millisecond();
        assert!((told_ms - expected_ms).abs() < 20, "{told_ms} ms instead of {expected_ms} ms");
        lags_ms.push(Timestamp::now().as_millisecond() - at(&message).as_millisecond());
        let scored_at: Timestamp = message["scored_at"].as_str().unwrap().parse().unwrap();
        unscored_ms.push((scored_at.as_millisecond() - at(&message).as_millisecond()).abs());
        assert!((-20.0..-10.0).contains(&message["level_dbfs"].as_f64().unwrap()), "{message}");
        next += (bytes.len() / bands_hz.len()) as u64;
    }
    // Ten messages tell of a second, and fewer where one of them had to wait; none is of what is to come, and most are of just now.
    lags_ms.sort();
    unscored_ms.sort();
    let (n, lag_ms) = (lags_ms.len(), lags_ms[lags_ms.len() / 2]);
    println!("{n} messages of {} columns, most of them {lag_ms} ms late", next - from);
    assert!((12..48).contains(&n) && lags_ms[0] >= 0 && lag_ms < 2_000, "{lags_ms:?}");
    assert!(unscored_ms[n / 2] < 2_000, "{unscored_ms:?}");
}

#[test]
fn the_labels_are_those_that_top_tells() {
    let server = Server::start("");
    let mut looker = server.look("?source=porch", "").unwrap();
    assert_eq!(looker.next()["source"], "porch");
    let (mut is_open, mut is_looked_back_at) = (false, false);
    until("a voice to be shown", || {
        let message = looker.wait_for("live");
        let labels = message["labels"].as_array().unwrap();
        assert!(labels.len() <= 64);
        let strength = |label: &Value| label["score"].as_f64().unwrap().max(label["two_sided"].as_f64().unwrap_or(0.0));
        let strengths: Vec<f64> = labels.iter().map(strength).collect();
        assert!(strengths.is_sorted_by(|a, b| a >= b) && strengths.iter().all(|strength| *strength >= 0.003), "{labels:?}");
        if let Some(speech) = labels.iter().find(|label| label["slug"] == "speech") {
            is_open |= speech["score"].as_f64() > Some(0.3) && speech["why"] == "open";
            is_looked_back_at |= speech["two_sided"].as_f64() > Some(0.3);
        }
        is_open && is_looked_back_at
    });
    let top = server.ask("GET", "/api/v1/top?k=600", "").json();
    let reasons: Vec<(&Value, &Value)> =
        top["sources"][1]["labels"].as_array().unwrap().iter().map(|label| (&label["slug"], &label["why"])).collect();
    let unreported = |why: &Value| ["not_reported", "ignored", "grouped"].iter().any(|reason| why == reason);
    for label in looker.wait_for("live")["labels"].as_array().unwrap() {
        let (_, why) = reasons.iter().find(|(slug, _)| **slug == label["slug"]).expect("top tells all labels");
        // Scores go on between two answers; whether a label is reported does not change.
        assert_eq!(unreported(&label["why"]), unreported(why), "{label} {why}");
    }
}

#[test]
fn who_asks_for_something_else_is_refused_and_so_is_the_seventeenth() {
    let server = Server::start("");
    let plain = server.ask("GET", "/api/v1/live", "");
    assert_eq!((plain.status, &plain.json()["code"]), (426, &json!("upgrade_needed")));
    assert!(plain.head.contains("upgrade: websocket"), "{}", plain.head);
    let unknown = server.look("?source=cellar", "").err().unwrap();
    assert_eq!((unknown.status, &unknown.json()["code"]), (404, &json!("unknown_source")));
    assert_eq!(unknown.json()["message"], "there is no source \"cellar\", only kitchen, porch");
    for query in ["?sauce=kitchen", "?source=kitchen&source=porch"] {
        assert_eq!(server.look(query, "").err().unwrap().status, 400, "{query}");
    }
    assert_eq!(server.look("", "Origin: http://evil.example\r\n").err().unwrap().status, 403);
    let mut lookers: Vec<Looker> = (0..16).map(|_| server.look("", "").unwrap()).collect();
    let refused = server.look("", "").err().unwrap();
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("busy")));
    lookers.pop();
    until("a place for another", || server.look("", "").is_ok());
    // Those that look are clients of the sink, and what they are sent is no event.
    let status = server.ask("GET", "/api/v1/status", "").json();
    assert!(status["sinks"][0]["clients"].as_u64().unwrap() >= 15, "{status}");
    assert_eq!(lookers[0].next()["type"], "live.start");
}

#[test]
fn behind_a_token_nobody_looks_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a token of the tests").unwrap();
    let server = Server::start(&format!("token_file = {token:?}\n"));
    assert_eq!(server.look("", "").err().unwrap().status, 401);
    assert_eq!(server.ask("GET", "/api/v1/counts", "").status, 401);
    assert!(server.look("", "Authorization: Bearer a token of the tests\r\n").is_ok());
}

#[test]
fn a_looker_that_stalls_disturbs_nobody_and_skips_what_is_forgotten() {
    let server = Server::start("");
    let (mut client, mut warned) = (server.daemon.connect(), server.daemon.connect());
    warned.ask(r#"{"op":"subscribe","types":["overrun"]}"#, "subscribed");
    let before = client.status();
    let mut stalled: Vec<Looker> = (0..8).map(|_| server.look("?source=porch", "").unwrap()).collect();
    let mut healthy = server.look("", "").unwrap();
    let bands = healthy.wait_for("live.start")["bands_hz"].as_array().unwrap().len();
    let end = |message: &Value| message["column"].as_u64().unwrap() + (columns(message).len() / bands) as u64;
    // 25 s of picture without a gap.
    let mut next = end(&healthy.next());
    let last = next + 25 * 50;
    while next < last {
        let message = healthy.wait_for("live");
        assert_eq!(message["column"], next);
        next = end(&message);
    }
    let windows_per_s = client.windows_per_s_since(&before);
    let status = client.status();
    (0..2).for_each(|source| assert_eq!(status["sources"][source]["overrun_samples"], 0));
    // Ten windows are scored of each second, unless the machine has so much else to do that the analysis says so.
    warned.send(r#"{"op":"status"}"#);
    let mut told = std::iter::repeat_with(|| warned.next()["type"].clone()).take_while(|kind| kind != "status");
    let is_short_of_time = told.any(|kind| kind == "overrun");
    assert!(windows_per_s > 9.0 || is_short_of_time, "{windows_per_s}: {status}");
    // One of them goes on: it gets what waited for it, then what is remembered.
    let looker = &mut stalled[0];
    looker.wait_for("live.start");
    let (mut next, mut skipped) = (0, 0);
    while skipped == 0 {
        let message = looker.wait_for("live");
        let column = message["column"].as_u64().unwrap();
        skipped = if next > 0 { column - next } else { 0 };
        next = end(&message);
        let ago_ms = Timestamp::now().as_millisecond() - at(&message).as_millisecond();
        assert!(skipped > 0 || ago_ms > 1_000, "it was never skipped for: {ago_ms} ms ago");
    }
    println!("{skipped} columns were skipped");
}

#[test]
fn a_pause_is_told_by_heartbeats_alone_and_what_comes_after_is_counted_anew() {
    let server = Server::start("");
    let mut looker = server.look("", "").unwrap();
    let column = |looker: &mut Looker| looker.wait_for("live")["column"].as_u64().unwrap();
    until("two seconds of picture", || column(&mut looker) > 100);
    server.post("/api/v1/pause", "");
    let began = Instant::now();
    looker.wait_for("heartbeat");
    // One comes every five seconds.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let mut other = server.look("", "").unwrap();
    assert_eq!([&other.next()["type"], &other.next()["type"]], ["live.start", "heartbeat"]);
    server.post("/api/v1/resume", "");
    assert!(column(&mut looker) < 100);
}

#[test]
fn a_new_model_begins_anew_and_one_that_takes_the_waveform_has_no_spectrogram() {
    let server = Server::start("");
    let mut looker = server.look("", "").unwrap();
    assert_eq!(looker.next()["bands_hz"].as_array().unwrap().len(), 64);
    looker.wait_for("live");
    onnx::folder(server.recordings.path(), &onnx::graph(3), onnx::LABELS, |manifest| manifest);
    let file = server.daemon.folder.path().join("mimid.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let model = format!("{config}[model]\ndir = {:?}\n[report]\npreset = \"all\"\n", server.recordings.path());
    std::fs::write(&file, model).unwrap();
    server.post("/api/v1/reload", "");
    assert_eq!(looker.wait_for("live.start")["bands_hz"], json!([]));
    let heard = |message: &Value| message["labels"].as_array().unwrap().iter().any(|label| label["slug"] == "any");
    let mut message = looker.next();
    while !heard(&message) {
        assert_eq!((&message["type"], &message["columns"]), (&json!("live"), &json!("")));
        message = looker.next();
    }
    let began = Timestamp::now() - SignedDuration::try_from(PATIENCE).unwrap();
    assert!((began..=Timestamp::now()).contains(&at(&message)), "{message}");
}

#[test]
fn the_view_ends_with_its_source_and_with_the_daemon() {
    let mut server = Server::start("");
    let mut porch = server.look("?source=porch", "").unwrap();
    let mut kitchen = server.look("?source=kitchen", "").unwrap();
    let file = server.daemon.folder.path().join("mimid.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace(&source(&server.recordings, "porch", "voice"), "")).unwrap();
    server.post("/api/v1/reload", "");
    assert!(porch.is_closed());
    kitchen.wait_for("live");
    server.daemon.signal("-TERM");
    assert!(kitchen.is_closed());
    assert_eq!(server.daemon.wait(), 0);
}

#[test]
fn what_is_heard_is_counted_and_what_is_made_up_is_not() {
    let server = Server::start("");
    server.post("/api/v1/test", r#"{"label":"Dog"}"#);
    let speech = || {
        let answer = server.ask("GET", "/api/v1/counts", "").json();
        let counts = answer["counts"].as_array().unwrap().clone();
        assert!(counts.iter().all(|count| count["slug"] != "dog"), "{answer}");
        let found = counts.into_iter().find(|count| count["slug"] == "speech" && count["source"] == "porch");
        (answer, found)
    };
    let (answer, found) = until("a voice to be counted", || {
        let (answer, found) = speech();
        found.map(|found| (answer, found))
    });
    assert_eq!((&found["label"], &answer["bucket_s"]), (&json!("Speech"), &json!(1_800)));
    let events: Vec<u64> = found["events"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    // The half hour may have ended meanwhile.
    assert!(events.len() == 48 && events[46] + events[47] > 0 && events[..46].iter().all(|n| *n == 0), "{events:?}");
    let time = |field: &str| answer[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(time("began") <= time("now"));
}
