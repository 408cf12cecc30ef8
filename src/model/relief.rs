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
