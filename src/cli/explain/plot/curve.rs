//! A score curve as points in px; where several scores share a column of the picture, only the highest is drawn.
//!
//! A reader asks of a curve where it reaches a threshold. The peaks of a long recording are therefore kept, and its ripple is
//! not.

use super::axis::{TimeAxis, score_height};
use super::{LEFT, RIGHT};

/// The width of a column that shows only its highest score.
const COLUMN_PX: f64 = 2.0;

/// A point in px.
pub type Point = (f64, f64);

/// The pieces of a curve without gaps, over `top` to `top + height`.
pub fn pieces(scores: &[(f64, f32)], hop_s: f64, axis: &TimeAxis, top: f64, height: f64) -> Vec<Vec<Point>> {
    let hop_px = if hop_s > 0.0 { hop_s * axis.px_per_s() } else { f64::INFINITY };
    // A gap is a missing score. Peaks of neighbouring columns may be up to two columns apart, which is none.
    let gap_px = (1.5 * hop_px).max(2.0 * COLUMN_PX);
    // The scores just outside of the axis let the curve run on to its ends.
    let around_s = if hop_s > 0.0 { hop_s.min(axis.span_s()) } else { 0.0 };
    let mut last_s = f64::NEG_INFINITY;
    let points: Vec<Point> = scores
        .iter()
        .filter(|(time_s, score)| score.is_finite() && *time_s >= axis.from_s - around_s && *time_s <= axis.to_s + around_s)
        .filter(|(time_s, _)| std::mem::replace(&mut last_s, *time_s) < *time_s)
        .map(|(time_s, score)| (axis.x(*time_s), top + height * (1.0 - score_height(*score))))
        .collect();
    let kept = if points.len() as f64 > RIGHT - LEFT { peaks(&points) } else { points };
    kept.chunk_by(|a, b| b.0 - a.0 <= gap_px).map(<[Point]>::to_vec).collect()
}

/// The highest score of each column.
fn peaks(points: &[Point]) -> Vec<Point> {
    let columns = points.chunk_by(|a, b| (a.0 / COLUMN_PX).floor() == (b.0 / COLUMN_PX).floor());
    columns.filter_map(|column| column.iter().min_by(|a, b| a.1.total_cmp(&b.1)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(scores: &[(f64, f32)], span_s: f64) -> Vec<Vec<Point>> {
        pieces(scores, 0.1, &TimeAxis::new(0.0, span_s), 0.0, 300.0)
    }

    #[test]
    fn a_missing_score_is_a_gap() {
        let scores = [(0.0, 0.1), (0.1, 0.1), (0.2, f32::NAN), (0.3, 0.1), (0.9, 0.1), (1.0, 0.1)];
        let lengths: Vec<_> = drawn(&scores, 1.0).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1, 2]);
    }

    #[test]
    fn a_long_curve_keeps_its_peaks_and_has_no_gaps() {
        let scores: Vec<_> = (0..36_000).map(|i| (f64::from(i) * 0.1, if i == 17_777 { 1.0 } else { 0.01 })).collect();
        let drawn = drawn(&scores, 3_600.0);
        assert_eq!(drawn.len(), 1);
        assert!(drawn[0].len() as f64 <= (RIGHT - LEFT) / COLUMN_PX + 2.0, "{}", drawn[0].len());
        assert_eq!(drawn[0].iter().filter(|(_, y)| *y == 0.0).count(), 1);
    }

    #[test]
    fn a_time_that_goes_back_is_left_out() {
        let drawn = drawn(&[(0.5, 0.1), (0.4, 0.1), (f64::NAN, 0.1), (0.6, 0.1)], 1.0);
        assert!(drawn.iter().flatten().is_sorted_by(|a, b| a.0 < b.0), "{drawn:?}");
    }
}
