//! The embeddings of a source's newest windows, so that an event can be kept with that of its own sound.
//!
//! The memory exists only where a store keeps embeddings. It never leaves the process but through an event.

use std::sync::Arc;

use half::f16;

/// The number of hops that are remembered: as long as an event waits for its confirmation, and some more.
const HOPS: usize = 64;

/// The embeddings of the newest windows.
#[derive(Debug)]
pub(super) struct EmbeddingPast {
    size: usize,
    /// The length of each window in samples.
    lengths: Vec<u64>,
    /// `[HOPS, lengths, size]`.
    embeddings: Vec<f16>,
    /// The end of each window as a sample index, `[HOPS, lengths]`; `None` where none was scored.
    ends: Vec<Option<u64>>,
    /// The place of the newest hop.
    newest: usize,
}

impl EmbeddingPast {
    /// A memory of embeddings of `size` numbers, of windows of these lengths in samples.
    pub fn new(size: usize, lengths: &[u64]) -> Self {
        let places = HOPS * lengths.len();
        Self { size, lengths: lengths.into(), embeddings: vec![f16::ZERO; places * size], ends: vec![None; places], newest: 0 }
    }

    /// Begins the next hop, which ends at this sample index, and takes the embeddings of its windows by their lengths.
    pub fn push<'a>(&mut self, end: u64, embedding: impl Fn(usize) -> Option<&'a [f32]>) {
        self.newest = (self.newest + 1) % HOPS;
        for length in 0..self.lengths.len() {
            let place = self.newest * self.lengths.len() + length;
            let found = embedding(length);
            self.ends[place] = found.map(|_| end);
            if let Some(numbers) = found {
                let kept = &mut self.embeddings[place * self.size..(place + 1) * self.size];
                kept.iter_mut().zip(numbers).for_each(|(kept, number)| *kept = f16::from_f32(*number));
            }
        }
    }

    /// The embedding of a sound from `onset` to `end`: the mean over the lengths of that of the window whose middle is nearest to the
    /// middle of the sound's beginning. The bytes are floats of 16 bits, the lowest byte first; `None` where no window is remembered.
    pub fn of_sound(&self, onset: u64, end: u64) -> Option<Arc<[u8]>> {
        let n_lengths = self.lengths.len();
        let nearest = |length: usize| -> Option<usize> {
            let window = self.lengths[length];
            let middle = onset + end.saturating_sub(onset).min(window) / 2;
            let far = |at: u64| (at.saturating_sub(window / 2)).abs_diff(middle);
            let places = (0..HOPS).map(|hop| hop * n_lengths + length);
            let (place, off) = places.filter_map(|place| Some((place, far(self.ends[place]?)))).min_by_key(|(_, off)| *off)?;
            (off <= window / 2).then_some(place)
        };
        let places: Vec<usize> = (0..n_lengths).filter_map(nearest).collect();
        if places.is_empty() {
            return None;
        }
        let number = |at: usize| {
            let sum: f32 = places.iter().map(|place| self.embeddings[place * self.size + at].to_f32()).sum();
            f16::from_f32(sum / places.len() as f32).to_le_bytes()
        };
        Some((0..self.size).flat_map(number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(bytes: &[u8]) -> Vec<f32> {
        bytes.chunks_exact(2).map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()).collect()
    }

    #[test]
    fn a_sound_gets_the_windows_around_it() {
        let mut past = EmbeddingPast::new(2, &[1_000, 3_000]);
        assert_eq!(past.of_sound(0, 100), None);
        for hop in 1..=200u64 {
            let (short, long) = ([hop as f32, 1.0], [hop as f32, 3.0]);
            // The long window is scored at every fourth hop.
            past.push(hop * 100, |length| match length {
                0 => Some(&short[..]),
                _ => hop.is_multiple_of(4).then_some(&long[..]),
            });
        }
        // A short sound in the middle of a window of each length: 18,500 and 19,500 are their ends, and the long ones end at 19,600.
        assert_eq!(numbers(&past.of_sound(17_900, 18_100).unwrap()), [(185.0 + 196.0) / 2.0, 2.0]);
        // Of a long sound its beginning counts; and all that is too long ago is forgotten.
        assert_eq!(numbers(&past.of_sound(17_000, 30_000).unwrap()), [(180.0 + 200.0) / 2.0, 2.0]);
        assert_eq!(past.of_sound(1_000, 1_100), None);
    }
}
