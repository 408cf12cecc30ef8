//! A panel: the causal and the confirmed score of one label over time, with their thresholds and the label's events.

use std::fmt::Write;

use super::axis::{SCORE_TICKS, TimeAxis, score_height};
use super::canvas::{Anchor, Canvas, Px, TextStyle, wrap};
use super::curve::{self, Point};
use super::{LEFT, MARGIN, Mark, Panel, RIGHT, colour, events};

/// The opacity of the area below the confirmed score.
pub const FILL_OPACITY: f64 = 0.13;
/// The opacity of an event.
pub const EVENT_OPACITY: f64 = 0.26;
/// The dashes of the threshold's line.
pub const DASHED: &str = "6 4";
/// The dots of the start threshold's line.
pub const DOTTED: &str = "1.5 3";

/// The width of the label's name, left of the scores.
const NAME_WIDTH: f64 = 138.0;
/// The least distance of the two thresholds' numbers.
const NUMBER_PX: f64 = 13.0;

/// The height of a panel among `n_panels`; few panels are higher.
pub fn height(n_panels: usize) -> f64 {
    (360.0 / n_panels.max(1) as f64).clamp(88.0, 150.0)
}

/// Draws a panel and returns where it ends; `shown` are the events of all labels, sorted by onset.
pub fn draw(canvas: &mut Canvas, panel: &Panel, shown: &[Mark], axis: &TimeAxis, top: f64, height: f64) -> f64 {
    let bottom = top + height;
    name(canvas, panel, top);
    let own = shown.iter().filter(|mark| mark.label == panel.label);
    canvas.translucent(EVENT_OPACITY, |canvas| {
        for bar in events::bars(own, axis) {
            canvas.rect((bar.left, top), (bar.right - bar.left, height), colour::EVENT, 0.0);
        }
    });
    grid(canvas, axis, top, height);
    let confirmed = curve::pieces(panel.confirmed, panel.hop_s, axis, top, height);
    let causal = curve::pieces(panel.causal, panel.hop_s, axis, top, height);
    if confirmed.is_empty() && causal.is_empty() {
        let style = TextStyle::new(11.0, colour::GREY).at(Anchor::Middle);
        canvas.text((LEFT + RIGHT) / 2.0, top + height / 2.0 + 4.0, "no scores in this time span", &style);
    }
    canvas.translucent(FILL_OPACITY, |canvas| area(canvas, &confirmed, bottom));
    canvas.clipped(|canvas| {
        line(canvas, &confirmed, colour::CONFIRMED, 1.6);
        line(canvas, &causal, colour::CAUSAL, 1.0);
    });
    thresholds(canvas, panel, top, height);
    bottom
}

fn name(canvas: &mut Canvas, panel: &Panel, top: f64) {
    let mut y = top + 10.0;
    let bold = TextStyle::new(12.0, colour::INK).bold();
    for line in wrap(panel.label, NAME_WIDTH, 3, &bold) {
        canvas.text(MARGIN, y, &line, &bold);
        y += 15.0;
    }
    let quiet = TextStyle::new(10.5, colour::GREY);
    for line in wrap(panel.note, NAME_WIDTH, 2, &quiet) {
        canvas.text(MARGIN, y + 1.0, &line, &quiet);
        y += 13.0;
    }
}

fn grid(canvas: &mut Canvas, axis: &TimeAxis, top: f64, height: f64) {
    for (tick_s, _) in axis.ticks() {
        let x = axis.x(tick_s);
        canvas.line((x, top), (x, top + height), colour::GRID, 1.0);
    }
    let style = TextStyle::new(10.5, colour::GREY).at(Anchor::End);
    for (score, text) in SCORE_TICKS {
        let y = top + height * (1.0 - score_height(score));
        canvas.line((LEFT, y), (RIGHT, y), colour::GRID, 1.0);
        canvas.text(LEFT - 9.0, y + 3.7, text, &style);
    }
    canvas.line((LEFT, top + height), (RIGHT, top + height), colour::AXIS, 1.0);
}

fn area(canvas: &mut Canvas, pieces: &[Vec<Point>], bottom: f64) {
    let mut path = String::new();
    for piece in pieces {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { continue };
        let _ = write!(path, "M{} {}", Px(first.0), Px(bottom));
        for (x, y) in piece {
            let _ = write!(path, "L{} {}", Px(*x), Px(*y));
        }
        let _ = write!(path, "L{} {}Z", Px(last.0), Px(bottom));
    }
    let fill = colour::CONFIRMED;
    canvas.push(format_args!(r#"<path d="{path}" fill="{fill}"/>"#));
}

fn line(canvas: &mut Canvas, pieces: &[Vec<Point>], stroke: &str, width: f64) {
    let mut path = String::new();
    for piece in pieces {
        for (index, (x, y)) in piece.iter().enumerate() {
            let _ = write!(path, "{}{} {}", if index == 0 { 'M' } else { 'L' }, Px(*x), Px(*y));
        }
        // A score without neighbours is a dot.
        if piece.len() == 1 {
            path.push_str("h0");
        }
    }
    canvas.push(format_args!(
        r#"<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"/>"#
    ));
}

/// Draws both thresholds with their numbers, which move apart where they would cover each other.
fn thresholds(canvas: &mut Canvas, panel: &Panel, top: f64, height: f64) {
    let lines = [(panel.threshold, colour::CONFIRMED, DASHED), (panel.start_threshold, colour::CAUSAL, DOTTED)];
    let mut numbers: Vec<(f64, f32, &'static str)> = Vec::new();
    for (threshold, stroke, dashes) in lines.into_iter().filter(|(threshold, ..)| threshold.is_finite()) {
        let y = top + height * (1.0 - score_height(threshold));
        canvas.broken_line((LEFT, y), (RIGHT, y), stroke, dashes);
        numbers.push((y, threshold, stroke));
    }
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let [upper, lower] = numbers.as_mut_slice() {
        let missing = NUMBER_PX - (lower.0 - upper.0);
        if missing > 0.0 {
            upper.0 -= missing / 2.0;
            lower.0 += missing / 2.0;
        }
    }
    for (y, threshold, fill) in numbers {
        canvas.text(RIGHT + 10.0, y + 3.7, &number(threshold), &TextStyle::new(10.5, fill));
    }
}

/// A threshold with at most three decimals.
fn number(threshold: f32) -> String {
    let text = format!("{:.3}", threshold.clamp(0.0, 1.0));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_written_as_short_as_it_can_be() {
        assert_eq!([0.35, 0.005, 1.0, 0.0, 0.1 + 0.2].map(number), ["0.35", "0.005", "1", "0", "0.3"]);
    }
}
