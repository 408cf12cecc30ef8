//! Learnt sounds: labels that somebody has taught by recordings, and that are told from the embedding of a window.
//!
//! A learnt sound lies in a file of its own (`file`) in the folder that `[model] sounds` names. Its head is one weight a number of
//! the embedding: the sound's score is the logistic function of their sum. Here the heads are read and computed; `learn` makes
//! them. Nothing here knows of sources, time or events.

use std::path::Path;

use super::Labels;
use super::labels::SuitedThresholds;
use super::odds::{log_odds, probability};

pub mod file;

pub use file::SoundFileError;

/// The most learnt sounds of a model.
pub const MOST_SOUNDS: usize = 1_000;

/// A learnt sound, as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct LearntSound {
    /// The display name, which is none of the model's own labels.
    pub name: String,
    /// The label that the sound is a kind of, by its display name.
    pub is_a: Option<String>,
    /// The label that is corrected by it; `None` for a sound that is a label of its own.
    pub corrects: Option<Corrects>,
    /// The SHA-256 of the graph whose embedding the weights belong to, in lower-case hexadecimal.
    pub model_sha256: String,
    /// The thresholds that suit it.
    pub thresholds: SuitedThresholds,
    /// The head.
    pub head: Head,
    /// The embeddings that it was learnt from, by recording.
    pub examples: Vec<Example>,
    /// The embeddings of recordings that it is told from, which must not ring.
    pub negatives: Vec<Example>,
}

/// A correction: where the sound is heard, another label's score is lowered.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrects {
    /// The label's display name.
    pub label: String,
    /// The log odds by which its score is lowered at most.
    pub at_most: f32,
}

/// The weights of a learnt sound: its score is the logistic function of `offset` and the sum of the weighted embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// One weight a number of the embedding.
    pub weights: Vec<f32>,
    /// The log odds of an embedding of zeros.
    pub offset: f32,
}

/// The embeddings of a recording that a sound was learnt from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The recording, as it was named.
    pub recording: String,
    /// The embeddings of windows in which the sound was, one after the other, each as long as the head.
    pub embeddings: Vec<f32>,
}

impl Head {
    /// The log odds that an embedding is the sound's.
    pub fn log_odds(&self, embedding: &[f32]) -> f32 {
        self.offset + dot(&self.weights, embedding)
    }
}

/// The heads of several learnt sounds, one behind the other, as a window needs them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heads {
    /// `[sounds, size]`.
    weights: Vec<f32>,
    offsets: Vec<f32>,
}

impl Heads {
    /// The heads of these sounds, in their order.
    pub fn new(sounds: &[LearntSound]) -> Self {
        Self {
            weights: sounds.iter().flat_map(|sound| sound.head.weights.iter().copied()).collect(),
            offsets: sounds.iter().map(|sound| sound.head.offset).collect(),
        }
    }

    /// The number of sounds.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Writes the score of each sound in a window with this embedding, 0…1, into `scores`, `[sounds]`.
    pub fn score(&self, embedding: &[f32], scores: &mut [f32]) {
        let heads = self.weights.chunks_exact(embedding.len().max(1)).zip(&self.offsets);
        for ((weights, offset), score) in heads.zip(scores) {
            *score = probability(offset + dot(weights, embedding));
        }
    }
}

/// The corrections of a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Corrections {
    /// For each the head, the label by its index, and the log odds by which it is lowered at most.
    corrections: Vec<(Head, usize, f32)>,
}

impl Corrections {
    /// These corrections, of a model with these labels.
    pub fn new(sounds: &[LearntSound], labels: &Labels) -> Self {
        let one = |sound: &LearntSound| {
            let corrects = sound.corrects.as_ref()?;
            Some((sound.head.clone(), labels.find(&corrects.label)?, corrects.at_most))
        };
        Self { corrections: sounds.iter().filter_map(one).collect() }
    }

    /// Lowers the scores of a window, `[labels]`, of the labels that it corrects, as far as the embedding is like what they were not.
    pub fn lower(&self, embedding: &[f32], scores: &mut [f32]) {
        for (head, label, at_most) in &self.corrections {
            let alike = head.log_odds(embedding);
            if alike > 0.0 {
                scores[*label] = probability(log_odds(scores[*label]) - alike.min(*at_most));
            }
        }
    }
}

/// The scalar product of two slices. Its sixteen sums are those of the compiler's vectors, and the same on every processor.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The sounds of a folder that suit a model, by their names, and a sentence about each file that cannot be used. A folder that does
/// not exist holds none.
pub fn read_folder(folder: &Path, model: &Suits) -> (Vec<LearntSound>, Vec<SoundFileError>) {
    let (mut sounds, mut faults) = (Vec::<LearntSound>::new(), Vec::new());
    let paths = match file::list(folder) {
        Ok(paths) => paths,
        Err(error) => return (sounds, vec![error]),
    };
    for path in paths {
        let read = file::read(&path).and_then(|sound| suits(&path, sound, model, &sounds));
        match read {
            Ok(sound) => sounds.push(sound),
            Err(error) => faults.push(error),
        }
    }
    sounds.sort_by(|a, b| a.name.cmp(&b.name));
    (sounds, faults)
}

/// The model that a learnt sound has to suit.
#[derive(Debug, Clone, Copy)]
pub struct Suits<'a> {
    /// The model's own labels.
    pub labels: &'a Labels,
    /// The SHA-256 of its graph.
    pub sha256: &'a str,
    /// The size of its embedding; `None` where its graph gives none.
    pub embedding: Option<usize>,
}

/// The sound, if it suits the model and the sounds that were read before it.
fn suits(path: &Path, sound: LearntSound, model: &Suits, before: &[LearntSound]) -> Result<LearntSound, SoundFileError> {
    let wrong = |what: String| Err(SoundFileError::Unsuited { path: path.into(), what });
    let Some(size) = model.embedding else {
        return wrong("the model's graph gives no embedding, and knows no learnt sounds".to_owned());
    };
    if sound.model_sha256 != model.sha256 || sound.head.weights.len() != size {
        let short = |sha256: &str| sha256.get(..8).unwrap_or(sha256).to_owned();
        return wrong(format!(
            "it was learnt with the model {}, and this one is {}; learn it again with `mimid learn`",
            short(&sound.model_sha256),
            short(model.sha256)
        ));
    }
    if let Some(corrected) = sound.corrects.as_ref().filter(|corrects| model.labels.find(&corrects.label).is_none()) {
        return wrong(format!("corrects: {}", model.labels.unknown(&corrected.label)));
    }
    if let Some(label) = label_of(model.labels, &sound.name) {
        let own = &model.labels.subjects()[label].name;
        return wrong(format!("the model has a label {own:?} of its own; rename the sound"));
    }
    if before.iter().any(|other| super::labels::slug(&other.name) == super::labels::slug(&sound.name)) {
        return wrong(format!("another file holds the sound {:?} already; remove one of the two", sound.name));
    }
    if sound.corrects.is_some() && sound.is_a.is_some() {
        return wrong("a correction is no label, and has no is_a".to_owned());
    }
    if let Some(parent) = sound.is_a.as_deref().filter(|parent| model.labels.find(parent).is_none()) {
        return wrong(format!("is_a: {}", model.labels.unknown(parent)));
    }
    if before.len() >= MOST_SOUNDS {
        return wrong(format!("there are more than {MOST_SOUNDS} learnt sounds"));
    }
    Ok(sound)
}

/// The label whose name or slug a sound of this name would take.
pub fn label_of(labels: &Labels, name: &str) -> Option<usize> {
    labels.find(name).or_else(|| labels.find(&super::labels::slug(name)))
}

#[cfg(test)]
mod tests;
