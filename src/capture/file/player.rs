//! A recording as a source: it plays into a ring, paced as real time, once or again and again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::{Decoder, Status};
use crate::capture::source::Channel;
use crate::capture::{Capture, CaptureError, Notice, Pace, RING_S, spawn};
use crate::ring::{Writer, ring};

/// The behaviour of a paced recording at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// The source ends.
    Stop,
    /// The recording starts again.
    Repeat,
}

/// The length of the blocks in which samples are pushed.
const BLOCK: Duration = Duration::from_millis(20);

/// Plays a recording into a ring, paced as real time.
pub(crate) fn open(path: &Path, at_end: AtEnd, channel: Channel, gain_db: f32) -> Result<Capture, CaptureError> {
    let decoder = Decoder::open(path, channel, gain_db)?;
    let rate_hz = decoder.rate_hz();
    let (writer, reader) = ring((rate_hz * RING_S) as usize);
    let (tell, notices) = bounded(1);
    // The sender is the guard: dropping it stops the thread.
    let (guard, stop) = bounded::<()>(0);
    let mut player = Player { decoder, at_end, channel, gain_db, writer, stop, started: Instant::now(), played: 0 };
    let work = move || player.run(&tell);
    spawn("recording", work)?;
    Ok(Capture {
        rate_hz,
        reader,
        device_latency_ns: Arc::new(AtomicU64::new(0)),
        is_held_up: Arc::default(),
        notices,
        pace: Pace::RealTime,
        guard: Box::new(guard),
    })
}

struct Player {
    decoder: Decoder,
    at_end: AtEnd,
    channel: Channel,
    gain_db: f32,
    writer: Writer,
    stop: Receiver<()>,
    started: Instant,
    played: u64,
}

/// The player was stopped.
struct Stopped;

impl Player {
    fn run(&mut self, tell: &Sender<Notice>) {
        let mut samples = Vec::new();
        loop {
            samples.clear();
            let status = self.decoder.read(&mut samples);
            if self.play(&samples).is_err() {
                return;
            }
            let notice = match (status, self.at_end) {
                (Ok(Status::More), _) => continue,
                (Ok(Status::End), AtEnd::Repeat) => match Decoder::open(&self.decoder.path, self.channel, self.gain_db) {
                    Ok(decoder) if decoder.rate_hz == self.decoder.rate_hz => {
                        self.decoder = decoder;
                        continue;
                    }
                    Ok(decoder) => Notice::Lost(format!("{} has another sample rate now", decoder.path.display())),
                    Err(error) => Notice::Lost(error.to_string()),
                },
                (Ok(Status::End), AtEnd::Stop) => {
                    self.tell_findings();
                    Notice::Ended
                }
                (Err(error), _) => Notice::Lost(error.to_string()),
            };
            let _ = tell.send(notice);
            return;
        }
    }

    fn tell_findings(&self) {
        let (path, findings) = (self.decoder.path.display(), self.decoder.findings());
        for sentence in findings.incomplete.iter().chain(&findings.remarks) {
            tracing::warn!(%path, "the recording was played: {sentence}");
        }
    }

    /// Pushes samples into the ring, each block when it is due and when there is room for it.
    fn play(&mut self, samples: &[f32]) -> Result<(), Stopped> {
        let rate = f64::from(self.decoder.rate_hz);
        let block = ((rate * BLOCK.as_secs_f64()) as usize).max(1);
        for chunk in samples.chunks(block) {
            // A block is due when its last sample would have been recorded.
            let due = self.started + Duration::from_secs_f64((self.played + chunk.len() as u64) as f64 / rate);
            self.wait(due.saturating_duration_since(Instant::now()))?;
            while self.writer.vacant() < chunk.len() {
                self.wait(BLOCK)?;
            }
            self.writer.push(chunk);
            self.played += chunk.len() as u64;
        }
        Ok(())
    }

    fn wait(&self, time: Duration) -> Result<(), Stopped> {
        match self.stop.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }
}
