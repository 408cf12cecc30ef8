//! The settings of a source: its name, its input, its channel and its gain. Plain data; the configuration fills it.

use std::path::PathBuf;
use std::sync::Arc;

/// The settings of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// The name that events carry.
    pub name: Arc<str>,
    /// The input that it opens.
    pub input: Input,
    /// The channels that it uses.
    pub channel: Channel,
    /// The gain that is applied before anything else, in dB.
    pub gain_db: f32,
    /// The duration of digital silence after which the source is reported as silent, in milliseconds; 0 never reports it.
    pub silent_after_ms: u64,
}

/// The input that a source opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The default capture device.
    Default,
    /// The capture device with this stable id, from `mimid devices`.
    Device(String),
    /// A recording, paced as real time.
    File {
        /// The path of the recording.
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

/// The channels that a source uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The mean of all channels.
    Mix,
    /// One channel, counted from 1.
    Pick(u16),
}
