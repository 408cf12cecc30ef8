//! Numbers the reports, remembers the newest, and offers each line to every client that wants it.
//!
//! A line is serialised once. Each client has a bounded queue; what a full queue does not take is counted, and the client is told
//! how much it was, in its place among the lines, as soon as it reads again.
//!
//! Invariant: [`Hub::publish`] never waits for a client.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::filter::Filter;
use super::wire::{Body, Line};
use crate::event::Report;
use crate::stats::Stats;

/// How many reports are held for replay: 1,024 events with the start, the end and two updates of each.
pub const REPLAY: usize = 4_096;
/// How many lines a client may be behind.
pub const QUEUE: usize = 1_024;
/// How many bytes of lines a client may be behind: several times what as many lines about events have.
pub const QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// The hub that all clients share.
#[derive(Debug)]
pub struct Hub {
    /// Tells this start of the daemon from every other: the numbers begin anew with each.
    pub instance: Uuid,
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

/// A line on its way to a client.
#[derive(Debug)]
struct Queued {
    /// The report's number; `None` for a line that tells of missing ones.
    seq: Option<u64>,
    line: Arc<str>,
}

/// What a client is behind, in both of its bounds' units, and what it has missed.
#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    missed: AtomicU64,
}

#[derive(Debug)]
struct Client {
    filter: Filter,
    queue: mpsc::Sender<Queued>,
    backlog: Arc<Backlog>,
}

/// A client's end of its queue. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    id: u64,
    lines: mpsc::Receiver<Queued>,
    backlog: Arc<Backlog>,
}

/// What a new filter begins with.
#[derive(Debug)]
pub struct Replay {
    /// The number of the last report so far.
    pub seq: u64,
    /// Whether `since` counts what another start of the daemon said, all of which is gone.
    pub restarted: bool,
    /// How many reports after `since` are no longer held; after a restart, how many of this start are not.
    pub gone: u64,
    /// The lines after `since` that pass the filter.
    pub lines: Vec<Arc<str>>,
    /// Lines that waited under the old filter, and the count of those that were missed under it.
    pub before: Vec<Arc<str>>,
}

impl Hub {
    /// A hub without clients.
    pub fn new(stats: Arc<Stats>) -> Arc<Self> {
        Arc::new(Self { instance: Uuid::now_v7(), state: Mutex::default(), stats })
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
            client.offer(seq, &line, now, &self.stats);
        }
        if state.held.len() == REPLAY {
            state.held.pop_front();
        }
        state.held.push_back(Held { seq, report, line });
    }

    /// Adds a client that gets every report from now on; says the number of the last one before.
    pub fn connect(self: &Arc<Self>) -> (Subscription, u64) {
        let (queue, lines) = mpsc::channel(QUEUE);
        let backlog = Arc::<Backlog>::default();
        let mut state = self.lock();
        let id = state.next_client;
        state.next_client += 1;
        state.clients.insert(id, Client { filter: Filter::default(), queue, backlog: backlog.clone() });
        (Subscription { hub: self.clone(), id, lines, backlog }, state.seq)
    }

    /// Publishes what comes out of `reports` until the other end is closed.
    ///
    /// To be run on the thread that serves the clients: a task that is woken from another thread costs a system call, and a line can
    /// wake a thousand.
    pub async fn pump(&self, mut reports: mpsc::Receiver<Report>) {
        while let Some(report) = reports.recv().await {
            self.publish(report, Timestamp::now());
        }
    }
}

impl Client {
    fn offer(&self, seq: u64, line: &Arc<str>, now: Timestamp, stats: &Stats) {
        let missed = self.backlog.missed.load(Relaxed);
        // Where lines are missing, the client is told in their place, so there must be room for two.
        let room = if missed > 0 { 2 } else { 1 };
        // A line that is longer than the bound still passes where nothing else waits.
        let waiting = self.backlog.bytes.load(Relaxed);
        if self.queue.capacity() < room || (waiting > 0 && waiting + line.len() > QUEUE_BYTES) {
            self.backlog.missed.fetch_add(1, Relaxed);
            stats.dropped_lines.fetch_add(1, Relaxed);
            return;
        }
        let missed = self.backlog.missed.swap(0, Relaxed);
        if missed > 0 {
            self.push(Queued { seq: None, line: dropped(missed, now) });
        }
        self.push(Queued { seq: Some(seq), line: line.clone() });
    }

    fn push(&self, queued: Queued) {
        self.backlog.bytes.fetch_add(queued.line.len(), Relaxed);
        // Only the hub sends, under its lock, so there is room; a client that has gone needs no line.
        let _ = self.queue.try_send(queued);
    }
}

impl Subscription {
    /// The next line; waits for it. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        let queued = self.lines.recv().await?;
        Some(self.took(queued).line)
    }

    /// The next line, if one waits.
    pub fn try_next(&mut self) -> Option<Arc<str>> {
        self.try_take().map(|queued| queued.line)
    }

    /// The line that tells of what was missed, if nothing but that is left to send. While lines wait, the hub puts it in its place
    /// among them.
    pub fn missed(&self, now: Timestamp) -> Option<Arc<str>> {
        // Under the lock no line can come between looking and counting.
        let _state = self.hub.lock();
        if self.lines.is_empty() { self.take_missed(now) } else { None }
    }

    /// Replaces the filter, and gives what is held of it after `since`. From here on every line that passes the new filter comes
    /// exactly once.
    ///
    /// What still waits under the old filter comes first, but for what comes after `since`: the replay has that. A `since` of another
    /// `instance`, or beyond the last number, comes from before a restart of the daemon: everything held is replayed.
    pub fn subscribe(&mut self, filter: Filter, since: Option<u64>, instance: Option<&str>) -> Replay {
        let hub = self.hub.clone();
        let mut state = hub.lock();
        let seq = state.seq;
        // Whoever names no instance means this one, and nobody has heard a number of it that is still to come.
        let is_other = instance.is_some_and(|instance| instance != hub.instance.to_string());
        let restarted = since.is_some_and(|since| is_other || since > seq);
        let since = since.map(|since| if restarted { 0 } else { since });
        let mut before = Vec::new();
        while let Some(queued) = self.try_take() {
            if since.is_none_or(|since| queued.seq.is_none_or(|seq| seq <= since)) {
                before.push(queued.line);
            }
        }
        before.extend(self.take_missed(Timestamp::now()));
        let mut replay = Replay { seq, restarted, gone: 0, lines: Vec::new(), before };
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

    fn try_take(&mut self) -> Option<Queued> {
        let queued = self.lines.try_recv().ok()?;
        Some(self.took(queued))
    }

    fn took(&self, queued: Queued) -> Queued {
        self.backlog.bytes.fetch_sub(queued.line.len(), Relaxed);
        queued
    }

    fn take_missed(&self, now: Timestamp) -> Option<Arc<str>> {
        let missed = self.backlog.missed.swap(0, Relaxed);
        (missed > 0).then(|| dropped(missed, now))
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

#[cfg(test)]
mod tests;
