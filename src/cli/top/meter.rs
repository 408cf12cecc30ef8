//! The level meter, from -80 to 0 dBFS, with a mark at the noise floor and a note about clipping. It draws only.

use ratatui::layout::Rect;

use super::palette::Role;
use super::pen::{Pen, columns};
use super::source::Snapshot;

/// The left end of the meter in dBFS; the right one is 0.
const QUIETEST_DBFS: f64 = -80.0;
/// Blocks that fill a cell to an eighth, two eighths and so on.
const EIGHTHS: [&str; 8] = ["█", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// The highest level of digital silence, in dBFS.
const SILENCE_DBFS: f64 = -149.0;

/// Draws the meter, and its scale where the area has a second line.
pub fn draw(snapshot: &Snapshot, pen: &mut Pen, area: Rect) {
    let level = match snapshot.level_dbfs <= SILENCE_DBFS {
        true => "digital silence".to_owned(),
        false => format!("{:6.1} dBFS", snapshot.level_dbfs),
    };
    let roomy = area.width >= 80;
    let floor = if roomy { format!("   noise floor {:.1}", snapshot.noise_floor_dbfs) } else { String::new() };
    let clipping = match (snapshot.clipped_samples, roomy) {
        (0, _) => String::new(),
        (count, true) => format!("   clipping: {count} samples"),
        (_, false) => " clips".to_owned(),
    };
    // The texts at the right have a fixed width, so that they keep their places while the numbers change.
    let texts = if roomy { 62 } else { 18 };
    let width = (area.width - texts).max(10);
    let x = area.x + width + 1;
    let end = area.right();
    let x = pen.text(x, area.y, end - x, &format!("{level:<15}"), Role::Plain);
    let x = pen.text(x, area.y, end.saturating_sub(x), &floor, Role::Quiet);
    if clipping.is_empty() || roomy {
        pen.text(x, area.y, end.saturating_sub(x), &clipping, Role::Bad);
    } else {
        pen.right(area.x, end, area.y, &clipping, Role::Bad);
    }
    bar(snapshot, pen, Rect { width, height: 1, ..area });
    if area.height > 1 {
        scale(pen, Rect { y: area.y + 1, width, height: 1, ..area });
    }
}

/// The place of a level in the meter, 0…1.
fn part(dbfs: f64) -> f64 {
    (1.0 - dbfs / QUIETEST_DBFS).clamp(0.0, 1.0)
}

fn bar(snapshot: &Snapshot, pen: &mut Pen, area: Rect) {
    let eighths = (part(snapshot.level_dbfs) * f64::from(area.width) * 8.0).round() as u16;
    let floor = (part(snapshot.noise_floor_dbfs) * f64::from(area.width)) as u16;
    let clips = snapshot.clipped_samples > 0;
    for cell in 0..area.width {
        let full = eighths.saturating_sub(cell * 8).min(8);
        let (sign, style) = if cell == floor.min(area.width - 1) {
            ("┃", pen.palette.style(Role::Strong))
        } else if full > 0 {
            let last = clips && cell + 2 >= area.width;
            let style =
                if last { pen.palette.style(Role::Bad) } else { pen.palette.meter(f32::from(cell) / f32::from(area.width)) };
            (EIGHTHS[usize::from(full % 8)], style)
        } else {
            let role = if clips && cell + 1 == area.width { Role::Bad } else { Role::Quiet };
            (if role == Role::Bad { "█" } else { "╌" }, pen.palette.style(role))
        };
        pen.styled(area.x + cell, area.y, 1, sign, style);
    }
}

fn scale(pen: &mut Pen, area: Rect) {
    for step in 0..=4u16 {
        let text = format!("{}", -80 + 20 * i32::from(step));
        let middle = u32::from(area.width - 1) * u32::from(step) / 4;
        let x = (middle as u16).saturating_sub(columns(&text) / 2).min(area.width - columns(&text));
        pen.text(area.x + x, area.y, 4, &text, Role::Quiet);
    }
}
