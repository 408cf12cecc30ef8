//! The score curve of every label, as the trackers see it: each box with its edges and its peak.
//!
//! For `mimid scan --scores` only; it keeps the boxes of a whole recording, which are few, and paints them on a grid at the end.

use std::sync::Arc;

use super::boxes::{Boxes, FLOOR, Stretch};
use super::edges::Edges;
use super::scoring::{Curve, Scoring};
use super::sharpen;

/// Boxes with a lower peak keep their coarse edges.
const SHARPENED: f32 = 2e-3;

/// The curves of every label.
#[derive(Debug)]
pub struct Curves {
    scoring: Arc<Scoring>,
    labels: Vec<(Curve, Boxes)>,
    painted: Vec<Painted>,
    base: u64,
}

/// A box of a label's curve; times are sample indices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Painted {
    /// The label, by its index among the model's outputs.
    pub label: usize,
    /// Where it begins.
    pub onset: u64,
    /// Where it ends.
    pub offset: u64,
    /// The score over all of it, 0…1.
    pub score: f32,
}

impl Curves {
    /// Empty curves of `n_labels` labels.
    pub fn new(scoring: Arc<Scoring>, n_labels: usize) -> Self {
        let one = (Curve::new(&scoring), Boxes::new(scoring.extent(), scoring.valley(), 0.0));
        Self { labels: vec![one; n_labels], painted: Vec::new(), base: 0, scoring }
    }

    /// Takes the scores of the windows that end at the next hop, `[windows, labels]`.
    pub fn push(&mut self, scores: &[f32], edges: Option<&Edges>) {
        let n_labels = self.labels.len();
        for (label, (curve, boxes)) in self.labels.iter_mut().enumerate() {
            let (_, value) = curve.push(&self.scoring, scores.chunks_exact(n_labels).map(|row| row[label]));
            if let Some(stretch) = value.and_then(|value| boxes.push(value).closed) {
                paint(&mut self.painted, label, stretch, boxes, self.base, self.scoring.hop_samples(), edges);
            }
        }
    }

    /// Ends every box that goes on; the next window ends a hop after the sample index `base`.
    pub fn finish(&mut self, base: u64, edges: Option<&Edges>) {
        for (label, (curve, boxes)) in self.labels.iter_mut().enumerate() {
            if let Some(stretch) = boxes.finish() {
                paint(&mut self.painted, label, stretch, boxes, self.base, self.scoring.hop_samples(), edges);
            }
            *curve = Curve::new(&self.scoring);
            *boxes = Boxes::new(self.scoring.extent(), self.scoring.valley(), 0.0);
        }
        self.base = base;
    }

    /// The boxes so far.
    pub fn painted(&self) -> &[Painted] {
        &self.painted
    }
}

fn paint(painted: &mut Vec<Painted>, label: usize, stretch: Stretch, boxes: &Boxes, base: u64, hop: u64, edges: Option<&Edges>) {
    if stretch.peak >= FLOOR {
        // The edges of what is hardly there matter to nobody, and there is much of it.
        let sharp = sharpen(&stretch, boxes, base, hop, edges.filter(|_| stretch.peak >= SHARPENED));
        painted.push(Painted { label, onset: sharp.onset.at, offset: sharp.offset.at, score: stretch.peak });
    }
}
