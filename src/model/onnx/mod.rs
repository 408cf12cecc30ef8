//! ONNX Runtime: finding and loading the library, opening a graph, scoring a batch of windows.
//!
//! This file and `operators` are the only ones that name ort. A [`Tagger`] is one session and belongs to one thread; one call
//! scores windows of any number of sources. Nothing is allocated for a window but by ort itself.

mod operators;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::{Outlet, Shape, TensorElementType, TensorRef, ValueType};

use super::error::ModelError;
use super::learnt::{Corrections, Heads};
use super::manifest::{Axis, AxisName, Embedding, InputKind, Model, OutputKind};

/// The library's file name, without a version.
const LIBRARY: &str = "libonnxruntime.so";

/// Finds libonnxruntime: at `configured` (from `[model] runtime`), at `MIMID_ONNXRUNTIME`, beside the binary, then in the
/// system's folders.
///
/// A path that is named explicitly is used or refused, never passed over: a typing error must not lead to another library.
pub fn find_runtime(configured: Option<&Path>) -> Result<PathBuf, ModelError> {
    let named = configured
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("MIMID_ONNXRUNTIME").filter(|v| !v.is_empty()).map(PathBuf::from));
    if let Some(path) = named {
        return if path.is_file() { Ok(path) } else { Err(ModelError::NoRuntime { searched: vec![path] }) };
    }
    let mut searched: Vec<PathBuf> = Vec::new();
    if let Ok(exe) = std::env::current_exe() {
        searched.extend(exe.parent().map(|folder| folder.join(LIBRARY)));
    }
    let system =
        ["/usr/lib/mimid", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    searched.extend(system.iter().map(|folder| Path::new(folder).join(LIBRARY)));
    match searched.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(ModelError::NoRuntime { searched }),
    }
}

/// The ONNX Runtime of the process, of which there is one.
#[derive(Debug, Clone)]
pub struct Runtime {
    environment: Environment,
    /// Held while a graph is opened.
    opening: Arc<Mutex<()>>,
}

impl Runtime {
    /// Loads the library at `path`. The file must exist, because ort may hang or panic on a missing one.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bad = |what: String| ModelError::BadRuntime { path: path.into(), what };
        if !path.is_file() {
            return Err(ModelError::NoRuntime { searched: vec![path.into()] });
        }
        // ort looks for a relative path beside the binary first; an absolute one is unambiguous.
        let absolute = std::path::absolute(path).map_err(|error| bad(error.to_string()))?;
        let builder = ort::init_from(&absolute).map_err(|error| bad(one_line(&error.to_string())))?;
        let environment =
            builder.with_name("mimid").with_telemetry(false).build().map_err(|error| bad(one_line(&error.to_string())))?;
        environment.set_log_level(ort::logging::LogLevel::Error);
        Ok(Self { environment, opening: Arc::default() })
    }

    /// Opens a graph as mimid runs it: on one thread that never spins, with mimid's own operators.
    pub fn session(&self, graph: &Path) -> ort::Result<Session> {
        // ONNX Runtime tests whether it knows a domain and then adds it, for all sessions together, without a lock. If two
        // threads did that at once, the second would be refused.
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_operators(operators::domain()?)?;
        if integer_products_overflow() {
            builder = builder.with_precise_qmm()?;
        }
        builder.commit_from_file(graph)
    }

    /// ONNX Runtime itself, for the benchmarks: they compare mimid with other code in the same process, which can have only one.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// An open model, which scores batches of windows.
pub struct Tagger {
    session: Session,
    /// Names the outputs that are computed.
    options: RunOptions<HasSelectedOutputs>,
    graph: PathBuf,
    input_name: String,
    kind: OutputKind,
    axes: Vec<Axis>,
    mels: usize,
    /// For each length of window, its frames or samples.
    lengths: Vec<usize>,
    output_name: String,
    /// The number of scores that the graph gives a window.
    n_own_labels: usize,
    /// The embedding, if it is asked for.
    embedding: Option<Embedding>,
    /// Whether the embedding is given, and not only used.
    gives_embeddings: bool,
    heads: Heads,
    corrections: Corrections,
    /// The scores of digital silence, one row a length of window.
    silence: Vec<Scores>,
}

/// The scores of windows, and their embeddings where they are asked for.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// `[windows, labels]`, 0…1; the learnt sounds are the last labels.
    pub labels: Vec<f32>,
    /// `[windows, embedding size]`; empty where no embedding is asked for.
    pub embeddings: Vec<f32>,
}

impl std::fmt::Debug for Tagger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tagger").field("graph", &self.graph).field("lengths", &self.lengths).finish_non_exhaustive()
    }
}

/// The most windows in one inference: enough to keep the matrix products long, few enough to bound memory and delay.
pub(crate) const MAX_BATCH: usize = 8;
/// The size of a batch, in numbers, at which the matrix products are long enough; a batch of long windows therefore holds fewer.
const ENOUGH: usize = 80_000;

impl Tagger {
    /// Opens the graph of `model`, compares it with its manifest, and scores a window of silence of each length, which proves that
    /// the graph runs, and gives the scores of silence, which is the most frequent sound.
    ///
    /// # Errors `Refused` where ONNX Runtime cannot run the graph, `WrongShape` or `WrongLabelCount` where it is not what its
    /// manifest says.
    pub fn open(model: &Model, runtime: &Runtime) -> Result<Self, ModelError> {
        let refused = |what: String| ModelError::Refused { path: model.graph.clone(), what: one_line(&what) };
        let session = runtime.session(&model.graph).map_err(|error| refused(error.to_string()))?;
        let windows = model.detection.windows_samples(model.input.sample_rate_hz);
        let (mels, lengths) = match &model.input.log_mel {
            Some(log_mel) => (log_mel.n_mels, windows.map(|window| window / log_mel.hop_length + 1).collect()),
            None => (1, windows.collect()),
        };
        let is_wanted = model.gives_embeddings || !model.sounds.is_empty() || !model.corrections.is_empty();
        let embedding = model.output.embedding.clone().filter(|_| is_wanted);
        let names = std::iter::once(&model.output.name).chain(embedding.iter().map(|embedding| &embedding.name));
        let outputs = names.fold(OutputSelector::no_default(), |outputs, name| outputs.with(name));
        let options = RunOptions::new().map_err(|error| refused(error.to_string()))?.with_outputs(outputs);
        let mut tagger = Self {
            session,
            options,
            graph: model.graph.clone(),
            input_name: model.input.name.clone(),
            kind: model.output.kind,
            axes: model.input.shape.clone(),
            mels,
            lengths,
            output_name: model.output.name.clone(),
            n_own_labels: model.n_own_labels(),
            embedding,
            gives_embeddings: model.gives_embeddings,
            heads: Heads::new(&model.sounds),
            corrections: Corrections::new(&model.corrections, &model.labels),
            silence: Vec::new(),
        };
        tagger.compare(model)?;
        let silence = match model.input.kind {
            InputKind::LogMel => -100.0,
            InputKind::Waveform => 0.0,
        };
        for length in 0..tagger.n_lengths() {
            let (input, mut scores) = (vec![silence; tagger.window_len(length)], Scores::default());
            tagger.score(length, 1, &input, &mut scores)?;
            tagger.silence.push(scores);
        }
        Ok(tagger)
    }

    /// The number of lengths of window; a length is given by its index.
    pub(crate) fn n_lengths(&self) -> usize {
        self.lengths.len()
    }

    /// The size of a window of this length, in numbers: `n_mels · n_frames`, or the samples of a waveform.
    pub fn window_len(&self, length: usize) -> usize {
        self.mels * self.lengths[length]
    }

    /// The size of the longest window, in numbers.
    pub fn longest_window_len(&self) -> usize {
        self.mels * self.lengths.iter().copied().max().unwrap_or(0)
    }

    /// The scores of a window of digital silence, and its embedding where it is asked for.
    pub(crate) fn silence(&self, length: usize) -> &Scores {
        &self.silence[length]
    }

    /// The number of scores of a window, those of learnt sounds included.
    pub fn n_labels(&self) -> usize {
        self.n_own_labels + self.heads.len()
    }

    /// The number of numbers of the embedding that each window is given; 0 where it is given none.
    pub fn embedding_size(&self) -> usize {
        self.embedding.as_ref().filter(|_| self.gives_embeddings).map_or(0, |embedding| embedding.size)
    }

    /// The most windows of a length that one call should hold: 1 for a graph without a batch dimension.
    pub(crate) fn max_batch(&self, length: usize) -> usize {
        if !self.axes.contains(&Axis::Named(AxisName::Batch)) {
            return 1;
        }
        (ENOUGH / self.window_len(length).max(1)).clamp(1, MAX_BATCH)
    }

    /// Scores `batch` windows of one length. `input` is `[batch, n_mels, n_frames]` or `[batch, samples]`; `scores` is
    /// overwritten, and does not allocate once it has the capacity.
    pub fn score(&mut self, length: usize, batch: usize, input: &[f32], scores: &mut Scores) -> Result<(), ModelError> {
        let (graph, n_labels) = (&self.graph, self.n_labels());
        let refused = |what: String| ModelError::Refused { path: graph.clone(), what: one_line(&what) };
        let shape = Shape::new(self.axes.iter().map(|axis| match axis {
            Axis::Fixed(size) => *size,
            Axis::Named(AxisName::Batch) => batch as i64,
            Axis::Named(AxisName::Mels) => self.mels as i64,
            Axis::Named(AxisName::Frames | AxisName::Samples) => self.lengths[length] as i64,
        }));
        let tensor = TensorRef::from_array_view((shape, input)).map_err(|error| refused(error.to_string()))?;
        let inputs = ort::inputs![self.input_name.as_str() => tensor];
        let outputs = self.session.run_with_options(inputs, &self.options).map_err(|error| refused(error.to_string()))?;
        // The outputs' names were compared when the graph was opened.
        let (_, values) =
            outputs[self.output_name.as_str()].try_extract_tensor::<f32>().map_err(|error| refused(error.to_string()))?;
        if values.len() != batch * self.n_own_labels {
            let actual = values.len() / batch.max(1);
            return Err(ModelError::WrongLabelCount { path: self.graph.clone(), expected: self.n_own_labels, actual });
        }
        scores.labels.resize(batch * n_labels, 0.0);
        let rows = scores.labels.chunks_exact_mut(n_labels.max(1)).zip(values.chunks_exact(self.n_own_labels.max(1)));
        for (row, values) in rows {
            let own = &mut row[..values.len()];
            match self.kind {
                OutputKind::Probabilities => own.copy_from_slice(values),
                OutputKind::Logits => own.iter_mut().zip(values).for_each(|(score, logit)| *score = 1.0 / (1.0 + (-logit).exp())),
            }
        }
        scores.embeddings.clear();
        let Some(embedding) = &self.embedding else { return Ok(()) };
        let (_, values) =
            outputs[embedding.name.as_str()].try_extract_tensor::<f32>().map_err(|error| refused(error.to_string()))?;
        if values.len() != batch * embedding.size {
            let (what, expected) = ("the size of its embedding".to_owned(), embedding.size.to_string());
            let actual = (values.len() / batch.max(1)).to_string();
            return Err(ModelError::WrongShape { path: self.graph.clone(), what, expected, actual });
        }
        for (row, embedding) in scores.labels.chunks_exact_mut(n_labels.max(1)).zip(values.chunks_exact(embedding.size)) {
            self.heads.score(embedding, &mut row[self.n_own_labels..]);
            self.corrections.lower(embedding, row);
        }
        if self.gives_embeddings {
            scores.embeddings.extend_from_slice(values);
        }
        Ok(())
    }

    /// Compares the graph's input and output with the manifest.
    fn compare(&self, model: &Model) -> Result<(), ModelError> {
        let wrong = |what: &str, expected: String, actual: String| ModelError::WrongShape {
            path: model.graph.clone(),
            what: what.to_owned(),
            expected,
            actual,
        };
        let inputs = self.session.inputs();
        let names =
            |outlets: &[Outlet]| outlets.iter().map(|outlet| format!("{:?}", outlet.name())).collect::<Vec<_>>().join(", ");
        let [input] = inputs else {
            return Err(wrong("its inputs", format!("{:?} alone", model.input.name), names(inputs)));
        };
        if input.name() != model.input.name {
            return Err(wrong("its input", format!("{:?}", model.input.name), names(inputs)));
        }
        let expected: Vec<i64> = self
            .axes
            .iter()
            .map(|axis| match axis {
                Axis::Fixed(size) => *size,
                Axis::Named(AxisName::Mels) => self.mels as i64,
                Axis::Named(AxisName::Batch) => -1,
                // A graph that is made for one length takes that length alone.
                Axis::Named(_) if self.lengths.len() == 1 => self.lengths[0] as i64,
                Axis::Named(_) => -1,
            })
            .collect();
        let actual = tensor_shape(input);
        let fits = |(expected, actual): (&i64, &i64)| *actual < 0 || *expected == *actual;
        if !actual.as_ref().is_some_and(|actual| actual.len() == expected.len() && expected.iter().zip(actual).all(fits)) {
            return Err(wrong(
                &format!("the shape of its input {:?}", input.name()),
                describe(Some(&expected)),
                describe(actual.as_deref()),
            ));
        }
        self.compare_output(&model.output.name, self.n_own_labels, "its output", |actual| ModelError::WrongLabelCount {
            path: model.graph.clone(),
            expected: self.n_own_labels,
            actual,
        })?;
        let Some(Embedding { name, size, .. }) = &self.embedding else { return Ok(()) };
        self.compare_output(name, *size, "its output of the embedding", |actual| {
            wrong("the size of its embedding", size.to_string(), actual.to_string())
        })
    }

    /// Compares an output of the graph, `what`, with its name and its last dimension; another size there is the error of `sized`.
    fn compare_output(&self, name: &str, size: usize, what: &str, sized: impl Fn(usize) -> ModelError) -> Result<(), ModelError> {
        let wrong = |what: String, expected: String, actual: String| {
            Err(ModelError::WrongShape { path: self.graph.clone(), what, expected, actual })
        };
        let outputs = self.session.outputs();
        let Some(output) = outputs.iter().find(|output| output.name() == name) else {
            let names = outputs.iter().map(|output| format!("{:?}", output.name())).collect::<Vec<_>>().join(", ");
            return wrong(what.to_owned(), format!("{name:?}"), names);
        };
        match tensor_shape(output).as_deref() {
            Some([.., actual]) if *actual >= 0 && *actual != size as i64 => Err(sized(*actual as usize)),
            Some(_) => Ok(()),
            None => wrong(
                format!("the type of {what} {:?}", output.name()),
                "a tensor of f32".into(),
                format!("{:?}", output.dtype()),
            ),
        }
    }
}

/// Whether ONNX Runtime's fastest product of u8 and i8 adds two products in 16 bits on this processor, where 255 · 127 · 2
/// overflows. A slower product is exact; it must not be chosen for processors with VNNI, whose sums have 32 bits anyway.
fn integer_products_overflow() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !is_x86_feature_detected!("avx512vnni") && !is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The dimensions of an f32 tensor, −1 where they are free; `None` for any other type.
fn tensor_shape(outlet: &Outlet) -> Option<Vec<i64>> {
    match outlet.dtype() {
        ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } => Some(shape.to_vec()),
        _ => None,
    }
}

fn describe(shape: Option<&[i64]>) -> String {
    let Some(shape) = shape else { return "not a tensor of f32".to_owned() };
    let sizes: Vec<_> = shape.iter().map(|size| if *size < 0 { "any".to_owned() } else { size.to_string() }).collect();
    format!("[{}]", sizes.join(", "))
}

/// A message of ONNX Runtime, which can run over several lines, as one line.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
