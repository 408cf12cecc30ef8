//! Metrics, health, and many browsers at once.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;

use super::Server;
use crate::support::formats::samples;
use crate::support::http::{Answer, Stream};
use crate::support::{Daemon, free_port, onnx, until};

#[test]
fn the_metrics_are_what_prometheus_reads_and_what_the_dashboard_shows() {
    let server = Server::start("");
    server.post("/api/v1/test", r#"{"label":"Dog"}"#);
    let metrics = || {
        let answer = server.get("/metrics");
        assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", answer.head);
        samples(&answer.body)
    };
    until("the event to be counted", || {
        metrics().contains_key("mimid_events_total{label=\"dog\",outcome=\"confirmed\",source=\"test\"}")
    });
    let (before, after) = (metrics(), metrics());
    // A label that was never heard has its series already.
    let cat = after.iter().filter(|(key, _)| key.starts_with("mimid_events_total{label=\"cat\","));
    assert_eq!(cat.map(|(_, value)| *value).collect::<Vec<_>>(), [0.0, 0.0]);
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
    let dashboard: Value = serde_json::from_str(include_str!("../../../config/grafana.json")).unwrap();
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
    until("health to tell of the pause", || health().1["sources"][0]["message"].as_str().unwrap().contains("is paused"));
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
    until("word of the loss", || {
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
    let model = tempfile::tempdir().unwrap();
    let server = Server::start(&onnx::cheap(model.path()));
    let mut watch = server.daemon.connect();
    let calm = watch.status();
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
    let (median, worst) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    println!("100 healthy browsers beside 100 stalled: median {median:?}, worst {worst:?} after the socket's client");
    // One that waited for those that stall would wait for a minute, when they are given up.
    assert!(worst < Duration::from_secs(20), "{worst:?}");
    // Ten windows are scored of each second.
    let windows_per_s = watch.windows_per_s_since(&calm);
    let status = server.get("/api/v1/status").json();
    assert!(windows_per_s > 9.0, "{windows_per_s}: {status}");
    assert_eq!(status["sources"][0]["overrun_samples"], 0);
    assert!(status["dropped_lines"].as_u64().unwrap() > 0, "nobody was stalled: {status}");
    assert!(status["sinks"][0]["clients"].as_u64().unwrap() >= 200, "{status}");
    drop(stalled);
    drop(healthy);
    until("the browsers to be gone", || server.get("/api/v1/status").json()["sinks"][0]["clients"].as_u64().unwrap() < 3);
}
