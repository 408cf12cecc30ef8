//! The lock-free ring buffer between a source and the analysis: samples, with an exact account of how many were dropped, and
//! where.
//!
//! It has a single producer and a single consumer. Invariant: neither end waits for the other, locks, or allocates after
//! construction; a full ring drops the newest samples, counts them, and remembers the place of the gap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// The number of gaps that can be on their way at a time; while there are as many, the last one grows.
const MAX_GAPS: usize = 64;

/// A gap: samples that were dropped between two others.
#[derive(Debug, Clone, Copy)]
struct Gap {
    /// The index of the first sample after the gap, counted over the samples that were not dropped.
    at: u64,
    /// The number of dropped samples.
    lost: u64,
}

/// A ring for `capacity_samples` samples, as its two ends.
pub fn ring(capacity_samples: usize) -> (Writer, Reader) {
    let (samples, popped) = HeapRb::new(capacity_samples.max(1)).split();
    let (gaps, seen) = HeapRb::new(MAX_GAPS).split();
    let (lost, piece) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
    let writer = Writer { samples, gaps, pushed: 0, pending: 0, lost: lost.clone(), piece: piece.clone() };
    (writer, Reader { samples: popped, gaps: seen, next_gap: None, popped: 0, lost, piece })
}

/// The producer's end.
pub struct Writer {
    samples: HeapProd<f32>,
    gaps: HeapProd<Gap>,
    pushed: u64,
    /// The number of samples dropped since the last one that was not.
    pending: u64,
    lost: Arc<AtomicU64>,
    piece: Arc<AtomicUsize>,
}

impl Writer {
    /// Pushes as many of `samples` as fit, and returns their number; the rest is dropped and counted.
    pub fn push(&mut self, samples: &[f32]) -> usize {
        if samples.is_empty() {
            return 0;
        }
        // A gap must be recorded before the first sample after it, or the reader would not know its place.
        if self.pending > 0
            && self.samples.vacant_len() > 0
            && self.gaps.try_push(Gap { at: self.pushed, lost: self.pending }).is_ok()
        {
            self.pending = 0;
        }
        let taken = if self.pending == 0 { self.samples.push_slice(samples) } else { 0 };
        self.pushed += taken as u64;
        let dropped = (samples.len() - taken) as u64;
        if dropped > 0 {
            self.pending += dropped;
            self.lost.fetch_add(dropped, Relaxed);
        }
        taken
    }

    /// Records the number of samples that came at once, so that the reader knows when it is worth looking again.
    pub fn record_piece(&self, samples: usize) {
        self.piece.store(samples, Relaxed);
    }

    /// The number of samples that fit just now.
    pub fn vacant(&self) -> usize {
        self.samples.vacant_len()
    }

    /// Whether the consumer's end still exists.
    pub fn is_read(&self) -> bool {
        self.samples.read_is_held()
    }
}

/// The consumer's end.
pub struct Reader {
    samples: HeapCons<f32>,
    gaps: HeapCons<Gap>,
    next_gap: Option<Gap>,
    popped: u64,
    lost: Arc<AtomicU64>,
    piece: Arc<AtomicUsize>,
}

/// The result of one [`Reader::pop`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Popped {
    /// The number of samples dropped immediately before these.
    pub gap_before: u64,
    /// The number of samples popped.
    pub count: usize,
}

impl Reader {
    /// Pops samples up to the next gap into `out`. A gap is reported with the first samples after it.
    pub fn pop(&mut self, out: &mut [f32]) -> Popped {
        // The number of samples is read before the gaps: a gap in front of samples that are visible was recorded before them.
        let available = self.samples.occupied_len();
        if self.next_gap.is_none() {
            self.next_gap = self.gaps.try_pop();
        }
        let mut gap_before = 0;
        if let Some(gap) = self.next_gap.filter(|gap| gap.at == self.popped && available > 0) {
            gap_before = gap.lost;
            self.next_gap = self.gaps.try_pop();
        }
        let until_gap = self.next_gap.map_or(usize::MAX, |gap| (gap.at - self.popped) as usize);
        let most = out.len().min(until_gap).min(available);
        let count = self.samples.pop_slice(&mut out[..most]);
        self.popped += count as u64;
        Popped { gap_before, count }
    }

    /// The number of samples that came at once last time; 0 while the writer has not recorded it.
    pub fn piece(&self) -> usize {
        self.piece.load(Relaxed)
    }

    /// The number of samples that can be popped just now.
    pub fn available(&self) -> usize {
        self.samples.occupied_len()
    }

    /// The number of samples that the producer has dropped so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Follows a reader through a counting sequence: each sample must be its own index.
    #[derive(Default)]
    struct Follower {
        index: u64,
        out: Vec<f32>,
    }

    impl Follower {
        fn pop(&mut self, reader: &mut Reader, most: usize) -> usize {
            self.out.resize(most, 0.0);
            let Popped { gap_before, count } = reader.pop(&mut self.out);
            self.index += gap_before;
            for sample in &self.out[..count] {
                assert_eq!(*sample, self.index as f32);
                self.index += 1;
            }
            count
        }
    }

    proptest! {
        #[test]
        fn what_is_popped_and_what_is_lost_make_up_the_sequence(
            capacity in 1usize..200,
            steps in prop::collection::vec((0usize..150, 0usize..150), 1..200),
        ) {
            let (mut writer, mut reader) = ring(capacity);
            let mut follower = Follower::default();
            let (mut written, mut dropped) = (0u64, 0u64);
            for (push, pop) in steps {
                let samples: Vec<f32> = (written..written + push as u64).map(|i| i as f32).collect();
                written += push as u64;
                dropped += (push - writer.push(&samples)) as u64;
                if pop > 0 {
                    follower.pop(&mut reader, pop);
                }
            }
            while follower.pop(&mut reader, 64) > 0 {}
            // The last gap has no sample after it yet; one more sample completes the account.
            writer.push(&[written as f32]);
            while follower.pop(&mut reader, 64) > 0 {}
            prop_assert_eq!(follower.index, written + 1);
            prop_assert_eq!(reader.lost(), dropped);
        }
    }

    #[test]
    fn two_threads_agree_on_every_sample_and_gap() {
        const TOTAL: u64 = 1_000_000;
        let (mut writer, mut reader) = ring(1_000);
        let producer = std::thread::spawn(move || {
            let mut written = 0;
            while written < TOTAL {
                let block = (written % 97 + 1).min(TOTAL - written);
                let samples: Vec<f32> = (written..written + block).map(|i| i as f32).collect();
                writer.push(&samples);
                written += block;
            }
            // The last sample must be taken, so that every gap has a sample after it.
            while writer.vacant() == 0 {
                std::thread::yield_now();
            }
            writer.push(&[TOTAL as f32]);
        });
        let mut follower = Follower::default();
        while follower.index <= TOTAL {
            if follower.pop(&mut reader, 333) == 0 {
                std::thread::yield_now();
            }
        }
        producer.join().unwrap();
        assert_eq!(follower.index, TOTAL + 1);
    }
}
