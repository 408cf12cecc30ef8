//! Several recordings in parallel. A lane is a thread that scans one recording after another; the events are printed in the order
//! in which the recordings were named.
//!
//! A lane that has no recording left scores windows for the others. A lane that is far ahead of the printing waits, so that
//! memory is bounded for any number of recordings.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::super::{Failure, say};
use crate::inference::helpers::{Helpers, Offers, helpers};
use crate::inference::{Inference, run_helper};
use crate::model::onnx::Runtime;
use crate::model::{Model, Tagger};
use crate::recording::{Engine, RecordingError};

/// The size at which a piece of printed events is handed on, in bytes.
const PIECE_BYTES: usize = 8_192;
/// The most pieces of a recording that wait to be printed.
const WAITING_PIECES: usize = 16;

/// A message of a lane about its recording.
enum LaneMessage {
    Printed(Vec<u8>),
    Remark(String),
    Failed(RecordingError),
}

/// A lane's output of a recording, which is handed on piece by piece.
pub(super) struct Piecewise<'a> {
    piece: Vec<u8>,
    messages: &'a Sender<LaneMessage>,
    is_over: &'a AtomicBool,
}

impl Piecewise<'_> {
    /// Whether the scan has ended, so that further output is in vain.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}

impl Piecewise<'_> {
    /// Hands on a sentence about the recording, which is no failure.
    pub fn remark(&self, sentence: String) {
        // The printing may have ended.
        let _ = self.messages.send(LaneMessage::Remark(sentence));
    }
}

impl Write for Piecewise<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        if piece.is_empty() { Ok(()) } else { self.messages.send(LaneMessage::Printed(piece)).map_err(gone) }
    }
}

/// Scans `files` on up to `threads` threads. `hear` gets an engine, a recording, and the output for its events, which is printed
/// to `out`; `fault` gets a sentence for each recording that could not be scanned whole.
///
/// # Errors
/// Fails where the model fails or `out` cannot be written, which ends the whole scan.
pub(super) fn run(
    files: &[PathBuf],
    (model, runtime, threads): (&Model, &Runtime, usize),
    hear: impl Fn(&mut Engine, &PathBuf, &mut Piecewise) -> Result<(), RecordingError> + Sync,
    out: &mut impl Write,
    mut fault: impl FnMut(&str),
) -> Result<(), Failure> {
    let n_lanes = threads.min(files.len());
    let (offers, helpers) = helpers();
    let (senders, receivers): (Vec<Sender<LaneMessage>>, Vec<Receiver<LaneMessage>>) =
        files.iter().map(|_| bounded(WAITING_PIECES)).unzip();
    // The lane that scans a recording takes its sender. Dropping it lets the printing go on to the next recording.
    let senders: Vec<_> = senders.into_iter().map(|sender| Mutex::new(Some(sender))).collect();
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let claim = || {
        let file = next.fetch_add(1, Relaxed);
        let messages = senders.get(file)?.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()?;
        Some((&files[file], messages))
    };
    let lane = |offers: Offers, helpers: Helpers| {
        let mut engine = match Tagger::open(model, runtime) {
            Ok(tagger) => Engine::new(Inference::new(tagger, offers)),
            Err(error) => {
                if let Some((_, messages)) = claim() {
                    let _ = messages.send(LaneMessage::Failed(error.into()));
                }
                return;
            }
        };
        while let Some((file, messages)) = claim() {
            let mut found = Piecewise { piece: Vec::new(), messages: &messages, is_over: &is_over };
            let heard = hear(&mut engine, file, &mut found);
            // The printing may have ended; then the messages have no receiver.
            let flushed = found.flush().map_err(RecordingError::from);
            if let Err(error) = heard.and(flushed) {
                let _ = messages.send(LaneMessage::Failed(error));
            }
        }
        helpers.help(&mut engine.into_tagger());
    };
    thread::scope(|scope| {
        for _ in n_lanes..threads {
            let helpers = helpers.clone();
            // Without this thread, the scan only takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, || run_helper(model, runtime, helpers));
        }
        for n_started in 0..n_lanes {
            let (offers, helpers) = (offers.clone(), helpers.clone());
            match thread::Builder::new().spawn_scoped(scope, || lane(offers, helpers)) {
                Err(error) if n_started == 0 => return Err(Failure::no_thread(error)),
                // Fewer lanes scan the same recordings.
                Ok(_) | Err(_) => {}
            }
        }
        drop(offers);
        let printed = print(receivers, out, &mut fault);
        is_over.store(true, Relaxed);
        next.store(files.len(), Relaxed);
        printed
    })
}

/// Prints the output of each recording in turn.
fn print(receivers: Vec<Receiver<LaneMessage>>, out: &mut impl Write, fault: &mut impl FnMut(&str)) -> Result<(), Failure> {
    for messages in receivers {
        for message in messages {
            match message {
                LaneMessage::Printed(piece) => out.write_all(&piece)?,
                LaneMessage::Remark(sentence) => {
                    out.flush()?;
                    say(format_args!("mimid: {sentence}"));
                }
                LaneMessage::Failed(error) if error.is_fatal() => return Err(error.into()),
                LaneMessage::Failed(error) => {
                    // The events of a recording come before the sentence about it.
                    out.flush()?;
                    fault(&error.to_string());
                }
            }
        }
        out.flush()?;
    }
    Ok(())
}
