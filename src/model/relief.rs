//! Other threads take a share of the batches: a thread that scores offers what it need not do itself, and whoever is idle takes it.
//!
//! A relief is a thread with a tagger of its own. Nobody waits for one: an offer is made only to a relief that is known to be idle.
//! It decides nothing about what is scored, and the scores are the same whoever makes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{ModelError, Tagger};

/// The most reliefs that there can be: those of the largest number of threads that a configuration may ask for.
const MOST: usize = 64;

/// A batch on its way to a relief and back; its buffers are used again.
#[derive(Debug)]
pub struct Batch {
    /// The index of the windows' length.
    pub length: usize,
    /// How many windows there are.
    pub n_windows: usize,
    /// The windows.
    pub input: Vec<f32>,
    /// Their scores, `[n_windows, labels]`.
    pub scores: Vec<f32>,
    /// What the one who offers it knows it by.
    pub tag: usize,
}

/// What became of a batch: the batch with its scores, or why there are none.
pub type Scored = Result<Batch, ModelError>;

/// A batch with the way back to whom it belongs. One whose relief dies goes back as lost, for its owner waits.
struct Offer {
    batch: Option<Batch>,
    back: Sender<Option<Scored>>,
}

impl Drop for Offer {
    fn drop(&mut self) {
        if self.batch.take().is_some() {
            // An owner that is gone misses nothing.
            let _ = self.back.send(None);
        }
    }
}

/// The end at which batches are offered. When every one of them is gone the reliefs end.
#[derive(Clone)]
pub struct Offers {
    offers: Sender<Offer>,
    idle: Arc<AtomicUsize>,
}

/// The end at which they are taken.
#[derive(Clone)]
pub struct Reliefs {
    offers: Receiver<Offer>,
    idle: Arc<AtomicUsize>,
}

/// Both ends.
pub fn reliefs() -> (Offers, Reliefs) {
    let (offers, taken) = bounded(MOST);
    let idle = Arc::new(AtomicUsize::new(0));
    (Offers { offers, idle: idle.clone() }, Reliefs { offers: taken, idle })
}

impl Reliefs {
    /// Scores with `tagger` what is offered, until nobody is left who could offer anything.
    pub fn relieve(self, tagger: &mut Tagger) {
        self.serve(|batch| {
            let input = &batch.input[..batch.n_windows * tagger.window_len(batch.length)];
            tagger.score(batch.length, batch.n_windows, input, &mut batch.scores)
        });
    }

    /// Lets `score` make the scores of what is offered.
    fn serve(self, mut score: impl FnMut(&mut Batch) -> Result<(), ModelError>) {
        loop {
            self.idle.fetch_add(1, Release);
            let Ok(mut offer) = self.offers.recv() else { return };
            let Some(batch) = &mut offer.batch else { continue };
            let scored = score(batch);
            let Some(batch) = offer.batch.take() else { continue };
            let _ = offer.back.send(Some(scored.map(|()| batch)));
        }
    }
}

/// What one thread has offered and not yet got back.
pub struct Share {
    offers: Offers,
    back: Sender<Option<Scored>>,
    scored: Receiver<Option<Scored>>,
    pending: usize,
}

impl Share {
    /// Nothing is offered yet.
    pub fn new(offers: Offers) -> Self {
        let (back, scored) = bounded(MOST);
        Self { offers, back, scored, pending: 0 }
    }

    /// How many reliefs are idle just now.
    pub fn idle(&self) -> usize {
        self.offers.idle.load(Acquire)
    }

    /// Whether a relief will take the next batch; then it must be offered.
    pub fn reserve(&self) -> bool {
        self.pending < MOST && self.offers.idle.fetch_update(AcqRel, Acquire, |idle| idle.checked_sub(1)).is_ok()
    }

    /// Hands a batch to the relief that was reserved for it.
    pub fn offer(&mut self, batch: Batch) {
        let offer = Offer { batch: Some(batch), back: self.back.clone() };
        // The channel holds more than there can be reliefs; what it would not take comes back as lost.
        let _ = self.offers.offers.try_send(offer);
        self.pending += 1;
    }

    /// The next batch that comes back; `None` where none is offered. It waits for as long as a relief works on it.
    pub fn take_back(&mut self) -> Option<Scored> {
        self.pending = self.pending.checked_sub(1)?;
        Some(self.scored.recv().ok().flatten().unwrap_or(Err(ModelError::Lost)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// What a relief does with a batch.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fate {
        Scored,
        Refused,
        Dies,
    }

    /// The scores of a batch are its input again, one higher; its input says what becomes of it.
    fn score(batch: &mut Batch) -> Result<(), ModelError> {
        match batch.length {
            0 => {
                batch.scores.clear();
                batch.scores.extend(batch.input.iter().map(|value| value + 1.0));
                Ok(())
            }
            1 => Err(ModelError::NoRuntime { searched: Vec::new() }),
            // As a panic would, but without a word on standard error.
            _ => std::panic::resume_unwind(Box::new("the relief dies")),
        }
    }

    /// What came back of an owner's batches: which were scored, by whomever, and how many were refused and lost.
    #[derive(Debug, Default, PartialEq)]
    struct Returned {
        scored: Vec<usize>,
        refused: usize,
        lost: usize,
    }

    /// An owner of batches with these fates, who takes back what it has offered after every `round` of them. It scores what no
    /// relief takes itself, and does not die of it.
    fn own(offers: Offers, owner: usize, fates: &[Fate], round: usize) -> (Returned, Returned) {
        let (mut share, mut expected, mut returned) = (Share::new(offers), Returned::default(), Returned::default());
        for (start, fates) in fates.chunks(round).enumerate().map(|(index, fates)| (index * round, fates)) {
            for (at, fate) in fates.iter().enumerate() {
                let tag = start + at;
                let input = vec![(owner * 1_000 + tag) as f32; 3];
                if !share.reserve() {
                    continue;
                }
                match fate {
                    Fate::Scored => expected.scored.push(tag),
                    Fate::Refused => expected.refused += 1,
                    Fate::Dies => expected.lost += 1,
                }
                share.offer(Batch { length: *fate as usize, n_windows: 3, input, scores: Vec::new(), tag });
            }
            while let Some(scored) = share.take_back() {
                match scored {
                    Ok(batch) => {
                        assert_eq!(batch.scores, [(owner * 1_000 + batch.tag) as f32 + 1.0; 3], "the batch of somebody else");
                        returned.scored.push(batch.tag);
                    }
                    Err(ModelError::Lost) => returned.lost += 1,
                    Err(_) => returned.refused += 1,
                }
            }
        }
        returned.scored.sort_unstable();
        (expected, returned)
    }

    proptest! {
        // A case that hangs takes its time, so few others are tried after it.
        #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 3, ..ProptestConfig::default() })]
        #[test]
        fn every_batch_that_is_offered_comes_back_once_whoever_scores_it_and_whoever_dies(
            n_reliefs in 0usize..5,
            owners in prop::collection::vec(
                prop::collection::vec(
                    prop_oneof![12 => Just(Fate::Scored), 1 => Just(Fate::Refused), 1 => Just(Fate::Dies)],
                    0..60,
                ),
                1..4,
            ),
            round in 1usize..20,
        ) {
            let (offers, reliefs) = reliefs();
            let relieving: Vec<_> = (0..n_reliefs)
                .map(|_| {
                    let reliefs = reliefs.clone();
                    std::thread::spawn(move || reliefs.serve(score))
                })
                .collect();
            while offers.idle.load(Acquire) < n_reliefs {
                std::thread::yield_now();
            }
            let (tell, told) = bounded(owners.len());
            for (owner, fates) in owners.iter().cloned().enumerate() {
                let (offers, tell) = (offers.clone(), tell.clone());
                std::thread::spawn(move || tell.send(own(offers, owner, &fates, round)));
            }
            drop((offers, tell));
            let (mut n_returned, mut n_lost) = (0, 0);
            for _ in &owners {
                let (expected, returned) = told.recv_timeout(Duration::from_secs(20)).expect("an owner waits for ever, or is wrong");
                n_returned += returned.scored.len() + returned.refused + returned.lost;
                n_lost += returned.lost;
                prop_assert_eq!(expected, returned);
            }
            // Nobody waits for a relief that is not there, and the reliefs end with the last of those who could offer anything.
            prop_assert!(n_reliefs > 0 || n_returned == 0);
            let n_died = relieving.into_iter().map(|thread| usize::from(thread.join().is_err())).sum::<usize>();
            prop_assert_eq!(n_died, n_lost);
        }
    }

    #[test]
    fn an_idle_relief_is_reserved_once() {
        let (offers, reliefs) = reliefs();
        let relief = std::thread::spawn(move || reliefs.serve(score));
        let (mut first, second) = (Share::new(offers.clone()), Share::new(offers));
        while first.idle() == 0 {
            std::thread::yield_now();
        }
        assert!(first.reserve() && !first.reserve() && !second.reserve());
        first.offer(Batch { length: 0, n_windows: 1, input: vec![0.5], scores: Vec::new(), tag: 7 });
        let scored = first.take_back().unwrap().unwrap();
        assert_eq!((scored.tag, scored.scores), (7, vec![1.5]));
        assert!(first.take_back().is_none(), "nothing else was offered");
        drop((first, second));
        relief.join().unwrap();
    }
}
