//! What a key does.

use std::time::Instant;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::odds;
use super::state::{Mode, State};

/// What a key asks of the world outside of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// To end.
    Quit,
    /// To stop until the shell lets it go on.
    Suspend,
    /// To find out what would be written.
    Propose,
    /// To write that.
    Write,
    /// To draw everything anew.
    Redraw,
}

/// The keys and what they do, for the page that shows them.
pub const KEYS: [(&str, &str); 12] = [
    ("Up, Down", "choose a label (also k, j; Page Up, Page Down)"),
    ("Home", "choose whatever is on top"),
    ("Left, Right", "lower or raise its threshold (also -, +); with Shift in finer steps"),
    ("u", "take its change back"),
    ("w", "show what would be written to the configuration, then y writes it"),
    ("Tab, 1 … 9", "another source"),
    ("p", "let the picture stand still, or go on"),
    ("Ctrl-L", "draw everything anew"),
    ("Ctrl-Z", "stop until the shell says fg"),
    ("q, Esc, Ctrl-C", "end"),
    ("?", "this page"),
    ("*", "marks a threshold that is changed and not written"),
];

/// How many rows Page Up and Page Down go.
const PAGE: isize = 10;

/// Does what a key means.
pub fn press(state: &mut State, key: KeyEvent, now: Instant) -> Option<Act> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'C') => leave(state),
            KeyCode::Char('z' | 'Z') => Some(Act::Suspend),
            KeyCode::Char('l' | 'L') => Some(Act::Redraw),
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
                KeyCode::Char('y' | 'Y') => return Some(Act::Write),
                _ => {
                    state.mode = Mode::Watch;
                    state.say("nothing was written", now);
                }
            }
            None
        }
        Mode::Leaving => match key.code {
            KeyCode::Char('q' | 'Q' | 'y' | 'Y') | KeyCode::Esc => Some(Act::Quit),
            other => {
                state.mode = Mode::Watch;
                (other == KeyCode::Char('w')).then_some(Act::Propose)
            }
        },
    }
}

fn leave(state: &mut State) -> Option<Act> {
    if state.changes.len() == 0 || state.mode == Mode::Leaving {
        return Some(Act::Quit);
    }
    state.mode = Mode::Leaving;
    state.is_changed = true;
    None
}

fn watch(state: &mut State, key: KeyEvent, now: Instant) -> Option<Act> {
    let step = if key.modifiers.contains(KeyModifiers::SHIFT) { 1 } else { odds::COARSE };
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return leave(state),
        KeyCode::Char('w') if state.changes.len() == 0 => state.say("no threshold is changed: there is nothing to write", now),
        KeyCode::Char('w') => return Some(Act::Propose),
        KeyCode::Char('u') => state.take_back(now),
        KeyCode::Char('p') => state.pause(now),
        KeyCode::Char('?') | KeyCode::Char('h') | KeyCode::F(1) => state.mode = Mode::Help,
        KeyCode::Right => state.step(step, now),
        KeyCode::Left => state.step(-step, now),
        // On many keyboards + needs Shift, which therefore makes no difference here.
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

fn choose(state: &mut State, by: isize) {
    if let Some(source) = state.source_mut() {
        source.choose(by);
    }
}

fn show_source(state: &mut State, by: isize) {
    let count = state.sources.len().max(1) as isize;
    state.shown = (state.shown as isize + by).rem_euclid(count) as usize;
}
