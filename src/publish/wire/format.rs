//! Times and numbers as they stand on the wire.

use jiff::Timestamp;

/// The level of digital silence, in dBFS, for JSON knows no infinity.
const SILENCE_DBFS: f64 = -150.0;

/// A time as RFC 3339, UTC, with exactly three decimals; finer decimals are cut off.
pub fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// The difference of two times in milliseconds, as a reader of both times on the wire computes it. It is never negative, for a
/// source that is read faster than real time is ahead of the clock.
pub fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_millisecond() - from.as_millisecond()).unwrap_or(0)
}

/// A score with four decimals, within 0…1.
pub fn score(score: f32) -> f64 {
    let score = f64::from(score);
    if score.is_nan() { 0.0 } else { round(score.clamp(0.0, 1.0), 4) }
}

/// A level with one decimal, always finite.
pub fn level(dbfs: f32) -> f64 {
    let dbfs = f64::from(dbfs);
    if dbfs.is_finite() { round(dbfs.max(SILENCE_DBFS), 1) } else { SILENCE_DBFS }
}

/// A number with so many decimals.
pub(super) fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    // JSON spells minus zero differently from zero; adding zero makes them one.
    (value * scale).round() / scale + 0.0
}
