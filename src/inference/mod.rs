//! Inference: from hops that are due to their scores, in batches over ears and window lengths, on as many threads as there are.
//!
//! A pass has two rounds. The first scores the windows that are due anyway, the second those that the scores of the first ask
//! for. The scores of a window depend on nothing but the window, so that neither its batch nor its thread matters. Nothing here
//! decides events, and nothing allocates once every buffer has been used.

pub mod helpers;
mod rows;

use std::thread::JoinHandle;

use crate::ear::{Ear, Need};
use crate::model::onnx::{MAX_BATCH, Runtime};
use crate::model::{MAX_HOPS, Model, ModelError, Scores, Tagger};
use helpers::{Batch, Helpers, Offers, Scored, Share, helpers};
use rows::Rows;

/// A hop that waits for its scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The source, as an index.
    pub source: usize,
    /// The number of the source's hops before it that wait as well.
    pub ahead: usize,
}

/// The inference of one owner, with its buffers.
pub struct Inference {
    tagger: Tagger,
    // This must be dropped before the reserve, which waits for the threads that take what is offered here.
    share: Share,
    reserve: Option<Reserve>,
    input: Vec<f32>,
    scores: Scores,
    /// The results of the pass.
    rows: Rows,
    /// Whether a window was scored at this hop, `[hops, lengths]`.
    is_fresh: Vec<bool>,
    /// The hops whose first window has the scores of the hop before.
    same: Vec<usize>,
    /// For each length, the hops whose window is to be scored in this round.
    wanted: Vec<Vec<usize>>,
    /// The batches that helpers have given back.
    spare: Vec<Batch>,
    offered: Vec<Vec<usize>>,
    n_windows: u64,
}

/// The threads that can be started when one thread does not keep up, and those that have been.
struct Reserve {
    model: Model,
    runtime: Runtime,
    helpers: Helpers,
    left: usize,
    started: Vec<JoinHandle<()>>,
}

impl Drop for Reserve {
    /// Waits for the threads: ONNX Runtime must not be unloaded while one of them is in it. No owner could offer them work any
    /// more, so they end.
    fn drop(&mut self) {
        self.started.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Inference {
    /// An inference that scores with `tagger`, and offers batches to the helpers behind `offers`.
    pub fn new(tagger: Tagger, offers: Offers) -> Self {
        let (n_lengths, n_labels) = (tagger.n_lengths(), tagger.n_labels());
        Self {
            share: Share::new(offers),
            reserve: None,
            input: vec![0.0; MAX_BATCH * tagger.longest_window_len()],
            scores: Scores {
                labels: Vec::with_capacity(MAX_BATCH * n_labels),
                embeddings: Vec::with_capacity(MAX_BATCH * tagger.embedding_size()),
            },
            rows: Rows::new(n_lengths, n_labels, tagger.embedding_size()),
            is_fresh: vec![false; MAX_HOPS * n_lengths],
            same: Vec::with_capacity(MAX_HOPS),
            wanted: vec![Vec::with_capacity(MAX_HOPS); n_lengths],
            spare: Vec::new(),
            offered: Vec::new(),
            n_windows: 0,
            tagger,
        }
    }

    /// An inference on this thread, and on up to `threads` threads in all once one does not keep up.
    pub(crate) fn open(model: &Model, runtime: &Runtime, threads: usize) -> Result<Self, ModelError> {
        let (offers, helpers) = helpers();
        let mut inference = Self::new(Tagger::open(model, runtime)?, offers);
        let left = threads.saturating_sub(1);
        inference.reserve = Some(Reserve { model: model.clone(), runtime: runtime.clone(), helpers, left, started: Vec::new() });
        Ok(inference)
    }

    /// The tagger, for other use.
    pub(crate) fn into_tagger(self) -> Tagger {
        self.tagger
    }

    /// The number of helpers that take batches just now.
    pub fn n_helpers(&self) -> usize {
        self.share.n_helpers()
    }

    /// The number of labels that a window is scored for.
    pub(crate) fn n_labels(&self) -> usize {
        self.tagger.n_labels()
    }

    /// The number of numbers of each window's embedding; 0 where none is given.
    pub(crate) fn embedding_size(&self) -> usize {
        self.tagger.embedding_size()
    }

    /// The number of windows that went through the model so far.
    pub fn n_windows(&self) -> u64 {
        self.n_windows
    }

    /// Scores the hops `due` of `sources`, at most `MAX_HOPS`, the hops of a source in their order; only every `hop_stride`-th
    /// of them.
    pub fn score<T>(
        &mut self,
        sources: &mut [T],
        ear: impl Fn(&mut T) -> &mut Ear,
        due: &[Due],
        hop_stride: u64,
    ) -> Result<(), ModelError> {
        let n_lengths = self.tagger.n_lengths();
        self.call_helper(due.len());
        self.same.clear();
        for (hop, Due { source, ahead }) in due.iter().enumerate() {
            let ear = ear(&mut sources[*source]);
            for length in 0..n_lengths {
                let place = hop * n_lengths + length;
                let need = ear.need(length, *ahead, hop_stride);
                self.is_fresh[place] = need != Need::None;
                match need {
                    Need::Inference => self.wanted[length].push(hop),
                    Need::Silence => self.rows.take(self.tagger.silence(length), &[hop], length),
                    Need::Same => self.same.push(hop),
                    Need::None => {}
                }
            }
        }
        self.run(sources, &ear, due)?;
        for (hop, Due { source, .. }) in due.iter().enumerate() {
            let fresh = &mut self.is_fresh[hop * n_lengths..(hop + 1) * n_lengths];
            // Scores that are repeated from the hop before have not risen.
            if !fresh[0] || self.same.contains(&hop) {
                continue;
            }
            let is_complete = fresh.iter().all(|is_fresh| *is_fresh);
            if ear(&mut sources[*source]).is_raised(self.rows.labels(hop), is_complete) {
                for (length, is_fresh) in fresh.iter_mut().enumerate().filter(|(_, is_fresh)| !**is_fresh) {
                    self.wanted[length].push(hop);
                    *is_fresh = true;
                }
            }
        }
        self.run(sources, &ear, due)?;
        self.repeat(sources, &ear, due);
        Ok(())
    }

    /// Copies the scores of the hop before to the hops whose first window has the same.
    fn repeat<T>(&mut self, sources: &mut [T], ear: &impl Fn(&mut T) -> &mut Ear, due: &[Due]) {
        let (n_lengths, n_labels) = (self.tagger.n_lengths(), self.tagger.n_labels());
        for hop in &self.same {
            let source = due[*hop].source;
            let is_before = |before: &usize| due[*before].source == source && self.is_fresh[before * n_lengths];
            match (0..*hop).rev().find(is_before) {
                Some(before) => self.rows.repeat(before, *hop),
                None => self.rows.labels_mut(*hop)[..n_labels].copy_from_slice(ear(&mut sources[source]).first_scores()),
            }
        }
    }

    /// The scores of a hop, `[lengths, labels]`, and the lengths whose window was scored at this hop; the other rows mean
    /// nothing.
    pub fn scores(&self, hop: usize) -> (&[f32], &[bool]) {
        let n_lengths = self.tagger.n_lengths();
        (self.rows.labels(hop), &self.is_fresh[hop * n_lengths..(hop + 1) * n_lengths])
    }

    /// The embedding of the window of this length that was scored at a hop; `None` where none was, or where nobody asked for it.
    pub(crate) fn embedding(&self, hop: usize, length: usize) -> Option<&[f32]> {
        let is_new = self.is_fresh[hop * self.tagger.n_lengths() + length] && !(length == 0 && self.same.contains(&hop));
        self.rows.embedding(hop, length).filter(|_| is_new)
    }

    /// Scores the wanted windows, the longest first, so that no long batch is left for the end.
    fn run<T>(&mut self, sources: &mut [T], ear: &impl Fn(&mut T) -> &mut Ear, due: &[Due]) -> Result<(), ModelError> {
        let mut failed = Ok(());
        let mut n_left: usize = self.wanted.iter().map(Vec::len).sum();
        for length in (0..self.tagger.n_lengths()).rev() {
            let size = self.tagger.window_len(length);
            let mut wanted = std::mem::take(&mut self.wanted[length]);
            self.n_windows += wanted.len() as u64;
            for hops in wanted.chunks(self.batch(length, wanted.len())) {
                failed = failed.and(self.take_back(Share::try_take_back));
                // This thread keeps one batch at least.
                n_left -= hops.len();
                let is_offered = n_left > 0 && self.share.is_wanted();
                let mut batch = if is_offered { self.spare.pop() } else { None };
                let input = match &mut batch {
                    Some(batch) => &mut batch.input,
                    None if is_offered => &mut batch.insert(self.new_batch()).input,
                    None => &mut self.input,
                };
                for (place, hop) in input.chunks_exact_mut(size).zip(hops) {
                    let Due { source, ahead } = due[*hop];
                    ear(&mut sources[source]).copy_window(length, ahead, place);
                }
                if let Some(batch) = batch {
                    self.offer(batch, length, hops);
                    continue;
                }
                let done = self.tagger.score(length, hops.len(), &self.input[..hops.len() * size], &mut self.scores);
                match done {
                    Ok(()) => self.rows.take(&self.scores, hops, length),
                    Err(error) => failed = Err(error),
                }
            }
            wanted.clear();
            self.wanted[length] = wanted;
        }
        while self.share.help(&mut self.tagger) {}
        failed.and(self.take_back(Share::take_back))
    }

    /// Takes the scores of the batches that come back, for as long as `next` gives one.
    fn take_back(&mut self, next: impl Fn(&mut Share) -> Option<Scored>) -> Result<(), ModelError> {
        let mut failed = Ok(());
        while let Some(scored) = next(&mut self.share) {
            match scored {
                Ok(batch) => {
                    self.rows.take(&batch.scores, &self.offered[batch.tag], batch.length);
                    self.spare.push(batch);
                }
                Err(error) => failed = Err(error),
            }
        }
        failed
    }

    /// The size of the batches for so many windows of a length: as many batches for each thread, all of about the same size.
    fn batch(&self, length: usize, n_windows: usize) -> usize {
        let threads = self.share.n_helpers() + 1;
        let n_batches = n_windows.div_ceil(self.tagger.max_batch(length)).next_multiple_of(threads);
        n_windows.div_ceil(n_batches.max(1)).max(1)
    }

    /// Offers a batch of the windows of these hops, and keeps the hops under the batch's tag.
    fn offer(&mut self, mut batch: Batch, length: usize, hops: &[usize]) {
        (batch.length, batch.n_windows) = (length, hops.len());
        let kept = &mut self.offered[batch.tag];
        kept.clear();
        kept.extend_from_slice(hops);
        self.share.offer(batch, &mut self.tagger);
    }

    fn new_batch(&mut self) -> Batch {
        let tag = self.offered.len();
        self.offered.push(Vec::with_capacity(MAX_BATCH));
        let scores = Scores {
            labels: Vec::with_capacity(self.scores.labels.capacity()),
            embeddings: Vec::with_capacity(self.scores.embeddings.capacity()),
        };
        Batch { length: 0, n_windows: 0, input: vec![0.0; self.input.len()], scores, tag }
    }

    /// Starts another helper where more hops are due than one batch holds. The helper opens a tagger of its own first, and nobody
    /// waits for that.
    fn call_helper(&mut self, n_due: usize) {
        let Some(reserve) = self.reserve.as_mut().filter(|reserve| n_due > MAX_BATCH && reserve.left > 0) else { return };
        reserve.left -= 1;
        let (model, runtime, helpers) = (reserve.model.clone(), reserve.runtime.clone(), reserve.helpers.clone());
        let work = move || run_helper(&model, &runtime, helpers);
        match std::thread::Builder::new().name("inference".to_owned()).spawn(work) {
            Ok(thread) => reserve.started.push(thread),
            Err(error) => tracing::warn!("another thread for the inference cannot be had: {error}"),
        }
    }
}

/// Opens a tagger on this thread and scores the batches on offer. If there is no tagger, the other threads do the work.
pub fn run_helper(model: &Model, runtime: &Runtime, helpers: Helpers) {
    match Tagger::open(model, runtime) {
        Ok(mut tagger) => helpers.help(&mut tagger),
        Err(error) => tracing::warn!("another thread for the inference cannot be had: {error}"),
    }
}
