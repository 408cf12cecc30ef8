//! Feeds: inputs whose sound comes from a program, a pipe or the network, whenever its writer sends it.
//!
//! A feed is a thread that reads, decodes and pushes into the ring of the present capture. The thread outlives a capture: a pipe
//! that stalls in the middle of a recording goes on where it stalled, with a ring of its own for what comes then.
//!
//! | module | does |
//! | --- | --- |
//! | `inlet` | the thread's side: sound goes in, paced, with a bounded buffer before it is wanted |
//! | `opener` | the source's side: one source's input, opened again and again |
//! | `reader` | bytes that are waited for, until the feed is closed |
//! | `hear` | decodes bytes: a known container by its first bytes, or raw PCM |
//! | `raw` | the sample formats of raw PCM |
//!
//! The thread may wait, allocate and log; the device callback is elsewhere.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::catch_panic::catch_panic;
use super::{Capture, CaptureError, Notice, Pace, RING_S};
use crate::limits;
use crate::ring::{Writer, ring};
pub(super) use inlet::Inlet;
pub(crate) use opener::{Later, Opener, Opening};
pub(super) use reader::{Patient, Stop, Stopper, Woken, closed};

pub(super) mod hear;
mod inlet;
mod opener;
pub(super) mod raw;
mod reader;

/// The time that the thread of a closed feed has to end, so that a device is free before the next program wants it.
const CLOSING: Duration = Duration::from_millis(1_000);
/// The rate of a feed that ended before its first sample, in Hz.
const NO_RATE_HZ: u32 = 16_000;

/// How the sound of a feed comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Manner {
    /// The pace that the analysis is told.
    pub pace: Pace,
    /// The length of sound by which it may run ahead of real time before it is held back; `None` never holds it back.
    pub ahead: Option<Duration>,
    /// The length of sound that is gathered before the capture begins, where it comes at once.
    pub settle: Duration,
    /// The longest sound that waits for a capture, in seconds.
    pub waiting_s: u32,
    /// Whether the feed goes on after a stall. Another one is closed, and a new one begins.
    pub goes_on: bool,
}

/// A running feed. Dropping it ends its thread.
pub(super) struct Feed {
    shared: Arc<Shared>,
    wake: Receiver<()>,
    stop: Option<Stop>,
    thread: Option<JoinHandle<()>>,
    manner: Manner,
}

/// The state between the thread and the source.
struct Shared {
    manner: Manner,
    state: Mutex<State>,
    /// The state has changed in a way that concerns the thread.
    changed: Condvar,
    /// Wakes the source, which waits for sound or for the end.
    wake: Sender<()>,
    /// Whether sound waits for room in the ring, so that its lateness says nothing.
    is_held_up: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// The rate of the sound that waits or is heard, in Hz; 0 before there is any.
    rate_hz: u32,
    /// The sound before there is a capture for it.
    waiting: Vec<f32>,
    /// When the first of it came.
    since: Option<Instant>,
    outlet: Option<Outlet>,
    over: Option<Over>,
    /// The reason why a writer was heard no further, before there was a capture to tell it.
    trouble: Option<String>,
    is_closed: bool,
    /// Whether what comes is thrown away, as in a pause.
    is_discarding: bool,
}

/// The end of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Over {
    /// Its writer has ended it.
    Ended,
    /// It broke, for this reason.
    Lost(String),
}

/// The present capture, as the thread sees it.
struct Outlet {
    rate_hz: u32,
    capacity: usize,
    writer: Writer,
    notices: Sender<Notice>,
    age_ns: Arc<AtomicU64>,
    started: Instant,
    pushed: u64,
}

/// A look at a feed from the source's side.
enum Look {
    /// There is sound, so that a capture can begin.
    Sound,
    /// Nothing yet.
    Nothing,
    /// Nothing, and the last writer was not understood.
    Trouble(String),
    /// It ended without any sound that waits.
    Over(Over),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // One that is on its way is enough.
        let _ = self.wake.try_send(());
    }

    /// Whether enough sound waits for a capture to begin.
    fn is_ready(&self, state: &State) -> bool {
        let is_settled = state.since.is_some_and(|since| since.elapsed() >= self.manner.settle);
        !state.waiting.is_empty() && (is_settled || state.over.is_some() || self.is_full(state, 0))
    }

    /// Whether so many more samples are too many to wait.
    fn is_full(&self, state: &State, more: usize) -> bool {
        state.waiting.len() + more > (state.rate_hz * self.manner.waiting_s) as usize
    }
}

impl Feed {
    /// Starts a feed whose thread does `work`, and is told to stop by what `work` reads through.
    pub fn start(
        name: &str,
        manner: Manner,
        work: impl FnOnce(&mut Inlet, Stopper) -> Result<(), String> + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let (told, wake) = bounded(1);
        let is_held_up = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared { manner, state: Mutex::default(), changed: Condvar::new(), wake: told, is_held_up });
        let (stop, stopper) = reader::stop().map_err(|error| CaptureError::Thread { what: limits::explain(&error) })?;
        let mut inlet = Inlet::new(shared.clone());
        let builder = std::thread::Builder::new().name(format!("feed-{name}"));
        let run = move || {
            // A panic over bytes from outside is their fault, and ends no more than their feed.
            let over = catch_panic(|| work(&mut inlet, stopper));
            let over = over.unwrap_or_else(|what| Err(format!("what it sent could not be understood ({what})")));
            inlet.finish(over);
        };
        let thread = builder.spawn(run).map_err(|error| CaptureError::Thread { what: limits::explain(&error) })?;
        Ok(Self { shared, wake, stop: Some(stop), thread: Some(thread), manner })
    }

    /// A wake-up when there is sound, or the end.
    pub fn wake(&self) -> Receiver<()> {
        self.wake.clone()
    }

    fn look(&self) -> Look {
        let mut state = self.shared.lock();
        match &state.over {
            _ if self.shared.is_ready(&state) => Look::Sound,
            Some(over) => Look::Over(over.clone()),
            None => state.trouble.take().map_or(Look::Nothing, Look::Trouble),
        }
    }

    /// Begins a capture of what waits and comes.
    fn attach(&self) -> Capture {
        let mut state = self.shared.lock();
        state.trouble = None;
        // A feed that ended without sound has no rate.
        let rate_hz = if state.rate_hz == 0 { NO_RATE_HZ } else { state.rate_hz };
        let capacity = (rate_hz * RING_S) as usize;
        let (writer, reader) = ring(capacity);
        let (tell, notices) = bounded(1);
        let age_ns = Arc::new(AtomicU64::new(0));
        let outlet =
            Outlet { rate_hz, capacity, writer, notices: tell, age_ns: age_ns.clone(), started: Instant::now(), pushed: 0 };
        match &state.over {
            Some(Over::Ended) if state.waiting.is_empty() => drop(outlet.notices.try_send(Notice::Ended)),
            _ => state.outlet = Some(outlet),
        }
        // The rest of what waits follows with what comes next.
        self.shared.push_waiting(&mut state);
        self.shared.changed.notify_all();
        Capture {
            rate_hz,
            reader,
            device_latency_ns: age_ns,
            is_held_up: self.shared.is_held_up.clone(),
            notices,
            pace: self.manner.pace,
            guard: Box::new(Attached(self.shared.clone())),
        }
    }

    /// Whether it has ended.
    fn is_over(&self) -> bool {
        self.shared.lock().over.is_some()
    }

    /// Throws away what comes, or keeps it again.
    fn discard(&self, is_discarding: bool) {
        let mut state = self.shared.lock();
        state.is_discarding = is_discarding;
        state.waiting = Vec::new();
        state.since = None;
        self.shared.changed.notify_all();
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_all();
        self.stop = None;
        let deadline = Instant::now() + CLOSING;
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The guard of a capture: dropping it leaves the feed without one.
struct Attached(Arc<Shared>);

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.lock().outlet = None;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use nix::poll::PollTimeout;

    use super::*;

    #[test]
    fn a_feed_that_stalls_while_sound_waits_is_not_held_up() {
        let manner = Manner {
            pace: Pace::RealTime,
            ahead: Some(Duration::from_secs(2)),
            settle: Duration::ZERO,
            waiting_s: 2,
            goes_on: false,
        };
        let feed = Feed::start("x", manner, |inlet, stopper| {
            inlet.put(&[0.1; 16_000], 16_000)?;
            // Nothing more comes until it is closed.
            let _ = stopper.wait(&[], PollTimeout::NONE);
            Ok(())
        });
        let feed = feed.unwrap();
        feed.wake().recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(feed.look(), Look::Sound));
        let capture = feed.attach();
        // A part of the second is in the ring, and the rest waits; all of it came just now.
        let age_ns = capture.device_latency_ns.load(Relaxed);
        assert!((500_000_000..1_000_000_000).contains(&age_ns), "{age_ns}");
        assert!((1..16_000).contains(&capture.reader.available()));
        assert!(!capture.is_held_up.load(Relaxed));
    }

    #[test]
    fn another_rate_ends_the_capture_and_begins_another() {
        let manner = Manner { pace: Pace::AsWritten, ahead: None, settle: Duration::ZERO, waiting_s: 1, goes_on: true };
        let feed = Feed::start("x", manner, |inlet, stopper| {
            inlet.put(&[0.1; 1_000], 16_000)?;
            let _ = stopper.wait(&[], PollTimeout::from(300u16));
            inlet.put(&[0.1; 1_000], 8_000)?;
            let _ = stopper.wait(&[], PollTimeout::NONE);
            Ok(())
        });
        let feed = feed.unwrap();
        for (rate_hz, reason) in [(16_000, Some("its sample rate changed from 16000 to 8000 Hz")), (8_000, None)] {
            feed.wake().recv_timeout(Duration::from_secs(20)).unwrap();
            while !matches!(feed.look(), Look::Sound) {
                std::thread::yield_now();
            }
            let capture = feed.attach();
            assert_eq!((capture.rate_hz, capture.reader.available()), (rate_hz, 1_000));
            if let Some(reason) = reason {
                let told = capture.notices.recv_timeout(Duration::from_secs(20)).unwrap();
                assert_eq!(told, Notice::Lost(reason.to_owned()));
            }
        }
    }
}
