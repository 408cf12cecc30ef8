//! The recordings that are judged, with their true events: from truth files, or from a data set.

use std::path::PathBuf;

use super::classes::Classes;
use super::hear::Heard;
use super::{Args, usage};
use crate::cli::Failure;
use crate::cli::tune::by_truth;
use crate::cli::tune::recordings::{self, Absent};
use crate::dataset::{self, Layout, truth};
use crate::evaluate::matching::{Span, united};
use crate::evaluate::tally::Pair;
use crate::recording;

/// A recording with its true events.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The path, or the name in the truth where nobody has to hear it.
    pub path: PathBuf,
    /// The number of frames, if the file states it.
    pub n_frames: Option<u64>,
    /// The length in seconds; 0 while it is not known.
    pub lasts_s: f64,
    /// The true events: the label, and the span; `None` for the whole recording.
    pub truth: Vec<(usize, Option<Span>)>,
}

impl Judged {
    /// The true events of a label, in order and within the recording; those that touch are one.
    pub fn truth(&self, class: usize) -> Vec<Span> {
        let end = if self.lasts_s > 0.0 { self.lasts_s } else { f64::INFINITY };
        let whole = Span { onset_s: 0.0, offset_s: if self.lasts_s > 0.0 { self.lasts_s } else { 1.0 } };
        let own = self.truth.iter().filter(|(label, _)| *label == class).map(|(_, span)| span.unwrap_or(whole));
        let inside = own.filter(|span| span.onset_s < end).map(|span| Span { offset_s: span.offset_s.min(end), ..span });
        united(inside.collect())
    }

    /// The true and the heard events of a label.
    pub fn pair(&self, class: usize, heard: &Heard) -> Pair {
        Pair { truth: self.truth(class), heard: united(heard.events[class].iter().map(|event| event.span).collect()) }
    }
}

/// All recordings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Material {
    /// The recordings.
    pub recordings: Vec<Judged>,
    /// Whether the truth only says which labels are somewhere in a recording.
    pub is_weak: bool,
    /// Whether the length of a recording is only known by its last event.
    pub has_guessed_lengths: bool,
    /// Sentences about what was left out.
    pub remarks: Vec<String>,
}

impl Material {
    /// Gives each recording whose length is not known the time of its last event, as sed_eval does.
    pub fn settle_lengths<'a>(&mut self, heard: impl IntoIterator<Item = Option<&'a Vec<Heard>>>) {
        let mut ends = vec![0.0f64; self.recordings.len()];
        for heard in heard.into_iter().flatten() {
            for (end, heard) in ends.iter_mut().zip(heard) {
                *end = heard.events.iter().flatten().map(|event| event.span.offset_s).fold(*end, f64::max);
            }
        }
        for (recording, end) in self.recordings.iter_mut().zip(ends).filter(|(recording, _)| recording.lasts_s <= 0.0) {
            self.has_guessed_lengths = true;
            let last = recording.truth.iter().filter_map(|(_, span)| *span).map(|span| span.offset_s);
            recording.lasts_s = last.fold(end, f64::max);
        }
    }
}

/// The recordings of truth files. Where another program's events are judged, they need not be there.
pub fn of_truth(args: &Args, classes: &mut Classes) -> Result<Material, Failure> {
    let named = if args.files.is_empty() { named_in(&args.truth) } else { Ok(args.files.clone()) }?;
    let absent = if args.events.is_some() { Absent::Taken } else { Absent::Refused };
    let read =
        recordings::read(&args.truth, (&named, absent), args.listening.listening(), |name| classes.of_truth(name), "judge");
    let judged = |labelled: recordings::Labelled| Judged {
        path: labelled.path,
        n_frames: labelled.n_frames,
        lasts_s: labelled.lasts_s,
        truth: labelled.events.into_iter().map(|event| (event.label, Some(event.span))).collect(),
    };
    let recordings = read.map_err(by_truth::wrong)?.into_iter().map(judged).collect();
    Ok(Material { recordings, ..Material::default() })
}

/// The recordings that truth files name: beside the file or where its name says, if they are there, or else the name alone. Faults of the
/// files are found when they are read with these recordings.
fn named_in(truth_files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut named: Vec<PathBuf> = Vec::new();
    for path in truth_files {
        let bytes = recordings::read_file(path).map_err(|sentence| usage(format_args!("{}: {sentence}", path.display())))?;
        let rows = truth::parse(&bytes).rows;
        if rows.iter().any(|row| row.filename.is_none()) {
            let message = "a label track does not say which recording it belongs to; name the recording";
            return Err(usage(format_args!("{}: {message}", path.display())));
        }
        for name in rows.into_iter().filter_map(|row| row.filename).filter(|name| !name.is_empty()) {
            let beside = path.parent().map(|folder| folder.join(&name)).filter(|path| path.is_file());
            named.push(beside.unwrap_or_else(|| name.into()));
        }
    }
    let mut seen = std::collections::HashSet::new();
    named.retain(|path| seen.insert(path.clone()));
    Ok(named)
}

/// The recordings of a data set.
pub fn of_dataset(args: &Args, layout: Layout, classes: &mut Classes) -> Result<Material, Failure> {
    let [folder] = args.files.as_slice() else {
        return Err(usage("--dataset takes one folder, in which the data set was unpacked"));
    };
    let dataset = dataset::read(layout, folder, args.folds.as_ref()).map_err(usage)?;
    let mut material = Material::default();
    if let Some(first) = dataset.missing.first() {
        let (n, first) = (dataset.missing.len(), first.display());
        let left_out =
            format!("recordings that the data set's tables name, such as {first}, are not there and are left out: {n}");
        material.remarks.push(left_out);
    }
    for recording in dataset.recordings {
        let mut judged = Judged { path: recording.path, n_frames: None, lasts_s: 0.0, truth: Vec::new() };
        for label in recording.labels {
            let counterparts = dataset::audioset_name(layout, &label.name);
            let Some(class) = classes.of_dataset(&label.name, label.id.as_deref(), counterparts) else { continue };
            material.is_weak |= label.span_s.is_none();
            judged.truth.push((class, label.span_s.map(|[onset_s, offset_s]| Span { onset_s, offset_s })));
        }
        // A recording that is heard tells its length then.
        if args.events.is_some() {
            let decoder = recording::open(&judged.path, args.listening.listening())?;
            judged.n_frames = decoder.n_frames();
            judged.lasts_s = decoder.n_frames().unwrap_or(0) as f64 / f64::from(decoder.rate_hz());
        }
        material.recordings.push(judged);
    }
    if classes.len() == 0 {
        return Err(usage("the model has a counterpart for none of the data set's labels; --map can name them"));
    }
    Ok(material)
}
