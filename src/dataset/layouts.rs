//! The layouts in which data sets are published.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::truth;
use super::{DatasetError, Labelled, Recording, table};

/// A layout of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Layout {
    /// ESC-50 and ESC-10: meta/esc50.csv and audio
    Esc50,
    /// FSD50K: FSD50K.ground_truth, FSD50K.dev_audio and FSD50K.eval_audio
    Fsd50k,
    /// DESED: metadata and audio, with a table of events for each part
    Desed,
    /// UrbanSound8K: metadata/UrbanSound8K.csv and audio/fold1 to fold10
    Urbansound8k,
    /// A folder of recordings, each beside an Audacity label track NAME.txt
    Audacity,
}

impl Layout {
    /// All recordings that the tables in `folder` name, whether they are there or not.
    pub(super) fn read(self, folder: &Path) -> Result<Vec<Recording>, DatasetError> {
        match self {
            Layout::Esc50 => esc50(folder),
            Layout::Fsd50k => fsd50k(folder),
            Layout::Desed => desed(folder),
            Layout::Urbansound8k => urbansound8k(folder),
            Layout::Audacity => audacity(folder),
        }
    }
}

/// A label that is somewhere in its recording.
fn somewhere(name: String) -> Labelled {
    Labelled { name, id: None, span_s: None }
}

fn esc50(folder: &Path) -> Result<Vec<Recording>, DatasetError> {
    let rows = table::read(&folder.join("meta/esc50.csv"), ["filename", "fold", "category"])?;
    let audio = folder.join("audio");
    let recording = |table::Row { cells: [name, fold, category], .. }: table::Row<3>| Recording {
        path: audio.join(name),
        fold,
        labels: vec![somewhere(category)],
    };
    Ok(rows.into_iter().map(recording).collect())
}

fn urbansound8k(folder: &Path) -> Result<Vec<Recording>, DatasetError> {
    let rows = table::read(&folder.join("metadata/UrbanSound8K.csv"), ["slice_file_name", "fold", "class"])?;
    let recording = |table::Row { cells: [name, fold, class], .. }: table::Row<3>| Recording {
        path: folder.join("audio").join(format!("fold{fold}")).join(name),
        fold,
        labels: vec![somewhere(class)],
    };
    Ok(rows.into_iter().map(recording).collect())
}

fn fsd50k(folder: &Path) -> Result<Vec<Recording>, DatasetError> {
    let tables = folder.join("FSD50K.ground_truth");
    let (dev, eval) = (tables.join("dev.csv"), tables.join("eval.csv"));
    let mut recordings = Vec::new();
    let mut add = |path: &Path, [name, labels, ids]: [&str; 3], fold: &str, line: usize, audio: &str| {
        let (names, ids): (Vec<&str>, Vec<&str>) = (labels.split(',').collect(), ids.split(',').collect());
        if names.len() != ids.len() {
            let message = format!("{} labels stand beside {} ids", names.len(), ids.len());
            return Err(DatasetError::new(path, Some(line), message));
        }
        let labels = names.into_iter().zip(ids).filter(|(name, _)| !name.is_empty());
        recordings.push(Recording {
            path: folder.join(audio).join(format!("{name}.wav")),
            fold: fold.to_owned(),
            labels: labels
                .map(|(name, id)| Labelled { id: Some(id.trim().to_owned()), ..somewhere(name.trim().to_owned()) })
                .collect(),
        });
        Ok(())
    };
    // The development set and the evaluation set are downloads of their own.
    if dev.exists() || !eval.exists() {
        for table::Row { line, cells: [name, labels, ids, split] } in table::read(&dev, ["fname", "labels", "mids", "split"])? {
            add(&dev, [&name, &labels, &ids], &split, line, "FSD50K.dev_audio")?;
        }
    }
    if eval.exists() {
        for table::Row { line, cells: [name, labels, ids] } in table::read(&eval, ["fname", "labels", "mids"])? {
            add(&eval, [&name, &labels, &ids], "eval", line, "FSD50K.eval_audio")?;
        }
    }
    Ok(recordings)
}

/// Every table with onsets below `metadata` is a part of the data set, and is called like its file; its recordings are found by their
/// names below `audio`.
fn desed(folder: &Path) -> Result<Vec<Recording>, DatasetError> {
    let root = [folder.to_owned(), folder.join("dataset")].into_iter().find(|root| root.join("metadata").is_dir());
    let Some(root) = root else {
        return Err(DatasetError::new(&folder.join("metadata"), None, "the folder of the data set's tables is not there"));
    };
    let has_ending = |path: &&PathBuf, ending: &str| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending));
    let audio: Vec<PathBuf> = files(&root.join("audio"))?;
    let mut by_name: HashMap<&std::ffi::OsStr, Vec<&PathBuf>> = HashMap::new();
    for path in &audio {
        by_name.entry(path.file_name().unwrap_or_default()).or_default().push(path);
    }
    let mut recordings: Vec<Recording> = Vec::new();
    for path in files(&root.join("metadata"))?.iter().filter(|path| has_ending(path, "tsv")) {
        let bytes =
            std::fs::read(path).map_err(|error| DatasetError::new(path, None, format!("the table cannot be read: {error}")))?;
        // Tables of weak labels and of durations have no onsets.
        let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if !header.to_ascii_lowercase().windows(5).any(|word| word == b"onset") {
            continue;
        }
        let truth = truth::parse(&bytes);
        if let Some((line, message)) = truth.faults.first() {
            return Err(DatasetError::new(path, Some(*line), message.clone()));
        }
        let fold = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut places: HashMap<String, usize> = HashMap::new();
        for truth::TruthRow { filename, event, .. } in truth.rows {
            let name = filename.unwrap_or_default();
            let at = *places.entry(name.clone()).or_insert_with(|| {
                let found = by_name.get(std::ffi::OsStr::new(&name)).map(Vec::as_slice).unwrap_or_default();
                // Of several with this name, the one in a folder that is called like the table.
                let beside = found.iter().find(|path| path.iter().any(|part| part.to_string_lossy() == fold));
                let path =
                    beside.or(found.first()).map_or_else(|| root.join("audio").join(&fold).join(&name), |path| (*path).clone());
                recordings.push(Recording { path, fold: fold.clone(), labels: Vec::new() });
                recordings.len() - 1
            });
            let labelled =
                event.map(|event| Labelled { span_s: Some([event.onset_s, event.offset_s]), ..somewhere(event.label) });
            recordings[at].labels.extend(labelled);
        }
    }
    if recordings.is_empty() {
        let message = "no table in it has the columns filename, onset, offset, event_label";
        return Err(DatasetError::new(&root.join("metadata"), None, message));
    }
    Ok(recordings)
}

fn audacity(folder: &Path) -> Result<Vec<Recording>, DatasetError> {
    let all = files(folder)?;
    let is_track = |path: &&PathBuf| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"));
    let mut recordings = Vec::new();
    for track in all.iter().filter(is_track) {
        let beside = all.iter().find(|path| !is_track(path) && path.with_extension("") == track.with_extension(""));
        let Some(path) = beside else { continue };
        let bytes =
            std::fs::read(track).map_err(|error| DatasetError::new(track, None, format!("it cannot be read: {error}")))?;
        // An empty label track is what Audacity writes where nothing is labelled.
        let truth = if bytes.trim_ascii().is_empty() { truth::Truth::default() } else { truth::parse(&bytes) };
        if let Some((line, message)) = truth.faults.first() {
            return Err(DatasetError::new(track, Some(*line), message.clone()));
        }
        if truth.rows.iter().any(|row| row.filename.is_some()) {
            continue;
        }
        let labels = truth.rows.into_iter().filter_map(|row| row.event);
        let labels = labels.map(|event| Labelled { span_s: Some([event.onset_s, event.offset_s]), ..somewhere(event.label) });
        recordings.push(Recording { path: path.clone(), fold: String::new(), labels: labels.collect() });
    }
    if recordings.is_empty() {
        return Err(DatasetError::new(folder, None, "no recording in it has a label track NAME.txt beside it"));
    }
    Ok(recordings)
}

/// The files in a folder and below it, in order; hidden ones are left out, and links to folders are not followed.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let unreadable = |error| DatasetError::new(folder, None, format!("the folder cannot be read: {error}"));
    let (mut found, mut folders) = (Vec::new(), BTreeSet::new());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            folders.insert(entry.path());
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    for folder in folders {
        found.extend(files(&folder)?);
    }
    Ok(found)
}
