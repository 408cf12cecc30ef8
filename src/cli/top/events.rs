//! The events that are open: since when, how strong, and whether the second look has borne them out.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::palette::Role;
use super::pen::Pen;
use super::source::Heard;
use super::state::State;
use crate::publish::wire::OpenEvent;

/// Draws them, a line each under a heading, or all in one line where there is no more.
pub fn draw(state: &State, heard: &Heard, pen: &mut Pen, area: Rect) {
    if area.height == 0 {
        return;
    }
    if heard.open.is_empty() {
        pen.line(area, "no event is open", Role::Quiet);
        return;
    }
    if area.height == 1 {
        let names: Vec<String> = heard.open.iter().map(|event| format!("{}{}", event.label, age(state, event))).collect();
        let x = pen.line(area, "open ", Role::Quiet);
        pen.text(x, area.y, area.right() - x, &names.join(", "), Role::Firing);
        return;
    }
    pen.line(area, "open events", Role::Quiet);
    let room = usize::from(area.height - 1);
    let shown = if heard.open.len() > room { room.saturating_sub(1) } else { room };
    for (y, event) in (area.y + 1..).zip(heard.open.iter().take(shown)) {
        line(state, event, pen, Rect { y, height: 1, ..area });
    }
    if heard.open.len() > shown {
        let more = format!("   and {} more", heard.open.len() - shown);
        pen.text(area.x, area.bottom() - 1, area.width, &more, Role::Quiet);
    }
}

fn line(state: &State, event: &OpenEvent, pen: &mut Pen, area: Rect) {
    let (y, end) = (area.y, area.right());
    pen.text(area.x, y, 3, if event.confirmed { " ●" } else { " ○" }, if event.confirmed { Role::Firing } else { Role::Near });
    let x = area.x + 3;
    pen.text(x, y, 24, &event.label, Role::Firing);
    let x = x + 25;
    let since = event
        .onset
        .parse::<Timestamp>()
        .map(|onset| onset.to_zoned_datetime(state.zone.clone()).strftime("%H:%M:%S").to_string());
    let confirmed = if event.confirmed { "confirmed" } else { "not confirmed yet" };
    let text = format!("since {}{}   peak {:.3}   {confirmed}", since.unwrap_or_default(), age(state, event), event.peak_score);
    let x = pen.text(x, y, end.saturating_sub(x), &text, Role::Plain);
    if !event.also.is_empty() {
        pen.text(x, y, end.saturating_sub(x), &format!("   also {}", event.also.join(", ")), Role::Quiet);
    }
}

/// How long an event has lasted by the daemon's own clock.
fn age(state: &State, event: &OpenEvent) -> String {
    let onset = event.onset.parse::<Timestamp>().ok();
    match onset.zip(state.clock) {
        Some((onset, clock)) => format!(" ({:.1} s)", clock.duration_since(onset).as_secs_f64().max(0.0)),
        None => String::new(),
    }
}
