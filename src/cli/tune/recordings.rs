//! Joins the rows of the truth with the recordings, and collects the faults of both.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::Fault;
use crate::dataset::truth::{self, TruthRow};
use crate::evaluate::matching::Span;
use crate::recording::{self, Listening};
use crate::text::unescaped;

/// The time in seconds by which an event may end after its recording, because times are rounded.
const ROUNDING_S: f64 = 0.1;

/// A recording with its true events.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// The path.
    pub path: PathBuf,
    /// The number of frames, if the file states it.
    pub n_frames: Option<u64>,
    /// The length in seconds; 0 if the file does not state it.
    pub lasts_s: f64,
    /// The true events.
    pub events: Vec<Known>,
}

/// A true event.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The index of the truth file.
    pub file: usize,
    /// The line of that file.
    pub line: usize,
    /// The label by its index.
    pub label: usize,
    /// Its onset and offset.
    pub span: Span,
}

/// The faults that prevent tuning.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TruthFaults {
    /// The faults of the truth.
    pub truth: Vec<Fault>,
    /// The faults of the recordings, a sentence each.
    pub recordings: Vec<String>,
}

impl TruthFaults {
    fn is_empty(&self) -> bool {
        self.truth.is_empty() && self.recordings.is_empty()
    }

    fn at(&mut self, path: &Path, line: Option<usize>, message: String) {
        self.truth.push(Fault { path: Some(path.into()), line, key: String::new(), message });
    }
}

/// The treatment of recordings that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// They are faults.
    Refused,
    /// They have no length, because nobody is to hear them.
    Taken,
}

/// Reads the truth files and joins them with the recordings. `label` gives each label an index, or a sentence that says why it has none.
/// `purpose` says what cannot be done where there is no event.
pub fn read(
    truth_files: &[PathBuf],
    (files, absent): (&[PathBuf], Absent),
    listening: Listening,
    mut label: impl FnMut(&str) -> Result<usize, String>,
    purpose: &str,
) -> Result<Vec<Labelled>, TruthFaults> {
    let mut wrong = TruthFaults::default();
    let mut recordings: Vec<Labelled> = Vec::new();
    let mut places: HashMap<PathBuf, usize> = HashMap::new();
    for path in files {
        let place = path.canonicalize().unwrap_or_else(|_| path.clone());
        if places.contains_key(&place) {
            wrong.at(path, None, "this recording is given twice".to_owned());
            continue;
        }
        let mut recording = Labelled { path: path.clone(), n_frames: None, lasts_s: 0.0, events: Vec::new() };
        let is_absent = absent == Absent::Taken && !path.exists();
        match recording::open(path, listening) {
            Err(_) if is_absent => {}
            Ok(decoder) => {
                recording.n_frames = decoder.n_frames();
                recording.lasts_s = decoder.n_frames().unwrap_or(0) as f64 / f64::from(decoder.rate_hz());
            }
            Err(error) => wrong.recordings.push(error.to_string()),
        }
        places.insert(place, recordings.len());
        recordings.push(recording);
    }
    let files: Vec<PathBuf> = recordings.iter().map(|recording| recording.path.clone()).collect();
    let mut by_file_name: HashMap<&OsStr, Vec<usize>> = HashMap::new();
    for (at, path) in files.iter().enumerate() {
        by_file_name.entry(path.file_name().unwrap_or_default()).or_default().push(at);
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
        let mut joined = Join { path, places: &places, files: &files, by_file_name: &by_file_name, of_name: HashMap::new() };
        for TruthRow { line, filename, event } in &truth.rows {
            let recording = joined.find(filename.as_deref(), *line, &mut wrong);
            let label = event.as_ref().and_then(|event| match label(&event.label) {
                Ok(label) => Some(label),
                Err(sentence) => {
                    wrong.at(path, Some(*line), sentence);
                    None
                }
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
    // A truth file that cannot be read may name these recordings.
    for (recording, _) in recordings.iter().zip(&is_named).filter(|(_, is_named)| is_readable && !**is_named) {
        let message = "no truth names this recording; a row with its filename alone says that nothing is heard in it".to_owned();
        wrong.at(&recording.path, None, message);
    }
    if wrong.is_empty() && recordings.iter().all(|recording| recording.events.is_empty()) {
        wrong.at(&truth_files[0], None, format!("the truth names no event, so there is nothing to {purpose} by"));
    }
    if wrong.is_empty() {
        return Ok(recordings);
    }
    let place = |fault: &Fault| truth_files.iter().position(|path| Some(path) == fault.path.as_ref()).unwrap_or(usize::MAX);
    wrong.truth.sort_by_key(|fault| (place(fault), fault.line));
    Err(wrong)
}

/// Adds a fault for each event that ends after its recording, and cuts an end that is late only by rounding.
pub fn beyond(recording: &mut Labelled, truth_files: &[PathBuf], wrong: &mut TruthFaults) {
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

/// The bytes of a truth file, or a sentence that says why there are none.
pub fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    if path.is_dir() {
        return Err("this is a folder; name the truth file in it".to_owned());
    }
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such truth file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read the truth file".to_owned(),
        _ => format!("the truth file cannot be read ({error})"),
    })
}

/// The recordings under the names of one truth file.
struct Join<'a> {
    path: &'a Path,
    files: &'a [PathBuf],
    /// The recordings by their canonical paths.
    places: &'a HashMap<PathBuf, usize>,
    /// The recordings by the names of their files.
    by_file_name: &'a HashMap<&'a OsStr, Vec<usize>>,
    /// The recordings found so far by name. A fault is reported once for each name.
    of_name: HashMap<Option<String>, Option<usize>>,
}

impl Join<'_> {
    fn find(&mut self, name: Option<&str>, line: usize, wrong: &mut TruthFaults) -> Option<usize> {
        if let Some(found) = self.of_name.get(&name.map(str::to_owned)) {
            return *found;
        }
        let found = match name {
            // The missing name is a fault already.
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

    /// The recording of a name, which is a path relative to the truth's folder or to the working directory, or the end of one
    /// recording's path.
    fn by_name(&self, name: &str) -> Result<usize, String> {
        self.by_path(Path::new(name)).or_else(|sentence| {
            // A table that `scan` wrote has escapes in the place of what would break its lines.
            let name = unescaped(name).filter(|raw| raw != name.as_bytes()).ok_or_else(|| sentence.clone())?;
            self.by_path(Path::new(OsStr::from_bytes(&name))).map_err(|_| sentence)
        })
    }

    fn by_path(&self, name: &Path) -> Result<usize, String> {
        let beside = self.path.parent().unwrap_or(Path::new("")).join(name);
        for path in [beside.as_path(), name] {
            if let Ok(place) = path.canonicalize() {
                match self.places.get(&place) {
                    Some(at) => return Ok(*at),
                    None if path == beside => {
                        return Err(format!("{} is there, but not among the recordings given", path.display()));
                    }
                    None => {}
                }
            }
        }
        let alike = name.file_name().and_then(|name| self.by_file_name.get(name)).map(Vec::as_slice).unwrap_or_default();
        let ending: Vec<usize> = alike.iter().copied().filter(|at| self.files[*at].ends_with(name)).collect();
        match ending[..] {
            [at] => Ok(at),
            [] => Err(format!("there is no recording {name:?} beside this file or among the recordings given")),
            _ => Err(format!("{name:?} is the name of {} of the recordings given; write more of its path", ending.len())),
        }
    }

    /// The recording of a label track: the one with the same name, or the only one.
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
