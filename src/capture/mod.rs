//! Capture: from a device, a recording or standard input into a ring of mono samples.
//!
//! `device` is the only file that names cpal, `callback` is the real-time body that it runs, `file` and `stdin` are the
//! sources without a device. Each delivers f32 mono samples at its own rate into a [`ring`](crate::ring); nobody here
//! resamples, and nothing here ever waits for the analysis, but for recordings and standard input, which can.
//!
//! Invariant: the device callback never allocates, locks, logs, makes a system call or panics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::Receiver;

use crate::config::{Input, SourceConfig};
use crate::ring;

pub mod callback;
pub mod device;
pub mod file;
pub mod stdin;

/// An open source. Dropping it stops the capture.
pub struct Capture {
    /// The rate of its samples in Hz.
    pub rate_hz: u32,
    /// Its samples, to be handed to the analysis.
    pub reader: ring::Reader,
    /// How long a sample has been on its way when it enters the ring, in nanoseconds, as the device reports it; 0 if unknown.
    pub device_latency_ns: Arc<AtomicU64>,
    /// Tells when the source is lost or has ended.
    pub notices: Receiver<Notice>,
    /// Whether its samples come at their own pace (a microphone, a paced recording) or as fast as they are taken (standard input).
    pub live: bool,
    /// Keeps the stream or the thread alive; both stop when it is dropped.
    #[allow(dead_code, reason = "it is held for its Drop")]
    guard: Box<dyn std::any::Any + Send>,
}

/// What an open source says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It broke; opening it again may help. One plain sentence says why.
    Lost(String),
    /// It came to its end; nothing more will come. All its samples are in the ring.
    Ended,
}
