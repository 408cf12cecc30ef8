//! ONNX Runtime: finding and loading the library, opening a graph, scoring a batch of windows.
//!
//! This folder alone names ort. A [`Tagger`] is one session and belongs to one thread; one call scores windows of any number of
//! sources. Nothing is allocated for a window but by ort itself. `shape` compares the graph with its manifest, `look` says what a
//! graph without one takes and gives, and `operators` has mimid's own operators.

pub mod look;
mod operators;
mod shape;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use half::slice::HalfFloatSliceExt;
use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session};
use ort::value::{Shape, TensorRef};

use super::error::ModelError;
use super::learnt::{Corrections, Heads};
use super::manifest::{Axis, AxisName, Embedding, Input, Model, OutputKind};
use shape::{Batch, Number, Plan, Pool, Rows, RowsError};

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
    input: Input,
    plan: Plan,
    /// A batch that was filled up with silence.
    filled: Vec<f32>,
    /// A batch in 16 bits.
    halves: Vec<f16>,
    kind: OutputKind,
    mels: usize,
    /// For each length of window, its frames or samples.
    lengths: Vec<usize>,
    output_name: String,
    /// The number of scores that the graph gives a window.
    n_own_labels: usize,
    /// The embedding, if it is asked for.
    embedding: Option<Embedding>,
    /// The embedding of one window.
    window_embedding: Vec<f32>,
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
        let (mels, lengths): (_, Vec<usize>) = match &model.input.log_mel {
            Some(log_mel) => (log_mel.n_mels, windows.map(|window| window / log_mel.hop_length + 1).collect()),
            None => (1, windows.collect()),
        };
        let is_wanted = model.gives_embeddings || !model.sounds.is_empty() || !model.corrections.is_empty();
        let embedding = model.output.embedding.clone().filter(|_| is_wanted);
        let names = std::iter::once(&model.output.name).chain(embedding.iter().map(|embedding| &embedding.name));
        let outputs = names.fold(OutputSelector::no_default(), |outputs, name| outputs.with(name));
        let plan = Plan::of(&session, model, embedding.as_ref(), mels, &lengths)?;
        let options = RunOptions::new().map_err(|error| refused(error.to_string()))?.with_outputs(outputs);
        let mut tagger = Self {
            session,
            options,
            graph: model.graph.clone(),
            input: model.input.clone(),
            plan,
            filled: Vec::new(),
            halves: Vec::new(),
            kind: model.output.kind,
            mels,
            lengths,
            output_name: model.output.name.clone(),
            n_own_labels: model.n_own_labels(),
            window_embedding: vec![0.0; embedding.as_ref().map_or(0, |embedding| embedding.size)],
            embedding,
            gives_embeddings: model.gives_embeddings,
            heads: Heads::new(&model.sounds),
            corrections: Corrections::new(&model.corrections, &model.labels),
            silence: Vec::new(),
        };
        for length in 0..tagger.n_lengths() {
            let (mut input, mut scores) = (vec![0.0; tagger.window_len(length)], Scores::default());
            tagger.input.fill_with_silence(&mut input);
            tagger.score(length, 1, &input, &mut scores)?;
            tagger.silence.push(scores);
        }
        tagger.try_batch();
        Ok(tagger)
    }

    /// Scores two windows of silence together. Some converters leave the batch's dimension free and make the graph for one window
    /// all the same; such a graph is given one at a time.
    fn try_batch(&mut self) {
        if self.plan.batch != Batch::Any || self.max_batch(0) < 2 {
            return;
        }
        let (mut input, mut scores) = (vec![0.0; 2 * self.window_len(0)], Scores::default());
        input.chunks_exact_mut(self.window_len(0).max(1)).for_each(|window| self.input.fill_with_silence(window));
        if self.score(0, 2, &input, &mut scores).is_err() {
            self.plan.batch = Batch::Fixed(1);
        }
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
        match self.plan.batch {
            Batch::Any => (ENOUGH / self.window_len(length).max(1)).clamp(1, MAX_BATCH),
            Batch::Fixed(size) => size.clamp(1, MAX_BATCH),
        }
    }

    /// Scores `batch` windows of one length, each in the graph's layout; `scores` is overwritten, and does not allocate once it has
    /// the capacity. A graph that is made for batches of one size is run as often as that takes; the last batch is filled up with
    /// silence.
    pub fn score(&mut self, length: usize, batch: usize, input: &[f32], scores: &mut Scores) -> Result<(), ModelError> {
        scores.labels.clear();
        scores.labels.resize(batch * self.n_labels(), 0.0);
        scores.embeddings.clear();
        let at_once = match self.plan.batch {
            Batch::Any => batch.max(1),
            Batch::Fixed(size) => size,
        };
        for (run, windows) in input.chunks(at_once * self.window_len(length).max(1)).enumerate() {
            self.run(length, (run * at_once, at_once), windows, scores)?;
        }
        Ok(())
    }

    /// Runs the graph on `batch` windows, of which `windows` may be the first alone. Their scores begin at the row `first`.
    fn run(
        &mut self,
        length: usize,
        (first, batch): (usize, usize),
        windows: &[f32],
        scores: &mut Scores,
    ) -> Result<(), ModelError> {
        let (graph, n_labels, size) = (&self.graph, self.n_labels(), self.window_len(length).max(1));
        let refused = |what: String| ModelError::Refused { path: graph.clone(), what: one_line(&what) };
        let n_windows = windows.len() / size;
        let shape = Shape::new(self.input.shape.iter().map(|axis| match axis {
            Axis::Fixed(size) => *size,
            Axis::Named(AxisName::Batch) => batch as i64,
            Axis::Named(AxisName::Mels) => self.mels as i64,
            Axis::Named(AxisName::Frames | AxisName::Samples) => self.lengths[length] as i64,
        }));
        let windows = if n_windows == batch {
            windows
        } else {
            self.filled.resize(batch * size, 0.0);
            self.filled[..windows.len()].copy_from_slice(windows);
            self.filled[windows.len()..].chunks_exact_mut(size).for_each(|window| self.input.fill_with_silence(window));
            &self.filled
        };
        let outputs = match self.plan.number {
            Number::F32 => {
                let tensor = TensorRef::from_array_view((shape, windows)).map_err(|error| refused(error.to_string()))?;
                self.session.run_with_options(ort::inputs![self.input.name.as_str() => tensor], &self.options)
            }
            Number::F16 => {
                self.halves.resize(windows.len(), f16::ZERO);
                self.halves.convert_from_f32_slice(windows);
                let tensor = TensorRef::from_array_view((shape, &*self.halves)).map_err(|error| refused(error.to_string()))?;
                self.session.run_with_options(ort::inputs![self.input.name.as_str() => tensor], &self.options)
            }
        };
        let outputs = outputs.map_err(|error| refused(error.to_string()))?;
        // The outputs' names were compared when the graph was opened.
        let value = outputs[self.output_name.as_str()].view();
        let rows = Rows::of(&value, batch, self.n_own_labels).map_err(|error| match error {
            RowsError::Type(what) => refused(what),
            RowsError::Size(actual) => ModelError::WrongLabelCount { path: graph.clone(), expected: self.n_own_labels, actual },
        })?;
        let places = scores.labels.chunks_exact_mut(n_labels.max(1)).skip(first).take(n_windows);
        for (window, place) in places.enumerate() {
            let own = &mut place[..self.n_own_labels];
            rows.copy(window, Pool::Highest, own);
            if self.kind == OutputKind::Logits {
                own.iter_mut().for_each(|logit| *logit = 1.0 / (1.0 + (-*logit).exp()));
            }
        }
        let Some(embedding) = &self.embedding else { return Ok(()) };
        let value = outputs[embedding.name.as_str()].view();
        let rows = Rows::of(&value, batch, embedding.size).map_err(|error| match error {
            RowsError::Type(what) => refused(what),
            RowsError::Size(actual) => {
                let (what, expected) = ("the size of its embedding".to_owned(), embedding.size.to_string());
                ModelError::WrongShape { path: graph.clone(), what, expected, actual: actual.to_string() }
            }
        })?;
        let places = scores.labels.chunks_exact_mut(n_labels.max(1)).skip(first).take(n_windows);
        for (window, place) in places.enumerate() {
            rows.copy(window, Pool::Mean, &mut self.window_embedding);
            self.heads.score(&self.window_embedding, &mut place[self.n_own_labels..]);
            self.corrections.lower(&self.window_embedding, place);
            if self.gives_embeddings {
                scores.embeddings.extend_from_slice(&self.window_embedding);
            }
        }
        Ok(())
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

/// A message of ONNX Runtime, which can run over several lines, as one line.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
