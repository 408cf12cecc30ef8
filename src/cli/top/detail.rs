//! The large plot of the chosen label: its causal and its confirmed score over the last minute, and its thresholds as lines with
//! their numbers. It draws only.

use ratatui::layout::Rect;

use super::dots::Dots;
use super::palette::Role;
use super::pen::{Pen, columns};
use super::rows::{number, role_of};
use super::source::{Label, MINUTE_S, Snapshot, Source};
use super::state::TopState;

/// The widths of the axis' numbers at the left, and of the thresholds' names at the right.
const LEFT: u16 = 6;
const RIGHT: u16 = 18;
/// The scores on the axis, with their texts.
const SCALE: [(f32, &str); 4] = [(1.0, "1"), (0.1, "0.1"), (0.01, "0.01"), (0.001, "0.001")];

/// Draws the plot.
pub fn draw(state: &TopState, source: &Source, snapshot: &Snapshot, pen: &mut Pen, area: Rect) {
    let Some(label) = source.chosen() else { return };
    title(state, label, snapshot, pen, Rect { height: 1, ..area });
    let plot = Rect { x: area.x + LEFT, y: area.y + 1, width: area.width - LEFT - RIGHT, height: area.height.saturating_sub(2) };
    let mut dots = Dots::new(plot.width, plot.height);
    let span = snapshot.span(state.interval.as_millis() as u64);
    let (threshold, start) = (state.threshold(label), label.now.start_threshold);
    let lag = snapshot.confirmed_lag_ms / snapshot.hop_ms;
    let confirmed = label.history.confirmed(span, lag, dots.columns());
    // The confirmed score is an area in the background, the causal score a line before it.
    dots.background(&confirmed, Role::Confirmed);
    dots.line(&label.history.causal(span, dots.columns()), start.map(|score| score as f32));
    if let Some(threshold) = threshold {
        dots.level(threshold as f32, (3, 4), Role::Threshold);
    }
    if let Some(start) = start {
        dots.level(start as f32, (2, 6), Role::Threshold);
    }
    dots.paint(pen, plot.x, plot.y);
    for (score, text) in SCALE {
        // On a low plot two numbers can share a line; the higher one is written.
        let y = plot.y + dots.line_of(score);
        let is_free = pen.cells.cell((plot.x - 2, y)).is_some_and(|cell| cell.symbol() == " ");
        if is_free && plot.height > 0 {
            pen.right(area.x, plot.x - 1, y, text, Role::Quiet);
        }
    }
    lines(state, label, &dots, pen, plot, [start, threshold]);
    seconds(pen, Rect { y: plot.bottom(), height: 1, ..plot });
}

fn title(state: &TopState, label: &Label, snapshot: &Snapshot, pen: &mut Pen, area: Rect) {
    let role = role_of(label, snapshot);
    let confirmed = label.now.two_sided.map(|score| format!("   ▒ confirmed {score:.3}")).unwrap_or_default();
    let release = label.now.release.map(|release| format!("   release {}", number(release))).unwrap_or_default();
    let numbers = format!("─ causal {:.3}{confirmed}{release}", label.now.score);
    let wide = area.width >= columns(&label.shown) + columns(&numbers) + 24;
    let right = if wide { area.right() - columns(&numbers) - 2 } else { area.right() };
    let x = pen.text(area.x, area.y, right - area.x, &label.shown, if role == Role::Firing { role } else { Role::Strong });
    let because = match (state.changes.wanted(&label.now.label), label.now.because.as_str()) {
        (Some(_), because) => format!("   {because}   * not written"),
        (None, because) => format!("   {because}"),
    };
    pen.text(x, area.y, right.saturating_sub(x), &because, role);
    if wide {
        pen.right(x, area.right(), area.y, &numbers, Role::Quiet);
    }
}

/// Writes the thresholds' names at the right of their lines; where both would share a line of text, the lower one goes below.
fn lines(state: &TopState, label: &Label, dots: &Dots, pen: &mut Pen, plot: Rect, [start, threshold]: [Option<f64>; 2]) {
    let changed = if state.changes.wanted(&label.now.label).is_some() { "*" } else { "" };
    let mut texts: Vec<(f64, String)> = Vec::new();
    texts.extend(start.map(|start| (start, format!("start {}", number(start)))));
    texts.extend(threshold.map(|threshold| (threshold, format!("threshold {}{changed}", number(threshold)))));
    texts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut free = plot.y;
    for (left, (score, text)) in (0..texts.len() as u16).rev().zip(texts) {
        let lowest = plot.bottom().saturating_sub(1 + left);
        let y = (plot.y + dots.line_of(score as f32)).min(lowest).max(free);
        if y < plot.bottom() {
            pen.text(plot.right() + 1, y, RIGHT - 1, &text, Role::Threshold);
        }
        free = y + 1;
    }
}

fn seconds(pen: &mut Pen, area: Rect) {
    for quarter in 0..=4u64 {
        let ago = MINUTE_S - MINUTE_S * quarter / 4;
        let text = if ago == 0 { "now".to_owned() } else { format!("-{ago} s") };
        let middle = u64::from(area.width) * quarter / 4;
        let x = (middle as u16).saturating_sub(columns(&text) / 2).min(area.width.saturating_sub(columns(&text)));
        pen.text(area.x + x, area.y, columns(&text), &text, Role::Quiet);
    }
}
