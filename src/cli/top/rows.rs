//! The strongest labels, a row each: how it went over the last minute, its scores and thresholds, and why it is an event or is not.

use ratatui::layout::Rect;

use super::dots::Dots;
use super::palette::Role;
use super::pen::{Pen, columns};
use super::source::{Heard, Label, Source};
use super::state::State;
use crate::publish::wire::Why;

/// Scores of two hops that differ by less than this factor from the threshold are near it.
const NEAR: f64 = 0.5;

/// The room before the last column, in which the mark of a change stands.
const GAP: u16 = 3;

/// How wide each column is; 0 leaves it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Widths {
    name: u16,
    curve: u16,
    score: u16,
    start: u16,
    two_sided: u16,
    threshold: u16,
    why: u16,
}

impl Widths {
    /// The columns that `width` has room for. The marks before the name take three.
    fn of(width: u16) -> Self {
        let (start, two_sided) = if width < 84 { (0, 0) } else { (8, 9) };
        let (score, threshold) = (7, 9);
        let room = width - (3 + score + start + two_sided + threshold);
        let (name, curve) = match width {
            ..56 => (room.min(24), 0),
            56..84 => (16, room.saturating_sub(16 + 1 + 15)),
            84..110 => (20, 12),
            110..140 => (24, 16),
            _ => (30, (room / 3).min(60)),
        };
        let why = room - name - if curve > 0 { curve + 1 } else { 0 };
        Self { name, curve, score, start, two_sided, threshold, why }
    }
}

/// Draws as many rows as there is room for, the chosen one among them.
pub fn draw(state: &State, source: &Source, heard: &Heard, pen: &mut Pen, area: Rect) {
    let widths = Widths::of(area.width);
    head(widths, pen, area);
    let room = usize::from(area.height.saturating_sub(1));
    let chosen = source.chosen_row();
    let first = (chosen + 1).saturating_sub(room);
    for (y, (at, label)) in (area.y + 1..).zip(source.rows().enumerate().skip(first).take(room)) {
        row(state, label, heard, at == chosen, widths, pen, Rect { y, height: 1, ..area });
    }
}

fn head(widths: Widths, pen: &mut Pen, area: Rect) {
    let mut x = pen.text(area.x + 3, area.y, widths.name, "label", Role::Quiet).max(area.x + 3 + widths.name);
    if widths.curve > 0 {
        pen.text(x + 1, area.y, widths.curve, if widths.curve < 11 { "minute" } else { "last minute" }, Role::Quiet);
        x += 1 + widths.curve;
    }
    let columns =
        [(widths.score, "score"), (widths.start, "start"), (widths.two_sided, "2-sided"), (widths.threshold - 1, "thresh")];
    for (width, title) in columns.into_iter().filter(|(width, _)| *width > 0) {
        pen.right(x, x + width, area.y, title, Role::Quiet);
        x += width;
    }
    if widths.why > 12 {
        pen.text(x + GAP, area.y, widths.why, "why", Role::Quiet);
    }
}

fn row(state: &State, label: &Label, heard: &Heard, is_chosen: bool, widths: Widths, pen: &mut Pen, area: Rect) {
    let (y, role) = (area.y, role_of(label, heard));
    pen.text(area.x, y, 1, if is_chosen { "▸" } else { "" }, Role::Strong);
    pen.text(area.x + 1, y, 1, mark(label), role);
    let mut x = area.x + 3;
    pen.text(x, y, widths.name, &label.shown, if is_chosen && role != Role::Firing { Role::Strong } else { role });
    x += widths.name;
    if widths.curve > 0 {
        curve(state, label, heard, widths.curve, pen, x + 1, y);
        x += 1 + widths.curve;
    }
    let score = if label.is_fresh(heard) { format!("{:.3}", label.now.score) } else { "–".to_owned() };
    let numbers = [
        (widths.score, score, role),
        (widths.start, label.now.start_threshold.map(number).unwrap_or_default(), Role::Quiet),
        (widths.two_sided, label.now.two_sided.map(|score| format!("{score:.3}")).unwrap_or_default(), role),
        (widths.threshold - 1, state.threshold(label).map(number).unwrap_or_default(), Role::Quiet),
    ];
    for (width, text, role) in numbers.into_iter().filter(|(width, _, _)| *width > 0) {
        pen.right(x, x + width, y, &text, role);
        x += width;
    }
    if state.changes.wanted(&label.now.label).is_some() {
        pen.text(x, y, 1, "*", Role::Near);
    }
    let x = x + GAP;
    if widths.why > GAP {
        let why = if columns(&label.now.because) + GAP <= widths.why || widths.why > 30 {
            label.now.because.clone()
        } else {
            label.now.why.to_string().replace('_', " ")
        };
        pen.text(x, y, area.right().saturating_sub(x), &why, role);
    }
}

/// A sign for what the colour says.
fn mark(label: &Label) -> &'static str {
    match label.now.why {
        Why::Open => "●",
        Why::Held => "○",
        Why::Confirming | Why::TooShort => "◌",
        _ => "",
    }
}

/// What a label's state means.
pub fn role_of(label: &Label, heard: &Heard) -> Role {
    if !label.is_fresh(heard) {
        return Role::Quiet;
    }
    match label.now.why {
        Why::Open => Role::Firing,
        Why::Held | Why::Confirming | Why::TooShort => Role::Near,
        Why::Below if label.now.start_threshold.is_some_and(|start| label.now.score >= start * NEAR) => Role::Near,
        Why::Below => Role::Plain,
        _ => Role::Quiet,
    }
}

fn curve(state: &State, label: &Label, heard: &Heard, width: u16, pen: &mut Pen, x: u16, y: u16) {
    let mut dots = Dots::new(width, 1);
    let stretch = heard.stretch(state.interval.as_millis() as u64);
    let start = label.now.start_threshold.map(|score| score as f32);
    dots.area(&label.history.causal(stretch, dots.columns()), start);
    if let Some(start) = start {
        dots.level(start, (1, 2), Role::Threshold);
    }
    dots.paint(pen, x, y);
}

/// A threshold with as many decimals as tell it from its neighbours.
pub fn number(threshold: f64) -> String {
    if threshold < 0.01 { format!("{threshold:.4}") } else { format!("{threshold:.3}") }
}
