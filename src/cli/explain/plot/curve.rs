//! A score curve as px: at most four points a px column, so that an hour takes no more room than a minute.
//!
//! What is left out lies between points that are kept: the first, the last, the highest and the lowest of a column all stay.

use super::axis::{TimeAxis, score_height};

/// A point in px.
pub type Point = (f64, f64);

/// The pieces of a curve without gaps, over `top` to `top + height`.
pub fn pieces(scores: &[(f64, f32)], hop_s: f64, axis: &TimeAxis, top: f64, height: f64) -> Vec<Vec<Point>> {
    let hop_px = if hop_s > 0.0 { hop_s * axis.px_per_s() } else { f64::INFINITY };
    // A gap is where a score is missing; one that is narrower than a px could not be seen.
    let gap_px = (1.5 * hop_px).max(1.5);
    // The neighbours outside of the stretch let the curve run on to its ends.
    let around_s = if hop_s > 0.0 { hop_s.min(axis.span_s()) } else { 0.0 };
    let mut last_s = f64::NEG_INFINITY;
    let points: Vec<Point> = scores
        .iter()
        .filter(|(time_s, score)| score.is_finite() && *time_s >= axis.from_s - around_s && *time_s <= axis.to_s + around_s)
        .filter(|(time_s, _)| std::mem::replace(&mut last_s, *time_s) < *time_s)
        .map(|(time_s, score)| (axis.x(*time_s), top + height * (1.0 - score_height(*score))))
        .collect();
    let kept: Vec<Point> = points.chunk_by(|a, b| a.0.floor() == b.0.floor()).flat_map(thinned).collect();
    kept.chunk_by(|a, b| b.0 - a.0 <= gap_px).map(<[Point]>::to_vec).collect()
}

/// The points of one px column that its look depends on.
fn thinned(column: &[Point]) -> Vec<Point> {
    if column.len() <= 4 {
        return column.to_vec();
    }
    let by_y = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
    let mut kept = [
        0,
        (0..column.len()).min_by(by_y).unwrap_or(0),
        (0..column.len()).max_by(by_y).unwrap_or(0),
        column.len() - 1,
    ];
    kept.sort_unstable();
    let mut points: Vec<Point> = kept.iter().map(|index| column[*index]).collect();
    points.dedup();
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::explain::plot::{LEFT, RIGHT};

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
        assert!(drawn[0].len() <= 4 * (RIGHT - LEFT + 2.0) as usize, "{}", drawn[0].len());
        assert_eq!(drawn[0].iter().filter(|(_, y)| *y == 0.0).count(), 1);
    }

    #[test]
    fn a_time_that_goes_back_is_left_out() {
        let drawn = drawn(&[(0.5, 0.1), (0.4, 0.1), (f64::NAN, 0.1), (0.6, 0.1)], 1.0);
        assert!(drawn.iter().flatten().is_sorted_by(|a, b| a.0 < b.0), "{drawn:?}");
    }
}
