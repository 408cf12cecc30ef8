//! The server with real clients on real sockets. The test plays the pipeline.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Bound;
use super::connection::{Connection, MAX_LINE};
use super::server::serve;
use crate::analysis::query::{Query, RecentPeaks};
use crate::config::Raw;
use crate::control::{Control, InForce};
use crate::detect::rule::Thresholds;
use crate::event::{EndReason, Report, SoundEvent, Subject};
use crate::model::Labels;
use crate::publish::hub::{Hub, REPLAY};
use crate::publish::settings::SocketConfig;
use crate::publish::shared::{Directory, Shared};
use crate::publish::socket;
use crate::publish::wire::ModelInfo;
use crate::stats::Stats;

/// The longest time that a step may take on a busy machine. Only a test that fails waits so long.
const SOON: Duration = Duration::from_secs(60);

struct Server {
    hub: Arc<Hub>,
    shared: Arc<Shared>,
    stats: Arc<Stats>,
    control: Receiver<Control>,
    path: PathBuf,
    down: watch::Sender<bool>,
    task: JoinHandle<()>,
    labels: Labels,
    _bound: Bound,
    _folder: tempfile::TempDir,
}

struct Client {
    lines: BufReader<OwnedReadHalf>,
    requests: OwnedWriteHalf,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let bound = socket::bind(&SocketConfig { path: Some(path.clone()), mode: 0o600, group: None }).unwrap();
        let stats = Arc::new(Stats::default());
        let hub = Hub::new(stats.clone());
        let names = [("/m/0bt9lr", "Dog"), ("/m/05tny_", "Bark"), ("/m/01y3hg", "Smoke detector, smoke alarm")];
        let labels = Labels::new(names.map(|(id, name)| (id.to_owned(), name.to_owned())), Vec::new());
        let model = ModelInfo { name: "m".to_owned(), sha256: "0".to_owned(), labels: 3 };
        let config = Raw::parse("[report]\nlabels = [\"Dog\"]\n[groups.alarm]\nlabels = [\"Smoke detector, smoke alarm\"]", None)
            .validate(&labels)
            .unwrap()
            .config;
        let directory = Directory {
            model,
            labels: labels.clone(),
            config: None,
            effective: String::new(),
            rules: config.rules,
            ignored: Vec::new(),
            sources: Vec::new(),
            areas: Vec::new(),
        };
        let (asked, control) = crossbeam_channel::bounded(8);
        let shared = Arc::new(Shared {
            hub: hub.clone(),
            control: asked,
            stats: stats.clone(),
            access: bound.access,
            directory: RwLock::new(Arc::new(directory)),
            max_clients: 64,
        });
        let (down, is_down) = watch::channel(false);
        let listener = tokio::net::UnixListener::from_std(bound.listener.try_clone().unwrap()).unwrap();
        let task = tokio::spawn(serve(listener, shared.clone(), is_down));
        Self { hub, shared, stats, control, path, down, task, labels, _bound: bound, _folder: folder }
    }

    async fn connect(&self) -> Client {
        let (lines, requests) = UnixStream::connect(&self.path).await.unwrap().into_split();
        let mut client = Client { lines: BufReader::new(lines), requests };
        assert_eq!(client.next().await["type"], "hello");
        client
    }

    fn publish(&self, source: &str) {
        self.hub.publish(Report::SourceRestored { source: source.into() }, Timestamp::now());
    }

    fn event(&self, label: &str, peak_score: f32) {
        let now = Timestamp::now();
        let event = SoundEvent {
            id: uuid::Uuid::now_v7(),
            subject: self.labels.subjects()[self.labels.find(label).unwrap()].clone(),
            source: "hall".into(),
            onset: now,
            offset: None,
            score: 0.1,
            peak_score,
            threshold: 0.1,
            level_dbfs: -20.0,
            onset_uncertainty_ms: 0,
            offset_uncertainty_ms: None,
            also: Vec::new(),
            is_confirmed: false,
            embedding: None,
        };
        self.hub.publish(Report::EventStart(event.clone()), now);
        self.hub.publish(Report::EventEnd(SoundEvent { offset: Some(now), ..event }, EndReason::Decay), now);
    }

    /// Waits until the daemon counts `n` clients.
    async fn until_clients(&self, n: u64) {
        let all = async {
            while self.stats.clients.load(Relaxed) != n {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, all).await.expect("clients come and go");
    }
}

impl Client {
    async fn try_next(&mut self) -> Option<Value> {
        let mut line = String::new();
        let n = timeout(SOON, self.lines.read_line(&mut line)).await.expect("a line comes soon").unwrap();
        (n > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    async fn next(&mut self) -> Value {
        self.try_next().await.expect("the connection lives")
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.requests.write_all(bytes).await.unwrap();
    }

    async fn ask(&mut self, request: &str) -> Value {
        self.send(format!("{request}\n").as_bytes()).await;
        self.next().await
    }

    async fn numbers(&mut self, n: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..n {
            numbers.push(self.next().await["seq"].as_u64().unwrap());
        }
        numbers
    }
}

#[tokio::test]
async fn a_stalled_client_is_told_what_it_missed_and_others_miss_nothing() {
    let server = Server::start();
    let mut stalled = server.connect().await;
    let mut healthy = server.connect().await;
    let n = 6_000;
    for seq in 1..=n {
        server.publish("hall");
        assert_eq!(healthy.next().await["seq"], seq);
    }
    assert!(server.stats.dropped_lines.load(Relaxed) > 0);
    // A `dropped` stands in the place of the missing lines.
    let (mut at, mut told) = (0, 0);
    while at < n {
        let line = stalled.next().await;
        if line["type"] == "dropped" {
            told += line["count"].as_u64().unwrap();
            at += line["count"].as_u64().unwrap();
        } else {
            at += 1;
            assert_eq!(line["seq"], at);
        }
    }
    assert_eq!(told, server.stats.dropped_lines.load(Relaxed));
}

#[tokio::test]
async fn garbage_is_answered_and_the_connection_lives_on() {
    let server = Server::start();
    let mut client = server.connect().await;
    for garbage in [&b"\0\0\n"[..], b"\xff\xfe\n", b"{\n", b"[]\n", b"{\"op\":\"sing\"}\n", b"{\"op\":\"status\",\"k\":1}\n"] {
        client.send(garbage).await;
        assert_eq!(client.next().await["code"], "bad_request", "{garbage:?}");
    }
    // The bound is exact, in whatever pieces a line arrives.
    for (length, answer) in [(MAX_LINE, "status"), (MAX_LINE + 1, "too_long"), (300_000, "too_long")] {
        let mut line = br#"{"op":"status"}"#.to_vec();
        line.resize(length, b' ');
        line.push(b'\n');
        for piece in line.chunks(7_000) {
            client.send(piece).await;
        }
        let line = client.next().await;
        assert!(line["type"] == answer || line["code"] == answer, "{line}");
    }
    // Blank lines are no requests. The last line needs no newline, and is still answered.
    client.send(b"\n \r\n{\"op\":\"status\"}").await;
    client.requests.shutdown().await.unwrap();
    assert_eq!(client.next().await["type"], "status");
    // The client still gets lines, and the daemon notices when it goes.
    server.publish("hall");
    assert_eq!(client.next().await["seq"], 1);
    server.until_clients(1).await;
    drop(client);
    server.until_clients(0).await;
}

#[tokio::test]
async fn a_filter_takes_names_in_any_spelling_and_a_wrong_one_changes_nothing() {
    let server = Server::start();
    let mut client = server.connect().await;
    let request =
        r#"{"op":"subscribe","labels":["/M/0BT9LR","smoke_detector_smoke_alarm","ALARM"],"types":["event"],"min_score":0.3}"#;
    let answer = client.ask(request).await;
    assert_eq!(answer["labels"], json!(["Dog", "Smoke detector, smoke alarm", "alarm"]));
    assert_eq!((&answer["types"], &answer["min_score"], &answer["seq"]), (&json!(["event"]), &json!(0.3), &json!(0)));
    let wrong = client.ask(r#"{"op":"subscribe","labels":["Dgo"]}"#).await;
    assert_eq!(
        (wrong["code"].as_str(), wrong["message"].as_str()),
        (Some("unknown_label"), Some("there is no label \"Dgo\"; did you mean \"Dog\"?"))
    );
    server.event("Bark", 0.9);
    server.publish("hall");
    server.event("Dog", 0.2);
    server.event("Dog", 0.3);
    // min_score applies to the peak score; a report's own score may be lower.
    assert_eq!(client.numbers(2).await, [6, 7]);
    client.ask(r#"{"op":"subscribe","types":["source"],"sources":["den"]}"#).await;
    server.event("Dog", 0.9);
    server.publish("hall");
    server.publish("den");
    assert_eq!(client.numbers(1).await, [11]);
}

#[tokio::test]
async fn what_is_held_is_replayed_and_what_is_not_is_counted() {
    let server = Server::start();
    for _ in 0..REPLAY + 5 {
        server.publish("hall");
    }
    let last = (REPLAY + 5) as u64;
    let mut client = server.connect().await;
    assert_eq!(client.ask(r#"{"op":"subscribe","since":2}"#).await["seq"], last);
    let dropped = client.next().await;
    assert_eq!((&dropped["type"], &dropped["count"]), (&json!("dropped"), &json!(3)));
    server.publish("hall");
    assert_eq!(client.numbers(REPLAY + 1).await, (6..=last + 1).collect::<Vec<_>>());
    // A number that the daemon has not reached yet comes from before a restart.
    client.ask(&format!(r#"{{"op":"subscribe","since":{}}}"#, u64::MAX)).await;
    assert_eq!(client.next().await["count"], 6);
    assert_eq!(client.numbers(REPLAY).await.last(), Some(&(last + 1)));
}

#[tokio::test]
async fn a_flood_of_requests_holds_up_only_who_sends_it() {
    let server = Server::start();
    let mut flooding = server.connect().await;
    let mut healthy = server.connect().await;
    let flood = tokio::spawn(async move {
        // The client reads nothing, so in the end its writer has to wait.
        while timeout(Duration::from_millis(300), flooding.requests.write_all(b"{\"op\":\"status\"}\n".repeat(100).as_slice()))
            .await
            .is_ok()
        {}
        flooding
    });
    for seq in 1..=500 {
        server.publish("hall");
        assert_eq!(healthy.next().await["seq"], seq);
    }
    assert_eq!(healthy.ask(r#"{"op":"status"}"#).await["clients"], 2);
    drop(timeout(SOON, flood).await.expect("the flood is held up").unwrap());
}

#[tokio::test]
async fn requests_reach_the_pipeline_and_its_answers_the_client() {
    let server = Server::start();
    let mut client = server.connect().await;
    let control = server.control.clone();
    let pipeline = std::thread::spawn(move || {
        for request in control.iter().take(9) {
            match request {
                Control::Set { change, reply, .. } => drop(reply.send(match change.threshold {
                    Some(threshold) if threshold > 1.0 => Err(vec!["2 is out of range".to_owned()]),
                    threshold => {
                        let threshold = threshold.unwrap_or(0.2) as f32;
                        let subject = Subject { name: "Dog".into(), slug: "dog".into(), id: "/m/0".into() };
                        let thresholds = Thresholds { threshold, start_threshold: 0.1, release: 0.02 };
                        Ok(InForce { subject: Arc::new(subject), thresholds })
                    }
                })),
                Control::Query(Query::Top { reply, .. }) => drop(reply.send(Vec::new())),
                Control::Query(Query::View { .. }) | Control::Save { .. } | Control::Choose { .. } => {
                    panic!("no request of the socket asks for it")
                }
                Control::Query(Query::Peaks { since, floor, reply }) => {
                    assert_eq!((since, floor), (Some(7), 0.5));
                    let (sources, peaks) = (vec![], vec![]);
                    let _ = reply.send(RecentPeaks { next: 9, lost: 2, more: false, heard_s: 0.0, sources, peaks });
                }
                Control::Reload { reply } => drop(reply.send(Err(vec!["line 3: no".to_owned()]))),
                Control::Pause { seconds, reply } => {
                    assert_eq!(seconds, Some(0.5));
                    let _ = reply.send(());
                }
                Control::Resume { reply } => {
                    let _ = reply.send(());
                }
                Control::Test { label, reply } if label == "Dog" => drop(reply.send(Ok(None))),
                Control::Publish { .. } => {}
                Control::Test { reply, .. } => drop(reply.send(Err("there is no label".to_owned()))),
            }
        }
    });
    assert_eq!(client.ask(r#"{"op":"top"}"#).await["sources"], json!([]));
    assert_eq!(client.ask(r#"{"op":"set","label":"Dog","threshold":0.25}"#).await["threshold"], json!(0.25));
    let refused = client.ask(r#"{"op":"set","label":"Dog","threshold":2}"#).await;
    assert_eq!((&refused["code"], &refused["message"]), (&json!("bad_request"), &json!("2 is out of range")));
    assert_eq!(client.ask(r#"{"op":"set","label":"Dgo","threshold":0.2}"#).await["code"], "unknown_label");
    let peaks = client.ask(r#"{"op":"peaks","since":7,"floor":0.5}"#).await;
    assert_eq!((&peaks["type"], &peaks["next"], &peaks["lost"]), (&json!("peaks"), &json!(9), &json!(2)));
    assert_eq!(client.ask(r#"{"op":"reload"}"#).await["faults"], json!(["line 3: no"]));
    assert_eq!(client.ask(r#"{"op":"pause","seconds":0.5}"#).await["op"], "pause");
    assert_eq!(client.ask(r#"{"op":"resume"}"#).await["op"], "resume");
    assert_eq!(client.ask(r#"{"op":"test","label":"Dog"}"#).await["type"], "done");
    assert_eq!(client.ask(r#"{"op":"test","label":"Dgo"}"#).await["code"], "unknown_label");
    assert_eq!(client.ask(r#"{"op":"pause","seconds":0}"#).await["code"], "bad_request");
    pipeline.join().unwrap();
}

#[tokio::test]
async fn at_the_end_clients_get_what_waits_and_a_stalled_one_does_not_hold_it_up() {
    let server = Server::start();
    let mut client = server.connect().await;
    let _stalled = server.connect().await;
    // These are more lines than a socket's buffer holds, and fewer than a queue holds.
    for _ in 0..1_000 {
        server.hub.publish(Report::ConfigReloaded { changes: vec!["x".repeat(1_500)] }, Timestamp::now());
    }
    server.down.send(true).unwrap();
    assert_eq!(client.numbers(1_000).await, (1..=1_000).collect::<Vec<_>>());
    assert_eq!(client.try_next().await, None);
    timeout(SOON, server.task).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_heartbeat_comes_when_nothing_else_does() {
    const HEARTBEAT: Duration = Duration::from_millis(200);
    let server = Server::start();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut connection = Connection::new(ours, server.shared.clone());
    connection.heartbeat = HEARTBEAT;
    tokio::spawn(connection.serve(server.down.subscribe()));
    let (lines, requests) = theirs.into_split();
    let mut client = Client { lines: BufReader::new(lines), requests };
    assert_eq!(client.next().await["type"], "hello");
    // This test is about the passing of time. Lines keep a heartbeat back, but a slow machine may leave enough time for one
    // between two lines.
    let mut published = Instant::now();
    for seq in 1..=8 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let before = std::mem::replace(&mut published, Instant::now());
        server.publish("hall");
        loop {
            let line = client.next().await;
            if line["seq"] == seq {
                break;
            }
            assert!(line["type"] == "heartbeat" && before.elapsed() >= HEARTBEAT, "{line} {:?} after a line", before.elapsed());
        }
    }
    // A client's own lines keep no heartbeat back.
    let (mut requests, beats) = (client.requests, tokio::spawn(async move { client.lines.lines().next_line().await }));
    while !beats.is_finished() {
        tokio::time::sleep(HEARTBEAT / 4).await;
        requests.write_all(b"\n").await.unwrap();
    }
    let line = beats.await.unwrap().unwrap().unwrap();
    assert!(line.contains(r#""type":"heartbeat""#), "{line}");
}
