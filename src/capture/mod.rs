//! Capture: from a device, a recording or standard input into a ring of mono samples.
//!
//! `device` alone names cpal, and `callback` is the real-time body that it runs. `file` decodes recordings, `feed` hears what
//! programs, pipes and the network send, and `catch_panic` confines the panics of decoders. Each input delivers mono f32 samples
//! at its own rate into a [`ring`]; nothing here resamples. Devices never wait for the analysis; all else can, and does.
//!
//! Invariant: the device callback never allocates, locks, logs, makes a system call or panics.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crossbeam_channel::Receiver;

use crate::capture::network::Address;
use crate::capture::source::Protocol;
use crate::capture::source::{Coding, Input};
use crate::limits;
use crate::ring;

pub mod callback;
mod catch_panic;
pub(crate) mod device;
mod exec;
pub(crate) mod feed;
pub mod file;
pub mod network;
mod pipe;
pub mod source;

/// The length of a ring in seconds: the analysis may be busy for as long before samples are lost.
const RING_S: u32 = 2;

/// An open source. Dropping its guard stops the capture.
pub(crate) struct Capture {
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The consumer's end of the ring, for the analysis.
    pub reader: ring::Reader,
    /// The age of a sample when it enters the ring, in nanoseconds, as the device reports it; 0 if unknown.
    pub device_latency_ns: Arc<AtomicU64>,
    /// Notices that the source is lost or has ended.
    pub notices: Receiver<Notice>,
    /// Whether samples have found no room of late, so that their lateness says nothing.
    pub is_held_up: Arc<AtomicBool>,
    /// The pace of the samples.
    pub pace: Pace,
    /// Keeps the stream or the thread alive; either stops when it is dropped.
    pub guard: Box<dyn std::any::Any>,
}

/// The pace at which a source's samples come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Continuously, at their rate, as from a device or a paced recording. A source that delivers nothing is broken.
    RealTime,
    /// As fast as somebody writes them, as on standard input, but not slower than real time.
    AsWritten,
}

/// A notice from an open source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// The source broke, and opening it again may help. One sentence says why.
    Lost(String),
    /// The source came to its end. All its samples are in the ring, and no more will come.
    Ended,
}

/// The reason why a source cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// There is no capture device.
    #[error(
        "there is no capture device ({tried}); plug in a microphone, start a sound server, or play a recording with --source file:PATH"
    )]
    NoDevice {
        /// The hosts that were asked, and their answers.
        tried: String,
    },
    /// No capture device has this id.
    #[error("there is no capture device {wanted:?}{hint}; `mimid devices` lists them", hint = .suggestion.as_ref().map(|name| format!(", did you mean {name:?}?")).unwrap_or_default())]
    UnknownDevice {
        /// The id asked for.
        wanted: String,
        /// The nearest id or name of a device.
        suggestion: Option<String>,
    },
    /// Another program uses the device.
    #[error("the capture device {device:?} is busy: close the program that uses it, or capture through a sound server")]
    Busy {
        /// The device's id.
        device: String,
    },
    /// This user may not use the device.
    #[error(
        "this user may not use the capture device {device:?}; add it to the group audio, or run as the user of the sound server"
    )]
    Permission {
        /// The device's id.
        device: String,
    },
    /// The device has no usable format, or fails.
    #[error("the capture device {device:?} cannot be used: {what}")]
    Unusable {
        /// The device's id.
        device: String,
        /// The reason.
        what: String,
    },
    /// The source has no such channel.
    #[error(
        "channel {wanted} was asked for, but {source_name} has {available}; set channel to \"mix\" or to a number from 1 to {available}"
    )]
    Channel {
        /// The device or the recording.
        source_name: String,
        /// The channel asked for, counted from 1.
        wanted: u16,
        /// The number of channels of the source.
        available: u16,
    },
    /// The recording cannot be read.
    #[error("{}: {what}", .path.display())]
    Recording {
        /// Its path.
        path: PathBuf,
        /// The fault.
        what: String,
    },
    /// The sound of a program, a pipe or the network does not come.
    #[error("{what}")]
    Feed {
        /// The reason, a sentence.
        what: String,
    },
    /// The system started no thread.
    #[error("no thread could be started for the capture: {what}")]
    Thread {
        /// The system's error.
        what: String,
    },
}

impl CaptureError {
    /// The exit code of a command that ends for this reason.
    pub fn exit_code(&self) -> u8 {
        match self {
            CaptureError::Recording { .. } | CaptureError::Thread { .. } => 1,
            _ => 3,
        }
    }
}

/// Parses the values of `--source` and `[[source]] input`: `default`, `file:PATH`, `file:PATH?loop`, `-`, `exec:COMMAND`, an
/// address, or a device's id. `coding` is that of bytes that do not say it themselves.
///
/// # Errors
/// One sentence about the text, which repeats no password.
pub(crate) fn parse_input(text: &str, coding: Coding) -> Result<Input, String> {
    if let Some(command) = text.strip_prefix("exec:") {
        let command = shlex::split(command).filter(|command| !command.is_empty());
        let wrong = "exec: is not followed by a command, or a quotation mark in it has no partner";
        return command.map(|command| Input::Exec { command, coding }).ok_or_else(|| wrong.to_owned());
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        match scheme {
            "http" | "https" => return Address::parse(text).map(|address| Input::Http { address }),
            "rtsp" | "rtsps" => return Address::parse(text).map(|address| Input::Rtsp { address }),
            "tcp" | "udp" => {
                let protocol = if scheme == "tcp" { Protocol::Tcp } else { Protocol::Udp };
                let wrong =
                    || format!("{scheme}:// is followed by the address and port to listen on, such as {scheme}://0.0.0.0:5000");
                let listen = rest.trim_end_matches('/').parse().map_err(|_| wrong())?;
                return Ok(Input::Push { protocol, listen, coding });
            }
            "srt" | "rtmp" | "rtmps" | "rtp" | "mms" => {
                return Err(format!(
                    "{scheme}:// is heard through a program, such as exec:ffmpeg -v error -i URL -vn -f wav pipe:1"
                ));
            }
            _ => {}
        }
    }
    Ok(match text.strip_prefix("file:") {
        Some(path) => match path.strip_suffix("?loop") {
            Some(path) => Input::File { path: path.into(), looped: true },
            None => Input::File { path: path.into(), looped: false },
        },
        None if text == "-" => Input::Stdin { coding },
        None if text == "default" => Input::Default,
        None => Input::Device(text.to_owned()),
    })
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
        let coding = Coding::auto(8_000);
        let parse_input = |text: &str, coding| super::parse_input(text, coding).unwrap();
        assert_eq!(parse_input("default", coding), Input::Default);
        assert_eq!(parse_input("-", coding), Input::Stdin { coding });
        assert_eq!(parse_input("file:a b.wav", coding), Input::File { path: "a b.wav".into(), looped: false });
        assert_eq!(parse_input("file:a.wav?loop", coding), Input::File { path: "a.wav".into(), looped: true });
        assert_eq!(parse_input("pulseaudio:mic.monitor", coding), Input::Device("pulseaudio:mic.monitor".into()));
        let command = |text: &str| match parse_input(text, coding) {
            Input::Exec { command, .. } => command,
            other => panic!("{other:?}"),
        };
        assert_eq!(command("exec:arecord -D 'my card' $HOME;"), ["arecord", "-D", "my card", "$HOME;"]);
        for wrong in ["exec:", "exec:say 'it", "rtsp://a:b/c@d", "http://", "tcp://here", "udp://0.0.0.0", "srt://a:9"] {
            assert!(super::parse_input(wrong, coding).is_err(), "{wrong}");
        }
        let listen = "0.0.0.0:5000".parse().unwrap();
        assert_eq!(parse_input("udp://0.0.0.0:5000", coding), Input::Push { protocol: Protocol::Udp, listen, coding });
    }
}
