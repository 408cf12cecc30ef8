//! The store: every event with its whole life, and every report of health, in a file of this machine, without any sound.
//!
//! `writer` is the one thread that writes, but for `clips`, the table of the sound that is kept elsewhere; `keep` turns reports into rows,
//! `rows` has their form, `sums` their numbers, `clear` takes the oldest away, and `schema` opens files of any version. `numbers` has how
//! the numbers go on, and `marks` what people say of events. `replay` gives lines again, and `history` answers questions; both read with connections of their own. `log` moves
//! SQLite's log, `db` alone knows SQLite, and `place` where the file is.
//!
//! Invariant: a client sees a report only after it is committed, so that a kill at any moment loses no line that anybody saw; unless the
//! disk does not take it within [`PATIENCE`]. Then clients wait no longer, which is told, until the disk keeps up again.
//!
//! Invariant: nothing but the hub's task waits for the disk, and never longer than that.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{oneshot, watch};
use uuid::Uuid;

use super::hub::Published;
use super::settings::StoreConfig;
use super::wire::ModelInfo;
use crate::stats::Stats;
use crate::stats::sink::SinkStats;

mod clear;
pub(crate) mod clips;
pub(crate) mod db;
pub(crate) mod embeddings;
pub(crate) mod history;
mod keep;
mod log;
pub(crate) mod marks;
pub(crate) mod moment;
mod numbers;
pub mod place;
pub(in crate::publish) mod replay;
mod rows;
mod schema;
mod sums;
mod writer;

use db::{DbError, Kind};
use marks::{Mark, Unmarked};
use numbers::Numbers;
use writer::Writer;

/// Why there is no answer where nothing is kept.
pub const NO_STORE: &str = "this daemon keeps no events; [store] enabled = true in its configuration turns that on";
/// The longest time that a report waits for the disk before clients get it.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long clients do not wait for the disk after it took longer than that.
const IMPATIENT: Duration = Duration::from_secs(10);
/// The time after which a write that is not done is told.
const TOLD: Duration = Duration::from_millis(500);
/// The most reports that wait for the disk. Those beyond are not kept, and counted.
const QUEUE: u64 = 8_192;
/// The longest time that a mark waits for the disk.
const MARKING: Duration = Duration::from_secs(10);
/// The longest time that the start waits for the file, because the numbers go on from it.
const OPENING: Duration = Duration::from_secs(2);

/// The facts that stand beside a session's events.
#[derive(Debug, Clone, PartialEq)]
pub struct Circumstances {
    /// The id of this start of the daemon.
    pub instance: String,
    /// The name of this machine.
    pub node: String,
    /// The model in force.
    pub model: ModelInfo,
    /// The effective configuration as TOML, without secrets.
    pub configuration: String,
}

/// What the writer is told.
enum Order {
    /// Keep these reports.
    Keep(Vec<Arc<Published>>),
    /// Another model is in force from this number on.
    Model(ModelInfo, u64),
    /// Mark the event of this id, or take its mark away.
    Mark(Uuid, Option<Mark>, oneshot::Sender<Result<(), Unmarked>>),
    /// Keep what waits, and end; this was the last number.
    End(u64, Sender<()>),
}

/// The way to the file.
#[derive(Debug)]
pub struct Store {
    /// The file.
    pub path: PathBuf,
    orders: Sender<Order>,
    /// The number up to which every report is kept, or given up.
    kept: watch::Receiver<u64>,
    /// A number that may have been given before this start, found after it.
    floor: Arc<AtomicU64>,
    /// Until when clients do not wait for the disk.
    impatient: Mutex<Option<Instant>>,
    /// Whether a report is watched just now, whose lateness would be told.
    is_watched: Arc<AtomicBool>,
    stats: Arc<SinkStats>,
}

/// How a start goes on from the file.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Arc<Store>,
    /// The highest number that may have been given; 0 where the file is new, or cannot be opened yet.
    pub last: u64,
    /// The ends of events that were open when an earlier daemon was killed.
    pub left_open: Vec<crate::event::Report>,
}

impl Store {
    /// Starts the thread that writes, and opens the file. A file that cannot be opened is told and tried again.
    pub fn start(config: StoreConfig, circumstances: Circumstances, stats: &Stats) -> std::io::Result<Opened> {
        let (orders, taken) = bounded(QUEUE as usize);
        let (told, kept) = watch::channel(0);
        let floor = Arc::<AtomicU64>::default();
        let sink = Arc::new(SinkStats::new("store"));
        stats.sinks.write().unwrap_or_else(PoisonError::into_inner).push(sink.clone());
        let path = config.path.clone();
        let (opened, is_opened): (Sender<Numbers>, Receiver<Numbers>) = bounded(0);
        let writer = Writer::new(config, circumstances, sink.clone(), told, floor.clone());
        std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run(&taken, &opened))?;
        let Numbers { last, left_open } = is_opened.recv_timeout(OPENING).unwrap_or(Numbers { last: 0, left_open: Vec::new() });
        let store = Self { path, orders, kept, floor, impatient: Mutex::default(), is_watched: Arc::default(), stats: sink };
        Ok(Opened { store: Arc::new(store), last, left_open })
    }

    /// The number above which a new one is to be, whatever was given since the start.
    pub fn floor(&self) -> u64 {
        self.floor.load(Relaxed)
    }

    /// Has reports kept, and waits for it unless the disk is slow. Those that find no room are counted.
    pub async fn keep(&self, reports: &[Arc<Published>]) {
        let (Some(first), Some(last)) = (reports.first(), reports.last()) else { return };
        let (n, last) = (reports.len() as u64, last.seq);
        let waiting = self.stats.queued.fetch_add(n, Relaxed);
        if waiting + n > QUEUE || self.orders.try_send(Order::Keep(reports.to_vec())).is_err() {
            self.stats.queued.fetch_sub(n, Relaxed);
            if self.stats.dropped.fetch_add(n, Relaxed) == 0 {
                tracing::warn!("too many reports wait for the disk; those that find no room are not kept, which status counts");
            }
            return;
        }
        let mut kept = self.kept.clone();
        if self.is_impatient(*kept.borrow() + 1 >= first.seq) {
            self.tell_if_late(kept, last);
            return;
        }
        if tokio::time::timeout(PATIENCE, kept.wait_for(|kept| *kept >= last)).await.is_err() {
            *self.impatient.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + IMPATIENT);
            self.tell_if_late(kept, last);
        }
    }

    /// Tells that the disk is slow where a report is not kept in time. One report is watched at a time.
    fn tell_if_late(&self, mut kept: watch::Receiver<u64>, last: u64) {
        if self.is_watched.swap(true, Relaxed) {
            return;
        }
        let (stats, path, is_watched) = (self.stats.clone(), self.path.clone(), self.is_watched.clone());
        tokio::spawn(async move {
            let is_late = tokio::time::timeout(TOLD, kept.wait_for(|kept| *kept >= last)).await.is_err();
            is_watched.store(false, Relaxed);
            // Another reason may have been told already.
            if is_late && stats.state().1.is_none() {
                writer::tell(&stats, &path, writer::SLOW);
            }
        });
    }

    /// Whether clients do not wait for the disk just now. They wait again when it has kept up for a while.
    fn is_impatient(&self, keeps_up: bool) -> bool {
        let mut impatient = self.impatient.lock().unwrap_or_else(PoisonError::into_inner);
        if keeps_up && impatient.is_some_and(|until| Instant::now() >= until) {
            *impatient = None;
        }
        impatient.is_some()
    }

    /// Records that another model is in force from a number on.
    pub fn change(&self, model: &ModelInfo, first: u64) {
        let _ = self.orders.try_send(Order::Model(model.clone(), first));
    }

    /// Has the event of this id marked, or its mark taken away, and waits for it.
    pub async fn mark(&self, id: Uuid, mark: Option<Mark>) -> Result<(), Unmarked> {
        let slow = || Unmarked::Db(DbError::new(Kind::Busy, writer::SLOW));
        let (done, is_done) = oneshot::channel();
        self.orders.try_send(Order::Mark(id, mark, done)).map_err(|_| slow())?;
        match tokio::time::timeout(MARKING, is_done).await {
            Ok(Ok(marked)) => marked,
            Ok(Err(_)) | Err(_) => Err(slow()),
        }
    }

    /// Has what waits kept, of which the last has this number, and waits for it until the deadline.
    pub fn end(&self, last: u64, deadline: Instant) {
        let (done, is_done) = bounded(1);
        if self.orders.send_deadline(Order::End(last, done), deadline).is_ok() {
            let _ = is_done.recv_deadline(deadline);
        }
    }
}

/// A new file, as a start of the daemon leaves it.
#[cfg(test)]
pub(in crate::publish) fn begin_for_tests(path: &std::path::Path, circumstances: &Circumstances) {
    drop(keep::Keeper::open(path, circumstances, 1, None));
}

#[cfg(test)]
mod measure;
#[cfg(test)]
mod tests;
