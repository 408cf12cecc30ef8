//! The thread that writes: it takes what the hub hands over, keeps it, and tries again where the disk fails. Nobody waits for it but the
//! hub, and that for a moment only.

use std::collections::VecDeque;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use jiff::Timestamp;
use nix::sys::statvfs::{FsFlags, statvfs};
use tokio::sync::watch;

use super::clear::clear;
use super::db::{DbError, Kind};
use super::keep::Keeper;
use super::marks::Unmarked;
use super::numbers::{self, Numbers};
use super::{Circumstances, Order, TOLD, log, schema};
use crate::publish::hub::Published;
use crate::publish::settings::StoreConfig;
use crate::stats::sink::SinkStats;

/// The reports that are committed together, at most.
const BATCH: usize = 256;
/// The time between two looks at the file and the disk.
const LOOK: Duration = Duration::from_secs(2);
/// The time between two records that the daemon runs.
const LIVING: Duration = Duration::from_secs(30);
/// The time until a failure is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// The time until a file that only another program can mend is tried again.
const RETRY_LATER: Duration = Duration::from_secs(60);
/// The time between two looks for what is old.
const CLEARING: Duration = Duration::from_secs(10);
/// The commits after which the log is moved into the file.
const COMMITS: u32 = 64;
/// The reason while the disk is slow.
pub const SLOW: &str = "the disk takes its time: clients do not wait for it, and what waits is in memory only";

/// The state of the thread.
pub struct Writer {
    config: StoreConfig,
    circumstances: Circumstances,
    stats: Arc<SinkStats>,
    kept: watch::Sender<u64>,
    floor: Arc<AtomicU64>,
    keeper: Option<Keeper>,
    /// The device and the inode of the open file.
    file: Option<(u64, u64)>,
    waiting: VecDeque<Arc<Published>>,
    /// The last number that was handed over.
    given: u64,
    /// Whether the start knows where the numbers go on.
    is_known: bool,
    /// The number from which the start goes on though the file was not open yet.
    told: Option<u64>,
    retry_at: Instant,
    look_at: Instant,
    clear_at: Instant,
    live_at: Instant,
    commits: u32,
    mover: Sender<()>,
}

/// Records why nothing is kept, and says it once.
pub fn tell(stats: &SinkStats, path: &Path, reason: &str) {
    if stats.fall(format!("{}: {reason}", path.display())) {
        tracing::error!(file = %path.display(), reason, "events cannot be kept just now; they are heard and sent on as before");
    }
}

impl Writer {
    /// A thread's state, before it runs.
    pub fn new(
        config: StoreConfig,
        circumstances: Circumstances,
        stats: Arc<SinkStats>,
        kept: watch::Sender<u64>,
        floor: Arc<AtomicU64>,
    ) -> Self {
        let now = Instant::now();
        let mover = log::mover(config.path.clone());
        Self {
            config,
            circumstances,
            stats,
            kept,
            floor,
            keeper: None,
            file: None,
            waiting: VecDeque::new(),
            given: 0,
            is_known: false,
            told: None,
            retry_at: now,
            look_at: now + LOOK,
            clear_at: now + LOOK,
            live_at: now,
            commits: 0,
            mover,
        }
    }

    /// Opens the file, tells how the numbers go on, and keeps what comes until it is told to end.
    pub fn run(mut self, orders: &Receiver<Order>, opened: &Sender<Numbers>) {
        // To bring a large file up to date takes minutes, in which what is heard has its numbers and waits.
        if let Ok(Some(last)) = numbers::of_older(&self.config.path) {
            self.is_known = opened.send(Numbers { last, left_open: Vec::new() }).is_ok();
            self.told = Some(last).filter(|_| self.is_known);
            self.kept.send_replace(last);
            self.open_again();
        } else if let Some(numbers) = self.open() {
            let last = numbers.last;
            self.is_known = opened.send(numbers).is_ok();
            if !self.is_known {
                // The start has waited long enough, and gives numbers without knowing these.
                self.go_on_from(last);
                self.close_left_open();
            }
        } else {
            let _ = opened.send(Numbers { last: 0, left_open: Vec::new() });
        }
        loop {
            let until = if self.waiting.is_empty() { self.look_at.min(self.clear_at) } else { self.retry_at };
            match orders.recv_deadline(until) {
                Ok(order) => {
                    if self.take(order) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while self.waiting.len() < BATCH
                && let Ok(order) = orders.try_recv()
            {
                if self.take(order) {
                    return;
                }
            }
            self.write();
            self.look();
            self.clear();
        }
    }

    /// Takes an order; returns whether it is the last one.
    fn take(&mut self, order: Order) -> bool {
        match order {
            Order::Keep(mut reports) => {
                self.given = reports.last().map_or(self.given, |report| report.seq);
                let (before, floor) = (reports.len(), self.floor.load(Relaxed));
                reports.retain(|report| report.seq > floor);
                self.give_up(before - reports.len());
                self.waiting.extend(reports);
            }
            Order::Model(model, first) => {
                self.write();
                self.circumstances.model = model;
                if let Some(keeper) = &mut self.keeper
                    && let Err(error) = keeper.change(&self.circumstances, first)
                {
                    self.fail(&error);
                }
            }
            Order::Mark(id, mark, done) => {
                // The event may be among those that wait.
                self.write();
                let marked = match &mut self.keeper {
                    Some(keeper) => keeper.mark(id, mark.as_ref()),
                    None => Err(Unmarked::Db(DbError::new(Kind::NotOpened, "the file cannot be opened just now"))),
                };
                self.commits += 1;
                // Nobody may wait any more.
                let _ = done.send(marked);
            }
            Order::End(last, done) => {
                self.write();
                // What still waits is lost with its numbers, which are never given again.
                if let (Some(keeper), true) = (&self.keeper, self.waiting.is_empty()) {
                    let _ = keeper.finish(last);
                }
                self.keeper = None;
                let _ = done.send(());
                return true;
            }
        }
        false
    }

    /// Opens the file; `None` where it fails, which is told.
    fn open(&mut self) -> Option<Numbers> {
        let (path, told) = (self.config.path.clone(), self.told);
        let open = |circumstances: &Circumstances, next| {
            if let Some(folder) = path.parent() {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            Keeper::open(&path, circumstances, next, told)
        };
        let mut opened = open(&self.circumstances, self.given + 1);
        if let Err(error) = &opened
            && error.kind == Kind::Damaged
        {
            match schema::put_aside(&path) {
                Ok(aside) => {
                    tracing::error!(file = %path.display(), aside = %aside.display(), "the store's file is damaged: it is put aside, and a new one is begun")
                }
                Err(error) => tracing::error!(%error, "the damaged file of the store cannot be put aside"),
            }
            opened = open(&self.circumstances, self.given + 1);
        }
        match opened {
            Ok((keeper, numbers)) => {
                self.keeper = Some(keeper);
                self.told = None;
                self.file = self.on_disk();
                self.kept.send_if_modified(|kept| std::mem::replace(kept, (*kept).max(numbers.last)) < numbers.last);
                Some(numbers)
            }
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// The device and the inode of the file that has the path now.
    fn on_disk(&self) -> Option<(u64, u64)> {
        std::fs::metadata(&self.config.path).ok().map(|found| (found.dev(), found.ino()))
    }

    /// Tells a failure, and sets when it is tried again.
    fn fail(&mut self, error: &DbError) {
        tell(&self.stats, &self.config.path, &error.message);
        self.retry_at = Instant::now() + if error.kind == Kind::Newer { RETRY_LATER } else { RETRY };
        if !matches!(error.kind, Kind::Full | Kind::Busy | Kind::Other) {
            self.keeper = None;
        }
        if error.kind == Kind::Damaged {
            self.retry_at = Instant::now();
        }
    }

    /// Opens the file after the start, where it was not open.
    fn open_again(&mut self) {
        if let Some(numbers) = self.open() {
            self.go_on_from(numbers.last);
            self.close_left_open();
        }
    }

    /// Has higher numbers given from now on, where the start did not know the last one of the file. The numbers so far are those of another
    /// start in the file, so they cannot be kept.
    fn go_on_from(&mut self, last: u64) {
        if !self.is_known {
            self.is_known = true;
            self.floor.store(last, Relaxed);
            let before = self.waiting.len();
            self.waiting.retain(|report| report.seq > last);
            self.give_up(before - self.waiting.len());
        }
    }

    /// Ends the events that an earlier daemon left open, where nobody is told.
    fn close_left_open(&mut self) {
        if let Some(keeper) = &mut self.keeper
            && let Err(error) = keeper.close_left_open()
        {
            self.fail(&error);
        }
    }

    fn give_up(&self, n: usize) {
        self.stats.queued.fetch_sub(n as u64, Relaxed);
        self.stats.dropped.fetch_add(n as u64, Relaxed);
    }

    /// Keeps what waits, as far as the disk takes it.
    fn write(&mut self) {
        if self.keeper.is_none() && Instant::now() >= self.retry_at {
            self.open_again();
        }
        while !self.waiting.is_empty() && Instant::now() >= self.retry_at {
            let Some(keeper) = &mut self.keeper else { return };
            let n = self.waiting.len().min(BATCH);
            let (begun, batch) = (Instant::now(), &self.waiting.make_contiguous()[..n]);
            let last = batch[n - 1].seq;
            match keeper.keep(batch) {
                Ok(()) => {
                    self.stats.queued.fetch_sub(n as u64, Relaxed);
                    self.stats.sent.fetch_add(n as u64, Relaxed);
                    self.drop_first(n, last);
                    self.commits += 1;
                    if begun.elapsed() < TOLD {
                        self.rise();
                    } else {
                        tell(&self.stats, &self.config.path, SLOW);
                    }
                }
                Err(error) => {
                    self.fail(&error);
                    if error.kind == Kind::Damaged {
                        self.open_again();
                    } else if error.kind == Kind::Other {
                        // It is no fault of the disk, and would come again and again.
                        self.give_up(n);
                        self.drop_first(n, last);
                    }
                }
            }
        }
        if self.commits >= COMMITS {
            self.move_log();
        }
    }

    fn drop_first(&mut self, n: usize, last: u64) {
        self.waiting.drain(..n);
        self.kept.send_replace(last);
    }

    fn rise(&self) {
        let was_down = self.stats.state().1.is_some();
        if self.stats.rise() && was_down {
            let dropped = self.stats.dropped.load(Relaxed);
            tracing::info!(file = %self.config.path.display(), dropped, "events are kept again");
        }
    }

    fn move_log(&mut self) {
        self.commits = 0;
        let _ = self.mover.try_send(());
    }

    /// Looks whether the file is still there and may be written, so that a failure is told before the next event.
    fn look(&mut self) {
        if Instant::now() < self.look_at {
            return;
        }
        self.look_at = Instant::now() + LOOK;
        if self.keeper.is_some() && self.on_disk() != self.file {
            self.fail(&DbError::new(Kind::NotOpened, "the file is gone; another is begun as soon as it can be"));
            self.retry_at = Instant::now();
        }
        let is_suspect = self
            .config
            .path
            .parent()
            .and_then(|folder| statvfs(folder).ok())
            .is_none_or(|disk| disk.flags().contains(FsFlags::ST_RDONLY) || disk.blocks_available() == 0);
        let is_down = self.stats.state().0 != crate::stats::sink::SinkState::Up;
        if (is_suspect || is_down) && self.waiting.is_empty() && Instant::now() >= self.retry_at {
            match self.keeper.as_mut().map(Keeper::probe) {
                Some(Ok(())) => self.rise(),
                Some(Err(error)) => self.fail(&error),
                None => self.open_again(),
            }
        }
        if let Some(keeper) = &self.keeper
            && Instant::now() >= self.live_at.max(self.retry_at)
        {
            self.live_at = Instant::now() + LIVING;
            if let Err(error) = keeper.live() {
                self.fail(&error);
            }
        }
        if self.commits > 0 {
            self.move_log();
        }
    }

    /// Clears the oldest away, a piece at a time.
    fn clear(&mut self) {
        if Instant::now() < self.clear_at || !self.waiting.is_empty() {
            return;
        }
        let Some(keeper) = &self.keeper else {
            self.clear_at = Instant::now() + CLEARING;
            return;
        };
        match clear(&keeper.db, &self.config, Timestamp::now()) {
            Ok(true) => self.commits += 1,
            Ok(false) => self.clear_at = Instant::now() + CLEARING,
            Err(error) => {
                self.clear_at = Instant::now() + CLEARING;
                self.fail(&error);
            }
        }
        if self.commits >= COMMITS {
            self.move_log();
        }
    }
}
