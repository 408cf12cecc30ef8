//! Counters of a sink: messages sent, waiting and dropped, and its state.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The state of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SinkState {
    /// It is being started, or tried again.
    #[default]
    Starting,
    /// It takes messages.
    Up,
    /// It takes no messages, and is tried again and again.
    Down,
}

/// Counters of one sink.
#[derive(Debug)]
pub struct SinkStats {
    /// The name of its section in the configuration.
    pub name: &'static str,
    state: Mutex<(SinkState, Option<String>)>,
    /// The number of messages that wait.
    pub queued: AtomicU64,
    /// The number of messages sent.
    pub sent: AtomicU64,
    /// The number of messages dropped because too many waited.
    pub dropped: AtomicU64,
    /// The number of connected clients, for a sink that clients connect to.
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

    /// The state, and the reason why it is not up.
    pub fn state(&self) -> (SinkState, Option<String>) {
        self.lock().clone()
    }

    /// Records that it takes messages; returns whether that is new.
    pub fn rise(&self) -> bool {
        let was = std::mem::replace(&mut *self.lock(), (SinkState::Up, None));
        was.0 != SinkState::Up
    }

    /// Records the reason why it takes no messages; returns whether that is new.
    pub fn fall(&self, reason: String) -> bool {
        let now = (SinkState::Down, Some(reason));
        let mut state = self.lock();
        let is_new = *state != now;
        *state = now;
        is_new
    }

    /// Records the number of messages that wait.
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
