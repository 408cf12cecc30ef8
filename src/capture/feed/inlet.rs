//! The side of a feed's thread: sound goes in and waits for its turn.
//!
//! Sound that comes faster than its pace allows is held back, and so is its writer: a pipe and a connection can wait.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::{Outlet, Over, Shared, State};
use crate::capture::Notice;

/// The pause between two looks for room in the ring.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The longest sound that is pushed at a time.
const BLOCK_S: f64 = 0.02;
/// The part of a paced ring that is filled: an analysis that finds more waiting would count as slow.
const FILLED: usize = 8;

/// The feed was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::capture) struct Closed;

/// The sentence that nobody reads: a feed that was closed has no end to tell.
impl From<Closed> for String {
    fn from(Closed: Closed) -> Self {
        "it was closed".to_owned()
    }
}

/// Takes the sound of a feed.
pub(in crate::capture) struct Inlet {
    shared: Arc<Shared>,
}

impl Inlet {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Takes mono samples at a rate, and waits where there is no room for them. Another rate than before ends the capture; the
    /// next one has the new rate.
    pub fn put(&mut self, samples: &[f32], rate_hz: u32) -> Result<(), Closed> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        if state.is_closed {
            return Err(Closed);
        }
        if state.rate_hz != rate_hz {
            state.turn_to(rate_hz);
        }
        let mut rest = samples;
        loop {
            if state.is_closed {
                return Err(Closed);
            }
            if state.is_discarding {
                // The writer is held back as if it were heard.
                let length = Duration::from_secs_f64(rest.len() as f64 / f64::from(rate_hz));
                if shared.manner.ahead.is_some() {
                    drop(shared.changed.wait_timeout(state, length));
                }
                return Ok(());
            }
            if state.outlet.is_none() {
                if !shared.is_full(&state, 0) {
                    state.since.get_or_insert_with(Instant::now);
                    state.waiting.extend_from_slice(rest);
                    rest = &[];
                }
                if shared.is_ready(&state) {
                    shared.wake();
                }
                if rest.is_empty() {
                    return Ok(());
                }
                state = shared.wait(state, None);
                continue;
            }
            // The sound that waits goes first.
            let wait =
                if state.waiting.is_empty() { shared.push(&mut state, &mut rest) } else { shared.push_waiting(&mut state) };
            match wait {
                None if rest.is_empty() && state.waiting.is_empty() => return Ok(()),
                None => {}
                Some(wait) => {
                    shared.is_held_up.store(wait == Wait::Room, Relaxed);
                    state = shared.wait(state, Some(wait.time()));
                    shared.is_held_up.store(false, Relaxed);
                }
            }
        }
    }

    /// Tells that the sound is lost for this reason, while the feed goes on: a satellite is gone, and another may come.
    pub fn lose(&mut self, reason: String) {
        self.shared.lock().lose(reason);
        self.shared.wake();
    }

    /// Sets the rate before there is sound.
    pub fn expect(&mut self, rate_hz: u32) {
        let mut state = self.shared.lock();
        if state.rate_hz == 0 {
            state.rate_hz = rate_hz;
        }
    }

    /// Ends the feed. Its end is told once all its sound is in the ring.
    pub(super) fn finish(&mut self, result: Result<(), String>) {
        let over = result.map_or_else(Over::Lost, |()| Over::Ended);
        {
            let mut state = self.shared.lock();
            state.over = Some(over.clone());
            self.shared.wake();
            while !state.waiting.is_empty() && !state.is_closed && !state.is_discarding {
                let wait = if state.outlet.is_some() { self.shared.push_waiting(&mut state) } else { None };
                if state.waiting.is_empty() {
                    break;
                }
                state = self.shared.wait(state, wait.map(Wait::time));
            }
        }
        let mut state = self.shared.lock();
        if let Some(outlet) = state.outlet.take() {
            let _ = outlet.notices.try_send(match over {
                Over::Ended => Notice::Ended,
                Over::Lost(reason) => Notice::Lost(reason),
            });
        }
        self.shared.wake();
    }
}

impl State {
    fn turn_to(&mut self, rate_hz: u32) {
        if self.rate_hz != 0 && self.outlet.is_some() {
            self.lose(format!("its sample rate changed from {} to {rate_hz} Hz", self.rate_hz));
        }
        self.waiting = Vec::new();
        self.since = None;
        self.rate_hz = rate_hz;
    }

    fn lose(&mut self, reason: String) {
        match self.outlet.take() {
            Some(outlet) => {
                let _ = outlet.notices.try_send(Notice::Lost(reason));
            }
            None => self.trouble = Some(reason),
        }
    }
}

impl Shared {
    fn wait<'a>(&'a self, state: std::sync::MutexGuard<'a, State>, time: Option<Duration>) -> std::sync::MutexGuard<'a, State> {
        use std::sync::PoisonError;
        match time {
            Some(time) => self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Pushes some of what waits. Returns what to wait for before more can be pushed; `None` where there is no need.
    pub(super) fn push_waiting(&self, state: &mut State) -> Option<Wait> {
        let mut waiting = std::mem::take(&mut state.waiting);
        let mut rest = &waiting[..];
        let wait = self.push(state, &mut rest);
        let taken = waiting.len() - rest.len();
        waiting.drain(..taken);
        state.waiting = waiting;
        wait
    }

    /// Pushes as much as is due and has room.
    fn push(&self, state: &mut State, rest: &mut &[f32]) -> Option<Wait> {
        let behind = state.waiting.len();
        let outlet = state.outlet.as_mut()?;
        while !rest.is_empty() {
            let block = rest.len().min(((f64::from(outlet.rate_hz) * BLOCK_S) as usize).max(1));
            if let Some(wait) = outlet.wait(block, self.manner.ahead) {
                return Some(wait);
            }
            let behind = behind + rest.len() - block;
            // The sound that waits came just now, unless its writer is ahead of real time: then it is yet to be heard.
            let age = Duration::from_secs_f64(behind as f64 / f64::from(outlet.rate_hz));
            let age = self.manner.ahead.map_or(Duration::ZERO, |ahead| age.min(ahead));
            outlet.age_ns.store(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX), Relaxed);
            outlet.writer.push(&rest[..block]);
            outlet.writer.record_piece(block);
            outlet.pushed += block as u64;
            *rest = &rest[block..];
        }
        None
    }
}

/// The cause for which sound waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The analysis, to take some out of the ring.
    Room,
    /// Its own time, for so long.
    Turn(Duration),
}

impl Wait {
    fn time(self) -> Duration {
        match self {
            Wait::Room => LOOK_EVERY,
            Wait::Turn(time) => time,
        }
    }
}

impl Outlet {
    /// The cause for which so many samples have to wait; `None` where there is none.
    fn wait(&self, block: usize, ahead: Option<Duration>) -> Option<Wait> {
        let most = if ahead.is_some() { self.capacity / FILLED } else { self.capacity };
        if self.capacity - self.writer.vacant() + block > most {
            return Some(Wait::Room);
        }
        // A block is due when its last sample would have been heard.
        let due = Duration::from_secs_f64((self.pushed + block as u64) as f64 / f64::from(self.rate_hz));
        let early = due.saturating_sub(self.started.elapsed() + ahead?);
        (!early.is_zero()).then_some(Wait::Turn(early))
    }
}
