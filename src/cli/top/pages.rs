//! The pages that replace the picture: the help with the keys, and the change of the configuration file. They draw only.

use ratatui::layout::Rect;

use super::keys::KEYS;
use super::palette::Role;
use super::pen::{Pen, columns};
use crate::config::edit::Plan;

/// Shows each key with its effect.
pub fn keys(pen: &mut Pen, area: Rect) {
    pen.line(area, "Keys", Role::Strong);
    let width = KEYS.iter().map(|(key, _)| columns(key)).max().unwrap_or(0);
    // A narrow window has more room for the effects with a smaller gap.
    let gap = if area.width >= 80 { 4 } else { 1 };
    for (y, (key, does)) in (area.y + 2..area.bottom()).zip(KEYS) {
        pen.text(area.x, y, width, key, Role::Plain);
        let x = area.x + width + gap;
        pen.text(x, y, area.right().saturating_sub(x), does, Role::Quiet);
    }
}

/// Shows a diff from its line `first` on.
pub fn diff(plan: &Plan, first: usize, pen: &mut Pen, area: Rect) {
    pen.line(area, &format!("This would be written to {}", plan.path().display()), Role::Strong);
    // The header of the diff only names the file again.
    let diff = plan.diff();
    let lines = diff.lines().filter(|line| !line.starts_with("--- ") && !line.starts_with("+++ "));
    for (y, line) in (area.y + 2..area.bottom()).zip(lines.skip(first)) {
        let role = match line.chars().next() {
            Some('+') => Role::Firing,
            Some('-') => Role::Bad,
            Some('@') => Role::Quiet,
            _ => Role::Plain,
        };
        pen.text(area.x, y, area.width, line, role);
    }
}
