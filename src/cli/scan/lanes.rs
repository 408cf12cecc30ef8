//! Several recordings side by side: each lane hears one recording after another, and what is found is printed in the order in which the
//! recordings were named.
//!
//! A lane without a recording helps the others with their windows. A lane that is far ahead of the printing waits, so that memory is
//! bounded however many recordings there are.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::super::Failure;
use crate::inference::helpers::{Helpers, Offers, helpers};
use crate::inference::{Inference, run_helper};
use crate::model::onnx::Runtime;
use crate::model::{Model, Tagger};
use crate::recording::{Engine, RecordingError};

/// So much of what is found is handed on at a time, in bytes.
const PIECE: usize = 8_192;
/// So many pieces of a recording wait for their printing.
const PIECES: usize = 16;

/// What a lane tells of a recording.
enum Told {
    Found(Vec<u8>),
    Failed(RecordingError),
}

/// Takes what a lane finds in a recording and hands it on piece by piece.
pub(super) struct Piecewise<'a> {
    piece: Vec<u8>,
    told: &'a Sender<Told>,
    is_over: &'a AtomicBool,
}

impl Piecewise<'_> {
    /// Whether nobody wants to know any longer.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}

impl Write for Piecewise<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        if piece.is_empty() { Ok(()) } else { self.told.send(Told::Found(piece)).map_err(gone) }
    }
}

/// Lets up to `threads` threads hear `files`: `hear` is given an engine, a recording and what takes its events. They are printed to `out`,
/// and `fault` is told what is wrong with a recording.
///
/// # Errors
/// What ends it all: the model failed, or `out` cannot be written.
pub(super) fn run(
    files: &[PathBuf],
    (model, runtime, threads): (&Model, &Runtime, usize),
    hear: impl Fn(&mut Engine, &PathBuf, &mut Piecewise) -> Result<(), RecordingError> + Sync,
    out: &mut impl Write,
    mut fault: impl FnMut(&str),
) -> Result<(), Failure> {
    let n_lanes = threads.min(files.len());
    let (offers, helpers) = helpers();
    let (tell, told): (Vec<Sender<Told>>, Vec<Receiver<Told>>) = files.iter().map(|_| bounded(PIECES)).unzip();
    // Taken by the lane that hears the recording; when it is done with it, the printing goes on to the next.
    let tell: Vec<_> = tell.into_iter().map(|tell| Mutex::new(Some(tell))).collect();
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let claim = || {
        let file = next.fetch_add(1, Relaxed);
        let tell = tell.get(file)?.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()?;
        Some((&files[file], tell))
    };
    let lane = |offers: Offers, helpers: Helpers| {
        let mut engine = match Tagger::open(model, runtime) {
            Ok(tagger) => Engine::new(Inference::new(tagger, offers)),
            Err(error) => {
                if let Some((_, tell)) = claim() {
                    let _ = tell.send(Told::Failed(error.into()));
                }
                return;
            }
        };
        while let Some((file, tell)) = claim() {
            let mut found = Piecewise { piece: Vec::new(), told: &tell, is_over: &is_over };
            let heard = hear(&mut engine, file, &mut found);
            // Whoever prints may have gone: then there is nobody to tell.
            let flushed = found.flush().map_err(RecordingError::from);
            if let Err(error) = heard.and(flushed) {
                let _ = tell.send(Told::Failed(error));
            }
        }
        helpers.help(&mut engine.into_tagger());
    };
    thread::scope(|scope| {
        for _ in n_lanes..threads {
            let helpers = helpers.clone();
            // Where there is no such thread, it only takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, || run_helper(model, runtime, helpers));
        }
        for n_started in 0..n_lanes {
            let (offers, helpers) = (offers.clone(), helpers.clone());
            match thread::Builder::new().spawn_scoped(scope, || lane(offers, helpers)) {
                Err(error) if n_started == 0 => return Err(Failure::no_thread(error)),
                // Fewer lanes hear the same recordings.
                Ok(_) | Err(_) => {}
            }
        }
        drop(offers);
        let printed = print(told, out, &mut fault);
        is_over.store(true, Relaxed);
        next.store(files.len(), Relaxed);
        printed
    })
}

/// Prints what is told of each recording in turn.
fn print(told: Vec<Receiver<Told>>, out: &mut impl Write, fault: &mut impl FnMut(&str)) -> Result<(), Failure> {
    for told in told {
        for told in told {
            match told {
                Told::Found(piece) => out.write_all(&piece)?,
                Told::Failed(error) if error.is_fatal() => return Err(error.into()),
                Told::Failed(error) => {
                    // What was found is printed before the sentence about its recording.
                    out.flush()?;
                    fault(&error.to_string());
                }
            }
        }
        out.flush()?;
    }
    Ok(())
}
