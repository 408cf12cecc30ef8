//! Many subscribers in one process: how long after a request for an event its lines are with each of them.
//!
//! The clock starts before the request is written and stops when a subscriber has the line, so what this process takes itself
//! counts against the daemon.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use mimid::model::Model;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use super::Outcome;
use super::meter::{cpu_s, quantile};

/// Events go round so many labels, and filters choose among them.
const LABELS: usize = 40;

/// How long after the last request its lines may still come.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The lines that one subscriber got.
#[derive(Default)]
struct Heard {
    /// The number of each report, and when its line came.
    lines: Vec<(u64, Instant)>,
    /// The numbers of those that are an event's start.
    starts: Vec<u64>,
    /// Lines that tell of lost ones.
    dropped: usize,
}

/// `numbers` are the healthy and the stalled subscribers, the events a second, the seconds before and those of the measurement.
///
/// Says when the measurement begins, so that the daemon's own CPU time can be read at the same moments.
pub fn measure(socket: &Path, numbers: &[usize]) -> Outcome {
    let [healthy, stalled, events_per_s, warm_up_s, seconds] = *numbers else { return Err(super::USAGE.into()) };
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(8_192), hard)?;
    let labels: Vec<String> =
        Model::open("ced-tiny")?.labels.subjects().iter().take(LABELS).map(|subject| subject.name.clone()).collect();

    let stalled: Vec<UnixStream> = (0..stalled).map(|_| UnixStream::connect(socket)).collect::<Result<_, _>>()?;
    // One more subscriber takes everything: it says which report belongs to which request.
    let filters = std::iter::once(json!({"op": "subscribe"})).chain((0..healthy).map(|index| filter(index, &labels)));
    let streams: Vec<UnixStream> = filters.map(|filter| subscribe(socket, &filter)).collect::<Result<_, _>>()?;

    let (end, ended) = watch::channel(false);
    let readers = std::thread::spawn(move || read_all(streams, ended));
    let requests = Requests { labels: &labels, events_per_s, warm_up_s, seconds };
    let (sent, own_cpu_s) = requests.send(socket)?;
    std::thread::sleep(LAST_LINES);
    end.send(true)?;
    let heard = readers.join().map_err(|_| "the subscribers' thread panicked")??;
    drop(stalled);

    // Each request makes two reports, whose numbers follow each other: a start and its end.
    let asked: HashMap<u64, Instant> =
        heard[0].starts.iter().zip(&sent).flat_map(|(start, at)| [(*start, *at), (start + 1, *at)]).collect();
    let began = sent[warm_up_s * events_per_s];
    let (mut all, mut slowest) = (Vec::new(), 0.0f64);
    let (mut idle, mut dropped) = (0, 0);
    for own in &heard[1..] {
        let measured = own.lines.iter().filter_map(|(seq, at)| {
            let asked = asked.get(seq).filter(|asked| **asked >= began)?;
            Some(1_000.0 * at.duration_since(*asked).as_secs_f64())
        });
        let mut delays: Vec<f64> = measured.collect();
        idle += usize::from(delays.is_empty());
        dropped += own.dropped;
        slowest = slowest.max(quantile(&mut delays, 0.99));
        all.append(&mut delays);
    }
    Ok(json!({
        "lines_per_s": all.len() as f64 / seconds as f64,
        "median_ms": quantile(&mut all, 0.5), "p99_ms": quantile(&mut all, 0.99), "slowest_p99_ms": slowest,
        "without_lines": idle, "told_of_drops": dropped, "own_core_percent": 100.0 * own_cpu_s / seconds as f64,
    }))
}

/// Filters of every kind in turn: a tenth wants everything, a tenth every start, the others from one to eight of the labels.
fn filter(index: usize, labels: &[String]) -> serde_json::Value {
    let some: Vec<&String> = (0..1 + index % 8).map(|step| &labels[(index * 7 + step) % labels.len()]).collect();
    match index % 10 {
        0 => json!({"op": "subscribe"}),
        1 => json!({"op": "subscribe", "types": ["event.start"]}),
        2 => json!({"op": "subscribe", "labels": some, "sources": ["test"], "min_score": 0.5}),
        _ => json!({"op": "subscribe", "labels": some}),
    }
}

/// Connects and waits until the filter is in force.
fn subscribe(socket: &Path, filter: &serde_json::Value) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(format!("{filter}\n").as_bytes())?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains(r#""type":"subscribed""#) {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err(std::io::Error::other("the daemon closed a connection"));
        }
    }
    Ok(lines.into_inner())
}

/// Reads every subscriber's lines on one thread until it is told of the end.
fn read_all(streams: Vec<UnixStream>, ended: watch::Receiver<bool>) -> std::io::Result<Vec<Heard>> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut readers = Vec::new();
        for stream in streams {
            stream.set_nonblocking(true)?;
            readers.push(tokio::spawn(read(tokio::net::UnixStream::from_std(stream)?, ended.clone())));
        }
        let mut heard = Vec::new();
        for reader in readers {
            heard.push(reader.await??);
        }
        Ok(heard)
    })
}

async fn read(mut stream: tokio::net::UnixStream, mut ended: watch::Receiver<bool>) -> std::io::Result<Heard> {
    let mut heard = Heard::default();
    let mut buffer = Vec::with_capacity(8_192);
    loop {
        let count = tokio::select! {
            count = stream.read_buf(&mut buffer) => count?,
            _ = ended.wait_for(|ended| *ended) => return Ok(heard),
        };
        if count == 0 {
            return Err(std::io::Error::other("the daemon closed a connection"));
        }
        let now = Instant::now();
        let whole = buffer.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in buffer[..whole].split_inclusive(|byte| *byte == b'\n') {
            heard.take(line, now);
        }
        buffer.drain(..whole);
    }
}

impl Heard {
    /// Takes note of a line. Only its beginning is looked at: to parse a hundred thousand lines a second would be most of the work.
    fn take(&mut self, line: &[u8], now: Instant) {
        let head = String::from_utf8_lossy(&line[..line.len().min(96)]);
        let after = |key: &str| head.split_once(key).map(|(_, rest)| rest);
        match after(r#""type":""#).and_then(|rest| rest.split('"').next()) {
            Some("dropped") => self.dropped += 1,
            Some(kind) => {
                let digits = after(r#""seq":"#).and_then(|rest| rest.split(',').next());
                let Some(seq) = digits.and_then(|digits| digits.parse().ok()) else { return };
                self.lines.push((seq, now));
                if kind == "event.start" {
                    self.starts.push(seq);
                }
            }
            None => {}
        }
    }
}

/// The requests for events, at an even pace.
struct Requests<'a> {
    labels: &'a [String],
    events_per_s: usize,
    warm_up_s: usize,
    seconds: usize,
}

impl Requests<'_> {
    /// Sends them all. Gives when each was sent, and the CPU time of this process while it was measured.
    fn send(&self, socket: &Path) -> Result<(Vec<Instant>, f64), Box<dyn std::error::Error>> {
        let mut stream = subscribe(socket, &json!({"op": "subscribe", "types": ["config"]}))?;
        let answers = BufReader::new(stream.try_clone()?);
        // The answers are read so that the daemon never waits for this client.
        std::thread::spawn(move || answers.lines().map_while(Result::ok).for_each(drop));
        let (mut sent, mut cpu_before) = (Vec::new(), 0.0);
        let first = Instant::now();
        for index in 0..(self.warm_up_s + self.seconds) * self.events_per_s {
            let due = first + Duration::from_secs(1) * index as u32 / self.events_per_s as u32;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if index == self.warm_up_s * self.events_per_s {
                println!("{}", json!({"begins": true}));
                cpu_before = cpu_s();
            }
            let request = format!("{}\n", json!({"op": "test", "label": self.labels[index % self.labels.len()]}));
            sent.push(Instant::now());
            stream.write_all(request.as_bytes())?;
        }
        Ok((sent, cpu_s() - cpu_before))
    }
}
