//! Scores windows that come in on the standard input, so that other tools can compare what mimid itself makes of them.

use std::io::Read;
use std::path::Path;

use mimid::model::onnx::{Runtime, find_runtime};
use mimid::model::{Model, Scores, Tagger};
use serde_json::json;

use super::Outcome;
use super::meter::{quantile, timed};

/// Log-mels of so many frames, f32 in little-endian order one window after the other, `batch` of them a call. Their scores are written
/// into the file `out` in the same order; what a window cost, the median of the calls, is the figure.
pub fn score(frames: usize, batch: usize, out: &Path) -> Outcome {
    let mut model = Model::open("ced-tiny")?;
    model.detection.windows_ms = vec![u32::try_from((frames - 1) * 10)?];
    let mut tagger = Tagger::open(&model, &Runtime::load(&find_runtime(None)?)?)?;
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    let input: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let (mut scores, mut said, mut costs_ms) = (Scores::default(), Vec::new(), Vec::new());
    for windows in input.chunks(batch * tagger.window_len(0)) {
        let count = windows.len() / tagger.window_len(0);
        let cpu_s = timed(|| tagger.score(0, count, windows, &mut scores))?;
        costs_ms.push(1_000.0 * cpu_s / count as f64);
        said.extend(scores.labels.iter().flat_map(|score| score.to_le_bytes()));
    }
    std::fs::write(out, said)?;
    Ok(json!({"window_ms": quantile(&mut costs_ms, 0.5)}))
}
