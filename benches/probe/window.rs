//! One window from its samples to its scores, side by side: mimid's way, the bare graph on a ready log-mel, and the original graph
//! with the settings of the crate that publishes it.

use std::path::Path;
use std::time::Duration;

use mimid::features::FrontEnd;
use mimid::model::onnx::{Runtime, find_runtime};
use mimid::model::{Model, Scores, Tagger};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Shape, TensorRef};
use serde_json::json;

use super::Outcome;
use super::meter::{quantile, timed};
use super::noise::noise;

/// The window nearest to 2 s that is whole patches and one frame: 193 frames.
const WINDOW_MS: u32 = 1_920;
/// Windows of each kind in one round.
const WINDOWS: usize = 5;
/// ONNX Runtime's threads go on spinning for a moment after a run; what comes next must not pay for that.
const SPINNING: Duration = Duration::from_millis(100);

/// Measures so many rounds of each; the median of a round's CPU time for one window, and of the rounds' ratios.
pub fn measure(original: &Path, rounds: usize) -> Outcome {
    let mut model = Model::open("ced-tiny")?;
    model.detection.windows_ms = vec![WINDOW_MS];
    let length = WINDOW_MS as usize * 16;
    let samples = noise(length);
    let runtime = Runtime::load(&find_runtime(None)?)?;
    let mut tagger = Tagger::open(&model, &runtime)?;
    let mut front = FrontEnd::new(&model.input, 2 * length);
    let mut input = vec![0.0; tagger.window_len(0)];
    let mut scores = Scores::default();

    let mut bare = runtime.session(&model.graph)?;
    let mut published = Session::builder(runtime.environment())?
        .with_optimization_level(GraphOptimizationLevel::Disable)?
        .commit_from_file(original)?;
    let published_input = published.inputs()[0].name().to_owned();

    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    let (mut to_bare, mut to_original) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let ours = timed(|| {
            for _ in 0..WINDOWS {
                front.push(&samples);
                front.copy_window(front.available_until(), length, &mut input);
                tagger.score(0, 1, &input, &mut scores)?;
            }
            Ok::<(), Box<dyn std::error::Error>>(())
        })?;
        let shape = Shape::new([1, 1, 64, (input.len() / 64) as i64]);
        let alone = timed(|| {
            for _ in 0..WINDOWS {
                let tensor = TensorRef::from_array_view((shape.clone(), input.as_slice()))?;
                bare.run(ort::inputs![model.input.name.as_str() => tensor])?;
            }
            Ok::<(), ort::Error>(())
        })?;
        let theirs = timed(|| {
            for _ in 0..WINDOWS {
                let tensor = TensorRef::from_array_view((Shape::new([1, length as i64]), samples.as_slice()))?;
                published.run(ort::inputs![published_input.as_str() => tensor])?;
            }
            Ok::<(), ort::Error>(())
        })?;
        std::thread::sleep(SPINNING);
        // The first round warms the caches and the allocators up.
        if round > 0 {
            for (all, cpu_s) in figures.iter_mut().zip([ours, alone, theirs]) {
                all.push(1_000.0 * cpu_s / WINDOWS as f64);
            }
            to_bare.push(ours / alone);
            to_original.push(ours / theirs);
        }
    }
    let [ours, alone, theirs] = figures.map(|mut all| quantile(&mut all, 0.5));
    Ok(json!({
        "mimid_ms": ours, "bare_ms": alone, "original_ms": theirs,
        "to_bare": quantile(&mut to_bare, 0.5), "to_original": quantile(&mut to_original, 0.5),
    }))
}
