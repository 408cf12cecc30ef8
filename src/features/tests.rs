//! Features against golden vectors, and against themselves for any chunking.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::model::manifest::{Axis, AxisName, InputKind, LogMelParameters};

#[derive(Deserialize)]
struct Golden {
    parameters: serde_json::Value,
    cases: Vec<Case>,
    samples_of_definitions: Vec<i16>,
    definitions: Vec<Definition>,
}

/// A definition of another model, and the log-mel of `samples_of_definitions` by it.
#[derive(Deserialize)]
struct Definition {
    name: String,
    parameters: serde_json::Value,
    log_mel: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    samples: Vec<i16>,
    log_mel_db: Vec<Vec<f32>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../tests/golden/logmel.json")).unwrap()
}

fn parameters() -> LogMelParameters {
    let mut value = golden().parameters;
    value.as_object_mut().unwrap().remove("sample_rate_hz");
    serde_json::from_value(value).unwrap()
}

/// The windows of every definition, in both layouts, are those of the reference; silence is the silence of the manifest.
#[test]
fn the_log_mels_of_other_models_equal_the_reference() {
    let Golden { samples_of_definitions, definitions, .. } = golden();
    let samples: Vec<f32> = samples_of_definitions.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
    assert!(definitions.len() >= 3);
    for Definition { name, mut parameters, log_mel } in definitions {
        let sample_rate_hz = parameters.as_object_mut().unwrap().remove("sample_rate_hz").unwrap().as_u64().unwrap() as u32;
        let parameters: LogMelParameters = serde_json::from_value(parameters).unwrap();
        let (n_mels, hop, n_frames) = (parameters.n_mels, parameters.hop_length, log_mel.len());
        let (mels, frames) = (Axis::Named(AxisName::Mels), Axis::Named(AxisName::Frames));
        for shape in [vec![mels.clone(), frames.clone()], vec![frames, mels]] {
            let is_frames_first = shape[0] == Axis::Named(AxisName::Frames);
            let kind = InputKind::LogMel;
            let input = Input { kind, name: "x".into(), shape, sample_rate_hz, log_mel: Some(parameters.clone()) };
            // Three frames more than the signal has lie before it, and hold silence.
            let (mut front, length) = (FrontEnd::new(&input, 3 * samples.len()), (n_frames + 2) * hop);
            front.push(&samples);
            front.push(&vec![0.0; parameters.n_fft]);
            let mut window = vec![f32::NAN; (n_frames + 3) * n_mels];
            front.copy_window(((n_frames - 1) * hop) as u64, length, &mut window);
            let mut silence = vec![f32::NAN; window.len()];
            input.fill_with_silence(&mut silence);
            let place = |t: usize, band: usize| if is_frames_first { t * n_mels + band } else { band * (n_frames + 3) + t };
            for (t, band) in (0..n_frames + 3).flat_map(|t| (0..n_mels).map(move |band| (t, band))) {
                let value = window[place(t, band)];
                let expected = t.checked_sub(3).map_or(silence[place(t, band)], |t| log_mel[t][band]);
                assert!((value - expected).abs() <= 1e-3, "{name}: frame {t} band {band}: {value}, expected {expected}");
            }
        }
    }
}

fn samples(case: &Case) -> Vec<f32> {
    case.samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect()
}

#[test]
fn the_log_mel_equals_the_reference_within_a_thousandth_of_a_decibel() {
    let cases = golden().cases;
    assert!(cases.len() >= 6);
    for case in &cases {
        let mut front = LogMel::new(&parameters(), 16_000, 16_000);
        front.push(&samples(case));
        front.push(&[0.0; 256]);
        assert_eq!(front.n_frames() as usize, case.log_mel_db.len(), "{}", case.name);
        for (t, expected) in case.log_mel_db.iter().enumerate() {
            for (band, (value, expected)) in front.frame(t as u64).zip(expected).enumerate() {
                assert!(
                    (value - expected).abs() <= 1e-3,
                    "{} frame {t} band {band}: {value} dB, expected {expected} dB",
                    case.name
                );
            }
        }
    }
}

fn inputs() -> [Input; 2] {
    let log_mel = Input {
        kind: InputKind::LogMel,
        name: "x".into(),
        shape: vec![Axis::Named(AxisName::Batch), Axis::Named(AxisName::Mels), Axis::Named(AxisName::Frames)],
        sample_rate_hz: 16_000,
        log_mel: Some(parameters()),
    };
    let waveform =
        Input { kind: InputKind::Waveform, shape: vec![Axis::Named(AxisName::Samples)], log_mel: None, ..log_mel.clone() };
    [log_mel, waveform]
}

/// A window of 1,600 samples at the latest hop of 160 that can be had.
fn last_window(front: &FrontEnd) -> (u64, Vec<f32>) {
    let end = front.available_until() / 160 * 160;
    let mut window = vec![f32::NAN; 1_600];
    front.copy_window(end, 1_600, &mut window);
    (end, window.into_iter().take_while(|value| !value.is_nan()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_chunking_gives_the_same_window(
        chunks in prop::collection::vec(0usize..2_500, 1..12),
        skip in prop::option::of((0usize..12, 1u64..100_000)),
        seed in any::<u32>(),
    ) {
        let total: usize = chunks.iter().sum();
        let mut state = seed;
        let noise: Vec<f32> = (0..total).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65_536.0 - 0.5
        }).collect();
        // In the middle there may be a gap, at the same place whatever the chunks.
        let gap_at = skip.map(|(chunk, _)| chunks.iter().take(chunk).sum::<usize>());
        for input in inputs() {
            let mut pieces = FrontEnd::new(&input, 8_000);
            let mut whole = FrontEnd::new(&input, 8_000);
            let mut at = 0;
            let mut skipped = 0;
            for chunk in &chunks {
                if let (Some(gap_at), Some((_, gap))) = (gap_at, skip) && at == gap_at && skipped == 0 {
                    pieces.skip_to(at as u64 + gap);
                    skipped = gap;
                }
                pieces.push(&noise[at..at + chunk]);
                at += chunk;
            }
            match gap_at.filter(|_| skipped > 0) {
                Some(gap_at) => {
                    whole.push(&noise[..gap_at]);
                    whole.skip_to(gap_at as u64 + skipped);
                    whole.push(&noise[gap_at..]);
                }
                None => whole.push(&noise),
            }
            prop_assert_eq!(last_window(&pieces), last_window(&whole));
        }
    }
}

#[test]
fn after_a_gap_frames_stand_where_they_would_without_it() {
    // A click 1,000 samples after a gap of 12,345 shows in the same frames as in silence of that length.
    for input in inputs() {
        let mut gap = FrontEnd::new(&input, 8_000);
        let mut silence = FrontEnd::new(&input, 8_000);
        let mut click = vec![0.0; 3_000];
        click[1_000] = 1.0;
        gap.push(&[0.0; 500]);
        gap.skip_to(12_845);
        silence.push(&vec![0.0; 12_845]);
        gap.push(&click);
        silence.push(&click);
        assert_eq!(last_window(&gap), last_window(&silence));
    }
}

#[test]
fn before_the_first_sample_there_is_silence() {
    for input in inputs() {
        let mut front = FrontEnd::new(&input, 8_000);
        front.push(&[0.5; 800]);
        let (end, window) = last_window(&front);
        assert!(end <= 800);
        let floor = if input.log_mel.is_some() { -100.0 } else { 0.0 };
        assert_eq!(window[0], floor);
        assert!(window.iter().any(|value| *value > floor));
    }
}
