//! The first line: the program, the model, the sources with their states, and the state of the connection. It draws only.

use ratatui::layout::Rect;

use super::palette::Role;
use super::pen::{Pen, columns};
use super::source::Source;
use super::state::{Link, TopState};
use crate::publish::wire::SourceState;

/// Draws the line.
pub fn draw(state: &TopState, pen: &mut Pen, area: Rect) {
    let (note, role) = match (&state.link, state.is_paused) {
        (Link::Down(_), _) => ("no daemon".to_owned(), Role::Bad),
        (Link::Silent(seconds), _) => (format!("no answer for {seconds} s"), Role::Near),
        (Link::Up, true) => ("paused".to_owned(), Role::Near),
        (Link::Up, false) => (String::new(), Role::Plain),
    };
    let right = area.right() - columns(&note).min(area.width);
    pen.text(right, area.y, area.width, &note, role);
    let end = right.saturating_sub(2);
    let mut x = pen.text(area.x, area.y, end, "mimid", Role::Strong);
    let about = format!(" {}  {}", state.version, state.model);
    let names: u16 = state.sources.iter().map(|source| columns(&source.name) + columns(&source.state_word()) + 7).sum();
    // A narrow screen leaves out the version and the model first, then the sources that are not shown.
    if x + columns(&about) + names <= end {
        x = pen.text(x, area.y, end - x, &about, Role::Quiet);
    }
    if x + names <= end + 7 {
        for (at, source) in state.sources.iter().enumerate() {
            let number = if state.sources.len() > 1 { format!("{} ", at + 1) } else { String::new() };
            x = pen.text(x + 3, area.y, end.saturating_sub(x + 3), &number, Role::Quiet);
            x = name(source, at == state.shown, pen, x, area.y, end);
        }
    } else if let Some(source) = state.source() {
        let number = format!("{}/{} ", state.shown + 1, state.sources.len());
        x = pen.text(x + 2, area.y, end.saturating_sub(x + 2), &number, Role::Quiet);
        name(source, true, pen, x, area.y, end);
    }
}

fn name(source: &Source, is_shown: bool, pen: &mut Pen, x: u16, y: u16, end: u16) -> u16 {
    let word = source.state_word();
    let state = columns(&word) + 1;
    let room = end.saturating_sub(x);
    let x = pen.text(x, y, room.saturating_sub(state), &source.name, if is_shown { Role::Strong } else { Role::Quiet });
    let role = match source.state {
        Some(SourceState::Lost) => Role::Bad,
        Some(SourceState::Paused | SourceState::Opening) => Role::Near,
        _ => Role::Quiet,
    };
    pen.text(x + 1, y, end.saturating_sub(x + 1), &word, role)
}
