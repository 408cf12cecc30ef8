//! The label hierarchy: which labels stand above which in the ontology, and the propagation of scores along it.

use std::collections::HashMap;

use super::Labels;

/// Which labels stand above which in the ontology.
#[derive(Debug, Default)]
pub struct LabelHierarchy {
    /// For each label, the labels above it.
    above: Vec<Vec<usize>>,
    /// The same as pairs of a label and one above it.
    pairs: Vec<(usize, usize)>,
}

impl LabelHierarchy {
    /// The hierarchy of a model's labels; abstract nodes of the ontology count as steps between labels.
    pub fn new(labels: &Labels) -> Self {
        let nodes: HashMap<&str, &[String]> =
            labels.ontology().iter().map(|node| (node.id.as_str(), node.parents.as_slice())).collect();
        let index: HashMap<&str, usize> =
            labels.subjects().iter().enumerate().map(|(index, subject)| (subject.id.as_str(), index)).collect();
        let above = labels.subjects().iter().map(|subject| {
            let mut found = Vec::new();
            let mut todo: Vec<&str> = nodes.get(subject.id.as_str()).iter().flat_map(|p| p.iter()).map(String::as_str).collect();
            let mut seen: Vec<&str> = Vec::new();
            while let Some(id) = todo.pop() {
                if seen.contains(&id) {
                    continue;
                }
                seen.push(id);
                found.extend(index.get(id).copied());
                todo.extend(nodes.get(id).iter().flat_map(|parents| parents.iter()).map(String::as_str));
            }
            found
        });
        let above: Vec<Vec<usize>> = above.collect();
        let pairs = above.iter().enumerate().flat_map(|(low, above)| above.iter().map(move |high| (low, *high))).collect();
        Self { above, pairs }
    }

    /// How many labels there are.
    pub fn n_labels(&self) -> usize {
        self.above.len()
    }

    /// Gives each label the highest score among its own and those of the labels below it: a bark is a dog, and an animal, whatever the
    /// model says of dogs.
    pub fn propagate_to_ancestors(&self, scores: &[f32], propagated: &mut [f32]) {
        propagated.copy_from_slice(scores);
        for (low, high) in &self.pairs {
            propagated[*high] = propagated[*high].max(scores[*low]);
        }
    }

    /// Gives each label the lowest of its own number and those of the labels above it: what a dog or an animal may start at, a bark may.
    pub fn propagate_to_descendants(&self, own: &[f32], lowest: &mut [f32]) {
        lowest.copy_from_slice(own);
        for (low, high) in &self.pairs {
            lowest[*low] = lowest[*low].min(own[*high]);
        }
    }

    /// Whether every label of `low` is one of `high`, or below one of them.
    pub fn covers(&self, high: &[usize], low: &[usize]) -> bool {
        low.iter().all(|label| high.contains(label) || self.above[*label].iter().any(|up| high.contains(up)))
    }
}
