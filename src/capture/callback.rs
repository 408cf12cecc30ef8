//! The real-time body of a capture: it picks or mixes channels, converts samples to f32, applies the gain and pushes into the
//! ring.
//!
//! Invariant: [`Callback::process`] never allocates, locks, logs, makes a system call or panics; a test runs it under an
//! allocator that counts.

use crate::capture::source::Channel;
use crate::ring::Writer;

/// The number of frames that are converted at a time, on the stack.
const BLOCK: usize = 256;

/// Takes the samples of one source, in its thread or in the device callback.
pub struct Callback {
    writer: Writer,
    channels: usize,
    channel: Channel,
    gain: f32,
}

/// The factor of a gain of `gain_db` decibels.
pub(crate) fn linear_gain(gain_db: f32) -> f32 {
    10f32.powf(gain_db / 20.0)
}

impl Callback {
    /// A callback for frames of `channels` channels; a picked channel must be among them.
    pub fn new(writer: Writer, channels: u16, channel: Channel, gain_db: f32) -> Self {
        Self { writer, channels: usize::from(channels.max(1)), channel, gain: linear_gain(gain_db) }
    }

    /// Takes interleaved samples, which `to_f32` converts to numbers with full scale at ±1. An incomplete frame is left out.
    #[inline]
    pub fn process<T: Copy>(&mut self, interleaved: &[T], to_f32: impl Fn(T) -> f32) {
        let mut mono = [0.0f32; BLOCK];
        for block in interleaved.chunks(BLOCK * self.channels) {
            let mut count = 0;
            for (frame, out) in block.chunks_exact(self.channels).zip(&mut mono) {
                *out = mix(frame, self.channel, self.gain, &to_f32);
                count += 1;
            }
            self.writer.push(&mono[..count]);
        }
        self.writer.record_piece(interleaved.len() / self.channels);
    }

    /// The ring that it pushes into.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// Makes one sample of a frame. A sample that is not finite becomes silence, so that it cannot spoil the features after it.
#[inline]
pub(crate) fn mix<T: Copy>(frame: &[T], channel: Channel, gain: f32, to_f32: impl Fn(T) -> f32) -> f32 {
    let sample = match channel {
        Channel::Pick(number) => frame.get(usize::from(number).wrapping_sub(1)).map_or(0.0, |sample| to_f32(*sample)),
        Channel::Mix => frame.iter().map(|sample| to_f32(*sample)).sum::<f32>() / frame.len().max(1) as f32,
    };
    let sample = sample * gain;
    if sample.is_finite() { sample } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::ring;

    fn run(channels: u16, channel: Channel, gain_db: f32, input: &[f32]) -> Vec<f32> {
        let (writer, mut reader) = ring(10_000);
        Callback::new(writer, channels, channel, gain_db).process(input, |sample| sample);
        let mut out = vec![0.0; 10_000];
        let count = reader.pop(&mut out).count;
        out.truncate(count);
        out
    }

    #[test]
    fn channels_are_mixed_or_picked() {
        let stereo = [1.0, 0.0, 0.5, -0.5];
        assert_eq!(run(2, Channel::Mix, 0.0, &stereo), [0.5, 0.0]);
        assert_eq!(run(2, Channel::Pick(1), 0.0, &stereo), [1.0, 0.5]);
        assert_eq!(run(2, Channel::Pick(2), 0.0, &stereo), [0.0, -0.5]);
    }

    #[test]
    fn gain_is_in_decibels_and_nonsense_is_silence() {
        assert!((run(1, Channel::Mix, 20.0, &[0.01])[0] - 0.1).abs() < 1e-6);
        assert_eq!(run(1, Channel::Mix, 0.0, &[f32::NAN, f32::INFINITY, 0.25]), [0.0, 0.0, 0.25]);
    }

    #[test]
    fn a_frame_that_is_not_whole_is_left_out() {
        assert_eq!(run(3, Channel::Pick(1), 0.0, &[1.0, 2.0, 3.0, 4.0]), [1.0]);
        assert_eq!(run(8, Channel::Mix, 0.0, &[0.5; 8 * 1_000]).len(), 1_000);
    }
}
