//! The settings of a source: its name, its input, its channel and its gain. Plain data; the configuration fills it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::capture::network::{Address, Network};

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
    /// The file with the password for its address.
    pub password_file: Option<PathBuf>,
    /// The file with the certificates that its server is trusted by, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The addresses that may push.
    pub allow: Vec<Network>,
    /// The duration of digital silence after which the source is reported as silent, in milliseconds; 0 never reports it.
    pub silent_after_ms: u64,
}

impl SourceConfig {
    /// A source of this name and input, with nothing else set.
    pub fn new(name: Arc<str>, input: Input) -> Self {
        let (channel, gain_db, silent_after_ms) = (Channel::Mix, 0.0, 0);
        Self { name, input, channel, gain_db, password_file: None, ca_file: None, allow: Vec::new(), silent_after_ms }
    }
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
    /// Standard input.
    Stdin {
        /// The coding of its bytes.
        coding: Coding,
    },
    /// A station or a recording over HTTP.
    Http {
        /// Its address.
        address: Address,
    },
    /// A camera over RTSP.
    Rtsp {
        /// Its address.
        address: Address,
    },
    /// Satellites that push their sound.
    Push {
        /// The protocol.
        protocol: Protocol,
        /// The address and port that it listens on.
        listen: SocketAddr,
        /// The coding of raw PCM.
        coding: Coding,
    },
    /// The standard output of a program.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
        /// The coding of its bytes.
        coding: Coding,
    },
}

/// A protocol by which satellites push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// The coding of the sound in a stream of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// A recording, if its first bytes say so; else raw PCM.
    Auto(Pcm),
    /// Raw PCM.
    Raw(Pcm),
    /// A recording in a container that knows its own format.
    Container,
}

/// The form of raw PCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pcm {
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The format of a sample.
    pub format: SampleFormat,
    /// The number of channels of a frame.
    pub channels: u16,
}

impl Coding {
    /// A recording, or mono PCM of 16 bits at this rate.
    pub fn auto(rate_hz: u32) -> Self {
        Self::Auto(Pcm { rate_hz, format: SampleFormat::S16Le, channels: 1 })
    }
}

/// The format of a sample of raw PCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 16 bits, little-endian.
    S16Le,
    /// Signed, 16 bits, big-endian.
    S16Be,
    /// Signed, 24 bits in three bytes, little-endian.
    S24Le,
    /// Signed, 24 bits in three bytes, big-endian.
    S24Be,
    /// Signed, 32 bits, little-endian.
    S32Le,
    /// Floating point, 32 bits, little-endian.
    F32Le,
    /// G.711 with the µ-law.
    Mulaw,
    /// G.711 with the A-law.
    Alaw,
}

impl SampleFormat {
    /// The names that the configuration takes.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("u8", Self::U8),
        ("s16le", Self::S16Le),
        ("s16be", Self::S16Be),
        ("s24le", Self::S24Le),
        ("s24be", Self::S24Be),
        ("s32le", Self::S32Le),
        ("f32le", Self::F32Le),
        ("mulaw", Self::Mulaw),
        ("alaw", Self::Alaw),
    ];
}

/// The channels that a source uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The mean of all channels.
    Mix,
    /// One channel, counted from 1.
    Pick(u16),
}
