//! Views of a source: the newest columns of its spectrogram, its level, the labels with a score worth showing.
//!
//! A view is made from the frames that the ear remembers anyway. Nothing is kept for it.

use super::answer::Answerer;
use super::query::{TopLabel, ViewCursor, ViewShape, ViewSnapshot};
use crate::detect::scoring::Scoring;
use crate::features::LogMel;
use crate::features::mel::band_centres_hz;
use crate::model::Model;

/// Frames of the spectrogram in a column; a screen needs no more than 50 columns a second.
const FRAMES_A_COLUMN: u64 = 2;
/// The most columns of an answer: 10 seconds with frames every 10 ms. With the models that there are, ears remember less.
const MOST_COLUMNS: u64 = 500;
/// The level of a column's byte 0, in dB.
const FLOOR_DB: f32 = -80.0;
/// Steps of a byte in a dB.
const STEPS_A_DB: f32 = 2.0;
/// The lowest score that is worth showing.
const LEAST_SCORE: f32 = 0.003;
/// The most labels of an answer.
const MOST_LABELS: usize = 64;

/// The meaning of a snapshot's numbers with this model.
pub(super) fn shape(model: &Model) -> ViewShape {
    let rate_hz = model.input.sample_rate_hz;
    let lag_samples = Scoring::new(&model.detection, rate_hz).lag_samples();
    let log_mel = model.input.log_mel.as_ref();
    ViewShape {
        column_ms: log_mel
            .map_or(0.0, |log_mel| (FRAMES_A_COLUMN * log_mel.hop_length as u64 * 1_000) as f64 / f64::from(rate_hz)),
        bands_hz: log_mel.map(band_centres_hz).unwrap_or_default(),
        confirmed_lag_ms: lag_samples * 1_000 / u64::from(rate_hz),
    }
}

impl Answerer<'_> {
    /// The newest of the source, with the columns from `since` on and times by a wall clock that is `wall_offset_ns` ahead;
    /// `None` before the first samples have come.
    pub(super) fn snapshot(&self, since: Option<ViewCursor>, wall_offset_ns: i64) -> Option<ViewSnapshot> {
        let slot = self.slot;
        let ear = &slot.ear;
        let since = since.filter(|cursor| cursor.attachment == slot.attachment).map(|cursor| cursor.column);
        let (first, end, at) = match ear.log_mel() {
            Some(log_mel) => {
                let (first, end) = wanted_columns(log_mel.oldest_frame(), log_mel.n_frames(), since);
                (first, end, first * FRAMES_A_COLUMN * log_mel.hop_samples())
            }
            None => (0, 0, ear.now()),
        };
        Some(ViewSnapshot {
            next: ViewCursor { attachment: slot.attachment, column: end },
            column: first,
            at: slot.time(at, wall_offset_ns)?,
            columns: ear.log_mel().map(|log_mel| columns(log_mel, first, end)).unwrap_or_default(),
            level_dbfs: ear.level_dbfs(),
            noise_floor_dbfs: ear.noise_floor_dbfs(),
            clipped_samples: slot.clipped_samples(),
            scored_at: (ear.now() > 0).then(|| slot.time(ear.now(), wall_offset_ns)).flatten(),
            labels: self.audible(),
        })
    }

    /// The labels and groups with a score of at least [`LEAST_SCORE`].
    fn audible(&self) -> Vec<TopLabel> {
        let scored = self.entries().map(|entry| {
            let (causal, confirmed) = self.scores(entry);
            (causal.max(confirmed.unwrap_or(0.0)), entry)
        });
        self.strongest(scored.filter(|(score, _)| *score >= LEAST_SCORE).collect(), MOST_LABELS)
    }
}

/// The first column of an answer, and the one after its last: whole columns of the frames that are remembered, from `since` on.
fn wanted_columns(oldest_frame: u64, n_frames: u64, since: Option<u64>) -> (u64, u64) {
    let end = n_frames / FRAMES_A_COLUMN;
    let oldest = oldest_frame.div_ceil(FRAMES_A_COLUMN).max(end.saturating_sub(MOST_COLUMNS));
    (since.unwrap_or(0).max(oldest).min(end), end)
}

/// The columns from `first` to before `end`, the lowest band of each first.
fn columns(log_mel: &LogMel, first: u64, end: u64) -> Vec<u8> {
    let mut columns = Vec::with_capacity((end - first) as usize * log_mel.n_mels());
    for column in first..end {
        let frames = (column * FRAMES_A_COLUMN, column * FRAMES_A_COLUMN + 1);
        columns.extend(log_mel.frame(frames.0).zip(log_mel.frame(frames.1)).map(|(one, other)| byte(one.max(other))));
    }
    columns
}

/// A level in dB as a byte of a column.
fn byte(level_db: f32) -> u8 {
    // The cast saturates, so a level beyond either end of the scale becomes that end.
    ((level_db - FLOOR_DB) * STEPS_A_DB).round() as u8
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
        let (first, end) = wanted_columns(log_mel.oldest_frame(), log_mel.n_frames(), None);
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
        fn an_asker_that_asks_often_enough_gets_every_column_once(
            pushes in prop::collection::vec(1usize..4_000, 1..60),
            asks in prop::collection::vec(any::<bool>(), 60),
        ) {
            let (mut log_mel, mut all, mut seen) = (log_mel(400_000), Vec::new(), None);
            let mut loudness = 0.0f32;
            for (samples, asked) in pushes.iter().zip(asks) {
                loudness = (loudness + 0.37).fract();
                log_mel.push(&vec![loudness; *samples]);
                if asked {
                    let (first, end) = wanted_columns(log_mel.oldest_frame(), log_mel.n_frames(), seen);
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
        fn every_column_of_an_answer_is_remembered(n_frames in 0u64..4_000, capacity in 2u64..2_000, since in 0u64..3_000) {
            let oldest_frame = n_frames.saturating_sub(capacity);
            for since in [None, Some(since)] {
                let (first, end) = wanted_columns(oldest_frame, n_frames, since);
                prop_assert!(first <= end && end * FRAMES_A_COLUMN <= n_frames && end - first <= MOST_COLUMNS);
                prop_assert!(first == end || first * FRAMES_A_COLUMN >= oldest_frame);
            }
        }
    }
}
