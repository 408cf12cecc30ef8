//! Standard input, and files that are no files: FIFOs and other things that give their bytes whenever somebody writes them.
//!
//! A FIFO without a writer is waited for, and holds nobody up. Its writer is held back where it writes faster than real time;
//! that of standard input is not.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;

use super::feed::hear::{self, Wanted};
use super::feed::{Feed, Manner, Patient};
use super::source::{Coding, Input, SourceConfig};
use super::{CaptureError, Pace};
use crate::limits;

/// The length of sound by which the writer of a FIFO may be ahead of real time.
const AHEAD: Duration = Duration::from_millis(200);

/// Whether the path names a pipe or the like, and not a recording or nothing.
pub(super) fn is_pipe(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| {
        let kind = metadata.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_socket()
    })
}

/// Whether the input has a writer that must not be held up by a pause.
pub(super) fn is_fed(input: &Input) -> bool {
    match input {
        Input::Stdin { .. } => true,
        Input::File { path, .. } => is_pipe(path),
        _ => false,
    }
}

/// Hears standard input.
pub(super) fn standard_input(config: &SourceConfig, coding: Coding) -> Result<Feed, CaptureError> {
    let manner = Manner { pace: Pace::AsWritten, ahead: None, settle: Duration::ZERO, waiting_s: 1, goes_on: true };
    let wanted = Wanted::from(config);
    Feed::start(&config.name, manner, move |inlet, stopper| {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let stdin = stdin.map_err(|error| format!("standard input cannot be read: {}", limits::explain(&error)))?;
        hear::bytes("standard input", Patient::new(File::from(stdin), stopper), coding, wanted, inlet)
    })
}

/// Hears a FIFO: one writer's recording, or with `again` that of one writer after the other.
pub(super) fn open(config: &SourceConfig, path: &Path, again: bool) -> Result<Feed, CaptureError> {
    let manner = Manner { pace: Pace::RealTime, ahead: Some(AHEAD), settle: Duration::ZERO, waiting_s: 1, goes_on: true };
    let wanted = Wanted::from(config);
    let path = path.to_owned();
    Feed::start(&config.name, manner, move |inlet, stopper| {
        let name = path.display().to_string();
        loop {
            // Opened without waiting for a writer; reads wait for one.
            let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path);
            let file = opened.map_err(|error| format!("{name} cannot be opened: {}", limits::explain(&error)))?;
            let heard = hear::bytes(&name, Patient::new(file, stopper.again()?), Coding::Container, wanted, inlet);
            if !again {
                return heard;
            }
            inlet.lose(heard.err().unwrap_or_else(|| "its writer closed it".to_owned()));
        }
    })
}
