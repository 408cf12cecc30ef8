//! The label hierarchy: which labels stand above which in the ontology, the propagation of scores along it, and which labels are alike.

use std::collections::HashMap;

use super::Labels;

/// The nodes of a model's ontology, by their ids: the labels, and the abstract nodes between them, which have no score.
pub(crate) struct Ontology<'a> {
    parents: HashMap<&'a str, &'a [String]>,
}

impl<'a> Ontology<'a> {
    /// The ontology in which a model's labels stand.
    pub fn of(labels: &'a Labels) -> Self {
        Self { parents: labels.ontology().iter().map(|node| (node.id.as_str(), node.parents.as_slice())).collect() }
    }

    /// The ids of all nodes above a node, each once.
    pub fn ancestors(&self, id: &str) -> Vec<&'a str> {
        let parents = |id: &str| self.parents.get(id).copied().unwrap_or_default().iter().map(String::as_str);
        let (mut found, mut todo): (Vec<&str>, Vec<&str>) = (Vec::new(), parents(id).collect());
        while let Some(id) = todo.pop() {
            if !found.contains(&id) {
                found.push(id);
                todo.extend(parents(id));
            }
        }
        found
    }
}

/// The label hierarchy of a model.
#[derive(Debug, Default)]
pub struct LabelHierarchy {
    /// For each label, its ancestors: the labels above it.
    above: Vec<Vec<usize>>,
    /// The same as pairs of a label and one of its ancestors.
    pairs: Vec<(usize, usize)>,
    /// For each label, the labels that are alike to it.
    alike: Vec<Vec<usize>>,
}

impl LabelHierarchy {
    /// The hierarchy of a model's labels. Abstract nodes of the ontology count as steps between labels.
    pub fn new(labels: &Labels) -> Self {
        let ontology = Ontology::of(labels);
        let index: HashMap<&str, usize> =
            labels.subjects().iter().enumerate().map(|(index, subject)| (subject.id.as_str(), index)).collect();
        let above = labels.subjects().iter().map(|subject| {
            let ancestors = ontology.ancestors(&subject.id).into_iter();
            ancestors.filter_map(|id| index.get(id).copied()).collect()
        });
        let above: Vec<Vec<usize>> = above.collect();
        let pairs = above.iter().enumerate().flat_map(|(low, above)| above.iter().map(move |high| (low, *high))).collect();
        let alike = (0..above.len()).map(|label| labels.alike(label).to_vec()).collect();
        Self { above, pairs, alike }
    }

    /// The number of labels.
    pub fn n_labels(&self) -> usize {
        self.above.len()
    }

    /// Gives each label the highest of its own score and the scores of the labels below it: a bark is a dog and an animal,
    /// whatever the model's score for dogs is.
    pub fn propagate_to_ancestors(&self, scores: &[f32], propagated: &mut [f32]) {
        propagated.copy_from_slice(scores);
        for (low, high) in &self.pairs {
            propagated[*high] = propagated[*high].max(scores[*low]);
        }
    }

    /// Gives each label the lowest of its own threshold and those of the labels above it: a bark may start whatever a dog or an
    /// animal may.
    pub fn propagate_to_descendants(&self, own: &[f32], lowest: &mut [f32]) {
        lowest.copy_from_slice(own);
        for (low, high) in &self.pairs {
            lowest[*low] = lowest[*low].min(own[*high]);
        }
    }

    /// Whether a label of `some` is alike to one of `others`.
    pub(crate) fn are_alike(&self, some: &[usize], others: &[usize]) -> bool {
        some.iter().any(|label| others.iter().any(|other| self.alike[*label].contains(other)))
    }

    /// Whether every label of `low` is one of `high`, or stands below one of them.
    pub(crate) fn covers(&self, high: &[usize], low: &[usize]) -> bool {
        low.iter().all(|label| high.contains(label) || self.above[*label].iter().any(|up| high.contains(up)))
    }
}
