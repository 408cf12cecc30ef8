//! Numbers the reports, remembers the newest, and offers each line to every client that wants it.
//!
//! A line is serialised once. Each client has a bounded queue; what a full queue does not take is counted, and the client is told
//! how much it was, in its place among the lines, as soon as it reads again.
//!
//! Invariant: [`Hub::publish`] never waits.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Receiver;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::filter::Filter;
use super::wire::{Body, Line};
use crate::event::Report;
use crate::stats::Stats;

/// How many reports are held for replay.
pub const REPLAY: usize = 2_048;
/// How many lines a client may be behind.
pub const QUEUE: usize = 1_024;

/// The hub that all clients share.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
    stats: Arc<Stats>,
}

#[derive(Debug, Default)]
struct State {
    seq: u64,
    held: VecDeque<Held>,
    clients: HashMap<u64, Client>,
    next_client: u64,
}

/// A report that can be replayed.
#[derive(Debug)]
struct Held {
    seq: u64,
    report: Report,
    line: Arc<str>,
}

#[derive(Debug)]
struct Client {
    filter: Filter,
    queue: mpsc::Sender<Arc<str>>,
    missed: Arc<AtomicU64>,
}

/// A client's end of its queue. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    id: u64,
    /// The lines that wait for the client.
    pub lines: mpsc::Receiver<Arc<str>>,
    /// Lines that were dropped and not yet told.
    pub missed: Arc<AtomicU64>,
}

/// What a new filter begins with.
#[derive(Debug)]
pub struct Replay {
    /// The number of the last report so far.
    pub seq: u64,
    /// How many reports after `since` are no longer held.
    pub gone: u64,
    /// The lines after `since` that pass the filter.
    pub lines: Vec<Arc<str>>,
    /// Lines that waited under the old filter.
    pub before: Vec<Arc<str>>,
}

impl Hub {
    /// A hub without clients.
    pub fn new(stats: Arc<Stats>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), stats })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the last report so far.
    pub fn seq(&self) -> u64 {
        self.lock().seq
    }

    /// Numbers a report and offers its line to every client that wants it.
    pub fn publish(&self, report: Report, now: Timestamp) {
        let mut state = self.lock();
        state.seq += 1;
        let seq = state.seq;
        let line: Arc<str> = with_newline(&Line::report(seq, now, &report));
        for client in state.clients.values().filter(|client| client.filter.passes(&report)) {
            client.offer(&line, now, &self.stats);
        }
        if state.held.len() == REPLAY {
            state.held.pop_front();
        }
        state.held.push_back(Held { seq, report, line });
    }

    /// Adds a client that gets every report from now on; says the number of the last one before.
    pub fn connect(self: &Arc<Self>) -> (Subscription, u64) {
        let (queue, lines) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        let mut state = self.lock();
        let id = state.next_client;
        state.next_client += 1;
        state.clients.insert(id, Client { filter: Filter::default(), queue, missed: missed.clone() });
        (Subscription { hub: self.clone(), id, lines, missed }, state.seq)
    }

    /// Publishes what comes out of `reports` until the other end is closed; to be run on a thread of its own.
    pub fn pump(&self, reports: &Receiver<Report>) {
        for report in reports {
            self.publish(report, Timestamp::now());
        }
    }
}

impl Client {
    fn offer(&self, line: &Arc<str>, now: Timestamp, stats: &Stats) {
        let missed = self.missed.load(Relaxed);
        // Where lines are missing, the client is told in their place, so there must be room for two.
        let room = if missed > 0 { 2 } else { 1 };
        if self.queue.capacity() < room {
            self.missed.fetch_add(1, Relaxed);
            stats.dropped_lines.fetch_add(1, Relaxed);
            return;
        }
        let missed = self.missed.swap(0, Relaxed);
        if missed > 0 {
            let _ = self.queue.try_send(dropped(missed, now));
        }
        // Only the hub sends, under its lock, so there still is room; a client that has gone needs no line.
        let _ = self.queue.try_send(line.clone());
    }
}

impl Subscription {
    /// Replaces the filter, and gives what is held of it after `since`. Lines that wait under the old filter come first; from here
    /// on every line that passes the new one comes exactly once.
    ///
    /// A `since` beyond the last number comes from before a restart of the daemon: everything held is replayed.
    pub fn subscribe(&mut self, filter: Filter, since: Option<u64>) -> Replay {
        let mut state = self.hub.lock();
        let mut before = Vec::new();
        while let Ok(line) = self.lines.try_recv() {
            before.push(line);
        }
        let seq = state.seq;
        let since = since.map(|since| if since > seq { 0 } else { since });
        let mut replay = Replay { seq, gone: 0, lines: Vec::new(), before };
        if let Some(since) = since {
            let oldest = state.held.front().map_or(seq + 1, |held| held.seq);
            replay.gone = (oldest - 1).saturating_sub(since);
            let wanted = state.held.iter().filter(|held| held.seq > since && filter.passes(&held.report));
            replay.lines = wanted.map(|held| held.line.clone()).collect();
        }
        if let Some(client) = state.clients.get_mut(&self.id) {
            client.filter = filter;
        }
        replay
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.lock().clients.remove(&self.id);
    }
}

/// The line that tells of missing ones.
pub fn dropped(count: u64, now: Timestamp) -> Arc<str> {
    with_newline(&Line::new(now, Body::Dropped { count }))
}

/// A line with its end.
pub fn with_newline(line: &Line) -> Arc<str> {
    let mut json = line.to_json();
    json.push('\n');
    json.into()
}
