//! Counters of the clips: kept, withheld and dropped ones, and the memory for those that may come.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::locked::Locked;

/// The time after which a piece of work of the writer is told to be slow.
pub const SLOW_AFTER: Duration = Duration::from_millis(500);
/// The reason while the disk is slow.
pub const SLOW: &str = "the disk takes its time: clips that it does not take in time are lost";

/// Counters of the clips.
#[derive(Debug, Default)]
pub struct ClipStats {
    /// The folder of the files.
    pub folder: PathBuf,
    /// The number of events whose clip was kept since the start.
    pub kept: AtomicU64,
    /// The number of events whose clip was withheld because of a voice.
    pub withheld: AtomicU64,
    /// The number of events whose clip was lost, because the disk was slow or failed, or the daemon was paused.
    pub dropped: AtomicU64,
    /// The number of files that are kept now.
    pub files: AtomicU64,
    /// The size of the files that are kept now.
    pub bytes: AtomicU64,
    /// The number of files that are gone though nobody deleted them.
    pub missing: AtomicU64,
    /// The size of the memory that holds sound.
    pub memory_bytes: AtomicU64,
    /// Whether some of that memory may be swapped, because the system did not lock it.
    pub is_unlocked: AtomicBool,
    reason: Mutex<Option<String>>,
    /// Since when the writer is at one piece of work.
    busy_since: Mutex<Option<Instant>>,
    cleared: Mutex<Option<String>>,
}

impl ClipStats {
    /// Counters at zero for this folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Counts memory that holds sound from now on. Memory that may be swapped is told once.
    pub fn hold(&self, memory: &Locked) {
        self.memory_bytes.fetch_add(memory.size_bytes() as u64, Relaxed);
        if !memory.is_locked() && !self.is_unlocked.swap(true, Relaxed) {
            tracing::warn!(
                "the system does not lock the memory for clips, so that sound could be swapped; raise the limit (ulimit -l, or LimitMEMLOCK= of the unit)"
            );
        }
    }

    /// Counts memory that is about to be given back.
    pub fn release(&self, memory: &Locked) {
        self.memory_bytes.fetch_sub(memory.size_bytes() as u64, Relaxed);
    }

    /// Records why clips are not kept just now; `None` where they are. Returns whether that is new.
    pub fn set_reason(&self, reason: Option<String>) -> bool {
        let mut now = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *now != reason;
        *now = reason;
        is_new
    }

    /// Records since when the writer is at one piece of work; `None` where it is at none.
    pub fn set_busy_since(&self, since: Option<Instant>) {
        *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// Why clips are not kept just now. A writer that hangs cannot say it itself.
    pub fn reason(&self) -> Option<String> {
        let since = *self.busy_since.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = || since.is_some_and(|since| since.elapsed() >= SLOW_AFTER);
        self.standing_reason().or_else(|| is_late().then(|| SLOW.to_owned()))
    }

    /// The reason that was recorded.
    pub fn standing_reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records the last clearing, as a sentence.
    pub fn set_cleared(&self, said: String) {
        *self.cleared.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
    }

    /// The last clearing, as a sentence; `None` before the first.
    pub fn cleared(&self) -> Option<String> {
        self.cleared.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
