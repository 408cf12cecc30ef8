//! Learns every class of a data set at once, so that `mimid evaluate` can judge the sounds on the folds that were left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Args;
use super::hear::Hearing;
use super::teach::{THRESHOLDS, fit_one, read_bank};
use crate::cli::progress::progress;
use crate::cli::{Failure, exit, say};
use crate::dataset::{self, Labelled, Layout, Recording};
use crate::learn::example::Stretch;
use crate::model::Model;
use crate::model::Tagger;
use crate::model::labels::slug;
use crate::model::learnt::{Example, Head, LearntSound, MOST_SOUNDS, file};
use crate::model::onnx::{self, Runtime};

/// The most recordings that a class is learnt from, evenly spread over those that there are.
const MOST_RECORDINGS: usize = 100;

/// Learns the classes, and writes their files and a map for `mimid evaluate`.
pub fn run(args: &Args, layout: Layout, model: &Model, runtime: Option<&Path>, folder: &Path) -> Result<(), Failure> {
    let usage = |message: String| Failure::new(message, exit::USAGE);
    let Some(size) = model.output.embedding.as_ref().map(|embedding| embedding.size) else {
        return Err(Failure::new(
            format!("the model {} gives no embedding, from which a sound could be learnt; use ced-tiny", model.name),
            exit::MODEL,
        ));
    };
    let Some(set) = args.name.as_deref().map(Path::new) else {
        return Err(usage("name the folder of the data set: `mimid learn --dataset LAYOUT FOLDER`".to_owned()));
    };
    let read = dataset::read(layout, set, args.folds.as_ref()).map_err(|error| usage(error.to_string()))?;
    let mut classes: BTreeMap<&str, Vec<(&Recording, Vec<Stretch>)>> = BTreeMap::new();
    for recording in &read.recordings {
        for label in &recording.labels {
            let class = classes.entry(&label.name).or_default();
            match class.last_mut().filter(|(last, _)| last.path == recording.path) {
                Some((_, stretches)) => stretches.extend(stretch(label)),
                None => class.push((recording, stretch(label).into_iter().collect())),
            }
        }
    }
    if classes.is_empty() {
        return Err(usage(format!("no recording in {} has a label", set.display())));
    }
    if classes.len() + model.sounds.len() > MOST_SOUNDS {
        return Err(usage(format!(
            "{} has {} classes, and no more than {MOST_SOUNDS} sounds can be learnt",
            set.display(),
            classes.len()
        )));
    }
    for class in classes.values_mut() {
        let n = class.len();
        let kept: Vec<usize> = (0..n.min(MOST_RECORDINGS)).map(|at| at * n / n.min(MOST_RECORDINGS)).collect();
        let mut at = 0;
        class.retain(|_| {
            at += 1;
            kept.contains(&(at - 1))
        });
    }
    let runtime = Runtime::load(&onnx::find_runtime(runtime)?)?;
    let mut hearing = Hearing::new(model, Tagger::open(model, &runtime)?);
    let bar = progress(format!("{} classes", classes.len()), Some(classes.values().map(Vec::len).sum::<usize>() as u64));
    let (mut sounds, mut map) = (Vec::new(), String::new());
    for (label, recordings) in &classes {
        let name = format!("{label}, learnt");
        let mut examples = Vec::new();
        for (recording, stretches) in recordings {
            bar.inc(1);
            let heard = match hearing.hear(&recording.path, args.listening.listening()) {
                Ok(heard) => heard,
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    say(format_args!("mimid: {error}; it is left out"));
                    continue;
                }
            };
            let labelled = (!stretches.is_empty()).then_some(stretches.as_slice());
            if let Some(sounding) = heard.sounding(labelled) {
                examples.push(Example { recording: heard.name, embeddings: file::rounded(&sounding.embeddings) });
            }
        }
        if examples.is_empty() || file::fault_of_name(&name).is_some() {
            say(format_args!("mimid: {label:?} is left out: nothing can be learnt from its recordings"));
            continue;
        }
        map.push_str(&format!("{label}\t{name}\n"));
        sounds.push(LearntSound {
            name,
            is_a: None,
            corrects: None,
            model_sha256: model.sha256.clone(),
            thresholds: THRESHOLDS,
            head: Head { weights: Vec::new(), offset: 0.0 },
            examples,
            negatives: Vec::new(),
        });
    }
    bar.finish_and_clear();
    let bank = read_bank(model, size)?;
    let failed = |error: &dyn std::fmt::Display| Failure::new(error, exit::FAILED);
    let heads: Vec<Head> = (0..sounds.len())
        .map(|at| {
            let fitted = fit_one(&sounds, at, &bank, size);
            fitted.discriminant.head(fitted.boundary)
        })
        .collect();
    for (sound, head) in sounds.iter_mut().zip(heads) {
        sound.head = head;
        if !args.check {
            file::write(folder, sound).map_err(|error| failed(&error))?;
        }
    }
    let n_examples: usize = sounds.iter().map(|sound| sound.examples.len()).sum();
    println!("{} classes are learnt from {n_examples} recordings", sounds.len());
    if !args.check {
        let path = map_path(folder, layout);
        std::fs::write(&path, map).map_err(|error| failed(&format!("{} cannot be written ({error})", path.display())))?;
        println!(
            "The sounds are in {}; `mimid evaluate --map {}` judges them, on other folds of the data set",
            folder.display(),
            path.display()
        );
    }
    Ok(())
}

/// The file that says which sound was learnt from which class.
fn map_path(folder: &Path, layout: Layout) -> PathBuf {
    folder.join(format!("{}.tsv", slug(&format!("{layout:?}"))))
}

fn stretch(label: &Labelled) -> Option<Stretch> {
    label.span_s.map(|[begin_s, end_s]| Stretch { begin_s, end_s })
}
