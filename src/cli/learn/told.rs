//! Says what was learnt, from what, and what to do next.

use std::fmt::Write;
use std::path::PathBuf;

use crate::learn::check::Fitted;
use crate::learn::example::Stretch;
use crate::model::learnt::LearntSound;

/// A recording from which the sound was to be learnt.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// The recording, as it was named.
    pub name: String,
    /// The part of it that was used.
    pub part: Part,
    /// The model's own label that it sounds like, with its score.
    pub sounds_like: Option<(String, f32)>,
}

/// The part of a recording that a sound is learnt from.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// These stretches.
    Used(Vec<Stretch>),
    /// As it was learnt before.
    Before,
    /// The embedding that the store has kept of an event.
    Event,
    /// Nothing, because nothing sounds in it.
    Silent,
    /// Nothing, because the table says of no sounding stretch that it is the sound.
    NotLabelled,
    /// Nothing, because it is the same sound as this recording.
    Twin(String),
}

impl Heard {
    /// A recording that the sound was learnt from before.
    pub fn before(name: &str) -> Self {
        Self { name: name.to_owned(), part: Part::Before, sounds_like: None }
    }
}

/// What was learnt.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The sound, with the recordings that it is learnt from.
    pub sound: &'a LearntSound,
    /// All recordings that were given.
    pub heard: &'a [Heard],
    /// The fit.
    pub fitted: &'a Fitted,
    /// The number of other learnt sounds.
    pub n_others: usize,
    /// The number of recordings in the bank.
    pub n_bank: usize,
}

/// The score from which on a recording that was left out counts as found.
const FOUND: f64 = 0.5;
/// The number of recordings from which on more of them help little.
const ENOUGH: usize = 5;

/// Why nothing can be learnt from these recordings.
pub fn nothing_to_learn(name: &str, heard: &[Heard]) -> String {
    let mut told = format!("{name:?} cannot be learnt:");
    for one in heard {
        let _ = write!(told, "\n  {}: {}", one.name, part(&one.part));
    }
    told + "\nRecord the sound louder or nearer; mimid finds the sounding part itself"
}

fn part(part: &Part) -> String {
    match part {
        Part::Used(stretches) => {
            let mut told: Vec<String> =
                stretches.iter().take(4).map(|stretch| format!("{:.1}–{:.1} s", stretch.begin_s, stretch.end_s)).collect();
            if stretches.len() > told.len() {
                told.push(format!("{} more", stretches.len() - told.len()));
            }
            format!("used {}", told.join(", "))
        }
        Part::Before => "learnt before".to_owned(),
        Part::Event => "used, as the store has kept it".to_owned(),
        Part::Silent => "left out, because nothing sounds in it".to_owned(),
        Part::NotLabelled => "left out, because the table names the sound nowhere in it".to_owned(),
        Part::Twin(twin) => format!("left out, because it is the same sound as {twin}"),
    }
}

/// Says what was learnt, in lines for people.
pub fn tell(outcome: &Outcome) -> String {
    let Outcome { sound, heard, fitted, n_others, n_bank } = outcome;
    let n_used = sound.examples.len();
    let mut out = format!("{}: learnt from {}\n", sound.name, counted(n_used, "recording"));
    for one in heard.iter() {
        let at = sound.examples.iter().position(|example| example.recording == one.name);
        let is_used = matches!(one.part, Part::Used(_) | Part::Before | Part::Event);
        let left_out = at.filter(|_| is_used).and_then(|at| fitted.left_out[at]);
        let score = left_out.map(|score| format!("; the others give it {score:.2}")).unwrap_or_default();
        let _ = writeln!(out, "  {}: {}{score}", one.name, part(&one.part));
    }
    if let Some((label, score)) = likest(heard) {
        let _ = writeln!(out, "Sounds like: {label} ({score:.2} is the highest score of a label that mimid knows already)");
    }
    let _ = writeln!(
        out,
        "Told from: {} of many kinds, {}, {}",
        counted(*n_bank, "recording"),
        counted(*n_others, "other learnt sound"),
        counted(sound.negatives.len(), "recording of --not"),
    );
    for (negative, score) in sound.negatives.iter().zip(&fitted.negatives) {
        let verdict = if *score < FOUND { "it stays silent there" } else { "it would ring there" };
        let _ = writeln!(out, "  {}: {score:.2} at most, {verdict}", negative.recording);
    }
    for advice in advice(outcome) {
        let _ = writeln!(out, "{advice}");
    }
    out
}

/// The label that the recordings sound like most, with its score.
fn likest(heard: &[Heard]) -> Option<&(String, f32)> {
    heard.iter().filter_map(|one| one.sounds_like.as_ref()).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The next steps.
fn advice(outcome: &Outcome) -> Vec<String> {
    let Outcome { sound, fitted, .. } = outcome;
    let n_used = sound.examples.len();
    let mut advice = Vec::new();
    let unlike: Vec<&str> = sound
        .examples
        .iter()
        .zip(&fitted.left_out)
        .filter(|(_, score)| score.is_some_and(|score| score < FOUND))
        .map(|(example, _)| example.recording.as_str())
        .collect();
    if !unlike.is_empty() {
        advice.push(format!("Unlike the others: {}; record more like it, or leave it out", unlike.join(", ")));
    }
    if n_used < ENOUGH {
        advice.push(format!(
            "Next: {} of the sound, from other places or at other times; {ENOUGH} are enough",
            counted(ENOUGH - n_used, "more recording")
        ));
    }
    if fitted.negatives.iter().any(|score| *score >= FOUND) {
        advice
            .push("Next: more recordings of the sound, or a higher threshold; it is hard to tell from what it is not".to_owned());
    }
    if sound.negatives.is_empty() {
        advice.push("Next: a recording of the room without the sound, with --not, so that it stays silent there".to_owned());
    }
    advice
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {}", plural(what)) }
}

fn plural(what: &str) -> String {
    what.replacen("recording", "recordings", 1).replacen("sound", "sounds", 1)
}

/// Says which files are written, that of the sound first.
pub fn written(paths: &[PathBuf]) -> String {
    let Some((first, others)) = paths.split_first() else { return String::new() };
    let mut out = String::new();
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|path| path.display().to_string()).collect();
        let _ = writeln!(out, "Fitted again, because the new sound is among what they are told from: {}", names.join(", "));
    }
    let _ = writeln!(out, "{} is written; a running daemon takes it with `systemctl reload mimid`", first.display());
    out
}
