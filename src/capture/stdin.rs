//! Raw PCM on standard input: signed 16-bit little-endian mono, at a rate that the user names.
//!
//! Its thread waits while the ring is full, as the writer of a pipe can wait too, so that nothing is lost. The thread is never
//! joined, because a read may block for ever.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::callback::Callback;
use super::{Capture, CaptureError, Notice, Pace, RING_S, spawn};
use crate::capture::source::Channel;
use crate::ring::ring;

/// The most bytes of one read: 32 ms at 16 kHz, so that a live pipe is analysed at once.
const BLOCK_BYTES: usize = 1_024;
/// The pause between two looks for room in the ring.
const WAIT: Duration = Duration::from_millis(5);

/// Starts to read standard input.
pub fn open(rate_hz: u32, gain_db: f32) -> Result<Capture, CaptureError> {
    let (writer, reader) = ring((rate_hz * RING_S) as usize);
    let mut callback = Callback::new(writer, 1, Channel::Mix, gain_db);
    let (tell, notices) = bounded(1);
    let work = move || {
        let result = pump(&mut io::stdin().lock(), &mut callback);
        let _ = tell.send(match result {
            Ok(()) => Notice::Ended,
            Err(error) => Notice::Lost(format!("standard input cannot be read: {error}")),
        });
    };
    spawn("stdin", work)?;
    Ok(Capture {
        rate_hz,
        reader,
        device_latency_ns: Arc::new(AtomicU64::new(0)),
        notices,
        pace: Pace::AsWritten,
        guard: Box::new(()),
    })
}

/// Reads until the end of the input, or until nobody reads the ring any more. An odd byte at the end is left out.
fn pump(input: &mut impl Read, callback: &mut Callback) -> io::Result<()> {
    let mut bytes = [0u8; BLOCK_BYTES];
    let mut samples = [0i16; BLOCK_BYTES / 2];
    let mut kept = 0;
    loop {
        let count = match input.read(&mut bytes[kept..]) {
            Ok(0) => return Ok(()),
            Ok(count) => kept + count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let whole = count / 2;
        for (sample, pair) in samples.iter_mut().zip(bytes[..whole * 2].chunks_exact(2)) {
            *sample = i16::from_le_bytes([pair[0], pair[1]]);
        }
        kept = count % 2;
        bytes[0] = bytes[count - 1];
        while callback.writer().vacant() < whole {
            if !callback.writer().is_read() {
                return Ok(());
            }
            std::thread::sleep(WAIT);
        }
        callback.process(&samples[..whole], |sample| f32::from(sample) / 32_768.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of odd sizes.
    struct Pieces(Vec<u8>, usize);

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = (self.0.len() - self.1).min(3).min(out.len());
            out[..count].copy_from_slice(&self.0[self.1..self.1 + count]);
            self.1 += count;
            Ok(count)
        }
    }

    #[test]
    fn samples_survive_reads_that_split_them() {
        let samples: Vec<i16> = (-500..500).collect();
        let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        bytes.push(7);
        let (writer, mut reader) = ring(2_000);
        pump(&mut Pieces(bytes, 0), &mut Callback::new(writer, 1, Channel::Mix, 0.0)).unwrap();
        let mut out = [0.0; 2_000];
        assert_eq!(reader.pop(&mut out).count, 1_000);
        assert!(samples.iter().zip(&out).all(|(sample, heard)| f32::from(*sample) / 32_768.0 == *heard));
    }
}
