//! The way of the samples up to the log-mel, by itself.

use mimid::capture::callback::Callback;
use mimid::capture::source::Channel;
use mimid::features::FrontEnd;
use mimid::model::Model;
use mimid::resample::Resampler;
use mimid::ring::ring;
use serde_json::json;

use super::Outcome;
use super::meter::{quantile, timed};
use super::noise::noise;

/// So many samples are handed over at a time, as the daemon does.
const PUSH: usize = 8_192;
/// How much of the log-mel is remembered, in samples.
const HISTORY: usize = 80_000;

/// Log-mel of so many seconds of sound at 16 kHz.
pub fn log_mel(seconds: usize) -> Outcome {
    let model = Model::open("ced-tiny")?;
    let minute = noise(16_000 * 60);
    let mut front = FrontEnd::new(&model.input, HISTORY);
    let cpu_s = timed(|| {
        for _ in 0..seconds / 60 {
            minute.chunks(PUSH).for_each(|samples| front.push(samples));
        }
        Ok::<(), std::convert::Infallible>(())
    })?;
    Ok(json!({"cpu_s": cpu_s}))
}

/// Stereo sound at 48 kHz in blocks of 10 ms through the callback, the ring, the resampler and the front end: the share of a core
/// that it takes where it comes in real time.
pub fn live(seconds: usize, rounds: usize) -> Outcome {
    let model = Model::open("ced-tiny")?;
    let block = noise(480 * 2 * 100);
    let (writer, mut reader) = ring(48_000);
    let mut callback = Callback::new(writer, 2, Channel::Mix, 0.0);
    let mut resampler = Resampler::new(48_000, model.input.sample_rate_hz)?;
    let mut front = FrontEnd::new(&model.input, HISTORY);
    let mut popped = vec![0.0; PUSH];
    let mut resampled = Vec::with_capacity(PUSH);
    let mut shares = Vec::new();
    for _ in 0..rounds {
        let cpu_s = timed(|| {
            for _ in 0..seconds {
                for samples in block.chunks(480 * 2) {
                    callback.process(samples, |sample: f32| sample);
                    let count = reader.pop(&mut popped).count;
                    resampled.clear();
                    resampler.process(&popped[..count], &mut resampled);
                    front.push(&resampled);
                }
            }
            Ok::<(), std::convert::Infallible>(())
        })?;
        shares.push(100.0 * cpu_s / seconds as f64);
    }
    Ok(json!({"core_percent": quantile(&mut shares, 0.5)}))
}
