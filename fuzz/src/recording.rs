//! Recordings: every container that `mimid scan` and a source `file:…` take.

use mimid::capture::file::{Decoder, Status};
use mimid::capture::source::Channel;
use mimid::resample::check_rate;

use super::{file, memory};

/// The longest packet of any format, in frames: FLAC says its length in 16 bits.
const LONGEST_PACKET: usize = 1 << 16;

/// Decodes the bytes to their end: in bounded memory, packet by packet, at a rate that can be heard, each sample a number.
pub fn recording(bytes: &[u8]) {
    let file = file(bytes);
    memory::within(64, || {
        let Ok(mut decoder) = Decoder::open_alone(file.path(), Channel::Mix, 0.0) else { return };
        let rate_hz = decoder.rate_hz();
        assert!(check_rate(rate_hz).is_ok(), "{rate_hz} Hz");
        let mut samples = Vec::new();
        while let Ok(Status::More) = decoder.read(&mut samples) {
            assert!(samples.len() <= LONGEST_PACKET && samples.iter().all(|sample| sample.is_finite()), "{}", samples.len());
            samples.clear();
        }
    });
}
