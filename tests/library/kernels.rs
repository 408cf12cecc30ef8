//! mimid's own operators in the real graph: but for rounding, they give the scores of the graph's own definitions. A window gives
//! the same scores alone and in a batch, and several graphs can be opened at the same time.

use crate::support::runtime::runtime;
use mimid::model::{Model, Scores, Tagger};
use ort::session::Session;
use ort::value::TensorRef;

fn model() -> Model {
    Model::open("ced-tiny").expect("`make setup` gets the model")
}

/// The log-mels of `count` windows, similar to those of sound: a random walk in each band, with a few tones that come and go.
fn windows(count: usize, frames: usize) -> Vec<f32> {
    let mut state = 7u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    let mut out = Vec::with_capacity(count * 64 * frames);
    for window in 0..count {
        for band in 0..64 {
            let mut level = -45.0 - band as f32 / 4.0;
            for frame in 0..frames {
                level = (level + 4.0 * noise()).clamp(-90.0, 10.0);
                let is_tone = (band + 5 * window) % 11 == 0 && (frame / 20 + window) % 2 == 0;
                out.push(if is_tone { level.max(-15.0) } else { level });
            }
        }
    }
    out
}

/// The graph's scores without mimid's operators: ONNX Runtime then computes them by the graph's own definitions.
fn by_definition(model: &Model, frames: usize, windows: &[f32]) -> Vec<f32> {
    // Without VNNI the products of integers are exact only where this is asked for.
    let builder = Session::builder(runtime().environment()).unwrap().with_precise_qmm().unwrap();
    let mut session = { builder }.commit_from_file(&model.graph).unwrap();
    let shape = [windows.len() as i64 / (64 * frames as i64), 1, 64, frames as i64];
    let input = TensorRef::from_array_view((shape, windows)).unwrap();
    let outputs = session.run(ort::inputs![model.input.name.as_str() => input]).unwrap();
    outputs[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

#[test]
fn the_kernels_compute_what_the_graph_says_of_them() {
    let model = model();
    let mut tagger = Tagger::open(&model, runtime()).unwrap();
    for (length, frames) in [(0, 97), (1, 289)] {
        assert_eq!(tagger.window_len(length), 64 * frames);
        let windows = windows(6, frames);
        let (mut together, mut alone) = (Scores::default(), Scores::default());
        tagger.score(length, 6, &windows, &mut together).unwrap();
        let expected = by_definition(&model, frames, &windows);
        let together = together.labels;
        assert_eq!(together.len(), expected.len());
        // Now and then a value lies so near to the middle of two steps that it is rounded to the other one.
        let differences: Vec<f32> = together.iter().zip(&expected).map(|(ours, theirs)| (ours - theirs).abs()).collect();
        let mean = differences.iter().sum::<f32>() / differences.len() as f32;
        let most = differences.iter().copied().fold(0.0, f32::max);
        assert!(expected.iter().copied().fold(0.0, f32::max) > 0.1, "nothing is heard in these windows");
        assert!(mean < 1e-4 && most < 0.06, "{frames} frames: {mean} at the mean, {most} at most");
        for (window, together) in windows.chunks(64 * frames).zip(together.chunks(tagger.n_labels())) {
            tagger.score(length, 1, window, &mut alone).unwrap();
            assert_eq!(alone.labels, together, "a window of {frames} frames alone and among others");
        }
    }
}

#[test]
fn graphs_can_be_opened_side_by_side() {
    let model = model();
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Tagger::open(&model, runtime()).map(drop))).collect();
        for opened in opened {
            opened.join().unwrap().unwrap();
        }
    });
}
