//! The picture of an evaluation: the PSDS curves, and bars for each label's F1 with its interval.

use super::judgement::{Judgement, Row};
use crate::cli::explain::plot::canvas::{Anchor, Canvas, TextStyle, fit};
use crate::cli::explain::plot::colour;
use crate::evaluate::psds::{Outcome, PSDS1};
use crate::evaluate::totals::Scope;

/// The left end of names; all lengths are px of SVG.
const MARGIN: f64 = 24.0;
/// The left end of the axes.
const LEFT: f64 = 222.0;
/// The right end of the axes.
const RIGHT: f64 = 1018.0;
/// The height of the curves' panel.
const CURVES: f64 = 240.0;
/// The height of one bar's row.
const BAR_ROW: f64 = 20.0;
/// The most labels that are drawn.
const MOST_LABELS: usize = 100;
/// The colours and names of the two curves.
const SCENARIOS: [(&str, &str); 2] = [("PSDS 1", colour::CONFIRMED), ("PSDS 2", colour::CAUSAL)];

/// Draws the picture as an SVG document.
pub fn svg(judgement: &Judgement) -> String {
    let mut canvas = Canvas::default();
    let title = format!("{} recordings, {:.2} h", judgement.n_recordings, judgement.hours);
    canvas.text(MARGIN, 36.0, &title, &TextStyle::new(17.0, colour::INK).bold());
    let mut y = 64.0;
    if let Some(psds) = &judgement.psds {
        y = curves(&mut canvas, psds, y);
    }
    let key = if judgement.is_weak { "f1_recording" } else { "f1_500ms" };
    y = bars(&mut canvas, judgement, key, y);
    canvas.finish(&title, y + 22.0)
}

/// Draws the curves of all labels: the part of the events found, over the false alarms an hour.
fn curves(canvas: &mut Canvas, psds: &[Outcome; 2], top: f64) -> f64 {
    let bottom = top + CURVES;
    let most = PSDS1.most_per_hour;
    let x = |per_hour: f64| LEFT + (RIGHT - LEFT) * per_hour.clamp(0.0, most) / most;
    let y = |found: f64| bottom - CURVES * found.clamp(0.0, 1.0);
    let small = TextStyle::new(10.5, colour::GREY);
    for fifth in 0..=5 {
        let part = f64::from(fifth) / 5.0;
        canvas.line((LEFT, y(part)), (RIGHT, y(part)), colour::GRID, 1.0);
        canvas.text(LEFT - 8.0, y(part) + 3.5, &format!("{part:.1}"), &small.at(Anchor::End));
        canvas.text(x(most * part), bottom + 18.0, &format!("{:.0}", most * part), &small.at(Anchor::Middle));
    }
    canvas.line((LEFT, bottom), (RIGHT, bottom), colour::AXIS, 1.0);
    canvas.text(MARGIN, top + 12.0, "True events found", &TextStyle::new(12.0, colour::INK).bold());
    canvas.text(MARGIN, top + 28.0, "mean less deviation", &small);
    canvas.text(MARGIN, bottom + 18.0, "False alarms an hour", &TextStyle::new(12.0, colour::INK).bold());
    for (at, (outcome, (name, colour))) in psds.iter().zip(SCENARIOS).enumerate() {
        for (from, to) in outcome.curve.iter().zip(outcome.curve.iter().skip(1)) {
            canvas.line((x(from.per_hour), y(from.found)), (x(to.per_hour), y(from.found)), colour, 1.6);
            canvas.line((x(to.per_hour), y(from.found)), (x(to.per_hour), y(to.found)), colour, 1.6);
        }
        if let Some(last) = outcome.curve.last() {
            canvas.line((x(last.per_hour), y(last.found)), (RIGHT, y(last.found)), colour, 1.6);
        }
        let legend = top + 52.0 + 18.0 * at as f64;
        canvas.line((MARGIN, legend - 4.0), (MARGIN + 20.0, legend - 4.0), colour, 1.6);
        canvas.text(MARGIN + 28.0, legend, &format!("{name}  {:.3}", outcome.score), &TextStyle::new(11.5, colour::INK));
    }
    bottom + 56.0
}

/// Draws a bar for each label and for the mean, with the interval of each as a line.
fn bars(canvas: &mut Canvas, judgement: &Judgement, key: &str, top: f64) -> f64 {
    let x = |value: f64| LEFT + (RIGHT - LEFT) * value.clamp(0.0, 1.0);
    let heading = if judgement.is_weak { "F1 of whole recordings" } else { "F1 of events, 500 ms" };
    canvas.text(MARGIN, top, heading, &TextStyle::new(12.0, colour::INK).bold());
    let labels: Vec<&Row> = judgement.rows.iter().filter(|row| row.scope != Scope::Micro).collect();
    let skipped = labels.len().saturating_sub(MOST_LABELS + 1);
    let mut y = top + 14.0;
    // The mean stands last, and is always drawn.
    for row in labels.iter().take(MOST_LABELS).chain(labels.last().filter(|_| skipped > 0 || labels.len() > MOST_LABELS)) {
        let is_mean = row.scope == Scope::Macro;
        let style = TextStyle::new(11.5, colour::INK);
        let style = if is_mean { style.bold() } else { style };
        canvas.text(LEFT - 8.0, y + 13.0, &fit(&row.name, LEFT - MARGIN - 8.0, &style), &style.at(Anchor::End));
        canvas.rect((LEFT, y + 3.0), (RIGHT - LEFT, 12.0), colour::EMPTY, 2.0);
        if let Some(value) = row.value(key) {
            let fill = if is_mean { colour::CONFIRMED } else { colour::EVENT };
            canvas.rect((LEFT, y + 3.0), (x(value.value) - LEFT, 12.0), fill, 2.0);
            if let Some([low, high]) = value.bounds {
                canvas.line((x(low), y + 9.0), (x(high), y + 9.0), colour::INK, 1.2);
            }
            canvas.text(RIGHT + 8.0, y + 13.0, &format!("{:.3}", value.value), &TextStyle::new(10.5, colour::GREY));
        }
        y += BAR_ROW;
    }
    if skipped > 0 {
        canvas.text(LEFT, y + 12.0, &format!("and {skipped} more labels"), &TextStyle::new(10.5, colour::GREY));
        y += BAR_ROW;
    }
    y
}
