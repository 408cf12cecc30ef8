//! The open events: since when, how strong, and whether they are confirmed. It draws only.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::palette::Role;
use super::pen::Pen;
use super::source::Snapshot;
use super::state::TopState;
use crate::publish::wire::OpenEvent;

/// Draws the open events: one a line under a heading, or all in one line where the area has no more.
pub fn draw(state: &TopState, snapshot: &Snapshot, pen: &mut Pen, area: Rect) {
    if area.height == 0 {
        return;
    }
    if snapshot.open.is_empty() {
        pen.line(area, "no event is open", Role::Quiet);
        return;
    }
    if area.height == 1 {
        let names: Vec<String> = snapshot.open.iter().map(|event| format!("{}{}", event.label, age(state, event))).collect();
        let x = pen.line(area, "open ", Role::Quiet);
        pen.text(x, area.y, area.right() - x, &names.join(", "), Role::Firing);
        return;
    }
    pen.line(area, "open events", Role::Quiet);
    let room = usize::from(area.height - 1);
    let shown = if snapshot.open.len() > room { room.saturating_sub(1) } else { room };
    for (y, event) in (area.y + 1..).zip(snapshot.open.iter().take(shown)) {
        line(state, event, pen, Rect { y, height: 1, ..area });
    }
    if snapshot.open.len() > shown {
        let more = format!("   and {} more", snapshot.open.len() - shown);
        pen.text(area.x, area.bottom() - 1, area.width, &more, Role::Quiet);
    }
}

fn line(state: &TopState, event: &OpenEvent, pen: &mut Pen, area: Rect) {
    let (y, end) = (area.y, area.right());
    pen.text(area.x, y, 3, if event.confirmed { " ●" } else { " ○" }, if event.confirmed { Role::Firing } else { Role::Near });
    let x = area.x + 3;
    pen.text(x, y, 24, &event.label, Role::Firing);
    let x = x + 25;
    let since = event
        .onset
        .parse::<Timestamp>()
        .map(|onset| onset.to_zoned_datetime(state.zone.clone()).strftime("%H:%M:%S").to_string());
    let confirmed = if event.confirmed { "confirmed" } else { "not yet confirmed" };
    let text = format!("since {}{}   peak {:.3}   {confirmed}", since.unwrap_or_default(), age(state, event), event.peak_score);
    let x = pen.text(x, y, end.saturating_sub(x), &text, Role::Plain);
    if !event.also.is_empty() {
        pen.text(x, y, end.saturating_sub(x), &format!("   also {}", event.also.join(", ")), Role::Quiet);
    }
}

/// The duration of an event so far, by the daemon's clock.
fn age(state: &TopState, event: &OpenEvent) -> String {
    let onset = event.onset.parse::<Timestamp>().ok();
    match onset.zip(state.clock) {
        Some((onset, clock)) => format!(" ({:.1} s)", clock.duration_since(onset).as_secs_f64().max(0.0)),
        None => String::new(),
    }
}
