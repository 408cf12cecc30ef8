//! What somebody sees who looks at a source: the newest of its spectrogram, its level, the labels of which anything is heard. It is read
//! from what the ear remembers anyway when somebody asks; it changes nothing, and keeps nothing while nobody does.

use super::slot::Slot;
use super::top::{Entry, entries, strongest};
use crate::control::{Mark, Seen, Shape, TopLabel};
use crate::detect::scoring::Scoring;
use crate::features::LogMel;
use crate::features::mel::band_centres_hz;
use crate::model::Model;

/// So many frames of the spectrogram are a column: what is shown on a screen needs no more than 50 a second.
const FRAMES: u64 = 2;
/// The most columns of an answer: 10 seconds with frames every 10 ms. Ears remember less with the models that there are.
const MOST_COLUMNS: u64 = 500;
/// The level of a column's byte 0, in dB.
const FLOOR_DB: f32 = -80.0;
/// A byte's steps in a dB.
const STEPS_A_DB: f32 = 2.0;
/// A label of which no score reaches this is not heard.
const LEAST_SCORE: f32 = 0.003;
/// The most labels of an answer.
const MOST_LABELS: usize = 64;

/// What the numbers mean with this model.
pub(super) fn shape(model: &Model) -> Shape {
    let rate_hz = model.input.sample_rate_hz;
    let lag_samples = Scoring::new(&model.detection, rate_hz).lag_samples();
    let log_mel = model.input.log_mel.as_ref();
    Shape {
        column_ms: log_mel.map_or(0.0, |log_mel| (FRAMES * log_mel.hop_length as u64 * 1_000) as f64 / f64::from(rate_hz)),
        bands_hz: log_mel.map(band_centres_hz).unwrap_or_default(),
        two_sided_lag_ms: lag_samples * 1_000 / u64::from(rate_hz),
    }
}

/// What is seen of a source that has been seen as far as `since`, with times by a wall clock that is `wall_offset_ns` ahead; nothing
/// before its first samples have come.
pub(super) fn look(slot: &Slot, model: &Model, since: Option<Mark>, wall_offset_ns: i64) -> Option<Seen> {
    let ear = &slot.ear;
    let since = since.filter(|mark| mark.attachment == slot.attachment).map(|mark| mark.column);
    let (first, end, at) = match ear.log_mel() {
        Some(log_mel) => {
            let (first, end) = unseen(log_mel.oldest_frame(), log_mel.n_frames(), since);
            (first, end, first * FRAMES * log_mel.hop_samples())
        }
        None => (0, 0, ear.now()),
    };
    Some(Seen {
        next: Mark { attachment: slot.attachment, column: end },
        column: first,
        at: slot.time(at, wall_offset_ns)?,
        columns: ear.log_mel().map(|log_mel| columns(log_mel, first, end)).unwrap_or_default(),
        level_dbfs: ear.level_dbfs(),
        noise_floor_dbfs: ear.noise_floor_dbfs(),
        clipped_samples: slot.clipped_samples(),
        scored_at: (ear.now() > 0).then(|| slot.time(ear.now(), wall_offset_ns)).flatten(),
        labels: labels(slot, model),
    })
}

/// The first column that is remembered and has not been seen, and the one after the last: whole ones of the frames that are remembered.
fn unseen(oldest_frame: u64, n_frames: u64, since: Option<u64>) -> (u64, u64) {
    let end = n_frames / FRAMES;
    let oldest = oldest_frame.div_ceil(FRAMES).max(end.saturating_sub(MOST_COLUMNS));
    (since.unwrap_or(0).max(oldest).min(end), end)
}

/// The columns from `first` to before `end`, the lowest band of each first.
fn columns(log_mel: &LogMel, first: u64, end: u64) -> Vec<u8> {
    let mut columns = Vec::with_capacity((end - first) as usize * log_mel.n_mels());
    for column in first..end {
        let frames = (column * FRAMES, column * FRAMES + 1);
        columns.extend(log_mel.frame(frames.0).zip(log_mel.frame(frames.1)).map(|(one, other)| byte(one.max(other))));
    }
    columns
}

/// A level in dB as it is shown.
fn byte(level_db: f32) -> u8 {
    // What is beyond either end of a byte becomes that end.
    ((level_db - FLOOR_DB) * STEPS_A_DB).round() as u8
}

/// The labels and groups of which anything is heard.
fn labels(slot: &Slot, model: &Model) -> Vec<TopLabel> {
    let scored = entries(&slot.ear, model).into_iter().map(|entry| {
        let (causal, two_sided) = entry.scores(&slot.ear);
        (causal.max(two_sided.unwrap_or(0.0)), entry)
    });
    let mut heard: Vec<(f32, Entry)> = scored.filter(|(score, _)| *score >= LEAST_SCORE).collect();
    strongest(&mut heard, MOST_LABELS);
    heard.into_iter().map(|(_, entry)| entry.look(slot, model)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::manifest::LogMelParameters;

    fn log_mel(history_samples: usize) -> LogMel {
        let parameters = LogMelParameters::of_ced();
        LogMel::new(&parameters, 16_000, history_samples)
    }

    #[test]
    fn a_byte_is_half_a_decibel_above_minus_eighty() {
        let bytes = [-100.0, -80.0, -79.8, -79.7, 0.0, 47.5, 90.0, f32::NEG_INFINITY, f32::NAN].map(byte);
        assert_eq!(bytes, [0, 0, 0, 1, 160, 255, 255, 0, 0]);
    }

    #[test]
    fn a_column_is_the_louder_of_two_frames() {
        let mut log_mel = log_mel(16_000);
        // A click lies in few frames, so that two of a column differ.
        let samples: Vec<f32> = (0..8_000).map(|n| if n == 4_000 { 1.0 } else { 0.0 }).collect();
        log_mel.push(&samples);
        let (first, end) = unseen(log_mel.oldest_frame(), log_mel.n_frames(), None);
        let all = columns(&log_mel, first, end);
        assert_eq!((first, all.len() as u64), (0, end * 64));
        for (column, levels) in all.chunks(64).enumerate() {
            let of = |frame: usize| log_mel.frame(frame as u64).map(byte).collect::<Vec<_>>();
            let expected: Vec<u8> = of(2 * column).into_iter().zip(of(2 * column + 1)).map(|(a, b)| a.max(b)).collect();
            assert_eq!(levels, expected, "column {column}");
        }
        assert!(all.iter().any(|byte| *byte > 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn whoever_asks_often_enough_sees_every_column_once(
            pushes in prop::collection::vec(1usize..4_000, 1..60),
            asks in prop::collection::vec(any::<bool>(), 60),
        ) {
            let (mut log_mel, mut all, mut seen) = (log_mel(400_000), Vec::new(), None);
            let mut loudness = 0.0f32;
            for (samples, asked) in pushes.iter().zip(asks) {
                loudness = (loudness + 0.37).fract();
                log_mel.push(&vec![loudness; *samples]);
                if asked {
                    let (first, end) = unseen(log_mel.oldest_frame(), log_mel.n_frames(), seen);
                    prop_assert_eq!(first, seen.unwrap_or(0));
                    all.extend(columns(&log_mel, first, end));
                    seen = Some(end);
                }
            }
            prop_assert_eq!(&all, &columns(&log_mel, 0, seen.unwrap_or(0)));
        }

    }

    proptest! {
        #[test]
        fn no_column_is_asked_for_that_is_not_remembered(n_frames in 0u64..4_000, capacity in 2u64..2_000, since in 0u64..3_000) {
            let oldest_frame = n_frames.saturating_sub(capacity);
            for since in [None, Some(since)] {
                let (first, end) = unseen(oldest_frame, n_frames, since);
                prop_assert!(first <= end && end * FRAMES <= n_frames && end - first <= MOST_COLUMNS);
                prop_assert!(first == end || first * FRAMES >= oldest_frame);
            }
        }
    }
}
