//! What a model's folder says of itself: `manifest.toml`, read and checked.
//!
//! The daemon knows a model only through this file, so that another tagger is a folder and not a change of code. Nothing here
//! opens the graph; `onnx` does, and compares what it finds with what is said here.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::ModelError;
use super::labels::{Labels, nearest};

/// The version of the manifest's format that this program reads.
pub const FORMAT: u32 = 1;

/// A model's folder, read and checked: everything but the graph itself.
#[derive(Debug, Clone)]
pub struct Model {
    /// The name that `hello` and `status` give.
    pub name: String,
    /// The graph's file.
    pub graph: PathBuf,
    /// The graph's sha256, in lower-case hexadecimal.
    pub sha256: String,
    /// One label an output, and the ontology they stand in.
    pub labels: Labels,
    /// What the graph takes.
    pub input: Input,
    /// What the graph gives.
    pub output: Output,
    /// Which windows it is given, and how its scores stand to time.
    pub detection: Detection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(rename = "licence")]
    _licence: String,
    #[serde(rename = "source")]
    _source: String,
    file: String,
    sha256: String,
    labels: String,
    labels_sha256: String,
    ontology: Option<String>,
    ontology_sha256: Option<String>,
    thresholds: Option<String>,
    input: Input,
    output: Output,
    detection: Detection,
}

/// What the graph takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What the numbers are.
    pub kind: InputKind,
    /// The input's name in the graph.
    pub name: String,
    /// The input's dimensions in their order.
    pub shape: Vec<Axis>,
    /// The rate of the sound it is made of, in Hz.
    pub sample_rate_hz: u32,
    /// The front end's parameters, for `kind = "log-mel"` only.
    pub log_mel: Option<LogMelParameters>,
}

/// What the numbers of the input are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// A log-mel spectrogram, made by this program.
    LogMel,
    /// Samples, full scale at ±1.
    Waveform,
}

/// A dimension of the input: a fixed size, or the name of what it counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Axis {
    /// Always this size.
    Fixed(i64),
    /// As many as there are of it.
    Named(AxisName),
}

/// What a dimension counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AxisName {
    /// Windows in one inference.
    Batch,
    /// Mel bands.
    Mels,
    /// Frames of the spectrogram.
    Frames,
    /// Samples of the waveform.
    Samples,
}

/// The parameters of the log-mel front end.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMelParameters {
    /// The length of the Fourier transform in samples.
    pub n_fft: usize,
    /// The length of the window in samples; at most `n_fft`, centred in it.
    pub win_length: usize,
    /// The distance of two frames in samples.
    pub hop_length: usize,
    /// The window's shape.
    pub window: WindowShape,
    /// Whether frame t is centred on sample t · `hop_length`, with zeros beyond the ends.
    pub center: bool,
    /// How many mel bands.
    pub n_mels: usize,
    /// The mel scale.
    pub mel_scale: MelScale,
    /// The lower edge of the lowest band in Hz.
    pub f_min_hz: f64,
    /// The upper edge of the highest band in Hz.
    pub f_max_hz: f64,
    /// The power of the magnitude that is summed in a band: 2.0 is the only one known.
    pub power: f64,
    /// The least power: a band is 10 · log10(max(power, amin)) dB.
    pub amin: f64,
}

/// A window's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowShape {
    /// 0.5 − 0.5 · cos(2πn/N).
    HannPeriodic,
}

/// A mel scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// mel = 2595 · log10(1 + f / 700 Hz).
    Htk,
}

/// What the graph gives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The output's name in the graph; its shape is `[batch, labels]`.
    pub name: String,
    /// What the numbers are.
    pub kind: OutputKind,
}

/// What the numbers of the output are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Already between 0 and 1.
    Probabilities,
    /// Before the logistic function, which this program then applies.
    Logits,
}

/// Which windows the model is given, and how their scores become a curve and its boxes; see `detect::scoring` and `detect::boxes`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The lengths of the windows in milliseconds.
    pub windows_ms: Vec<u32>,
    /// The distance of two windows in milliseconds.
    pub hop_ms: u32,
    /// At every so-manieth hop a window of each length is scored. Empty: each of them at every hop.
    #[serde(default)]
    pub strides: Vec<usize>,
    /// While a sound is steady the first window is scored at every so-manieth hop. Without it: as otherwise.
    pub steady_stride: Option<usize>,
    /// A window in which the level of no 10 ms exceeds this counts as silence, in dBFS. Without it: digital silence alone.
    pub noise_gate_dbfs: Option<f32>,
    /// How far a window reaches over the moment that it speaks of, as a part of its length.
    pub delta: f32,
    /// Over how many values of the curve the median is taken; odd.
    pub median: usize,
    /// An event reaches as far as its curve stays above this part of its peak.
    pub extent: f32,
    /// Two peaks are two events where the curve between them falls below this part of the lower one.
    pub valley: f32,
}

/// The numbers of [`Detection`] that a configuration sets instead of the model's own.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs, reason = "they are those of Detection")]
pub struct DetectionOverride {
    pub windows_ms: Option<Vec<u32>>,
    pub hop_ms: Option<u32>,
    pub strides: Option<Vec<usize>>,
    pub steady_stride: Option<usize>,
    pub noise_gate_dbfs: Option<f32>,
    pub delta: Option<f32>,
    pub median: Option<usize>,
    pub extent: Option<f32>,
    pub valley: Option<f32>,
}

impl Detection {
    /// What tests begin with: one window of 1 s, scored ten times a second, and nothing that blurs or skips.
    #[cfg(test)]
    pub(crate) fn of_tests() -> Self {
        Self {
            windows_ms: vec![1_000],
            hop_ms: 100,
            strides: Vec::new(),
            steady_stride: None,
            noise_gate_dbfs: None,
            delta: 0.0,
            median: 1,
            extent: 0.1,
            valley: 0.3,
        }
    }

    /// The lengths of the windows in samples at `rate_hz`.
    pub fn windows_samples(&self, rate_hz: u32) -> impl Iterator<Item = usize> + '_ {
        self.windows_ms.iter().map(move |window| samples(*window, rate_hz))
    }

    /// The distance of two windows in samples at `rate_hz`.
    pub fn hop_samples(&self, rate_hz: u32) -> usize {
        samples(self.hop_ms, rate_hz)
    }

    /// What is wrong with the numbers, as one sentence.
    fn check(&self, input: &Input) -> Result<(), String> {
        let require = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let Self { windows_ms, hop_ms, strides, steady_stride, noise_gate_dbfs, delta, median, extent, valley } = self;
        require((1..=8).contains(&windows_ms.len()), "windows_ms must hold from 1 to 8 lengths")?;
        require(windows_ms.iter().all(|window| (10..=60_000).contains(window)), "windows_ms must be from 10 to 60000")?;
        let shortest = windows_ms.iter().min().unwrap_or(hop_ms);
        require(*hop_ms >= 10 && hop_ms <= shortest, "hop_ms must be from 10 to the shortest window")?;
        require(strides.is_empty() || strides.len() == windows_ms.len(), "strides must hold one number for each of windows_ms")?;
        require(strides.iter().all(|stride| (1..=16).contains(stride)), "strides must be from 1 to 16")?;
        require(steady_stride.is_none_or(|stride| (1..=16).contains(&stride)), "steady_stride must be from 1 to 16")?;
        require(noise_gate_dbfs.is_none_or(|gate| (-150.0..=0.0).contains(&gate)), "noise_gate_dbfs must be from -150 to 0")?;
        require((0.0..=0.5).contains(delta), "delta must be from 0 to 0.5")?;
        require(median % 2 == 1 && *median <= 9, "median must be 1, 3, 5, 7 or 9")?;
        require(*extent > 0.0 && *extent < 1.0, "extent must be between 0 and 1")?;
        require(*valley > 0.0 && *valley < 1.0, "valley must be between 0 and 1")?;
        let Some(log_mel) = &input.log_mel else { return Ok(()) };
        let whole = |samples: usize| samples.is_multiple_of(log_mel.hop_length);
        let rate_hz = input.sample_rate_hz;
        require(
            whole(self.hop_samples(rate_hz)) && self.windows_samples(rate_hz).all(whole),
            "windows_ms and hop_ms must be whole frames",
        )
    }
}

fn samples(milliseconds: u32, rate_hz: u32) -> usize {
    (u64::from(milliseconds) * u64::from(rate_hz) / 1000) as usize
}

impl Model {
    /// Finds the folder `dir` (a path, or a name among the installed models), reads its manifest and labels, and compares every
    /// hash.
    pub fn open(dir: &str) -> Result<Self, ModelError> {
        let folder = find_folder(dir)?;
        let manifest = read_manifest(&folder.join("manifest.toml"))?;
        let graph = folder.join(&manifest.file);
        check_hash(&graph, &manifest.sha256)?;
        let labels = folder.join(&manifest.labels);
        check_hash(&labels, &manifest.labels_sha256)?;
        let ontology = manifest.ontology.map(|file| folder.join(file));
        if let (Some(path), Some(expected)) = (&ontology, &manifest.ontology_sha256) {
            check_hash(path, expected)?;
        }
        let thresholds = manifest.thresholds.map(|file| folder.join(file));
        Ok(Self {
            name: manifest.name,
            graph,
            sha256: manifest.sha256.to_lowercase(),
            labels: Labels::read(&labels, ontology.as_deref(), thresholds.as_deref())?,
            input: manifest.input,
            output: manifest.output,
            detection: manifest.detection,
        })
    }
}

impl Model {
    /// Puts the numbers that a configuration sets in the place of the model's own.
    ///
    /// # Errors
    /// What is wrong with them, as one sentence; the model then stays as it is.
    pub fn override_detection(&mut self, own: &DetectionOverride) -> Result<(), String> {
        let mut detection = self.detection.clone();
        let DetectionOverride { windows_ms, hop_ms, strides, steady_stride, noise_gate_dbfs, delta, median, extent, valley } =
            own.clone();
        // The model's strides belong to its own windows.
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
        detection.check(&self.input)?;
        self.detection = detection;
        Ok(())
    }
}

/// The folders that may hold models, the first that has the wanted one is taken: what the environment names, beside the
/// binary, above it (a build in `target/release` finds the project's own), then the system's.
fn model_homes() -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = std::env::var_os("MIMID_MODELS").map(PathBuf::from).into_iter().collect();
    if let Ok(exe) = std::env::current_exe() {
        homes.extend(exe.ancestors().skip(1).take(4).map(|folder| folder.join("models")));
    }
    homes.extend(["/usr/local/lib/mimid/models", "/usr/lib/mimid/models", "/usr/share/mimid/models"].map(PathBuf::from));
    homes
}

fn find_folder(dir: &str) -> Result<PathBuf, ModelError> {
    let candidates: Vec<PathBuf> = if dir.contains('/') || dir == "." || dir == ".." {
        vec![PathBuf::from(dir)]
    } else {
        model_homes().into_iter().map(|home| home.join(dir)).collect()
    };
    match candidates.iter().find(|folder| folder.join("manifest.toml").exists()) {
        Some(folder) => Ok(folder.clone()),
        None => {
            let there = installed();
            let suggestion = nearest(dir, there.iter().map(String::as_str)).map(str::to_owned);
            Err(ModelError::NoFolder { name: dir.to_owned(), suggestion, searched: candidates })
        }
    }
}

/// The names of the models that are installed anywhere.
fn installed() -> Vec<String> {
    let folders = model_homes().into_iter().filter_map(|home| home.read_dir().ok()).flatten().flatten();
    let models = folders.filter(|folder| folder.path().join("manifest.toml").exists());
    models.filter_map(|folder| folder.file_name().into_string().ok()).collect()
}

fn read_manifest(path: &Path) -> Result<Manifest, ModelError> {
    let text = std::fs::read_to_string(path).map_err(|error| ModelError::Unreadable { path: path.into(), error })?;
    let bad = |what: String| ModelError::BadManifest { path: path.into(), what };
    let manifest: Manifest = toml::from_str(&text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        bad(format!("{place}{}", error.message().replace('\n', " ")))
    })?;
    check(&manifest).map_err(bad)?;
    Ok(manifest)
}

/// What the types alone do not say.
fn check(manifest: &Manifest) -> Result<(), String> {
    let require = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    if manifest.format != FORMAT {
        return Err(format!("format is {}, but this program reads format {FORMAT}", manifest.format));
    }
    require(!manifest.name.chars().any(char::is_control), "name must not hold control characters")?;
    let plain = |file: &str| !file.is_empty() && !file.contains('/') && file != "..";
    require(plain(&manifest.file) && plain(&manifest.labels), "file and labels must be names of files in the model's folder")?;
    require(manifest.ontology.as_deref().is_none_or(plain), "ontology must be the name of a file in the model's folder")?;
    require(manifest.thresholds.as_deref().is_none_or(plain), "thresholds must be the name of a file in the model's folder")?;
    let input = &manifest.input;
    require((1_000..=192_000).contains(&input.sample_rate_hz), "sample_rate_hz must be from 1000 to 192000")?;
    let count = |name| input.shape.iter().filter(|axis| **axis == Axis::Named(name)).count();
    match input.kind {
        InputKind::Waveform => {
            require(input.log_mel.is_none(), "[input.log_mel] belongs to kind = \"log-mel\" only")?;
            require(count(AxisName::Samples) == 1, "the shape of a waveform needs \"samples\" once")?;
            require(
                count(AxisName::Mels) + count(AxisName::Frames) == 0,
                "the shape of a waveform has no \"mels\" or \"frames\"",
            )?;
        }
        InputKind::LogMel => {
            let Some(log_mel) = &input.log_mel else { return Err("kind = \"log-mel\" needs [input.log_mel]".to_owned()) };
            require(
                count(AxisName::Mels) == 1 && count(AxisName::Frames) == 1,
                "the shape of a log-mel needs \"mels\" and \"frames\" once each",
            )?;
            require(count(AxisName::Samples) == 0, "the shape of a log-mel has no \"samples\"")?;
            check_log_mel(log_mel, input.sample_rate_hz)?;
        }
    }
    require(count(AxisName::Batch) <= 1, "the shape has more than one \"batch\"")?;
    require(input.shape.iter().all(|axis| !matches!(axis, Axis::Fixed(size) if *size != 1)), "a fixed dimension can only be 1")?;
    manifest.detection.check(input)
}

fn check_log_mel(p: &LogMelParameters, rate_hz: u32) -> Result<(), String> {
    let require = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    require((16..=65_536).contains(&p.n_fft) && p.n_fft.is_multiple_of(2), "n_fft must be even and from 16 to 65536")?;
    require(p.win_length >= 2 && p.win_length <= p.n_fft, "win_length must be from 2 to n_fft")?;
    require(p.hop_length >= 1 && p.hop_length <= p.n_fft, "hop_length must be from 1 to n_fft")?;
    require((1..=512).contains(&p.n_mels), "n_mels must be from 1 to 512")?;
    require(p.center, "center = false is not known")?;
    require(p.power == 2.0, "power must be 2.0")?;
    require(p.amin > 0.0 && p.amin.is_finite(), "amin must be above 0")?;
    let nyquist = f64::from(rate_hz) / 2.0;
    require(
        p.f_min_hz >= 0.0 && p.f_min_hz < p.f_max_hz && p.f_max_hz <= nyquist,
        "0 ≤ f_min_hz < f_max_hz ≤ half the sample rate must hold",
    )
}

fn check_hash(path: &Path, expected: &str) -> Result<(), ModelError> {
    let bytes = std::fs::read(path).map_err(|error| ModelError::Unreadable { path: path.into(), error })?;
    let actual: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if actual.eq_ignore_ascii_case(expected.trim()) {
        return Ok(());
    }
    Err(ModelError::WrongHash { path: path.into(), expected: expected.to_owned(), actual })
}
