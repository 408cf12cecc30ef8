//! Counters of a hook: runs done, given up, dropped and waiting, and how the last try ended.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How a try of a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastTry {
    /// When.
    pub at: Timestamp,
    /// Whether it is done.
    pub is_done: bool,
    /// What came of it, as a sentence.
    pub said: String,
}

/// Counters of one hook.
#[derive(Debug)]
pub struct HookStats {
    /// The hook's name.
    pub name: String,
    /// The number of runs that wait or are being tried.
    pub waiting: AtomicU64,
    /// The number of runs that are done.
    pub done: AtomicU64,
    /// The number of tries that failed.
    pub failed: AtomicU64,
    /// The number of runs that were refused, or given up after too many tries.
    pub given_up: AtomicU64,
    /// The number of runs for which there was no room.
    pub dropped: AtomicU64,
    last: Mutex<Option<LastTry>>,
}

impl HookStats {
    /// Counters at zero.
    pub fn new(name: &str) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            name: name.to_owned(),
            waiting: zero(),
            done: zero(),
            failed: zero(),
            given_up: zero(),
            dropped: zero(),
            last: Mutex::default(),
        }
    }

    /// How the last try ended; `None` before the first.
    pub fn last(&self) -> Option<LastTry> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records how a try ended. Returns whether it is the first of its kind: done after a failure, or another failure than before.
    pub fn tried(&self, last: LastTry) -> bool {
        let mut before = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = before
            .as_ref()
            .map_or(!last.is_done, |before| before.is_done != last.is_done || (!last.is_done && before.said != last.said));
        *before = Some(last);
        is_new
    }
}
