//! One sample of each frame: the mean of its channels, or one of them. Mixing that cancels the sound is noticed.

use crate::capture::callback::{linear_gain, mix};
use crate::capture::source::Channel;

/// The mean square of the channels above which their loss is worth a word: −60 dBFS.
const AUDIBLE: f64 = 1e-6;
/// The part of the channels' mean square below which the mix has lost the sound: −20 dB.
const CANCELLED: f64 = 0.01;

/// Makes mono samples of frames.
pub(in crate::capture) struct Mixer {
    channel: Channel,
    gain: f32,
    /// The sums of squares of the channels' mean and of the mix.
    of_channels: f64,
    of_mix: f64,
    n_frames: u64,
    most_channels: usize,
}

impl Mixer {
    pub fn new(channel: Channel, gain_db: f32) -> Self {
        Self { channel, gain: linear_gain(gain_db), of_channels: 0.0, of_mix: 0.0, n_frames: 0, most_channels: 0 }
    }

    /// The channel that was asked for, if frames of so many channels do not have it.
    pub fn missing(&self, channels: usize) -> Option<u16> {
        match self.channel {
            Channel::Pick(wanted) if usize::from(wanted) > channels => Some(wanted),
            Channel::Pick(_) | Channel::Mix => None,
        }
    }

    /// Appends a sample of each frame to `out`.
    pub fn mix(&mut self, interleaved: &[f32], channels: usize, out: &mut Vec<f32>) {
        let frames = interleaved.chunks_exact(channels.max(1));
        if self.channel == Channel::Mix && channels > 1 {
            self.measure(interleaved, channels);
        }
        out.extend(frames.map(|frame| mix(frame, self.channel, self.gain, |sample| sample)));
    }

    fn measure(&mut self, interleaved: &[f32], channels: usize) {
        let (mut of_channels, mut of_mix) = (0.0, 0.0);
        for frame in interleaved.chunks_exact(channels) {
            let (mut sum, mut squares) = (0.0, 0.0);
            for sample in frame {
                sum += sample;
                squares += sample * sample;
            }
            let mean = sum / channels as f32;
            of_mix += f64::from(mean * mean);
            of_channels += f64::from(squares / channels as f32);
            self.n_frames += 1;
        }
        if of_channels.is_finite() && of_mix.is_finite() {
            self.of_channels += of_channels;
            self.of_mix += of_mix;
        }
        self.most_channels = self.most_channels.max(channels);
    }

    /// The number of channels whose mix has lost their sound.
    pub fn cancels(&self) -> Option<usize> {
        let is_audible = self.of_channels > AUDIBLE * self.n_frames as f64 && self.n_frames > 0;
        (is_audible && self.of_mix < CANCELLED * self.of_channels).then_some(self.most_channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancels(frames: impl Iterator<Item = (f32, f32)>) -> Option<usize> {
        let mut mixer = Mixer::new(Channel::Mix, 0.0);
        let interleaved: Vec<f32> = frames.flat_map(|(left, right)| [left, right]).collect();
        mixer.mix(&interleaved, 2, &mut Vec::new());
        mixer.cancels()
    }

    #[test]
    fn a_mix_that_loses_the_sound_is_noticed_and_any_other_is_not() {
        let sine = || (0..4_000).map(|n| (n as f32 * 0.1).sin() * 0.1);
        let noise = || (0..4_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as f32 / 65_536.0 - 0.5);
        assert_eq!(cancels(sine().map(|sample| (sample, -sample))), Some(2));
        assert_eq!(cancels(sine().map(|sample| (sample, sample))), None);
        assert_eq!(cancels(sine().map(|sample| (sample, 0.0))), None);
        assert_eq!(cancels(sine().zip(noise())), None);
        // Too faint for a word: the last bit of silence is often inverted.
        assert_eq!(cancels(sine().map(|sample| (sample * 1e-3, -sample * 1e-3))), None);
        assert_eq!(cancels(std::iter::empty()), None);
    }
}
