//! Corrections: events that were something else teach a verifier, which lowers the score of their label where it sounds so again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::f16;
use uuid::Uuid;

use super::Args;
use super::teach::read_bank;
use crate::cli::history::explained;
use crate::cli::{Failure, exit};
use crate::config::preset;
use crate::learn::fit::Others;
use crate::model::Model;
use crate::model::labels::SuitedThresholds;
use crate::model::learnt::{Corrects, Example, LearntSound, file};
use crate::publish::store::embeddings::Was;
use crate::publish::store::history::{History, KeptEvent};
use crate::publish::store::place;

/// The log odds by which the score of a label is lowered at most, and that of a label which must not be missed: a score of 0.9 stays above
/// 0.31.
const AT_MOST: f32 = 6.0;
const AT_MOST_SAFETY: f32 = 3.0;
/// The section of the preset `home` whose labels must not be missed.
const SAFETY: &str = "Safety";
/// A correction has no label of its own, and so no threshold that counts.
const THRESHOLDS: SuitedThresholds = SuitedThresholds { threshold: 0.5, start_threshold: 0.5, highest: None };

/// The store's history.
pub fn history(args: &Args) -> Result<History, Failure> {
    let path = args.store.clone().unwrap_or_else(place::to_read);
    History::open(&path).map_err(|error| Failure::new(explained(&path, &error), exit::FAILED))
}

/// An event of the store with its embedding, of `size` numbers.
pub fn kept(history: &History, id: Uuid, model: &Model, size: usize) -> Result<(KeptEvent, Vec<f32>), Failure> {
    let failed = |message: String| Failure::new(message, exit::FAILED);
    let event = history.event_of(id).map_err(|error| failed(error.to_string()))?;
    let event = event.ok_or_else(|| failed(format!("the store has no event {id}")))?;
    let bytes = history.embedding_of(id, &model.sha256).map_err(|error| failed(error.to_string()))?;
    let embedding = bytes.and_then(|bytes| numbers(&bytes, size));
    let embedding = embedding.ok_or_else(|| {
        failed(format!(
            "the store has no embedding of the event {id}: only confirmed events have one that were heard with [store] embeddings = true \
             and this model"
        ))
    })?;
    Ok((event, embedding))
}

/// An event in a few words.
pub fn described(event: &KeptEvent) -> String {
    format!("event {} of {}", event.event.id, event.event.onset.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

/// The numbers of an embedding; `None` where they are not so many.
fn numbers(bytes: &[u8], size: usize) -> Option<Vec<f32>> {
    let numbers: Vec<f32> = bytes.chunks_exact(2).map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()).collect();
    (numbers.len() == size && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}

/// Corrects one event, or by all marks of the store.
pub fn run(args: &Args, model: &Model, folder: &Path) -> Result<(), Failure> {
    let usage = |message: String| Failure::new(message, exit::USAGE);
    let Some(size) = model.output.embedding.as_ref().map(|embedding| embedding.size) else {
        return Err(Failure::new(
            format!("the model {} gives no embedding, by which an event could be corrected; use ced-tiny", model.name),
            exit::MODEL,
        ));
    };
    let history = history(args)?;
    let marked = history.marked_embeddings(&model.sha256).map_err(|error| Failure::new(error, exit::FAILED))?;
    let own = |name: &str| model.labels.find(name).filter(|label| *label < model.n_own_labels());
    // By the label and what it was: the events.
    let mut wrong: BTreeMap<(String, Option<String>), Vec<Example>> = BTreeMap::new();
    if let Some(id) = args.correct {
        let (event, embeddings) = kept(&history, id, model, size)?;
        let label = event.event.subject.name.clone();
        if own(&label).is_none() {
            return Err(usage(format!(
                "the event is one of {label:?}, which is no label of the model's own; for a learnt sound, give a recording with --not"
            )));
        }
        let was = args.was.as_deref().map(|was| match model.labels.find(was) {
            Some(other) if model.labels.subjects()[other].name == label => {
                Err(usage(format!("--was: the event is one of {label:?} already")))
            }
            Some(other) => Ok(model.labels.subjects()[other].name.clone()),
            None => Err(usage(format!("--was: {}", model.labels.unknown(was)))),
        });
        let example = Example { recording: described(&event), embeddings };
        wrong.entry((label, was.transpose()?)).or_default().push(example);
    }
    for event in marked.iter().filter(|_| args.reviews) {
        let was = match &event.was {
            Was::Right => continue,
            Was::Wrong => None,
            Was::Other(name) => Some(name.clone()),
        };
        let Some(embeddings) = numbers(&event.embedding, size).filter(|_| own(&event.label).is_some()) else { continue };
        wrong
            .entry((event.label.clone(), was))
            .or_default()
            .push(Example { recording: format!("event {}", event.id), embeddings });
    }
    if wrong.is_empty() {
        println!("Nothing to correct: no event with an embedding is marked as wrong or as another sound");
        return Ok(());
    }
    let bank = read_bank(model, size)?;
    let mut written: Vec<PathBuf> = Vec::new();
    for ((label, was), new) in wrong {
        let name = name_of(&label, was.as_deref());
        let known = model.corrections.iter().find(|correction| correction.name == name);
        let mut examples: Vec<Example> = known.map(|known| known.examples.clone()).unwrap_or_default();
        for example in new {
            let is_known = |other: &Example| other.recording.split(' ').take(2).eq(example.recording.split(' ').take(2));
            if !examples.iter().any(is_known) {
                examples.push(example);
            }
        }
        let right = marked.iter().filter(|event| event.was == Was::Right && event.label == label);
        let right: Vec<Vec<f32>> = right.filter_map(|event| numbers(&event.embedding, size)).collect();
        let others = Others::new(
            right.iter().map(Vec::as_slice).collect(),
            bank.iter().map(|recording| recording.embeddings.as_slice()).collect(),
            size,
        );
        let known: Vec<&[f32]> = examples.iter().map(|example| example.embeddings.as_slice()).collect();
        let discriminant = others.discriminant(&known);
        // The same sound in other windows is to be known again as well, so the boundary is that of sounds that differ.
        let head = discriminant.head(others.boundary(&discriminant, &[], None));
        let is_safety = preset::of_home(&label).is_some_and(|(section, _)| section.name == SAFETY);
        let at_most = if is_safety { AT_MOST_SAFETY } else { AT_MOST };
        let n_right = right.len();
        let sound = LearntSound {
            name,
            is_a: None,
            corrects: Some(Corrects { label: label.clone(), at_most }),
            model_sha256: model.sha256.clone(),
            thresholds: THRESHOLDS,
            head,
            examples,
            negatives: Vec::new(),
        };
        println!("{}", told(&sound, &label, was.as_deref(), at_most, n_right));
        if !args.check {
            written.push(file::write(folder, &sound).map_err(|error| Failure::new(error, exit::FAILED))?);
        }
    }
    for path in &written {
        println!("{} is written; a running daemon takes it with `systemctl reload mimid`", path.display());
    }
    Ok(())
}

/// The name of a correction.
fn name_of(label: &str, was: Option<&str>) -> String {
    let name = was.map_or_else(|| format!("no {label}"), |was| format!("{was}, not {label}"));
    // Two long labels are more than a name may have.
    name.chars().take(80).collect::<String>().trim_end().to_owned()
}

fn told(sound: &LearntSound, label: &str, was: Option<&str>, at_most: f32, n_right: usize) -> String {
    let like = was.map_or_else(|| "these events".to_owned(), |was| format!("these events of {was}"));
    let least = 1.0 / (1.0 + (-((0.9f32 / 0.1).ln() - at_most)).exp());
    let events = if sound.examples.len() == 1 { "1 event".to_owned() } else { format!("{} events", sound.examples.len()) };
    format!(
        "{label}: where it sounds like {like} its score is lowered, a score of 0.90 to {least:.2} at the least. Learnt from {events}, told \
         from {n_right} that are marked as right\nIt is undone with `mimid learn --forget {:?}`",
        sound.name
    )
}
