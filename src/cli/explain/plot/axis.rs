//! The axes: converts seconds, hertz and scores to px, and chooses the round numbers that are written beside them.
//!
//! It computes only; it draws nothing.

use super::{LEFT, RIGHT};

/// The shortest time axis, in seconds; a shorter time span is widened to it.
const MIN_SPAN_S: f64 = 0.1;
/// The latest time that is drawn, in seconds; beyond it an f64 in px cannot tell milliseconds apart.
const MAX_S: f64 = 1e7;
/// The smallest distance of two ticks of the time axis.
const TICK_PX: f64 = 62.0;

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `12.5`
    Seconds,
    /// `3:05`
    Minutes,
    /// `1:03:05`
    Hours,
}

impl Clock {
    fn write(self, time_s: f64, decimals: usize) -> String {
        if self == Self::Seconds {
            return format!("{time_s:.decimals$}");
        }
        let scale = 10f64.powi(decimals as i32);
        let rounded = (time_s * scale).round() / scale;
        let minutes = (rounded / 60.0).floor();
        // Without decimals the seconds have two places, with them two, the point and the decimals.
        let places = if decimals == 0 { 2 } else { decimals + 3 };
        let seconds = format!("{:0places$.decimals$}", rounded - minutes * 60.0);
        match self {
            Self::Hours => format!("{}:{:02}:{seconds}", (minutes / 60.0).floor(), minutes % 60.0),
            Self::Seconds | Self::Minutes => format!("{minutes}:{seconds}"),
        }
    }

    /// A time to the hundredth.
    pub fn precise(self, time_s: f64) -> String {
        let unit = if self == Self::Seconds { " s" } else { "" };
        self.write(time_s, 2) + unit
    }

    /// A time span, with hundredths where it is short.
    pub fn span(self, from_s: f64, to_s: f64) -> String {
        if to_s - from_s <= 120.0 {
            return format!("{} to {}", self.write(from_s, 2), self.precise(to_s));
        }
        format!("{} to {}", self.write(from_s, 0), self.write(to_s, 0))
    }
}

/// The time axis that all rows share.
#[derive(Debug, Clone, Copy)]
pub struct TimeAxis {
    /// Its beginning, in seconds.
    pub from_s: f64,
    /// Its end, in seconds; at least [`MIN_SPAN_S`] later.
    pub to_s: f64,
    /// How its times are written.
    pub clock: Clock,
}

impl TimeAxis {
    /// The axis of a time span; an empty or invalid one is widened to a short one.
    pub fn new(from_s: f64, to_s: f64) -> Self {
        let from_s = if from_s.is_nan() { 0.0 } else { from_s.clamp(0.0, MAX_S) };
        let to_s = if to_s.is_nan() { from_s } else { to_s.clamp(from_s, MAX_S) }.max(from_s + MIN_SPAN_S);
        let clock = match to_s {
            ..=120.0 => Clock::Seconds,
            ..3_600.0 => Clock::Minutes,
            _ => Clock::Hours,
        };
        Self { from_s, to_s, clock }
    }

    /// Its length, in seconds.
    pub fn span_s(&self) -> f64 {
        self.to_s - self.from_s
    }

    /// The width of a second, in px.
    pub fn px_per_s(&self) -> f64 {
        (RIGHT - LEFT) / self.span_s()
    }

    /// The position of a time, in px.
    pub fn x(&self, time_s: f64) -> f64 {
        LEFT + (time_s - self.from_s) * self.px_per_s()
    }

    /// Whether a time lies on the axis.
    pub fn covers(&self, time_s: f64) -> bool {
        (self.from_s..=self.to_s).contains(&time_s)
    }

    /// Round times within the axis, with their texts.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let least_s = TICK_PX / self.px_per_s();
        let (step_s, decimals) = round_step_s(least_s);
        let first = (self.from_s / step_s - 1e-9).ceil();
        let ticks = (0..=self.ticks_at_most()).map(|i| (first + i as f64) * step_s);
        let end_s = self.to_s + step_s * 1e-9;
        ticks.take_while(|tick_s| *tick_s <= end_s).map(|tick_s| (tick_s, self.clock.write(tick_s, decimals))).collect()
    }

    fn ticks_at_most(&self) -> usize {
        ((RIGHT - LEFT) / TICK_PX) as usize
    }
}

/// The smallest round number of seconds that is at least `least_s`, and how many decimals it needs.
fn round_step_s(least_s: f64) -> (f64, usize) {
    const STEPS_S: [f64; 14] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0];
    if least_s > 7_200.0 {
        return ((least_s / 7_200.0).ceil() * 7_200.0, 0);
    }
    // The shortest axis, 100 ms, needs no finer step than a hundredth of a second.
    let fine = [(0.01, 2), (0.02, 2), (0.05, 2), (0.1, 1), (0.2, 1), (0.5, 1)];
    let coarse = STEPS_S.map(|step_s| (step_s, 0));
    fine.into_iter().chain(coarse).find(|(step_s, _)| *step_s >= least_s).unwrap_or((7_200.0, 0))
}

/// Round frequencies within the bands' range as `(band, fractional; Hz)`, at least `distance` bands apart.
pub fn frequency_ticks(band_hz: &[f64], distance: f64) -> Vec<(f64, f64)> {
    let mut ticks: Vec<(f64, f64)> = Vec::new();
    // Decades and their halves come first; other round numbers fill the room that they leave.
    for factor in [1.0, 5.0, 2.0, 8.0, 3.0] {
        for power in 1..=5 {
            let hz = factor * 10f64.powi(power);
            let Some(band) = band_of(hz, band_hz) else { continue };
            if ticks.iter().all(|(other, _)| (band - other).abs() >= distance) {
                ticks.push((band, hz));
            }
        }
    }
    ticks
}

/// The position of a frequency among the bands' centres; `None` outside of them.
fn band_of(hz: f64, band_hz: &[f64]) -> Option<f64> {
    let (below, pair) = band_hz.windows(2).enumerate().find(|(_, pair)| pair[0] <= hz && hz <= pair[1])?;
    let part = (hz - pair[0]) / (pair[1] - pair[0]);
    Some(below as f64 + if part.is_finite() { part } else { 0.0 })
}

/// The lowest score of the axis; lower ones are drawn at its foot.
const LOWEST_SCORE: f32 = 0.001;
/// The scores that have a grid line, with their texts.
pub const SCORE_TICKS: [(f32, &str); 4] = [(1.0, "1"), (0.1, "0.1"), (0.01, "0.01"), (0.001, "0.001")];

/// The height of a score on the logarithmic axis, from 0 at the bottom to 1 at the top.
pub fn score_height(score: f32) -> f64 {
    1.0 + f64::from(score.clamp(LOWEST_SCORE, 1.0)).log10() / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from_s: f64, to_s: f64) -> String {
        TimeAxis::new(from_s, to_s).ticks().into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_have_no_more_decimals_than_they_need() {
        insta::assert_snapshot!(labels(0.0, 5.0), @"0.0 0.5 1.0 1.5 2.0 2.5 3.0 3.5 4.0 4.5 5.0");
        insta::assert_snapshot!(labels(0.0, 60.0), @"0 5 10 15 20 25 30 35 40 45 50 55 60");
        insta::assert_snapshot!(labels(0.0, 600.0), @"0:00 1:00 2:00 3:00 4:00 5:00 6:00 7:00 8:00 9:00 10:00");
        insta::assert_snapshot!(labels(3_599.0, 3_602.0), @"0:59:59.0 0:59:59.5 1:00:00.0 1:00:00.5 1:00:01.0 1:00:01.5 1:00:02.0");
        insta::assert_snapshot!(labels(12.34, 12.34), @"12.34 12.35 12.36 12.37 12.38 12.39 12.40 12.41 12.42 12.43 12.44");
    }

    #[test]
    fn an_empty_time_span_becomes_a_short_one() {
        for (from_s, to_s) in [(5.0, 5.0), (5.0, 1.0), (5.0, f64::NAN)] {
            let axis = TimeAxis::new(from_s, to_s);
            assert_eq!((axis.from_s, axis.to_s), (5.0, 5.1));
        }
        assert!(TimeAxis::new(f64::NAN, f64::INFINITY).span_s().is_finite());
    }

    #[test]
    fn a_time_is_not_rounded_to_sixty_seconds() {
        assert_eq!(Clock::Minutes.precise(119.999), "2:00.00");
        assert_eq!(Clock::Hours.precise(3_723.456), "1:02:03.46");
        assert_eq!(Clock::Seconds.precise(12.3), "12.30 s");
    }

    #[test]
    fn frequencies_lie_between_their_bands() {
        let ticks = frequency_ticks(&[50.0, 100.0, 200.0, 400.0, 1_600.0], 0.3);
        assert!(ticks.contains(&(1.0, 100.0)) && ticks.contains(&(3.5, 1_000.0)), "{ticks:?}");
        assert!(frequency_ticks(&[], 1.0).is_empty() && frequency_ticks(&[440.0], 1.0).is_empty());
    }

    #[test]
    fn a_decade_of_scores_is_a_third_of_the_axis() {
        assert_eq!([1.0, 0.1, 0.0, 7.0].map(|score| (score_height(score) * 300.0).round()), [300.0, 200.0, 0.0, 300.0]);
    }
}
