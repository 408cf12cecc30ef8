//! The rows of the strongest labels: the score over the last minute, the scores and thresholds now, and why the label is an event
//! or is not. It draws only.

use ratatui::layout::Rect;

use super::dots::Dots;
use super::palette::Role;
use super::pen::{Pen, columns};
use super::source::{Label, Snapshot, Source};
use super::state::TopState;
use crate::publish::wire::Why;

/// A causal score is near its start threshold if it reaches this part of it.
const NEAR: f64 = 0.5;

/// The gap before the last column; it holds the mark of a changed threshold.
const GAP: u16 = 3;

/// The widths of the columns; a column of width 0 is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Widths {
    name: u16,
    curve: u16,
    score: u16,
    start: u16,
    confirmed: u16,
    threshold: u16,
    why: u16,
}

impl Widths {
    /// The columns that fit into `width`. The marks before the name take three columns.
    fn of(width: u16) -> Self {
        let (start, confirmed) = if width < 86 { (0, 0) } else { (8, 11) };
        let (score, threshold) = (7, 9);
        let room = width - (3 + score + start + confirmed + threshold);
        let (name, curve) = match width {
            ..56 => (room.min(24), 0),
            56..86 => (16, room.saturating_sub(16 + 1 + 15)),
            86..110 => (20, 12),
            110..140 => (24, 16),
            _ => (30, (room / 3).min(60)),
        };
        let why = room - name - if curve > 0 { curve + 1 } else { 0 };
        Self { name, curve, score, start, confirmed, threshold, why }
    }
}

/// Draws as many rows as fit, the chosen one among them.
pub fn draw(state: &TopState, source: &Source, snapshot: &Snapshot, pen: &mut Pen, area: Rect) {
    let widths = Widths::of(area.width);
    head(widths, pen, area);
    let room = usize::from(area.height.saturating_sub(1));
    let chosen = source.chosen_row();
    let first = (chosen + 1).saturating_sub(room);
    for (y, (at, label)) in (area.y + 1..).zip(source.rows().enumerate().skip(first).take(room)) {
        row(state, label, snapshot, at == chosen, widths, pen, Rect { y, height: 1, ..area });
    }
}

fn head(widths: Widths, pen: &mut Pen, area: Rect) {
    let mut x = pen.text(area.x + 3, area.y, widths.name, "label", Role::Quiet).max(area.x + 3 + widths.name);
    if widths.curve > 0 {
        pen.text(x + 1, area.y, widths.curve, if widths.curve < 11 { "minute" } else { "last minute" }, Role::Quiet);
        x += 1 + widths.curve;
    }
    let columns =
        [(widths.score, "causal"), (widths.start, "start"), (widths.confirmed, "confirmed"), (widths.threshold - 1, "thresh")];
    for (width, title) in columns.into_iter().filter(|(width, _)| *width > 0) {
        pen.right(x, x + width, area.y, title, Role::Quiet);
        x += width;
    }
    if widths.why > 12 {
        pen.text(x + GAP, area.y, widths.why, "why", Role::Quiet);
    }
}

fn row(state: &TopState, label: &Label, snapshot: &Snapshot, is_chosen: bool, widths: Widths, pen: &mut Pen, area: Rect) {
    let (y, role) = (area.y, role_of(label, snapshot));
    pen.text(area.x, y, 1, if is_chosen { "▸" } else { "" }, Role::Strong);
    pen.text(area.x + 1, y, 1, mark(label), role);
    let mut x = area.x + 3;
    pen.text(x, y, widths.name, &label.shown, if is_chosen && role != Role::Firing { Role::Strong } else { role });
    x += widths.name;
    if widths.curve > 0 {
        curve(state, label, snapshot, widths.curve, pen, x + 1, y);
        x += 1 + widths.curve;
    }
    let score = if label.is_fresh(snapshot) { format!("{:.3}", label.now.score) } else { "–".to_owned() };
    let numbers = [
        (widths.score, score, role),
        (widths.start, label.now.start_threshold.map(number).unwrap_or_default(), Role::Quiet),
        (widths.confirmed, label.now.two_sided.map(|score| format!("{score:.3}")).unwrap_or_default(), role),
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

/// The sign of a label that is an event or nearly one; it says the same as the colour.
fn mark(label: &Label) -> &'static str {
    match label.now.why {
        Why::Open => "●",
        Why::Held => "○",
        Why::Pending | Why::Confirming | Why::TooShort => "◌",
        _ => "",
    }
}

/// The role of a label's texts, by how the label stands.
pub fn role_of(label: &Label, snapshot: &Snapshot) -> Role {
    if !label.is_fresh(snapshot) {
        return Role::Quiet;
    }
    match label.now.why {
        Why::Open => Role::Firing,
        Why::Held | Why::Pending | Why::Confirming | Why::TooShort => Role::Near,
        Why::Below if label.now.start_threshold.is_some_and(|start| label.now.score >= start * NEAR) => Role::Near,
        Why::Below => Role::Plain,
        _ => Role::Quiet,
    }
}

fn curve(state: &TopState, label: &Label, snapshot: &Snapshot, width: u16, pen: &mut Pen, x: u16, y: u16) {
    let mut dots = Dots::new(width, 1);
    let span = snapshot.span(state.interval.as_millis() as u64);
    let start = label.now.start_threshold.map(|score| score as f32);
    dots.area(&label.history.causal(span, dots.columns()), start);
    if let Some(start) = start {
        dots.level(start, (1, 2), Role::Threshold);
    }
    dots.paint(pen, x, y);
}

/// A threshold, with enough decimals to tell neighbouring steps apart.
pub fn number(threshold: f64) -> String {
    if threshold < 0.01 { format!("{threshold:.4}") } else { format!("{threshold:.3}") }
}
