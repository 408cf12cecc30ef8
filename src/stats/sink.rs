//! Counters of a sink: what is sent to it, what waits, what it never got.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What state a sink is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SinkState {
    /// Being started, or tried again.
    #[default]
    Starting,
    /// It takes what is sent.
    Up,
    /// It takes nothing; it is tried again.
    Down,
}

/// Counters of one sink.
#[derive(Debug)]
pub struct SinkStats {
    /// The name of its section.
    pub name: &'static str,
    state: Mutex<(SinkState, Option<String>)>,
    /// What waits to be sent.
    pub queued: AtomicU64,
    /// What was sent.
    pub sent: AtomicU64,
    /// What was given up, because too much waited.
    pub dropped: AtomicU64,
    /// Who is connected to it, where it is one that others connect to.
    pub clients: AtomicU64,
}

impl SinkStats {
    /// Counters at zero for the sink `name`.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
            queued: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            clients: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, (SinkState, Option<String>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its state, and why it is not up.
    pub fn state(&self) -> (SinkState, Option<String>) {
        self.lock().clone()
    }

    /// Records that it takes what is sent; says whether that is new.
    pub fn rise(&self) -> bool {
        let was = std::mem::replace(&mut *self.lock(), (SinkState::Up, None));
        was.0 != SinkState::Up
    }

    /// Records why it takes nothing; says whether that is new.
    pub fn fall(&self, reason: String) -> bool {
        let now = (SinkState::Down, Some(reason));
        let mut state = self.lock();
        let is_new = *state != now;
        *state = now;
        is_new
    }

    /// Counts what waits.
    pub fn set_queued(&self, queued: usize) {
        self.queued.store(queued as u64, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_new_once() {
        let stats = SinkStats::new("mqtt");
        assert_eq!(stats.state(), (SinkState::Starting, None));
        assert!(stats.fall("refused".to_owned()) && !stats.fall("refused".to_owned()) && stats.fall("unreachable".to_owned()));
        assert!(stats.rise() && !stats.rise());
        assert_eq!(stats.state(), (SinkState::Up, None));
    }
}
