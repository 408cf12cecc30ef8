//! Capture: from a device, a recording or standard input into a ring of mono samples.
//!
//! `device` is the only file that names cpal, `callback` is the real-time body that it runs, `file` and `stdin` are the
//! sources without a device, `catch_panic` keeps what decodes a file from ending more than that. Each delivers f32 mono samples at its own
//! rate into a [`ring`]; nobody here resamples, and nothing here ever waits for the analysis, but for recordings and standard input,
//! which can.
//!
//! Invariant: the device callback never allocates, locks, logs, makes a system call or panics.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::Receiver;

use crate::capture::source::{Input, SourceConfig};
use crate::limits;
use crate::ring;

pub mod callback;
mod catch_panic;
pub mod device;
pub mod file;
pub mod source;
pub mod stdin;

/// How much sound a ring holds, in seconds: so long may the analysis be busy before samples are lost.
const RING_S: u32 = 2;

/// An open source. Dropping its guard stops the capture.
pub struct Capture {
    /// The rate of its samples in Hz.
    pub rate_hz: u32,
    /// Its samples, to be handed to the analysis.
    pub reader: ring::Reader,
    /// How long a sample has been on its way when it enters the ring, in nanoseconds, as the device reports it; 0 if unknown.
    pub device_latency_ns: Arc<AtomicU64>,
    /// Tells when the source is lost or has ended.
    pub notices: Receiver<Notice>,
    /// How its samples come.
    pub pace: Pace,
    /// Keeps the stream or the thread alive; both stop when it is dropped.
    pub guard: Box<dyn std::any::Any>,
}

/// How a source's samples come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All the time, at their rate: a device, a paced recording. One that delivers nothing is broken.
    RealTime,
    /// When somebody writes them: standard input.
    AsWritten,
}

/// What an open source says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It broke; opening it again may help. One plain sentence says why.
    Lost(String),
    /// It came to its end; nothing more will come. All its samples are in the ring.
    Ended,
}

/// Why a source cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// There is no capture device at all.
    #[error(
        "there is no capture device ({tried}); plug in a microphone, start a sound server, or play a recording with --source file:PATH"
    )]
    NoDevice {
        /// Which hosts were asked, and what they said.
        tried: String,
    },
    /// No device has this id.
    #[error("there is no capture device {wanted:?}{hint}; `mimid devices` lists them", hint = .suggestion.as_ref().map(|name| format!(", did you mean {name:?}?")).unwrap_or_default())]
    UnknownDevice {
        /// The id asked for.
        wanted: String,
        /// The nearest id or name there is.
        suggestion: Option<String>,
    },
    /// Somebody else has the device.
    #[error("the capture device {device:?} is busy: close the program that uses it, or capture through a sound server")]
    Busy {
        /// The device's id.
        device: String,
    },
    /// This user may not capture.
    #[error(
        "this user may not use the capture device {device:?}; add it to the group audio, or run as the user of the sound server"
    )]
    Permission {
        /// The device's id.
        device: String,
    },
    /// The device has no format that can be used.
    #[error("the capture device {device:?} cannot be used: {what}")]
    Unusable {
        /// The device's id.
        device: String,
        /// Why.
        what: String,
    },
    /// The source has fewer channels.
    #[error(
        "channel {wanted} was asked for, but {source_name} has {available}; set channel to \"mix\" or to a number from 1 to {available}"
    )]
    Channel {
        /// The device or the recording.
        source_name: String,
        /// The channel asked for, counted from 1.
        wanted: u16,
        /// How many there are.
        available: u16,
    },
    /// The recording cannot be read.
    #[error("{}: {what}", .path.display())]
    Recording {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The system gave no thread.
    #[error("no thread could be started for the capture: {what}")]
    Thread {
        /// What the system said.
        what: String,
    },
}

impl CaptureError {
    /// The exit code of a command that ends for this.
    pub fn exit_code(&self) -> u8 {
        match self {
            CaptureError::Recording { .. } | CaptureError::Thread { .. } => 1,
            _ => 3,
        }
    }
}

/// Reads what `--source` and `[[source]] input` take: `default`, `file:PATH`, `file:PATH?loop`, `-`, or a device's id.
pub fn parse_input(text: &str, stdin_rate_hz: u32) -> Input {
    match text.strip_prefix("file:") {
        Some(path) => match path.strip_suffix("?loop") {
            Some(path) => Input::File { path: path.into(), looped: true },
            None => Input::File { path: path.into(), looped: false },
        },
        None if text == "-" => Input::Stdin { rate_hz: stdin_rate_hz },
        None if text == "default" => Input::Default,
        None => Input::Device(text.to_owned()),
    }
}

/// Opens a source; its samples flow into the ring from now on.
pub fn open(source: &SourceConfig) -> Result<Capture, CaptureError> {
    match &source.input {
        Input::Default => device::open(None, source.channel, source.gain_db),
        Input::Device(id) => device::open(Some(id), source.channel, source.gain_db),
        Input::File { path, looped } => {
            let at_end = if *looped { file::AtEnd::Repeat } else { file::AtEnd::Stop };
            file::open(path, at_end, source.channel, source.gain_db)
        }
        Input::Stdin { rate_hz } => stdin::open(*rate_hz, source.gain_db),
    }
}

/// Starts a thread for a source.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), CaptureError> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work).map(|_| ()).map_err(|error| CaptureError::Thread { what: limits::explain(&error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_told_apart() {
        assert_eq!(parse_input("default", 16_000), Input::Default);
        assert_eq!(parse_input("-", 8_000), Input::Stdin { rate_hz: 8_000 });
        assert_eq!(parse_input("file:a b.wav", 1), Input::File { path: "a b.wav".into(), looped: false });
        assert_eq!(parse_input("file:a.wav?loop", 1), Input::File { path: "a.wav".into(), looped: true });
        assert_eq!(parse_input("pulseaudio:mic.monitor", 1), Input::Device("pulseaudio:mic.monitor".into()));
    }
}
