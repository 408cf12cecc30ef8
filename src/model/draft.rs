//! A draft of the manifest of a foreign model: from a look at its graph, and from what a person adds where the graph does not say it.

use std::fmt::Write as _;

use super::manifest::{Axis, AxisName, InputKind, LogMelParameters, OutputKind};
use super::onnx::look::{Seen, Tensor, list};

/// What a person says of a model, beside its graph.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The sample rate in Hz.
    pub sample_rate_hz: Option<u32>,
    /// The length of a window in milliseconds.
    pub window_ms: Option<u32>,
    /// The name of the output with the scores.
    pub output: Option<String>,
    /// The name of the output with the embedding.
    pub embedding: Option<String>,
    /// The log-mel, with its definition as TOML; `None` for a waveform.
    pub log_mel: Option<(LogMelParameters, String)>,
}

/// Why there is no draft.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The graph cannot be used.
    #[error("{0}")]
    Graph(String),
    /// The graph does not say it, so a person must.
    #[error("{0}")]
    Unknown(String),
    /// The sample rate is not known, so a person must say it.
    #[error("the graph does not say its sample rate; name it with --sample-rate, in Hz")]
    SampleRate,
}

/// A drafted manifest but for its texts and checksums.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The kind of the input.
    pub kind: InputKind,
    /// The input's name.
    pub input: String,
    /// The input's shape.
    pub shape: Vec<Axis>,
    /// The sample rate in Hz.
    pub sample_rate_hz: u32,
    /// The length of the window in milliseconds.
    pub window_ms: u32,
    /// The distance of two windows in milliseconds.
    pub hop_ms: u32,
    /// The name of the output with the scores.
    pub output: String,
    /// The name and the size of the embedding.
    pub embedding: Option<(String, usize)>,
    /// The definition of the log-mel, as TOML.
    pub log_mel: Option<String>,
}

/// The texts and checksums of a manifest.
#[derive(Debug, Clone, Default)]
pub struct Texts<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Its licence.
    pub licence: &'a str,
    /// Where it comes from.
    pub source: &'a str,
    /// The graph's file and its SHA-256.
    pub graph: (&'a str, String),
    /// The files with the graph's weights, and their SHA-256.
    pub external: &'a [(String, String)],
    /// The SHA-256 of the labels.
    pub labels: String,
    /// The SHA-256 of the ontology; `None` without one.
    pub ontology: Option<String>,
}

/// The lengths in samples that belong to one sample rate alone: those of YAMNet, of BirdNET, and ten seconds of the two rates of
/// AudioSet's models.
const KNOWN_LENGTHS: [(i64, u32); 4] = [(15_600, 16_000), (144_000, 48_000), (160_000, 16_000), (320_000, 32_000)];
/// The least number of samples that a waveform of a fixed length has. No spectrogram has as many frames or bands.
const LEAST_SAMPLES: i64 = 4_000;
/// The largest fixed batch.
const MOST_BATCH: i64 = 32;

impl Draft {
    /// A draft for a graph that gives `n_labels` scores.
    pub fn of(seen: &Seen, asked: &Asked, n_labels: usize) -> Result<Self, DraftError> {
        let [input] = seen.inputs.as_slice() else {
            let what = format!("the graph takes {} inputs ({}), and mimid gives one", seen.inputs.len(), list(&seen.inputs));
            return Err(DraftError::Graph(what));
        };
        let Some(dims) = &input.shape else {
            return Err(DraftError::Graph(format!("the graph takes {input}")));
        };
        let output = scores(seen, asked, n_labels)?;
        let embedding = embedding(seen, asked)?;
        let (kind, shape, length) = match &asked.log_mel {
            None => waveform(input, dims)?,
            Some((parameters, _)) => log_mel(input, dims, parameters)?,
        };
        let known = KNOWN_LENGTHS.iter().find(|(known, _)| length == Some(*known) && kind == InputKind::Waveform);
        let rate = asked.sample_rate_hz.or(known.map(|(_, rate)| *rate)).ok_or(DraftError::SampleRate)?;
        if !(1_000..=192_000).contains(&rate) {
            return Err(DraftError::Unknown(format!(
                "a sample rate of {rate} Hz is out of range; it must be from 1000 to 192000"
            )));
        }
        let hop_length = asked.log_mel.as_ref().map_or(1, |(parameters, _)| parameters.hop_length.max(1) as u64);
        let samples = length.and_then(|length| u64::try_from(length).ok()).map(|length| match kind {
            InputKind::Waveform => length,
            InputKind::LogMel => length.saturating_sub(1) * hop_length,
        });
        let window_ms = window(samples, asked.window_ms, rate, hop_length)?;
        // A longer window changes more slowly; its cost grows with its length.
        let (hop_ms, whole) = ((window_ms / 1_000).clamp(1, 10) * 100, whole_ms(rate, hop_length));
        let hop_ms = hop_ms.min(window_ms).next_multiple_of(whole).min(window_ms / whole * whole);
        if !(10..=60_000).contains(&window_ms) || hop_ms < 10 {
            let what = format!("a window of {window_ms} ms is out of range; it must be from 10 to 60000 ms, of whole frames");
            return Err(DraftError::Unknown(what));
        }
        Ok(Self {
            kind,
            input: input.name.clone(),
            shape,
            sample_rate_hz: rate,
            window_ms,
            hop_ms,
            output,
            embedding,
            log_mel: asked.log_mel.as_ref().map(|(_, text)| text.clone()),
        })
    }

    /// The manifest as text.
    pub fn manifest(&self, texts: &Texts, kind: OutputKind) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut out = "# Made by `mimid model add`; models/README.md of mimid explains the keys.\nformat = 1\n".to_owned();
        let mut line = |key: &str, text: &str| out.extend([key, " = ", &quoted(text), "\n"]);
        line("name", texts.name);
        line("licence", texts.licence);
        line("source", texts.source);
        line("file", texts.graph.0);
        line("sha256", &texts.graph.1);
        line("labels", "labels.tsv");
        line("labels_sha256", &texts.labels);
        if let Some(ontology) = &texts.ontology {
            line("ontology", "ontology.tsv");
            line("ontology_sha256", ontology);
        }
        if !texts.external.is_empty() {
            let files: Vec<String> = texts
                .external
                .iter()
                .map(|(file, sha256)| format!("    {{ file = {}, sha256 = {} }},\n", quoted(file), quoted(sha256)))
                .collect();
            let _ = write!(out, "external_data = [\n{}]\n", files.concat());
        }
        let axis = |axis: &Axis| match axis {
            Axis::Fixed(size) => size.to_string(),
            Axis::Named(AxisName::Batch) => quoted("batch"),
            Axis::Named(AxisName::Mels) => quoted("mels"),
            Axis::Named(AxisName::Frames) => quoted("frames"),
            Axis::Named(AxisName::Samples) => quoted("samples"),
        };
        let shape: Vec<String> = self.shape.iter().map(axis).collect();
        let input_kind = if self.kind == InputKind::Waveform { "waveform" } else { "log-mel" };
        let _ = write!(
            out,
            "\n[input]\nkind = {:?}\nname = {}\nshape = [{}]\nsample_rate_hz = {}\n",
            input_kind,
            quoted(&self.input),
            shape.join(", "),
            self.sample_rate_hz
        );
        if let Some(log_mel) = &self.log_mel {
            let _ = write!(out, "\n[input.log_mel]\n{log_mel}");
        }
        let kind = if kind == OutputKind::Logits { "logits" } else { "probabilities" };
        let _ = write!(out, "\n[output]\nname = {}\nkind = {kind:?}\n", quoted(&self.output));
        if let Some((name, size)) = &self.embedding {
            let _ = write!(out, "\n[output.embedding]\nname = {}\nsize = {size}\n", quoted(name));
        }
        let _ = write!(
            out,
            "\n[detection]\nwindows_ms = [{}]\nhop_ms = {}\n# Below this there is nothing that it would know.\nnoise_gate_dbfs = -70.0\ndelta = 0.1\nmedian = 3\nextent = 0.2\nvalley = 0.3\n",
            self.window_ms, self.hop_ms
        );
        out
    }
}

/// The name of the output with the scores.
fn scores(seen: &Seen, asked: &Asked, n_labels: usize) -> Result<String, DraftError> {
    if let Some(name) = &asked.output {
        let is_there = seen.outputs.iter().any(|output| output.name == *name);
        let what = || format!("the graph has no output {name:?}; it gives {}", list(&seen.outputs));
        return if is_there { Ok(name.clone()) } else { Err(DraftError::Unknown(what())) };
    }
    let last = |output: &&Tensor| output.shape.as_ref().and_then(|shape| shape.last().copied());
    let fit: Vec<&Tensor> = seen.outputs.iter().filter(|output| last(output) == Some(n_labels as i64)).collect();
    let free: Vec<&Tensor> = seen.outputs.iter().filter(|output| last(output).is_some_and(|last| last < 0)).collect();
    match (fit.as_slice(), free.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one.name.clone()),
        ([], []) => {
            let what =
                format!("the label map has {n_labels} labels, and no output of the graph has as many: {}", list(&seen.outputs));
            Err(DraftError::Graph(what))
        }
        _ => Err(DraftError::Unknown(format!(
            "the graph has several outputs that may be the {n_labels} scores ({}); name one with --output",
            list(&seen.outputs)
        ))),
    }
}

/// The name and the size of the embedding that was asked for.
fn embedding(seen: &Seen, asked: &Asked) -> Result<Option<(String, usize)>, DraftError> {
    let Some(name) = &asked.embedding else { return Ok(None) };
    let found = seen.outputs.iter().find(|output| output.name == *name);
    let size = found.and_then(|output| output.shape.as_ref()?.last().and_then(|last| usize::try_from(*last).ok()));
    let what = || format!("the graph has no output {name:?} of a known size; it gives {}", list(&seen.outputs));
    size.map(|size| Some((name.clone(), size))).ok_or_else(|| DraftError::Unknown(what()))
}

type Taken = (InputKind, Vec<Axis>, Option<i64>);

/// The shape of a waveform, and its fixed length.
fn waveform(input: &Tensor, dims: &[i64]) -> Result<Taken, DraftError> {
    let is_long = |size: i64| !(0..LEAST_SAMPLES).contains(&size);
    let is_batch = |size: i64| size <= MOST_BATCH && size != 0;
    let (batch, samples) = (Axis::Named(AxisName::Batch), Axis::Named(AxisName::Samples));
    let (shape, length) = match *dims {
        [length] if is_long(length) => (vec![samples], length),
        [size, length] if is_batch(size) && is_long(length) => (vec![batch, samples], length),
        [size, 1, length] if is_batch(size) && is_long(length) => (vec![batch, Axis::Fixed(1), samples], length),
        [size, length, 1] if is_batch(size) && is_long(length) => (vec![batch, samples, Axis::Fixed(1)], length),
        _ => {
            let what = format!(
                "the graph takes {input}, which is no waveform; a log-mel spectrogram is defined by a file that is named with --log-mel"
            );
            return Err(DraftError::Unknown(what));
        }
    };
    Ok((InputKind::Waveform, shape, (length >= 0).then_some(length)))
}

/// The shape of a log-mel, and its fixed number of frames.
fn log_mel(input: &Tensor, dims: &[i64], parameters: &LogMelParameters) -> Result<Taken, DraftError> {
    let n_mels = parameters.n_mels as i64;
    let wrong = || DraftError::Unknown(format!("the graph takes {input}, which is no log-mel spectrogram of {n_mels} bands"));
    // The bands and the frames are the two dimensions that are neither the batch nor 1.
    let first = usize::from(dims.len() > 2);
    let places: Vec<usize> = (first..dims.len()).filter(|place| dims[*place] != 1).collect();
    let &[one, other] = places.as_slice() else { return Err(wrong()) };
    let (mels, frames) = match (dims[one], dims[other]) {
        (bands, _) if bands == n_mels => (one, other),
        (_, bands) if bands == n_mels => (other, one),
        (bands, _) if bands < 0 => (one, other),
        (_, bands) if bands < 0 => (other, one),
        _ => return Err(wrong()),
    };
    if dims[frames] == 0 || dims.len() > 4 || (first == 1 && (dims[0] == 0 || dims[0] > MOST_BATCH)) {
        return Err(wrong());
    }
    let axis = |place: usize| match place {
        0 if first == 1 => Axis::Named(AxisName::Batch),
        place if place == mels => Axis::Named(AxisName::Mels),
        place if place == frames => Axis::Named(AxisName::Frames),
        _ => Axis::Fixed(1),
    };
    let length = (dims[frames] >= 0).then_some(dims[frames]);
    Ok((InputKind::LogMel, (0..dims.len()).map(axis).collect(), length))
}

/// The least number of milliseconds that are whole frames of `hop_length` samples.
fn whole_ms(rate_hz: u32, hop_length: u64) -> u32 {
    let is_whole = |ms: &u32| (u64::from(*ms) * u64::from(rate_hz)).is_multiple_of(1_000 * hop_length);
    if hop_length == 1 { 1 } else { (1..=1_000).find(is_whole).unwrap_or(1_000) }
}

/// The length of the window in milliseconds, of `samples` where the graph takes no other.
fn window(samples: Option<u64>, asked_ms: Option<u32>, rate_hz: u32, hop_length: u64) -> Result<u32, DraftError> {
    let Some(samples) = samples else {
        let whole = whole_ms(rate_hz, hop_length);
        return Ok(asked_ms.unwrap_or(1_000).next_multiple_of(whole));
    };
    let exact = samples * 1_000;
    // The daemon takes the whole samples of a number of milliseconds; the next one may be those of the graph.
    let ms = exact.div_ceil(u64::from(rate_hz));
    if ms * u64::from(rate_hz) / 1_000 != samples {
        return Err(DraftError::Unknown(format!(
            "the graph takes {samples} samples, which are no whole number of milliseconds at {rate_hz} Hz; another --sample-rate may be the right one"
        )));
    }
    match asked_ms.filter(|asked| u64::from(*asked) != ms) {
        Some(asked) => Err(DraftError::Unknown(format!("the graph takes a window of {ms} ms alone, and not one of {asked} ms"))),
        None => Ok(u32::try_from(ms).unwrap_or(u32::MAX)),
    }
}

#[cfg(test)]
mod tests;
