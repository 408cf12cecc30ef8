//! The memory of a source's last seconds: its samples at its own rate, and how much of a voice each hop had. Old ones make room for new
//! ones by themselves. Places are counted in samples of the source, those that were lost included.

use std::collections::VecDeque;
use std::io;

use crate::locked::Locked;

/// The last samples.
#[derive(Debug)]
pub(super) struct SampleRing {
    memory: Locked,
    /// The place behind the newest sample.
    end: u64,
    /// The place of the first sample that ever came.
    first: u64,
}

impl SampleRing {
    /// A ring for so many samples, whose first is at this place.
    pub fn new(len: usize, first: u64) -> io::Result<Self> {
        Ok(Self { memory: Locked::new(len)?, end: first, first })
    }

    /// The pages that hold the samples.
    pub fn memory(&self) -> &Locked {
        &self.memory
    }

    /// The place behind the newest sample.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The place of the oldest sample that is remembered.
    pub fn begin(&self) -> u64 {
        self.end.saturating_sub(self.memory.len() as u64).max(self.first)
    }

    /// Takes samples from -1 to 1.
    pub fn push(&mut self, samples: &[f32]) {
        self.fill(samples.len(), |at| to_16_bits(samples[at]));
    }

    /// Takes a gap, which is silent.
    pub fn gap(&mut self, lost: u64) {
        let len = self.memory.len() as u64;
        // Of a gap that is longer than the ring only the end is remembered.
        self.end += lost.saturating_sub(len);
        self.fill(lost.min(len) as usize, |_| 0);
    }

    fn fill(&mut self, n: usize, sample: impl Fn(usize) -> i16) {
        let len = self.memory.len();
        let mut at = 0;
        while at < n {
            let place = (self.end % len as u64) as usize;
            let run = (n - at).min(len - place);
            for (offset, to) in self.memory[place..place + run].iter_mut().enumerate() {
                *to = sample(at + offset);
            }
            self.end += run as u64;
            at += run;
        }
    }

    /// Copies the samples from a place on. Returns whether all of them are remembered.
    pub fn copy(&self, from: u64, out: &mut [i16]) -> bool {
        if from < self.begin() || from + out.len() as u64 > self.end {
            return false;
        }
        let len = self.memory.len();
        let mut done = 0;
        while done < out.len() {
            let place = ((from + done as u64) % len as u64) as usize;
            let run = (out.len() - done).min(len - place);
            out[done..done + run].copy_from_slice(&self.memory[place..place + run]);
            done += run;
        }
        true
    }
}

/// A sample as it stands in files of 16 bits, which gives those of such a source back unchanged.
fn to_16_bits(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// The highest score of a voice in each of the last hops.
#[derive(Debug)]
pub(super) struct VoiceTrack {
    /// The place behind each scored hop, and its score.
    hops: VecDeque<(u64, f32)>,
    most: usize,
}

impl VoiceTrack {
    /// A track of so many hops.
    pub fn new(most: usize) -> Self {
        Self { hops: VecDeque::with_capacity(most.max(1)), most: most.max(1) }
    }

    /// Takes the score of the hop that ends at a place.
    pub fn push(&mut self, end: u64, score: f32) {
        if self.hops.len() == self.most {
            self.hops.pop_front();
        }
        self.hops.push_back((end, score));
    }

    /// The place up to which scores are known.
    pub fn known_until(&self) -> u64 {
        self.hops.back().map_or(0, |(end, _)| *end)
    }

    /// The highest score of the hops that end within a stretch.
    pub fn highest(&self, from: u64, until: u64) -> f32 {
        self.hops.iter().filter(|(end, _)| (from..=until).contains(end)).map(|(_, score)| *score).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_sample_of_16_bits_comes_back_as_it_was() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(to_16_bits(f32::from(sample) / 32_768.0), sample);
        }
        assert_eq!([f32::NAN, 7.0, -7.0].map(to_16_bits), [0, i16::MAX, i16::MIN]);
    }

    proptest! {
        #[test]
        fn the_last_samples_are_remembered_and_no_others(
            len in 1_usize..50, first in 0_u64..99, pieces in prop::collection::vec((0_usize..70, any::<bool>()), 0..20), from in 0_u64..300
        ) {
            let mut ring = SampleRing::new(len, first).unwrap();
            let mut all: Vec<i16> = Vec::new();
            for (n, is_gap) in pieces {
                let samples: Vec<i16> = (0..n).map(|at| if is_gap { 0 } else { (all.len() + at) as i16 + 1 }).collect();
                if is_gap {
                    ring.gap(n as u64);
                } else {
                    ring.push(&samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect::<Vec<_>>());
                }
                all.extend(samples);
            }
            prop_assert_eq!(ring.end(), first + all.len() as u64);
            let from = first + from;
            let mut out = vec![0; 20];
            let index = (from - first) as usize;
            let is_there = index + 20 <= all.len() && index + len >= all.len();
            prop_assert_eq!(ring.copy(from, &mut out), is_there);
            if is_there {
                prop_assert_eq!(&out[..], &all[index..index + 20]);
            }
        }
    }
}
