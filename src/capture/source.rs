//! A source: its name, its input, its channel and its gain. Plain data; the configuration fills it.

use std::path::PathBuf;
use std::sync::Arc;

/// One source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// The name that events carry.
    pub name: Arc<str>,
    /// What to open.
    pub input: Input,
    /// Which of its channels to hear.
    pub channel: Channel,
    /// Gain applied before anything else, in dB.
    pub gain_db: f32,
    /// It is silent when it has delivered nothing but digital zeros for so long, in milliseconds; 0 is never.
    pub silent_after_ms: u64,
}

/// What a source opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The default capture device.
    Default,
    /// The capture device with this stable id, from `mimid devices`.
    Device(String),
    /// A recording, paced as real time.
    File {
        /// The recording's path.
        path: PathBuf,
        /// Whether it starts again at its end.
        looped: bool,
    },
    /// Raw signed 16-bit little-endian mono PCM on standard input.
    Stdin {
        /// Its sample rate in Hz.
        rate_hz: u32,
    },
}

/// Which channels of a source are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The mean of all.
    Mix,
    /// This one, counted from 1.
    Pick(u16),
}
