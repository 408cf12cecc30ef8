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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(source: &str, samples: u64) -> Report {
        Report::SourceClipping { source: source.into(), samples }
    }

    fn publish(hub: &Hub, source: &str) {
        hub.publish(report(source, 1), Timestamp::UNIX_EPOCH);
    }

    /// The numbers of the lines, and minus the count of each told drop.
    fn numbers<'a>(lines: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<i64> {
        let number = |line: &Arc<str>| {
            let line: Line = serde_json::from_str(line).unwrap();
            match line.body {
                Body::Dropped { count } => -(count as i64),
                _ => line.seq.unwrap() as i64,
            }
        };
        lines.into_iter().map(number).collect()
    }

    fn drain(subscription: &mut Subscription) -> Vec<Arc<str>> {
        std::iter::from_fn(|| subscription.lines.try_recv().ok()).collect()
    }

    #[test]
    fn a_replay_and_what_follows_it_come_exactly_once() {
        let hub = Hub::new(Arc::default());
        for _ in 0..5 {
            publish(&hub, "a");
        }
        let (mut client, seq) = hub.connect();
        assert_eq!(seq, 5);
        publish(&hub, "a");
        let replay = client.subscribe(Filter::default(), Some(2));
        publish(&hub, "a");
        assert_eq!(numbers(&replay.before), [6]);
        assert_eq!((replay.seq, replay.gone, numbers(&replay.lines)), (6, 0, vec![3, 4, 5, 6]));
        assert_eq!(numbers(&drain(&mut client)), [7]);
    }

    #[test]
    fn what_is_no_longer_held_is_counted() {
        let hub = Hub::new(Arc::default());
        for _ in 0..REPLAY + 10 {
            publish(&hub, "a");
        }
        let (mut client, _) = hub.connect();
        let replay = client.subscribe(Filter::default(), Some(4));
        assert_eq!((replay.gone, replay.lines.len()), (6, REPLAY));
        // A number from before a restart is beyond the last one: all that is held comes.
        assert_eq!(client.subscribe(Filter::default(), Some(1 << 40)).lines.len(), REPLAY);
    }

    #[test]
    fn a_client_that_stalls_loses_lines_in_their_place_and_nobody_else_does() {
        let stats = Arc::new(Stats::default());
        let hub = Hub::new(stats.clone());
        let (mut stalled, _) = hub.connect();
        let (mut healthy, _) = hub.connect();
        let mut heard = Vec::new();
        for _ in 0..QUEUE + 100 {
            publish(&hub, "a");
            heard.extend(numbers(&drain(&mut healthy)));
        }
        assert_eq!(heard, (1..=(QUEUE + 100) as i64).collect::<Vec<_>>());
        assert_eq!(numbers(&drain(&mut stalled)), (1..=QUEUE as i64).collect::<Vec<_>>());
        publish(&hub, "a");
        assert_eq!(numbers(&drain(&mut stalled)), [-100, (QUEUE + 101) as i64]);
        assert_eq!(stats.dropped_lines.load(Relaxed), 100);
    }

    #[test]
    fn a_client_that_goes_is_forgotten() {
        let hub = Hub::new(Arc::default());
        let (client, _) = hub.connect();
        drop(client);
        assert!(hub.lock().clients.is_empty());
    }

    #[derive(Debug, Clone)]
    enum Op {
        Publish(bool, usize),
        Read(usize, usize),
        Subscribe(usize, bool),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (any::<bool>(), 1usize..700).prop_map(|(source, n)| Op::Publish(source, n)),
            (0usize..3, 1usize..900).prop_map(|(client, n)| Op::Read(client, n)),
            (0usize..3, any::<bool>()).prop_map(|(client, one)| Op::Subscribe(client, one)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn what_a_client_got_and_what_it_was_told_it_lost_are_all_that_it_wanted(ops in prop::collection::vec(op(), 1..40)) {
            let hub = Hub::new(Arc::default());
            let mut clients: Vec<_> = (0..3).map(|_| (hub.connect().0, 0i64, 0i64, 0i64)).collect();
            let mut only_a = [false; 3];
            for op in ops {
                match op {
                    Op::Publish(a, n) => for _ in 0..n {
                        publish(&hub, if a { "a" } else { "b" });
                        for (client, only_a) in clients.iter_mut().zip(only_a) {
                            client.1 += i64::from(a || !only_a);
                        }
                    },
                    Op::Read(which, n) => {
                        let (client, _, got, last) = &mut clients[which];
                        let lines: Vec<_> = (0..n).map_while(|_| client.lines.try_recv().ok()).collect();
                        for number in numbers(&lines) {
                            *got += if number < 0 { -number } else { 1 };
                            prop_assert!(number < 0 || number > *last, "out of order");
                            *last = number.max(*last);
                        }
                    }
                    Op::Subscribe(which, a) => {
                        let sources = if a { vec!["a".to_owned()] } else { Vec::new() };
                        let (client, _, got, last) = &mut clients[which];
                        let replay = client.subscribe(Filter { sources, ..Filter::default() }, None);
                        for number in numbers(&replay.before) {
                            *got += if number < 0 { -number } else { 1 };
                            *last = number.max(*last);
                        }
                        only_a[which] = a;
                    }
                }
            }
            for (client, wanted, mut got, _) in clients {
                let mut client = client;
                got += numbers(&drain(&mut client)).iter().map(|number| if *number < 0 { -number } else { 1 }).sum::<i64>();
                got += client.missed.load(Relaxed) as i64;
                prop_assert_eq!(got, wanted);
            }
        }
    }
}
