//! From recordings to a learnt sound: hears them, finds out what they cannot teach, fits the sound and its neighbours, and writes.

use std::path::{Path, PathBuf};

use super::Args;
use super::hear::Hearing;
use super::told::{self, Heard, Outcome, Part};
use crate::capture::source::SourceConfig;
use crate::cli::{Failure, exit};
use crate::dataset::truth;
use crate::learn::bank::{self, BankRecording};
use crate::learn::check::{Fitted, fit};
use crate::learn::example::{HeardRecording, Stretch, is_same};
use crate::learn::fit::Others;
use crate::model::labels::SuitedThresholds;
use crate::model::learnt::{Example, LearntSound, MOST_SOUNDS, file};
use crate::model::onnx::{self, Runtime};
use crate::model::{Model, Tagger};

/// The thresholds of a learnt sound. Of 0.2 to 0.65 they made about the most of six sounds in scenes (models/README.md) without ringing
/// more often in steady backgrounds.
pub(super) const THRESHOLDS: SuitedThresholds = SuitedThresholds { threshold: 0.35, start_threshold: 0.5, highest: None };
/// The most recordings of a sound.
const MOST_RECORDINGS: usize = 200;
/// The windows of a length that are kept of a recording of what the sound is not.
const MOST_NEGATIVE: usize = 10;

/// Learns the sound, or checks it.
pub fn run(
    args: &Args,
    known: Option<LearntSound>,
    model: &Model,
    runtime: Option<&Path>,
    folder: &Path,
    sources: &[SourceConfig],
) -> Result<(), Failure> {
    let usage = |message: String| Failure::new(message, exit::USAGE);
    let Some(embedding) = &model.output.embedding else {
        return Err(Failure::new(
            format!("the model {} gives no embedding, from which a sound could be learnt; use ced-tiny", model.name),
            exit::MODEL,
        ));
    };
    if args.files.len() > MOST_RECORDINGS || args.not.len() > MOST_RECORDINGS {
        return Err(usage(format!("more than {MOST_RECORDINGS} recordings are given; a sound is learnt from five as well")));
    }
    let is_a = match &args.is_a {
        None => known.as_ref().and_then(|known| known.is_a.clone()),
        Some(name) => {
            let own = model.labels.find(name).filter(|label| *label < model.n_own_labels());
            let label = own.ok_or_else(|| usage(format!("--is-a: {}", model.labels.unknown(name))))?;
            Some(model.labels.subjects()[label].name.clone())
        }
    };
    let labelled = args.truth.as_deref().map(|path| stretches(path, args.name(), &args.files)).transpose()?;
    no_contradiction(&args.files, &args.not)?;
    let runtime = Runtime::load(&onnx::find_runtime(runtime)?)?;
    let mut hearing = Hearing::new(model, Tagger::open(model, &runtime)?);
    let size = embedding.size;

    // What was learnt before stays where recordings are added, or where nothing is to be heard at all.
    let is_kept = !args.replace && (args.add || args.files.is_empty());
    let (mut examples, mut negatives) = match &known {
        Some(known) if is_kept => (known.examples.clone(), known.negatives.clone()),
        _ => (Vec::new(), Vec::new()),
    };
    let mut heard: Vec<Heard> = examples.iter().map(|example| Heard::before(&example.recording)).collect();
    for (at, path) in args.files.iter().enumerate() {
        let recording = hear(&mut hearing, path, args)?;
        let sounding = recording.sounding(labelled.as_ref().map(|labelled| labelled[at].as_slice()));
        let part = match sounding {
            None if labelled.is_some() => Part::NotLabelled,
            None => Part::Silent,
            Some(sounding) => {
                let embeddings = file::rounded(&sounding.embeddings);
                let twin = examples.iter().find(|example| is_same(&example.embeddings, &embeddings, size));
                match twin.map(|twin| twin.recording.clone()) {
                    Some(twin) => Part::Twin(twin),
                    None => {
                        examples.push(Example { recording: recording.name.clone(), embeddings });
                        Part::Used(sounding.stretches)
                    }
                }
            }
        };
        heard.push(Heard { sounds_like: own_label(model, &recording), name: recording.name, part });
    }
    if args.live {
        let live = super::live::listen(args, &mut hearing, sources)?;
        for recording in live.plays {
            let Some(sounding) = recording.sounding(None) else { continue };
            let embeddings = file::rounded(&sounding.embeddings);
            examples.push(Example { recording: recording.name.clone(), embeddings });
            heard.push(Heard {
                sounds_like: own_label(model, &recording),
                name: recording.name,
                part: Part::Used(sounding.stretches),
            });
        }
        let room = file::rounded(&live.room.throughout(MOST_NEGATIVE));
        if !room.is_empty() {
            negatives.push(Example { recording: live.room.name, embeddings: room });
        }
    }
    if !args.events.is_empty() {
        let history = super::correct::history(args)?;
        for id in &args.events {
            let (event, embedding) = super::correct::kept(&history, *id, model, size)?;
            let recording = super::correct::described(&event);
            let part = match examples.iter().any(|example| example.recording == recording) {
                true => Part::Twin(recording.clone()),
                false => {
                    examples.push(Example { recording: recording.clone(), embeddings: embedding });
                    Part::Event
                }
            };
            heard.push(Heard { name: recording, part, sounds_like: None });
        }
    }
    if examples.is_empty() {
        return Err(Failure::new(told::nothing_to_learn(args.name(), &heard), exit::FAILED));
    }
    for path in &args.not {
        let recording = hear(&mut hearing, path, args)?;
        let embeddings = file::rounded(&recording.throughout(MOST_NEGATIVE));
        if embeddings.is_empty() {
            return Err(Failure::new(
                format!("nothing sounds in {}, which is named with --not; leave it out", path.display()),
                exit::FAILED,
            ));
        }
        let loud = file::rounded(&recording.sounding(None).unwrap_or_default().embeddings);
        if let Some(twin) = examples.iter().find(|example| is_same(&example.embeddings, &loud, size)) {
            return Err(usage(format!(
                "{} is named with --not, and sounds just as {} does; it cannot be both",
                path.display(),
                twin.recording
            )));
        }
        if !negatives.iter().any(|negative| is_same(&negative.embeddings, &embeddings, size)) {
            negatives.push(Example { recording: recording.name, embeddings });
        }
    }

    let bank = read_bank(model, size)?;
    let others: Vec<LearntSound> = model.sounds.iter().filter(|sound| sound.name != args.name()).cloned().collect();
    if let Some((mine, sound)) = learnt_twin(&examples, &others, size) {
        return Err(usage(format!("{mine} sounds just as a recording of the learnt sound {sound:?} does; it cannot be both")));
    }
    if known.is_none() && model.sounds.len() >= MOST_SOUNDS {
        return Err(usage(format!("{MOST_SOUNDS} sounds are learnt already; forget one with --forget first")));
    }
    let sound = LearntSound {
        name: args.name().to_owned(),
        is_a,
        corrects: None,
        model_sha256: model.sha256.clone(),
        thresholds: known.as_ref().map_or(THRESHOLDS, |known| known.thresholds),
        head: crate::model::learnt::Head { weights: Vec::new(), offset: 0.0 },
        examples,
        negatives,
    };
    let mut all = others;
    all.push(sound);
    let fitted = fit_one(&all, all.len() - 1, &bank, size);
    let outcome =
        Outcome { sound: &all[all.len() - 1], heard: &heard, fitted: &fitted, n_others: all.len() - 1, n_bank: bank.len() };
    print!("{}", told::tell(&outcome));
    if args.check {
        return Ok(());
    }
    let written = write(&mut all, fitted, &bank, size, folder)?;
    print!("{}", told::written(&written));
    Ok(())
}

/// Fits the last of the sounds, and the others again, whose negative it is now; writes those that changed, and returns their paths, that of
/// the last sound first.
fn write(
    all: &mut [LearntSound],
    fitted: Fitted,
    bank: &[BankRecording],
    size: usize,
    folder: &Path,
) -> Result<Vec<PathBuf>, Failure> {
    let last = all.len() - 1;
    all[last].head = fitted.discriminant.head(fitted.boundary);
    let mut changed = vec![last];
    for at in 0..last {
        let again = fit_one(all, at, bank, size);
        let head = again.discriminant.head(again.boundary);
        if head != all[at].head && !all[at].examples.is_empty() {
            all[at].head = head;
            changed.push(at);
        }
    }
    let write = |at: usize| file::write(folder, &all[at]).map_err(|error| Failure::new(error, exit::FAILED));
    changed.into_iter().map(write).collect()
}

/// Fits one of the sounds; the others' recordings are among what it is told from.
pub(super) fn fit_one(all: &[LearntSound], at: usize, bank: &[BankRecording], size: usize) -> Fitted {
    let own = all[at].negatives.iter();
    let others = all.iter().enumerate().filter(|(other, _)| *other != at).flat_map(|(_, sound)| &sound.examples);
    let negatives: Vec<&[f32]> = own.chain(others).map(|example| example.embeddings.as_slice()).collect();
    let sound: Vec<&[f32]> = all[at].examples.iter().map(|example| example.embeddings.as_slice()).collect();
    // The bank may hold a recording that somebody learns.
    let is_other = |recording: &&BankRecording| !sound.iter().any(|own| is_same(own, &recording.embeddings, size));
    let bank = bank.iter().filter(is_other).map(|recording| recording.embeddings.as_slice()).collect();
    fit(&sound, &Others::new(negatives, bank, size))
}

fn hear(hearing: &mut Hearing, path: &Path, args: &Args) -> Result<HeardRecording, Failure> {
    Ok(hearing.hear(path, args.listening.listening())?)
}

/// The model's own label that a recording sounds like, with its score.
fn own_label(model: &Model, recording: &HeardRecording) -> Option<(String, f32)> {
    recording.sounds_like.map(|(label, score)| (model.labels.subjects()[label].name.clone(), score))
}

/// A recording that is the same as one of another learnt sound, with that sound's name.
fn learnt_twin(examples: &[Example], others: &[LearntSound], size: usize) -> Option<(String, String)> {
    examples.iter().find_map(|example| {
        let is_twin = |other: &Example| is_same(&other.embeddings, &example.embeddings, size);
        let sound = others.iter().find(|sound| sound.examples.iter().any(is_twin))?;
        Some((example.recording.clone(), sound.name.clone()))
    })
}

/// No recording may be the sound and not the sound.
fn no_contradiction(files: &[PathBuf], not: &[PathBuf]) -> Result<(), Failure> {
    let place = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let both = files.iter().find(|file| not.iter().any(|other| place(other) == place(file)));
    both.map_or(Ok(()), |path| {
        Err(Failure::new(format!("{} is named as the sound and with --not; it cannot be both", path.display()), exit::USAGE))
    })
}

/// For each recording, the stretches in which a table says that the sound is.
fn stretches(table: &Path, name: &str, files: &[PathBuf]) -> Result<Vec<Vec<Stretch>>, Failure> {
    let bytes = std::fs::read(table)
        .map_err(|error| Failure::new(format!("{} cannot be read ({error})", table.display()), exit::USAGE))?;
    let read = truth::parse(&bytes);
    if !read.faults.is_empty() {
        let faults: Vec<String> =
            read.faults.iter().map(|(line, fault)| format!("{}:{line}: {fault}", table.display())).collect();
        return Err(Failure::new(faults.join("\n"), exit::USAGE));
    }
    let of = |file: &PathBuf| -> Vec<Stretch> {
        let is_of = |row: &&truth::TruthRow| match &row.filename {
            None => files.len() == 1,
            Some(filename) => Path::new(filename).file_name() == file.file_name(),
        };
        let events = read.rows.iter().filter(is_of).filter_map(|row| row.event.as_ref());
        let of_sound = events.filter(|event| event.label.trim().eq_ignore_ascii_case(name));
        of_sound.map(|event| Stretch { begin_s: event.onset_s, end_s: event.offset_s }).collect()
    };
    Ok(files.iter().map(of).collect())
}

/// The bank that the model brings along; none where it has none.
pub(super) fn read_bank(model: &Model, size: usize) -> Result<Vec<BankRecording>, Failure> {
    let Some(path) = &model.bank else { return Ok(Vec::new()) };
    let wrong = |what: String| Failure::new(format!("the model's bank {} cannot be used: {what}", path.display()), exit::MODEL);
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    bank::read(&text, size).map_err(wrong)
}
