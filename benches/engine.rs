//! The cost of the engine's parts: `make bench`. Everything runs in one process on one thread, so the figures can be compared with each
//! other; machines differ and so do days.

use std::sync::OnceLock;

#[path = "../tests/support/learnt.rs"]
mod learnt;
#[path = "probe/noise.rs"]
mod noise;

use divan::Bencher;
use divan::counter::ItemsCount;
use mimid::config::Raw;
use mimid::ear::Ear;
use mimid::features::FrontEnd;
use mimid::model::onnx::{Runtime, find_runtime};
use mimid::model::{Model, Scores, Tagger};
use mimid::resample::Resampler;
use noise::noise;

fn main() {
    divan::main();
}

fn model() -> Model {
    Model::open("ced-tiny").expect("`make setup` gets the model")
}

/// The process has one ONNX Runtime for life.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::load(&find_runtime(None).expect("`make setup` gets the library")).expect("the library loads"))
}

/// A minute of sound to 16 kHz.
#[divan::bench(args = [8_000, 44_100, 48_000, 192_000])]
fn resample_a_minute(bencher: Bencher, rate_hz: u32) {
    let input = noise(rate_hz as usize);
    let mut resampler = Resampler::new(rate_hz, 16_000).expect("the rate is supported");
    let mut out = Vec::with_capacity(20_000);
    bencher.counter(ItemsCount::new(60usize)).bench_local(|| {
        for _ in 0..60 {
            out.clear();
            resampler.process(&input, &mut out);
        }
    });
}

/// A minute of sound at 16 kHz as log-mel frames.
#[divan::bench]
fn log_mel_of_a_minute(bencher: Bencher) {
    let model = model();
    let input = noise(16_000);
    let mut front = FrontEnd::new(&model.input, 32_000);
    bencher.counter(ItemsCount::new(60usize)).bench_local(|| {
        for _ in 0..60 {
            front.push(&input);
        }
    });
}

/// The windows of a hop out of the spectrogram, as the model takes them.
#[divan::bench]
fn copy_the_windows_of_a_hop(bencher: Bencher) {
    let model = model();
    let mut front = FrontEnd::new(&model.input, 64_000);
    front.push(&noise(64_000));
    let (end, mut window) = (front.available_until(), vec![0.0; 1 << 16]);
    bencher.bench_local(|| {
        for length in model.detection.windows_samples(model.input.sample_rate_hz) {
            front.copy_window(end, length, &mut window);
        }
    });
}

/// Ten seconds at 48 kHz through everything but the model, whose scores are low all the time: noise or digital silence, with the
/// rules of a preset.
#[divan::bench(args = [("home", "noise"), ("home", "silence"), ("all", "noise"), ("all", "silence")])]
fn hear_ten_seconds(bencher: Bencher, (preset, sound): (&str, &str)) {
    let model = model();
    let raw = Raw::parse(&format!("[report]\npreset = \"{preset}\""), None);
    let rules = raw.validate(&model.labels).expect("the preset is known").config.rules;
    let mut ear = Ear::new(&model, rules, 48_000).expect("the rate is supported");
    let hop = if sound == "noise" { noise(4_800) } else { vec![0.0; 4_800] };
    let rows = vec![0.001; model.labels.len() * model.detection.windows_ms.len()];
    let mut found = Vec::new();
    bencher.counter(ItemsCount::new(100usize)).bench_local(|| {
        for _ in 0..100 {
            ear.push(&hop);
            while ear.n_due() > 0 {
                ear.take_scores(&rows, &[true; 2], &mut found);
            }
        }
    });
}

/// Windows of each of the model's lengths, from ready log-mels to scores; without learnt sounds and with a hundred.
#[divan::bench(args = [0, 100], consts = [1, 4, 8])]
fn score_short_windows<const BATCH: usize>(bencher: Bencher, n_sounds: usize) {
    score_windows(bencher, 0, BATCH, n_sounds);
}

#[divan::bench(args = [0, 100], consts = [1, 4, 8])]
fn score_long_windows<const BATCH: usize>(bencher: Bencher, n_sounds: usize) {
    score_windows(bencher, 1, BATCH, n_sounds);
}

fn score_windows(bencher: Bencher, length: usize, batch: usize, n_sounds: usize) {
    let mut model = model();
    let size = model.output.embedding.as_ref().map_or(0, |embedding| embedding.size);
    learnt::take_up(&mut model, &learnt::silent(n_sounds, size));
    let mut tagger = Tagger::open(&model, runtime()).expect("the model opens");
    let input: Vec<f32> = noise(batch * tagger.window_len(length)).iter().map(|value| value * 400.0 - 40.0).collect();
    let mut scores = Scores::default();
    bencher.counter(ItemsCount::new(batch)).bench_local(|| tagger.score(length, batch, &input, &mut scores));
}
