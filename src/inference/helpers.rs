//! Helper threads, which take a share of the batches: the owner of a batch offers it, and whichever helper is idle scores it.
//!
//! A helper is a thread with a tagger of its own. No owner waits for a helper to begin: when it has nothing else to do, it scores
//! the batches that no helper has taken yet. The helpers decide nothing about what is scored, and the scores are the same on any
//! thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::model::onnx::Scores;
use crate::model::{ModelError, Tagger};

/// The number of batches on offer for each helper: the one that it works on, and the next.
const OFFERS_PER_HELPER: usize = 2;
/// The most batches on offer, for the largest number of threads that a configuration may ask for.
const MOST: usize = 64 * OFFERS_PER_HELPER;

/// A batch on its way to a helper and back; its buffers are used again.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The index of the windows' length.
    pub length: usize,
    /// The number of windows.
    pub n_windows: usize,
    /// The windows, one after the other.
    pub input: Vec<f32>,
    /// Their scores.
    pub scores: Scores,
    /// The owner's own number of the batch.
    pub tag: usize,
}

/// A batch with its scores, or the reason why there are none.
pub(crate) type Scored = Result<Batch, ModelError>;

/// A batch with the way back to its owner. If its helper dies, it goes back as lost, because the owner waits for it.
struct Offer {
    batch: Option<Batch>,
    back: Sender<Option<Scored>>,
}

impl Offer {
    /// Scores the batch with `score`, and sends it back.
    fn serve(mut self, mut score: impl FnMut(&mut Batch) -> Result<(), ModelError>) {
        let Some(scored) = self.batch.as_mut().map(&mut score) else { return };
        let batch = self.batch.take();
        let _ = self.back.send(batch.map(|batch| scored.map(|()| batch)));
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        if self.batch.take().is_some() {
            // Nobody waits for it where the owner is gone.
            let _ = self.back.send(None);
        }
    }
}

/// The owners' end of the queue of batches. The helpers end when every clone of it is gone.
#[derive(Clone)]
pub struct Offers {
    offers: Sender<Offer>,
    helpers: Helpers,
}

/// The helpers' end of the queue of batches.
#[derive(Clone)]
pub struct Helpers {
    offers: Receiver<Offer>,
    /// The number of helpers that run.
    count: Arc<AtomicUsize>,
}

/// A queue of batches: the owners' end and the helpers' end.
pub fn helpers() -> (Offers, Helpers) {
    let (offers, taken) = bounded(MOST);
    let helpers = Helpers { offers: taken, count: Arc::new(AtomicUsize::new(0)) };
    (Offers { offers, helpers: helpers.clone() }, helpers)
}

/// Counts one helper for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Helpers {
    /// Scores batches with `tagger` until no owner is left.
    pub(crate) fn help(self, tagger: &mut Tagger) {
        self.serve(|batch| score_with(tagger, batch));
    }

    /// Scores batches with `score` until no owner is left.
    fn serve(self, mut score: impl FnMut(&mut Batch) -> Result<(), ModelError>) {
        let _counted = Counted::new(&self.count);
        while let Ok(offer) = self.offers.recv() {
            offer.serve(&mut score);
        }
    }
}

fn score_with(tagger: &mut Tagger, batch: &mut Batch) -> Result<(), ModelError> {
    let input = &batch.input[..batch.n_windows * tagger.window_len(batch.length)];
    tagger.score(batch.length, batch.n_windows, input, &mut batch.scores)
}

/// The batches that one owner has offered and not yet got back.
pub(crate) struct Share {
    offers: Offers,
    back: Sender<Option<Scored>>,
    scored: Receiver<Option<Scored>>,
    pending: usize,
}

impl Share {
    /// A share without any batch on offer.
    pub fn new(offers: Offers) -> Self {
        let (back, scored) = bounded(MOST);
        Self { offers, back, scored, pending: 0 }
    }

    /// The number of helpers that run.
    pub fn n_helpers(&self) -> usize {
        self.offers.helpers.count.load(Relaxed)
    }

    /// Whether the helpers have too little to do, so that the next batch should be offered.
    pub fn is_wanted(&self) -> bool {
        self.pending < MOST.min(self.n_helpers() * OFFERS_PER_HELPER)
    }

    /// Offers a batch to the helpers. Where the queue is full of other owners' batches, the batch is scored here and now with
    /// `tagger`.
    pub fn offer(&mut self, batch: Batch, tagger: &mut Tagger) {
        self.offer_or(batch, |batch| score_with(tagger, batch));
    }

    fn offer_or(&mut self, batch: Batch, score: impl FnMut(&mut Batch) -> Result<(), ModelError>) {
        self.pending += 1;
        let offer = Offer { batch: Some(batch), back: self.back.clone() };
        if let Err(TrySendError::Full(offer) | TrySendError::Disconnected(offer)) = self.offers.offers.try_send(offer) {
            offer.serve(score);
        }
    }

    /// Scores one batch with `tagger` that no helper has begun, this owner's or another's; `false` where there is none.
    pub fn help(&self, tagger: &mut Tagger) -> bool {
        self.serve_one(|batch| score_with(tagger, batch))
    }

    fn serve_one(&self, score: impl FnMut(&mut Batch) -> Result<(), ModelError>) -> bool {
        self.offers.helpers.offers.try_recv().map(|offer| offer.serve(score)).is_ok()
    }

    /// Takes a batch that has come back; `None` where none has.
    pub fn try_take_back(&mut self) -> Option<Scored> {
        let scored = self.scored.try_recv().ok()?;
        self.pending -= 1;
        Some(scored.unwrap_or(Err(ModelError::Lost)))
    }

    /// Takes the next batch that comes back; `None` where none is on offer. It waits for the helper that works on the batch, so
    /// that an owner calls it only after it has [helped](Self::help) as far as it can.
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

    /// The fate of a batch.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fate {
        Scored,
        Refused,
        Dies,
    }

    /// Gives a batch its input plus 1 as its scores; its length says what becomes of it.
    fn score(batch: &mut Batch) -> Result<(), ModelError> {
        match batch.length {
            0 => {
                batch.scores.labels.clear();
                batch.scores.labels.extend(batch.input.iter().map(|value| value + 1.0));
                Ok(())
            }
            1 => Err(ModelError::NoRuntime { searched: Vec::new() }),
            // This unwinds as a panic does, but writes nothing to standard error.
            _ => std::panic::resume_unwind(Box::new("the helper dies")),
        }
    }

    /// Scores as an owner, which must not die of a batch.
    fn score_here(batch: &mut Batch) -> Result<(), ModelError> {
        batch.length = batch.length.min(1);
        score(batch)
    }

    /// The batches that came back to an owner: the tags of those that were scored, and the numbers of those refused and lost.
    #[derive(Debug, Default, PartialEq)]
    struct Returned {
        scored: Vec<usize>,
        refused: usize,
        lost: usize,
    }

    /// Runs an owner of batches with these fates. After every `round` of them it takes back what it has offered, and scores what
    /// no helper has begun. It refuses a batch of which a helper would die.
    fn own(offers: Offers, owner: usize, fates: &[Fate], round: usize) -> (Returned, Returned) {
        let (mut share, mut expected, mut returned) = (Share::new(offers), Returned::default(), Returned::default());
        for (start, fates) in fates.chunks(round).enumerate().map(|(index, fates)| (index * round, fates)) {
            for (at, fate) in fates.iter().enumerate() {
                let tag = start + at;
                let input = vec![(owner * 1_000 + tag) as f32; 3];
                if !share.is_wanted() {
                    continue;
                }
                match fate {
                    Fate::Scored => expected.scored.push(tag),
                    Fate::Refused => expected.refused += 1,
                    Fate::Dies => expected.lost += 1,
                }
                share.offer_or(Batch { length: *fate as usize, n_windows: 3, input, scores: Scores::default(), tag }, score_here);
            }
            while share.serve_one(score_here) {}
            while let Some(scored) = share.take_back() {
                match scored {
                    Ok(batch) => {
                        assert_eq!(
                            batch.scores.labels,
                            [(owner * 1_000 + batch.tag) as f32 + 1.0; 3],
                            "the batch of somebody else"
                        );
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
        // A case that hangs takes long, so that few others are tried after it.
        #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 3, ..ProptestConfig::default() })]
        #[test]
        fn every_batch_that_is_offered_comes_back_once_whoever_scores_it_and_whoever_dies(
            n_helpers in 0usize..5,
            owners in prop::collection::vec(
                prop::collection::vec(
                    prop_oneof![12 => Just(Fate::Scored), 1 => Just(Fate::Refused), 1 => Just(Fate::Dies)],
                    0..60,
                ),
                1..4,
            ),
            round in 1usize..20,
        ) {
            let (offers, helpers) = helpers();
            let threads: Vec<_> = (0..n_helpers)
                .map(|_| {
                    let helpers = helpers.clone();
                    std::thread::spawn(move || helpers.serve(score))
                })
                .collect();
            while offers.helpers.count.load(Relaxed) < n_helpers {
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
                let (expected, returned) = told.recv_timeout(Duration::from_secs(60)).expect("an owner waits for ever, or is wrong");
                n_returned += returned.scored.len() + returned.refused + returned.lost;
                n_lost += returned.lost;
                prop_assert_eq!(expected.scored, returned.scored);
                prop_assert_eq!(expected.refused + expected.lost, returned.refused + returned.lost);
            }
            // No owner waits for a helper that is not there, and the helpers end with the last owner.
            prop_assert!(n_helpers > 0 || n_returned == 0);
            let n_died = threads.into_iter().map(|thread| usize::from(thread.join().is_err())).sum::<usize>();
            prop_assert_eq!(n_died, n_lost);
        }
    }

    fn batch(tag: usize) -> Batch {
        Batch { length: 0, n_windows: 1, input: vec![tag as f32], scores: Scores::default(), tag }
    }

    #[test]
    fn without_a_helper_nothing_is_wanted_and_with_one_two_batches_are() {
        let (offers, helpers) = helpers();
        let mut share = Share::new(offers);
        assert!(!share.is_wanted());
        let _counted = Counted::new(&helpers.count);
        for tag in 0..2 {
            assert!(share.is_wanted());
            share.offer_or(batch(tag), score);
        }
        assert!(!share.is_wanted());
    }

    #[test]
    fn what_no_helper_begins_is_scored_by_its_owner() {
        // One helper is counted and does nothing.
        let (offers, helpers) = helpers();
        let _counted = Counted::new(&helpers.count);
        let mut share = Share::new(offers);
        share.offer_or(batch(7), score);
        assert!(share.try_take_back().is_none());
        assert!(share.serve_one(score) && !share.serve_one(score));
        let scored = share.take_back().unwrap().unwrap();
        assert_eq!((scored.tag, scored.scores.labels), (7, vec![8.0]));
        assert!(share.take_back().is_none(), "nothing else was offered");
    }

    #[test]
    fn what_there_is_no_room_for_is_scored_at_once() {
        let (offers, _helpers) = helpers();
        let (mut first, mut second) = (Share::new(offers.clone()), Share::new(offers));
        (0..MOST).for_each(|tag| first.offer_or(batch(tag), score));
        second.offer_or(batch(7), score);
        let scored = second.try_take_back().unwrap().unwrap();
        assert_eq!((scored.tag, scored.scores.labels), (7, vec![8.0]));
    }
}
