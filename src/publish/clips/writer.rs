//! The thread that writes: it takes samples over from the analysis, writes files beside and renames them, records what became of each
//! event's clip, and clears. Nobody waits for it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, select};
use jiff::Timestamp;
use nix::fcntl::OFlag;
use nix::sys::statvfs::statvfs;
use uuid::Uuid;

use super::clear::{Why, choose};
use super::encode::{Encoder, suited};
use super::name::ClipName;
use super::rows::{kept_files, rows, told};
use super::shelf::{Agreed, Shelf, ShelfError};
use super::trouble::Trouble;
use crate::analysis::clips::{ClipEvent, ClipHead, Handed};
use crate::event::{ClipReport, ClipState, Report};
use crate::publish::settings::ClipsConfig;
use crate::stats::clips::ClipStats;

/// The time between two looks at the folder.
const LOOK: Duration = Duration::from_secs(30);
/// The time until a folder or a store that fails is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// The longest time that a report waits for room.
const TELLING: Duration = Duration::from_secs(1);
const MIB: f64 = 1_048_576.0;

/// What the writer is told.
pub enum Order {
    /// These settings are in force from now on.
    Change(Box<ClipsConfig>),
    /// Write what was handed over, and end.
    End,
}

/// The state of the thread.
pub struct Writer {
    config: ClipsConfig,
    store: PathBuf,
    stats: Arc<ClipStats>,
    trouble: Trouble,
    reports: Sender<Report>,
    shelf: Option<Shelf>,
    /// The clips that are being written, by their first events.
    open: HashMap<Uuid, Open>,
    look_at: Instant,
}

/// A clip that is being written.
struct Open {
    head: ClipHead,
    file: String,
    encoder: Encoder,
}

impl Writer {
    /// A thread's state, before it runs.
    pub fn new(config: ClipsConfig, store: PathBuf, stats: Arc<ClipStats>, reports: Sender<Report>) -> Self {
        let trouble = Trouble::new(stats.clone());
        Self { config, store, stats, trouble, reports, shelf: None, open: HashMap::new(), look_at: Instant::now() }
    }

    /// Writes what is handed over until it is told to end.
    pub fn run(mut self, handed: &Receiver<Handed>, orders: &Receiver<Order>) {
        self.look();
        loop {
            if Instant::now() >= self.trouble.look_at() {
                self.look_at_disk();
            }
            let next = self.look_at.min(self.trouble.look_at());
            let wait = after(next.saturating_duration_since(Instant::now()));
            select! {
                recv(handed) -> message => match message {
                    Ok(message) => self.take(message),
                    Err(_) => return,
                },
                recv(orders) -> order => match order {
                    Ok(Order::Change(config)) => {
                        self.config = *config;
                        // The policy acts at once.
                        self.look();
                    }
                    Ok(Order::End) | Err(_) => {
                        handed.try_iter().for_each(|message| self.take(message));
                        let unfinished: Vec<Uuid> = self.open.keys().copied().collect();
                        unfinished.into_iter().for_each(|first| self.break_off(first, ClipState::Dropped, "the daemon ended before it was written"));
                        return;
                    }
                },
                recv(wait) -> _ => if Instant::now() >= self.look_at { self.look() },
            }
        }
    }

    /// Tells of a disk that fails before a clip is due. A folder that was gone, or is another one, is looked through at once.
    fn look_at_disk(&mut self) {
        let stood = self.trouble.stands();
        if stood {
            // It is made again with the shelf, where it is gone.
            self.shelf = None;
            if self.with_shelf(|shelf| Ok(shelf.table.began().map(drop)?)).is_err() {
                return self.trouble.wait();
            }
        }
        let is_elsewhere = self.trouble.is_elsewhere(&self.config.folder);
        if self.trouble.look(&self.config.folder, self.config.keep.min_free_mb) && (stood || is_elsewhere) {
            self.look();
        }
    }

    fn take(&mut self, message: Handed) {
        let begun = Instant::now();
        self.stats.set_busy_since(Some(begun));
        self.handle(message);
        self.stats.set_busy_since(None);
        self.trouble.took(begun.elapsed());
    }

    fn handle(&mut self, message: Handed) {
        match message {
            Handed::Begin(head) => self.begin(head),
            Handed::Samples(first, piece, n) => {
                let Some(open) = self.open.get_mut(&first) else { return };
                if let Err(error) = open.encoder.push(&piece.samples()[..n]) {
                    self.trouble.begins(format!("{}: {error}", self.config.folder.display()));
                    self.break_off(first, ClipState::Dropped, &format!("it could not be written: {error}"));
                }
            }
            Handed::End(first) => self.finish(first),
            Handed::BrokenOff(first, why) => {
                let (state, reason) = told(why);
                self.break_off(first, state, &reason);
            }
            Handed::NotKept(head, why) => {
                let (state, reason) = told(why);
                self.record(&head, None, state, Some(&reason), 0);
            }
            Handed::Within(event, source, first) => self.add(event, source, first),
        }
    }

    /// Begins a file.
    fn begin(&mut self, head: ClipHead) {
        let Some(event) = head.events.first() else { return };
        let format = suited(self.config.format, head.rate_hz);
        let file = ClipName { from: head.from, slug: event.subject.slug.clone(), event: event.id, format }.file();
        let first = event.id;
        if let Err(reason) = self.room() {
            return self.record(&head, None, ClipState::Dropped, Some(&reason), 0);
        }
        let begun = self.with_shelf(|shelf| {
            shelf.table.put(&rows(&head, Some(&file), ClipState::Writing, None, 0))?;
            let path = shelf.unfinished(&file);
            let new = OpenOptions::new()
                .write(true)
                .read(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
                .open(&path);
            let encoder = new.and_then(|file| Encoder::begin(file, format, head.rate_hz));
            encoder.map_err(|error| ShelfError::Folder { path: path.display().to_string(), error })
        });
        match begun {
            Ok(encoder) => {
                self.open.insert(first, Open { head, file, encoder });
            }
            Err(reason) => self.record(&head, None, ClipState::Dropped, Some(&reason), 0),
        }
    }

    /// Ends a file and gives it its name.
    fn finish(&mut self, first: Uuid) {
        let Some(Open { head, file, encoder }) = self.open.remove(&first) else { return };
        let finished = encoder.finish().map_err(|error| error.to_string()).and_then(|bytes| {
            self.with_shelf(|shelf| {
                let (from, to) = (shelf.unfinished(&file), shelf.folder().join(&file));
                std::fs::rename(&from, &to).map_err(|error| ShelfError::Folder { path: to.display().to_string(), error })?;
                shelf.table.put(&rows(&head, Some(&file), ClipState::Kept, None, bytes))?;
                Ok(bytes)
            })
        });
        match finished {
            Ok(bytes) => {
                self.stats.files.fetch_add(1, Relaxed);
                self.stats.bytes.fetch_add(bytes, Relaxed);
                self.tell(&head, Some(&file), ClipState::Kept, None, bytes);
                // What it makes too much goes before the next look.
                if self.stats.bytes.load(Relaxed) > self.config.keep.max_mb << 20 {
                    self.look();
                }
            }
            Err(error) => {
                self.trouble.begins(format!("{}: {error}", self.config.folder.display()));
                self.give_up(&head, &file, ClipState::Dropped, &format!("it could not be written: {error}"));
            }
        }
    }

    /// Breaks off a clip that is being written.
    fn break_off(&mut self, first: Uuid, state: ClipState, reason: &str) {
        let Some(Open { head, file, encoder }) = self.open.remove(&first) else { return };
        drop(encoder);
        self.give_up(&head, &file, state, reason);
    }

    /// Removes the unfinished file of a clip, and records why it is not kept.
    fn give_up(&mut self, head: &ClipHead, file: &str, state: ClipState, reason: &str) {
        if let Some(shelf) = &self.shelf {
            let _ = std::fs::remove_file(shelf.unfinished(file));
        }
        self.record(head, None, state, Some(reason), 0);
    }

    /// Adds an event to the clip that it lies within.
    fn add(&mut self, event: ClipEvent, source: Arc<str>, first: Uuid) {
        if let Some(open) = self.open.get_mut(&first) {
            open.head.events.push(event);
            return;
        }
        let found = self.with_shelf(|shelf| Ok(shelf.table.of(first)?));
        let Ok(Some(row)) = found else { return };
        let head = ClipHead { events: vec![event], source, rate_hz: 0, from: row.from, to: row.to };
        self.record(&head, row.file.as_deref(), row.state, row.reason.as_deref(), row.bytes);
    }

    /// Records what became of a clip, and tells it.
    fn record(&mut self, head: &ClipHead, file: Option<&str>, state: ClipState, reason: Option<&str>, bytes: u64) {
        // A store that fails is told by itself.
        let _ = self.with_shelf(|shelf| Ok(shelf.table.put(&rows(head, file, state, reason, bytes))?));
        self.tell(head, file, state, reason, bytes);
    }

    fn tell(&self, head: &ClipHead, file: Option<&str>, state: ClipState, reason: Option<&str>, bytes: u64) {
        let counter: Option<&AtomicU64> = match state {
            ClipState::Kept => Some(&self.stats.kept),
            ClipState::Withheld => Some(&self.stats.withheld),
            ClipState::Dropped => Some(&self.stats.dropped),
            _ => None,
        };
        for event in &head.events {
            if let Some(counter) = counter
                && counter.fetch_add(1, Relaxed) == 0
                && state == ClipState::Dropped
            {
                tracing::warn!(label = event.subject.name, reason, "a clip was lost; status counts those that are");
            }
            let report = ClipReport {
                event: event.id,
                subject: event.subject.clone(),
                source: head.source.clone(),
                state,
                reason: reason.map(str::to_owned),
                file: file.map(str::to_owned),
                from: head.from,
                to: head.to,
                bytes,
            };
            let _ = self.reports.send_timeout(Report::Clip(Box::new(report)), TELLING);
        }
    }

    /// Does something with the folder and its table, which are opened where they are not.
    fn with_shelf<T>(&mut self, work: impl FnOnce(&Shelf) -> Result<T, ShelfError>) -> Result<T, String> {
        if self.shelf.as_ref().is_some_and(|shelf| !shelf.table.is_there()) {
            self.shelf = None;
            // Another store knows other clips.
            self.look_at = Instant::now();
        }
        let done = match &self.shelf {
            Some(shelf) => work(shelf),
            None => Shelf::open(&self.config.folder, &self.store).and_then(|shelf| work(self.shelf.insert(shelf))),
        };
        done.map_err(|error| {
            let reason = error.to_string();
            self.trouble.begins(reason.clone());
            reason
        })
    }

    /// Whether the disk has room for another clip.
    fn room(&self) -> Result<(), String> {
        let least = self.config.keep.min_free_mb;
        match free_bytes(&self.config.folder) {
            Some(free) if free < least << 20 => {
                Err(format!("less than {least} MiB are free on the disk, which min_free_mb keeps free"))
            }
            _ => Ok(()),
        }
    }

    /// Makes the folder and the store agree, and clears. Clips that are being written come first.
    fn look(&mut self) {
        if !self.open.is_empty() {
            self.look_at = Instant::now() + RETRY;
            return;
        }
        let (keep, now) = (self.config.keep, Timestamp::now());
        let folder = self.config.folder.clone();
        let looked = self.with_shelf(|shelf| {
            let agreed = shelf.agree()?;
            let files = kept_files(&shelf.table.with_files()?);
            let free = free_bytes(&folder).unwrap_or(u64::MAX >> 1);
            let gone = choose(&files, keep, now, free);
            for (index, why) in &gone {
                let why = match why {
                    Why::Age => format!("cleared after {} days", keep.days),
                    Why::Size => format!("cleared, because all were larger than {} MiB", keep.max_mb),
                    Why::Room => format!("cleared, because less than {} MiB were free on the disk", keep.min_free_mb),
                };
                shelf.clear(&files[*index].file, &why)?;
            }
            shelf.table.forget_old()?;
            Ok((agreed, files, gone, free))
        });
        self.look_at = Instant::now() + if looked.is_ok() { LOOK } else { RETRY };
        let Ok((agreed, files, gone, free)) = looked else { return };
        let size = |indices: &mut dyn Iterator<Item = usize>| indices.map(|index| files[index].bytes).sum::<u64>();
        let (all, cleared) = (size(&mut (0..files.len())), size(&mut gone.iter().map(|(index, _)| *index)));
        self.stats.files.store((files.len() - gone.len()) as u64, Relaxed);
        self.stats.bytes.store(all - cleared, Relaxed);
        self.stats.missing.store(agreed.missing_in_all as u64, Relaxed);
        let Agreed { orphans, unfinished, missing, adopted, .. } = agreed;
        if orphans + unfinished + missing + adopted > 0 {
            tracing::warn!(orphans, unfinished, missing, adopted, "the folder of the clips and the store agree again");
        }
        if !gone.is_empty() {
            let count = |why: Why| gone.iter().filter(|(_, of)| *of == why).count();
            let said = format!(
                "looked at {} clips of {:.1} MiB with {:.0} MiB free; cleared {} of {:.1} MiB: {} by age, {} by size, {} for room; {} stay, {} locked",
                files.len(),
                all as f64 / MIB,
                free as f64 / MIB,
                gone.len(),
                cleared as f64 / MIB,
                count(Why::Age),
                count(Why::Size),
                count(Why::Room),
                files.len() - gone.len(),
                files.iter().filter(|file| file.is_locked).count()
            );
            tracing::info!("clips: {said}");
            self.stats.set_cleared(said);
        }
    }
}

/// The free room of a folder's disk; `None` where the system does not say it.
fn free_bytes(folder: &std::path::Path) -> Option<u64> {
    let disk = statvfs(folder).ok()?;
    #[allow(clippy::unnecessary_cast, reason = "the widths differ between systems")]
    Some((disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64))
}
