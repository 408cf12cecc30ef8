//! The picture, as a pure function of the state and of the size of the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::palette::{Palette, Role};
use super::pen::Pen;
use super::state::{Link, Mode, TopState};
use super::{detail, events, header, meter, pages, rows};

/// The least size of the screen, in columns and lines.
const LEAST: (u16, u16) = (40, 10);
/// The least height with a plot of the chosen label, in lines.
const ROOM_FOR_DETAIL: u16 = 18;
/// The least height with one line for each open event and with white space, in lines.
const ROOMY: u16 = 26;

/// Draws the picture.
pub fn draw(state: &TopState, palette: Palette, cells: &mut Buffer) {
    let area = *cells.area();
    let mut pen = Pen { cells, palette };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        pen.line(
            area,
            &format!("this window is too small: {} columns and {} lines are the least", LEAST.0, LEAST.1),
            Role::Plain,
        );
        return;
    }
    let (inside, last) = (Rect { height: area.height - 1, ..area }, Rect { y: area.bottom() - 1, height: 1, ..area });
    match &state.mode {
        Mode::Help => pages::keys(&mut pen, inside),
        Mode::Diff(plan, line) => pages::diff(plan, *line, &mut pen, inside),
        Mode::Watch | Mode::Leaving => watch(state, &mut pen, inside),
    }
    last_line(state, &mut pen, last);
}

/// The picture itself, from above: the sources, the level meter, the labels, the chosen label, the open events.
fn watch(state: &TopState, pen: &mut Pen, area: Rect) {
    let mut rest = Rest(area);
    let roomy = area.height >= ROOMY;
    header::draw(state, pen, rest.take(1));
    let Some((source, snapshot)) = state.source().and_then(|source| Some((source, source.snapshot.as_ref()?))) else {
        rest.take(1);
        pen.line(rest.take(1), "no sound has been heard yet", Role::Quiet);
        return;
    };
    meter::draw(snapshot, pen, rest.take(if roomy { 2 } else { 1 }));
    rest.take(u16::from(area.height >= 14));
    let events_height = if roomy { (area.height / 7).max(4) } else { 1 };
    let detail_height = if area.height < ROOM_FOR_DETAIL { 0 } else { (area.height / 3).min(16) };
    let rows_area = rest.take(rest.0.height.saturating_sub(detail_height + events_height));
    rows::draw(
        state,
        source,
        snapshot,
        pen,
        Rect { height: rows_area.height - u16::from(roomy && rows_area.height > 3), ..rows_area },
    );
    if detail_height > 0 {
        detail::draw(state, source, snapshot, pen, Rect { height: detail_height - u16::from(roomy), ..rest.take(detail_height) });
    }
    events::draw(state, snapshot, pen, rest.0);
}

/// The part of the screen that is not used yet.
struct Rest(Rect);

impl Rest {
    /// Takes `height` lines from the top, or as many as there are.
    fn take(&mut self, height: u16) -> Rect {
        let Rest(left) = *self;
        let height = height.min(left.height);
        self.0 = Rect { y: left.y + height, height: left.height - height, ..left };
        Rect { height, ..left }
    }
}

/// Draws the last line: a question, else the state of the connection, else a message, else the keys.
fn last_line(state: &TopState, pen: &mut Pen, area: Rect) {
    let keys = match &state.mode {
        Mode::Watch if area.width < 80 => "↑↓ label  ←→ threshold  ? keys  q end",
        Mode::Watch => "↑↓ label   ←→ threshold   w write   u undo   p pause   ? keys   q end",
        Mode::Diff(..) => return ask(pen, area, "y writes and loads it   any other key does not"),
        Mode::Help => return ask(pen, area, "any key goes back"),
        Mode::Leaving => {
            let count = state.changes.len();
            let what = if count == 1 { "1 threshold is".to_owned() } else { format!("{count} thresholds are") };
            let question = format!(
                "{what} changed and not written, so only in force until the next reload: q ends, w writes, another key goes on"
            );
            return ask(pen, area, &question);
        }
    };
    match (&state.link, &state.message) {
        (Link::Down(why), _) => pen.line(area, &format!("no connection to the daemon, trying again: {why}"), Role::Bad),
        (_, Some(message)) => pen.line(area, &message.text, if message.is_bad { Role::Near } else { Role::Plain }),
        (_, None) => pen.line(area, keys, Role::Quiet),
    };
}

/// Draws a question.
fn ask(pen: &mut Pen, area: Rect, question: &str) {
    pen.line(area, question, Role::Near);
}
