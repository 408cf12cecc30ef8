//! The manifest of a model's folder, `manifest.toml`, read and checked.
//!
//! The daemon knows a model through this file alone, so that another tagger is another folder and no change of code. Nothing here
//! opens the graph; `onnx` does, and compares the graph with the manifest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::external;
use super::labels::Labels;
use super::learnt::{self, LearntSound, SoundFileError, Suits};
use crate::text::shown;

mod check;
mod detection;
pub mod homes;
mod input;

pub use detection::{Alarms, Detection, DetectionOverride, Evidence};
pub use input::{
    Axis, AxisName, FilterNorm, Floor, Input, InputKind, LogMelParameters, LogScale, MelScale, PerBand, WindowShape,
};

/// The version of the manifest's format that this program reads.
pub(crate) const FORMAT: u32 = 1;

/// A model's folder, read and checked: everything but the graph itself.
#[derive(Debug, Clone)]
pub struct Model {
    /// The name of the model, which `hello` and `status` give.
    pub name: String,
    /// The graph's file.
    pub graph: PathBuf,
    /// The file of the bank of embeddings; `None` where the model has none.
    pub bank: Option<PathBuf>,
    /// The graph's sha256, in lower-case hexadecimal.
    pub sha256: String,
    /// The terms under which the weights may be used, as the manifest has them.
    pub licence: String,
    /// The names of all files in the model's folder that the manifest names.
    pub files: Vec<String>,
    /// The labels, one an output, and their ontology.
    pub labels: Labels,
    /// The input of the graph.
    pub input: Input,
    /// The output of the graph.
    pub output: Output,
    /// The windows that it is given, and the places of their scores in time.
    pub detection: Detection,
    /// The learnt sounds, whose labels are the last ones.
    pub sounds: Arc<[LearntSound]>,
    /// The corrections, which lower the scores of labels.
    pub corrections: Arc<[LearntSound]>,
    /// Whether the taggers give the embedding of each window beside its scores.
    pub gives_embeddings: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    #[serde(default, rename = "description")]
    _description: String,
    licence: String,
    #[serde(rename = "source")]
    _source: String,
    file: String,
    sha256: String,
    #[serde(default)]
    external_data: Vec<ExternalData>,
    labels: String,
    labels_sha256: String,
    ontology: Option<String>,
    ontology_sha256: Option<String>,
    thresholds: Option<String>,
    input: Input,
    output: Output,
    detection: Detection,
}

/// A file beside the graph that holds some of its weights.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExternalData {
    file: String,
    sha256: String,
}

/// The output of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The output's name in the graph. Its shape is `[batch, labels]`, `[batch, frames, labels]` or `[batch, labels, frames]`; the
    /// batch may be missing. A window's score is the highest of its frames.
    pub name: String,
    /// The kind of the numbers.
    pub kind: OutputKind,
    /// The embedding, for graphs that give one.
    pub embedding: Option<Embedding>,
}

/// The embedding of a window: the numbers from which the graph's last layer makes the scores. Learnt sounds are told from it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// The name of the output in the graph. Its shape is `[batch, size]` or one with frames, of which the mean is taken.
    pub name: String,
    /// The number of its numbers.
    pub size: usize,
    /// The file of the bank: embeddings of many kinds of sound, from which a learnt sound is told.
    pub bank: Option<String>,
}

/// The kind of the numbers that the graph gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Already between 0 and 1.
    Probabilities,
    /// Before the logistic function, which this program applies.
    Logits,
}

impl Manifest {
    /// The names of all files that it names.
    fn files(&self) -> Vec<String> {
        let bank = self.output.embedding.as_ref().and_then(|embedding| embedding.bank.as_ref());
        let optional = [self.ontology.as_ref(), self.thresholds.as_ref(), bank];
        let external = self.external_data.iter().map(|data| &data.file);
        [&self.file, &self.labels].into_iter().chain(external).chain(optional.into_iter().flatten()).cloned().collect()
    }
}

/// A model's manifest alone, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The model's name.
    pub name: String,
    /// The terms under which the weights may be used.
    pub licence: String,
    /// The names of all files in the folder that it names.
    pub files: Vec<String>,
    /// The name of the file with the ontology; `None` without one.
    pub ontology: Option<String>,
}

impl Summary {
    /// Reads the manifest of a folder.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let manifest = read_manifest(&folder.join("manifest.toml"))?;
        Ok(Self { files: manifest.files(), name: manifest.name, licence: manifest.licence, ontology: manifest.ontology })
    }
}

impl Model {
    /// Finds the folder `dir` (a path, or the name of an installed model), reads its manifest and its labels, and compares every
    /// hash.
    pub fn open(dir: &str) -> Result<Self, ModelError> {
        let folder = homes::find(dir)?;
        let manifest = read_manifest(&folder.join("manifest.toml"))?;
        let files = manifest.files();
        let graph = folder.join(&manifest.file);
        let bytes = check_hash(&graph, &manifest.sha256)?;
        for data in &manifest.external_data {
            check_hash(&folder.join(&data.file), &data.sha256)?;
        }
        // A file that no checksum covers could be exchanged. A graph that is torn is ONNX Runtime's to refuse.
        let unchecked = external::files(&bytes).unwrap_or_default().into_iter().find(|file| !files.contains(file));
        if let Some(file) = unchecked {
            let what = format!("the graph has weights in the file {:?}, which external_data does not name", shown(&file));
            return Err(ModelError::BadManifest { path: folder.join("manifest.toml"), what });
        }
        drop(bytes);
        let labels = folder.join(&manifest.labels);
        check_hash(&labels, &manifest.labels_sha256)?;
        let ontology = manifest.ontology.map(|file| folder.join(file));
        if let (Some(path), Some(expected)) = (&ontology, &manifest.ontology_sha256) {
            check_hash(path, expected)?;
        }
        let thresholds = manifest.thresholds.map(|file| folder.join(file));
        let mut labels = Labels::read(&labels, ontology.as_deref(), thresholds.as_deref())?;
        if let Some(evidence) = &manifest.detection.evidence {
            labels.calibrate(|score| evidence.highest(score));
        }
        check::alarms(&manifest.detection, &labels)
            .map_err(|what| ModelError::BadManifest { path: folder.join("manifest.toml"), what })?;
        let bank = manifest.output.embedding.as_ref().and_then(|embedding| embedding.bank.as_deref());
        Ok(Self {
            bank: bank.map(|file| folder.join(file)),
            name: manifest.name,
            graph,
            sha256: manifest.sha256.to_lowercase(),
            licence: manifest.licence,
            files,
            labels,
            input: manifest.input,
            output: manifest.output,
            detection: manifest.detection,
            sounds: Arc::default(),
            corrections: Arc::default(),
            gives_embeddings: false,
        })
    }

    /// The number of labels that the graph itself gives a score; the learnt sounds' come behind them.
    pub fn n_own_labels(&self) -> usize {
        self.labels.len() - self.sounds.len()
    }

    /// The model's folder.
    pub fn folder(&self) -> &Path {
        self.graph.parent().unwrap_or(Path::new("."))
    }

    /// Whether the folder holds just the learnt sounds that the model has taken up. If so, a sentence about each file that cannot be used
    /// is returned; the model can go on as it is.
    pub(crate) fn has_sounds_of(&self, folder: Option<&Path>) -> Option<Vec<SoundFileError>> {
        let own =
            Labels::new(self.labels.subjects()[..self.n_own_labels()].iter().map(|s| (s.id.clone(), s.name.clone())), Vec::new());
        let (now, faults) = folder.map(|folder| learnt::read_folder(folder, &self.suits(&own))).unwrap_or_default();
        let (corrections, sounds): (Vec<_>, Vec<_>) = now.into_iter().partition(|sound| sound.corrects.is_some());
        (*sounds == *self.sounds && *corrections == *self.corrections).then_some(faults)
    }

    /// Remembers the names of the sounds whose files cannot be used, for a configuration that names them.
    pub(crate) fn leave_out(&mut self, faults: &[SoundFileError]) {
        let stem = |fault: &SoundFileError| fault.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        self.labels.leave_out(faults.iter().filter_map(stem));
    }

    /// The model as learnt sounds have to suit it, with its own labels.
    fn suits<'a>(&'a self, labels: &'a Labels) -> Suits<'a> {
        let embedding = self.output.embedding.as_ref().map(|embedding| embedding.size);
        Suits { labels, sha256: &self.sha256, embedding }
    }

    /// Takes up the learnt sounds of a folder. A model takes them up once, after it was opened.
    ///
    /// # Errors
    /// A sentence about each file that cannot be used; the other files' sounds are taken up.
    pub fn take_up_sounds(&mut self, folder: &Path) -> Vec<SoundFileError> {
        let (sounds, faults) = learnt::read_folder(folder, &self.suits(&self.labels));
        let (corrections, sounds): (Vec<_>, Vec<_>) = sounds.into_iter().partition(|sound| sound.corrects.is_some());
        self.labels.learn(&sounds);
        self.leave_out(&faults);
        self.sounds = sounds.into();
        self.corrections = corrections.into();
        faults
    }
}

impl Model {
    /// Replaces the model's own numbers by those that a configuration sets.
    ///
    /// # Errors
    /// One sentence about the first fault; the model then stays as it is.
    pub fn override_detection(&mut self, own: &DetectionOverride) -> Result<(), String> {
        let mut detection = self.detection.clone();
        let DetectionOverride { windows_ms, hop_ms, strides, steady_stride, noise_gate_dbfs, delta, median, extent, valley } =
            own.clone();
        // The model's strides hold for its own windows only.
        let strides_of_model = if windows_ms.is_some() { Vec::new() } else { detection.strides };
        detection.strides = strides.unwrap_or(strides_of_model);
        detection.steady_stride = steady_stride.or(detection.steady_stride);
        detection.noise_gate_dbfs = noise_gate_dbfs.or(detection.noise_gate_dbfs);
        detection.windows_ms = windows_ms.unwrap_or(detection.windows_ms);
        detection.hop_ms = hop_ms.unwrap_or(detection.hop_ms);
        detection.delta = delta.unwrap_or(detection.delta);
        detection.median = median.unwrap_or(detection.median);
        detection.extent = extent.unwrap_or(detection.extent);
        detection.valley = valley.unwrap_or(detection.valley);
        check::detection(&detection, &self.input)?;
        self.detection = detection;
        Ok(())
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, ModelError> {
    let text = std::fs::read_to_string(path).map_err(|error| ModelError::Unreadable { path: path.into(), error })?;
    let bad = |what: String| ModelError::BadManifest { path: path.into(), what };
    let manifest: Manifest = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        bad(format!("{place}{}", error.message().replace('\n', " ")))
    })?;
    check::manifest(&manifest).map_err(bad)?;
    Ok(manifest)
}

/// The bytes of a file whose hash is the expected one.
fn check_hash(path: &Path, expected: &str) -> Result<Vec<u8>, ModelError> {
    let bytes = std::fs::read(path).map_err(|error| ModelError::Unreadable { path: path.into(), error })?;
    let actual = sha256(&bytes);
    if actual.eq_ignore_ascii_case(expected.trim()) {
        return Ok(bytes);
    }
    Err(ModelError::WrongHash { path: path.into(), expected: expected.to_owned(), actual })
}

/// The SHA-256 of bytes, in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
