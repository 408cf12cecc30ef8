//! The results of a pass: for each hop and each length of window the scores, and the embedding where it is asked for.

use crate::model::MAX_HOPS;
use crate::model::onnx::Scores;

/// The results of a pass, written batch by batch and read hop by hop.
pub(super) struct Rows {
    n_lengths: usize,
    n_labels: usize,
    embedding_size: usize,
    /// `[hops, lengths, labels]`.
    labels: Vec<f32>,
    /// `[hops, lengths, embedding size]`.
    embeddings: Vec<f32>,
}

impl Rows {
    /// Rows for as many hops as a pass may have.
    pub fn new(n_lengths: usize, n_labels: usize, embedding_size: usize) -> Self {
        let places = MAX_HOPS * n_lengths;
        let (labels, embeddings) = (vec![0.0; places * n_labels], vec![0.0; places * embedding_size]);
        Self { n_lengths, n_labels, embedding_size, labels, embeddings }
    }

    /// Writes the results of a batch of windows of one length to the places of its hops.
    pub fn take(&mut self, scores: &Scores, hops: &[usize], length: usize) {
        let sizes =
            [(&scores.labels, &mut self.labels, self.n_labels), (&scores.embeddings, &mut self.embeddings, self.embedding_size)];
        for (from, to, size) in sizes.into_iter().filter(|(_, _, size)| *size > 0) {
            for (row, hop) in from.chunks_exact(size).zip(hops) {
                let place = (hop * self.n_lengths + length) * size;
                to[place..place + size].copy_from_slice(row);
            }
        }
    }

    /// The scores of a hop, `[lengths, labels]`.
    pub fn labels(&self, hop: usize) -> &[f32] {
        let size = self.n_lengths * self.n_labels;
        &self.labels[hop * size..(hop + 1) * size]
    }

    /// The scores of a hop, `[lengths, labels]`, to be written.
    pub fn labels_mut(&mut self, hop: usize) -> &mut [f32] {
        let size = self.n_lengths * self.n_labels;
        &mut self.labels[hop * size..(hop + 1) * size]
    }

    /// Copies the scores of the first window of a hop to another one's.
    pub fn repeat(&mut self, from: usize, to: usize) {
        let size = self.n_lengths * self.n_labels;
        self.labels.copy_within(from * size..from * size + self.n_labels, to * size);
    }

    /// The embedding of the window of this length at a hop; `None` where there are no embeddings.
    pub fn embedding(&self, hop: usize, length: usize) -> Option<&[f32]> {
        let place = (hop * self.n_lengths + length) * self.embedding_size;
        (self.embedding_size > 0).then(|| &self.embeddings[place..place + self.embedding_size])
    }
}
