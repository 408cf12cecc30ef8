//! The keys: changes the state, and returns what only the session can do. It touches neither terminal nor file.

use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::odds;
use super::state::{Mode, TopState};

/// An action that a key asks of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// End the program.
    Quit,
    /// Stop the process until the shell continues it.
    Suspend,
    /// Show the change of the configuration file.
    Propose,
    /// Write that change.
    Write,
    /// Draw the whole screen again.
    Redraw,
}

/// The keys with their effects, for the help page.
pub const KEYS: [(&str, &str); 12] = [
    ("Up, Down", "choose a label (also k, j; Page Up, Page Down)"),
    ("Home", "choose the label on top from now on"),
    ("Left, Right", "lower or raise its threshold (also -, +); with Shift in finer steps"),
    ("u", "undo the change of its threshold"),
    ("w", "show the change of the configuration file, then y writes it"),
    ("Tab, 1 … 9", "show another source"),
    ("p", "pause the picture, or go on"),
    ("Ctrl-L", "draw the screen again"),
    ("Ctrl-Z", "stop until the shell says fg"),
    ("q, Esc, Ctrl-C", "end"),
    ("?", "this page"),
    ("*", "marks a threshold that is changed and not written yet"),
];

/// The rows that Page Up and Page Down move by.
const PAGE: isize = 10;

/// Applies a key to the state.
pub fn press(state: &mut TopState, key: KeyEvent, now: Instant) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'C') => leave(state),
            KeyCode::Char('z' | 'Z') => Some(Action::Suspend),
            KeyCode::Char('l' | 'L') => Some(Action::Redraw),
            _ => None,
        };
    }
    state.is_changed = true;
    match &mut state.mode {
        Mode::Watch => watch(state, key, now),
        Mode::Help => {
            state.mode = Mode::Watch;
            None
        }
        Mode::Diff(plan, line) => {
            let last = plan.diff().lines().count().saturating_sub(1);
            match key.code {
                KeyCode::Up | KeyCode::Char('k') => *line = line.saturating_sub(1),
                KeyCode::Down | KeyCode::Char('j') => *line = (*line + 1).min(last),
                KeyCode::Char('y' | 'Y') => return Some(Action::Write),
                _ => {
                    state.mode = Mode::Watch;
                    state.say("nothing was written", now);
                }
            }
            None
        }
        Mode::Leaving => match key.code {
            KeyCode::Char('q' | 'Q' | 'y' | 'Y') | KeyCode::Esc => Some(Action::Quit),
            other => {
                state.mode = Mode::Watch;
                (other == KeyCode::Char('w')).then_some(Action::Propose)
            }
        },
    }
}

fn leave(state: &mut TopState) -> Option<Action> {
    if state.changes.len() == 0 || state.mode == Mode::Leaving {
        return Some(Action::Quit);
    }
    state.mode = Mode::Leaving;
    state.is_changed = true;
    None
}

fn watch(state: &mut TopState, key: KeyEvent, now: Instant) -> Option<Action> {
    let step = if key.modifiers.contains(KeyModifiers::SHIFT) { 1 } else { odds::COARSE };
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return leave(state),
        KeyCode::Char('w') if state.changes.len() == 0 => state.say("no threshold is changed, so there is nothing to write", now),
        KeyCode::Char('w') => return Some(Action::Propose),
        KeyCode::Char('u') => state.take_back(now),
        KeyCode::Char('p') => state.pause(now),
        KeyCode::Char('?') | KeyCode::Char('h') | KeyCode::F(1) => state.mode = Mode::Help,
        KeyCode::Right => state.step(step, now),
        KeyCode::Left => state.step(-step, now),
        // On many keyboards + needs Shift, so Shift makes no difference here.
        KeyCode::Char('+') => state.step(odds::COARSE, now),
        KeyCode::Char('-') => state.step(-odds::COARSE, now),
        KeyCode::Up | KeyCode::Char('k') => choose(state, -1),
        KeyCode::Down | KeyCode::Char('j') => choose(state, 1),
        KeyCode::PageUp => choose(state, -PAGE),
        KeyCode::PageDown => choose(state, PAGE),
        KeyCode::Home => state.source_mut().into_iter().for_each(|source| source.follow()),
        KeyCode::Tab => show_source(state, 1),
        KeyCode::BackTab => show_source(state, -1),
        KeyCode::Char(digit @ '1'..='9') => {
            let source = digit as usize - '1' as usize;
            if source < state.sources.len() {
                state.shown = source;
            }
        }
        _ => {}
    }
    None
}

fn choose(state: &mut TopState, by: isize) {
    if let Some(source) = state.source_mut() {
        source.choose(by);
    }
}

fn show_source(state: &mut TopState, by: isize) {
    let count = state.sources.len().max(1) as isize;
    state.shown = (state.shown as isize + by).rem_euclid(count) as usize;
}
