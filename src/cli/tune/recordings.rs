//! Which recording each row of the truth is about, and what is wrong between the two: all of it at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::truth::{self, Row};
use crate::config::Fault;
use crate::model::Labels;
use crate::recording;
use crate::tune::matching::Span;

/// An event may end so much after its recording does, for times are rounded, in seconds.
const ROUNDING_S: f64 = 0.1;

/// A recording whose sounds are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The recording.
    pub path: PathBuf,
    /// How many frames it says it has.
    pub n_frames: Option<u64>,
    /// How long it is, in seconds; 0 where it does not say so itself.
    pub lasts_s: f64,
    /// What is heard in it.
    pub events: Vec<Known>,
}

/// A true event.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Which of the truth files says so.
    pub file: usize,
    /// The line there.
    pub line: usize,
    /// The label by its index.
    pub label: usize,
    /// When it is heard.
    pub span: Span,
}

/// What cannot be gone on with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wrong {
    /// What is wrong with the truth.
    pub truth: Vec<Fault>,
    /// What is wrong with the recordings themselves.
    pub recordings: Vec<String>,
}

impl Wrong {
    fn is_empty(&self) -> bool {
        self.truth.is_empty() && self.recordings.is_empty()
    }

    fn at(&mut self, path: &Path, line: Option<usize>, message: String) {
        self.truth.push(Fault { path: Some(path.into()), line, key: String::new(), message });
    }
}

/// Reads the truth files and joins them with the recordings.
pub fn read(truth_files: &[PathBuf], files: &[PathBuf], labels: &Labels) -> Result<Vec<Labelled>, Wrong> {
    let mut wrong = Wrong::default();
    let mut recordings: Vec<Labelled> = Vec::new();
    let mut places: Vec<PathBuf> = Vec::new();
    for path in files {
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        if places.contains(&place) {
            wrong.at(path, None, "this recording is given twice".to_owned());
            continue;
        }
        let mut recording = Labelled { path: path.clone(), n_frames: None, lasts_s: 0.0, events: Vec::new() };
        match recording::open(path) {
            Ok(decoder) => {
                recording.n_frames = decoder.n_frames();
                recording.lasts_s = decoder.n_frames().unwrap_or(0) as f64 / f64::from(decoder.rate_hz());
            }
            Err(error) => wrong.recordings.push(error.to_string()),
        }
        recordings.push(recording);
        places.push(place);
    }
    let mut is_named = vec![false; recordings.len()];
    let mut is_readable = true;
    for (file, path) in truth_files.iter().enumerate() {
        let truth = match read_file(path) {
            Ok(bytes) => truth::parse(&bytes),
            Err(sentence) => {
                wrong.at(path, None, sentence);
                is_readable = false;
                continue;
            }
        };
        is_readable &= !truth.rows.is_empty();
        for (line, sentence) in truth.faults.iter().cloned() {
            wrong.at(path, Some(line), sentence);
        }
        let mut joined = Join { path, places: &places, files, of_name: HashMap::new() };
        for Row { line, filename, event } in &truth.rows {
            let recording = joined.find(filename.as_deref(), *line, &mut wrong);
            let label = event.as_ref().and_then(|event| {
                let label = labels.find(&event.label);
                if label.is_none() {
                    wrong.at(path, Some(*line), labels.unknown(&event.label));
                }
                label
            });
            let Some(at) = recording else { continue };
            is_named[at] = true;
            let (Some(event), Some(label)) = (event, label) else { continue };
            let span = Span { onset_s: event.onset_s, offset_s: event.offset_s };
            recordings[at].events.push(Known { file, line: *line, label, span });
        }
    }
    for recording in &mut recordings {
        if recording.lasts_s > 0.0 {
            beyond(recording, truth_files, &mut wrong);
        }
    }
    // What a file names that cannot be read at all is not known; it may well be these.
    for (recording, _) in recordings.iter().zip(&is_named).filter(|(_, is_named)| is_readable && !**is_named) {
        let message = "no truth names this recording; a row with its filename alone says that nothing is heard in it".to_owned();
        wrong.at(&recording.path, None, message);
    }
    if wrong.is_empty() && recordings.iter().all(|recording| recording.events.is_empty()) {
        wrong.at(&truth_files[0], None, "the truth names no event, so there is nothing to tune by".to_owned());
    }
    if wrong.is_empty() {
        return Ok(recordings);
    }
    let place = |fault: &Fault| truth_files.iter().position(|path| Some(path) == fault.path.as_ref()).unwrap_or(usize::MAX);
    wrong.truth.sort_by_key(|fault| (place(fault), fault.line));
    Err(wrong)
}

/// Says which events begin or end after the end of their recording, and cuts what only rounding puts there.
pub fn beyond(recording: &mut Labelled, truth_files: &[PathBuf], wrong: &mut Wrong) {
    let end = recording.lasts_s;
    for Known { file, line, span, .. } in &mut recording.events {
        if span.offset_s > end + ROUNDING_S || span.onset_s >= end {
            let (name, offset) = (recording.path.display(), span.offset_s);
            let message = format!("the event ends at {offset} s, but {name} lasts {end:.3} s");
            wrong.at(&truth_files[*file], Some(*line), message);
        }
        span.offset_s = span.offset_s.min(end);
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    if path.is_dir() {
        return Err("this is a folder; name the truth file in it".to_owned());
    }
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such truth file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read the truth file".to_owned(),
        _ => format!("the truth file cannot be read ({error})"),
    })
}

/// One truth file's names for the recordings.
struct Join<'a> {
    path: &'a Path,
    files: &'a [PathBuf],
    /// The same without links and dots.
    places: &'a [PathBuf],
    /// What was found for a name; a wrong one is told once.
    of_name: HashMap<Option<String>, Option<usize>>,
}

impl Join<'_> {
    fn find(&mut self, name: Option<&str>, line: usize, wrong: &mut Wrong) -> Option<usize> {
        if let Some(found) = self.of_name.get(&name.map(str::to_owned)) {
            return *found;
        }
        let found = match name {
            // Its row has been told to be without a name.
            Some("") => Ok(None),
            Some(name) => self.by_name(name).map(Some),
            None => self.by_stem().map(Some),
        };
        let found = found.unwrap_or_else(|sentence| {
            wrong.at(self.path, Some(line), sentence);
            None
        });
        self.of_name.insert(name.map(str::to_owned), found);
        found
    }

    /// A name is a path from the truth's own folder, or from where the command runs, or the end of one recording's path.
    fn by_name(&self, name: &str) -> Result<usize, String> {
        let beside = self.path.parent().unwrap_or(Path::new("")).join(name);
        for path in [beside.as_path(), Path::new(name)] {
            if let Ok(place) = path.canonicalize() {
                match self.places.iter().position(|other| *other == place) {
                    Some(at) => return Ok(at),
                    None if path == beside => {
                        return Err(format!("{} is there, but not among the recordings given", path.display()));
                    }
                    None => {}
                }
            }
        }
        let ending: Vec<usize> = (0..self.files.len()).filter(|at| self.files[*at].ends_with(name)).collect();
        match ending[..] {
            [at] => Ok(at),
            [] => Err(format!("there is no recording {name:?} beside this file or among the recordings given")),
            _ => Err(format!("{name:?} is the name of {} of the recordings given; write more of its path", ending.len())),
        }
    }

    /// A label track belongs to the recording that is named like it, or to the only one.
    fn by_stem(&self) -> Result<usize, String> {
        if let [_] = self.files {
            return Ok(0);
        }
        let named: Vec<usize> = (0..self.files.len()).filter(|at| self.files[*at].file_stem() == self.path.file_stem()).collect();
        let beside: Vec<usize> = named.iter().copied().filter(|at| self.files[*at].parent() == self.path.parent()).collect();
        match (&named[..], &beside[..]) {
            ([at], _) | (_, [at]) => Ok(*at),
            ([], _) => {
                let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
                Err(format!("no recording given is named like this label track ({stem}.wav, for example)"))
            }
            _ => Err(format!("{} of the recordings given are named like this label track; put it beside its own", named.len())),
        }
    }
}
