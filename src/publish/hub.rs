//! Numbers the reports, remembers the newest, and hands each to every subscriber that wants it, as one shared, typed value.
//!
//! A report is never copied, and its line is serialised at most once, when a subscriber first asks for it. Each subscriber has a bounded
//! queue. Reports that do not fit are counted, and the subscriber gets the count in their place as soon as it reads again.
//!
//! Where there is a store, a report is kept before anybody gets it, and the numbers go on from the last start of the daemon.
//!
//! Invariant: [`Hub::publish_all`] never waits for a subscriber.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::filter::Filter;
use super::follow::{Follower, Passage};
use super::store::Store;
use crate::event::Report;
use crate::stats::Stats;

mod published;

pub use published::{Delivery, Published};

/// The number of reports that are held for replay: 1,024 events with the start, the end and two updates of each.
pub const REPLAY: usize = 4_096;
/// The number of deliveries that may wait for a subscriber.
pub const QUEUE: usize = 1_024;
/// The most reports that are numbered and kept together.
const BATCH: usize = 64;
/// The size of the reports that may wait for a subscriber, in bytes: several times that of a full queue of events.
pub const QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// The hub that all subscribers share.
#[derive(Debug)]
pub struct Hub {
    /// Tells this start of the daemon from every other: without a store the numbers begin anew with each.
    pub instance: Uuid,
    /// The store, where there is one.
    pub store: Option<Arc<Store>>,
    /// The first number of this start.
    first: u64,
    ledger: Mutex<Ledger>,
    stats: Arc<Stats>,
}

/// The last number, the reports that can be replayed, and the subscribers.
#[derive(Debug, Default)]
struct Ledger {
    seq: u64,
    held: VecDeque<Arc<Published>>,
    subscribers: HashMap<u64, Subscriber>,
    next_subscriber: u64,
}

/// How far a subscriber is behind, and how many reports it has missed.
#[derive(Debug, Default)]
struct Backlog {
    bytes: AtomicUsize,
    missed: AtomicU64,
}

#[derive(Debug)]
struct Subscriber {
    /// The filter; `None` while the subscriber reads what the store has, and gets nothing else.
    follower: Option<Follower>,
    queue: mpsc::Sender<Delivery>,
    backlog: Arc<Backlog>,
}

/// A subscriber's end of its queue. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    id: u64,
    queue: mpsc::Receiver<Delivery>,
    backlog: Arc<Backlog>,
}

/// The beginning of a subscription with a new filter.
#[derive(Debug)]
pub struct SubscriptionStart {
    /// The number of the last report so far.
    pub seq: u64,
    /// Whether `since` is a number of another start of the daemon, whose reports are all gone.
    pub restarted: bool,
    /// How many reports after `since` are no longer held; after a restart, how many of this start are not.
    pub gone: u64,
    /// The held reports after `since` that pass the filter.
    pub reports: Vec<Arc<Published>>,
    /// The deliveries that waited under the old filter, and the count of the reports that were missed under it.
    pub before: Vec<Delivery>,
}

impl Hub {
    /// A hub without subscribers and without a store.
    #[cfg(test)]
    pub fn new(stats: Arc<Stats>) -> Arc<Self> {
        Self::after(Uuid::now_v7(), stats, None, 0)
    }

    /// A hub whose first report has the number after `seq`.
    pub fn after(instance: Uuid, stats: Arc<Stats>, store: Option<Arc<Store>>, seq: u64) -> Arc<Self> {
        Arc::new(Self { instance, store, first: seq + 1, ledger: Mutex::new(Ledger { seq, ..Ledger::default() }), stats })
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // No holder of the lock can leave the ledger half changed.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the last report so far.
    pub fn seq(&self) -> u64 {
        self.lock().seq
    }

    /// The number of the oldest report that is held; the next number where none is.
    pub fn oldest(&self) -> u64 {
        self.lock().oldest()
    }

    /// Numbers a report and offers it to every subscriber that wants it.
    #[cfg(test)]
    pub fn publish(&self, report: Report, now: Timestamp) {
        self.hand_out(Arc::new(Published::new(self.seq() + 1, now, report)));
    }

    /// Offers a numbered report to every subscriber that wants it.
    fn hand_out(&self, published: Arc<Published>) {
        let mut ledger = self.lock();
        ledger.seq = published.seq;
        for subscriber in ledger.subscribers.values_mut() {
            let Some(follower) = &mut subscriber.follower else { continue };
            for published in passing(follower, &published) {
                subscriber.offer(&published, &self.stats);
            }
        }
        if ledger.held.len() == REPLAY {
            ledger.held.pop_front();
        }
        ledger.held.push_back(published);
    }

    /// Adds a subscriber that gets every report from now on. Returns its subscription and the number of the last report before.
    pub fn connect(self: &Arc<Self>) -> (Subscription, u64) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let backlog = Arc::<Backlog>::default();
        let mut ledger = self.lock();
        let id = ledger.next_subscriber;
        ledger.next_subscriber += 1;
        let follower = Some(Follower::default());
        ledger.subscribers.insert(id, Subscriber { follower, queue: sender, backlog: backlog.clone() });
        (Subscription { hub: self.clone(), id, queue, backlog }, ledger.seq)
    }

    /// Publishes every report of `reports` until its senders are gone. Those that come together are kept together.
    ///
    /// It must run on the thread that serves the subscribers: to wake a task from another thread costs a system call, and one report can
    /// wake a thousand tasks.
    pub async fn pump(&self, mut reports: mpsc::Receiver<Report>) {
        let mut together = Vec::with_capacity(BATCH);
        while reports.recv_many(&mut together, BATCH).await > 0 {
            self.publish_all(together.drain(..)).await;
        }
    }

    /// Numbers reports, has them kept, and offers them to every subscriber that wants them.
    pub async fn publish_all(&self, reports: impl Iterator<Item = Report>) {
        // Nobody else numbers reports while the daemon runs.
        let floor = self.store.as_ref().map_or(0, |store| store.floor());
        let (first, now) = (self.seq().max(floor) + 1, Timestamp::now());
        let numbered: Vec<_> = (first..).zip(reports).map(|(seq, report)| Arc::new(Published::new(seq, now, report))).collect();
        if let Some(store) = &self.store {
            store.keep(&numbered).await;
        }
        numbered.into_iter().for_each(|published| self.hand_out(published));
    }
}

/// A report as it passes a filter: not, as it is, or with the start of an event that passes for the first time.
pub(super) fn passing(follower: &mut Follower, published: &Arc<Published>) -> impl Iterator<Item = Arc<Published>> + use<> {
    let passage = follower.pass(&published.report);
    let start = matches!(passage, Passage::AsStart | Passage::AsStartAndItself).then(|| published.as_start());
    let itself = matches!(passage, Passage::AsItIs | Passage::AsStartAndItself).then(|| published.clone());
    start.into_iter().chain(itself)
}

impl Ledger {
    fn oldest(&self) -> u64 {
        self.held.front().map_or(self.seq + 1, |held| held.seq)
    }
}

impl Subscriber {
    fn offer(&self, published: &Arc<Published>, stats: &Stats) {
        let missed = self.backlog.missed.load(Relaxed);
        // The count of missing reports takes their place in the queue, so there must be room for two.
        let room = if missed > 0 { 2 } else { 1 };
        // A report that is larger than the bound still passes where nothing else waits.
        let waiting = self.backlog.bytes.load(Relaxed);
        if self.queue.capacity() < room || (waiting > 0 && waiting + published.size_bytes() > QUEUE_BYTES) {
            self.backlog.missed.fetch_add(1, Relaxed);
            stats.dropped_lines.fetch_add(1, Relaxed);
            return;
        }
        let missed = self.backlog.missed.swap(0, Relaxed);
        if missed > 0 {
            self.push(Delivery::Dropped(missed));
        }
        self.push(Delivery::Published(published.clone()));
    }

    fn push(&self, delivery: Delivery) {
        self.backlog.bytes.fetch_add(delivery.size_bytes(), Relaxed);
        // Only the hub sends, under its lock, so there is room. A subscriber that has gone needs nothing.
        let _ = self.queue.try_send(delivery);
    }
}

impl Subscription {
    /// The next delivery; waits for it. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.queue.recv().await?;
        Some(self.taken(delivery))
    }

    /// The next delivery, if one waits.
    pub fn try_next(&mut self) -> Option<Delivery> {
        let delivery = self.queue.try_recv().ok()?;
        Some(self.taken(delivery))
    }

    /// The count of missed reports, if nothing else is left to deliver. While reports wait, the hub puts the count in its place among
    /// them.
    pub fn missed(&self) -> Option<Delivery> {
        // Under the lock no report can come between looking and counting.
        let _ledger = self.hub.lock();
        if self.queue.is_empty() { self.take_missed() } else { None }
    }

    /// Replaces the filter, and gives the held reports after `since` that pass the new one. From here on every report that passes comes
    /// exactly once.
    ///
    /// Deliveries that still wait under the old filter come first, except those after `since`, which the replay brings. A `since` of
    /// another `instance`, or beyond the last number, is from before a restart of the daemon: everything held is replayed.
    pub fn subscribe(&mut self, filter: Filter, since: Option<u64>, instance: Option<&str>) -> SubscriptionStart {
        let hub = self.hub.clone();
        let mut ledger = hub.lock();
        let seq = ledger.seq;
        // A subscriber that names no instance means this one, and nobody can know a number of it that is still to come.
        let is_other = instance.is_some_and(|instance| instance != hub.instance.to_string());
        let restarted = since.is_some_and(|since| is_other || since > seq);
        // The numbers before the first of this start are none of its own.
        let since = since.map(|since| if restarted { hub.first.min(ledger.oldest()) - 1 } else { since });
        let before = self.before(since);
        let mut replay = SubscriptionStart { seq, restarted, gone: 0, reports: Vec::new(), before };
        if let Some(since) = since {
            replay.gone = (ledger.oldest() - 1).saturating_sub(since);
        }
        // The starts before `since` are known to the subscriber.
        let mut follower = Follower::new(filter);
        for held in &ledger.held {
            let passing = passing(&mut follower, held);
            if since.is_some_and(|since| held.seq > since) {
                replay.reports.extend(passing);
            }
        }
        if let Some(subscriber) = ledger.subscribers.get_mut(&self.id) {
            subscriber.follower = Some(follower);
        }
        replay
    }

    /// The number of the oldest report that the hub holds.
    pub fn oldest(&self) -> u64 {
        self.hub.oldest()
    }

    /// Gets nothing more until [`Subscription::go_on`]. Gives the number of the last report, and the deliveries up to `since` that wait.
    pub fn rest(&mut self, since: u64) -> (u64, Vec<Delivery>) {
        let hub = self.hub.clone();
        let mut ledger = hub.lock();
        if let Some(subscriber) = ledger.subscribers.get_mut(&self.id) {
            subscriber.follower = None;
        }
        (ledger.seq, self.before(Some(since)))
    }

    /// Goes on with a filter that has followed every report up to `since`, and takes it. Gives those after it that pass; `None` where the
    /// hub no longer holds all of them.
    pub fn go_on(&mut self, follower: &mut Follower, since: u64) -> Option<Vec<Arc<Published>>> {
        let hub = self.hub.clone();
        let mut ledger = hub.lock();
        if since + 1 < ledger.oldest() {
            return None;
        }
        let mut reports = Vec::new();
        for held in ledger.held.iter().filter(|held| held.seq > since) {
            reports.extend(passing(follower, held));
        }
        if let Some(subscriber) = ledger.subscribers.get_mut(&self.id) {
            subscriber.follower = Some(std::mem::take(follower));
        }
        Some(reports)
    }

    /// The deliveries that wait and are not after `since`, and the count of those that were missed; the others are forgotten.
    fn before(&mut self, since: Option<u64>) -> Vec<Delivery> {
        let mut before = Vec::new();
        while let Some(delivery) = self.try_next() {
            if since.is_none_or(|since| delivery.seq().is_none_or(|seq| seq <= since)) {
                before.push(delivery);
            }
        }
        before.extend(self.take_missed());
        before
    }

    fn taken(&self, delivery: Delivery) -> Delivery {
        self.backlog.bytes.fetch_sub(delivery.size_bytes(), Relaxed);
        delivery
    }

    fn take_missed(&self) -> Option<Delivery> {
        let missed = self.backlog.missed.swap(0, Relaxed);
        (missed > 0).then_some(Delivery::Dropped(missed))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.lock().subscribers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests;
