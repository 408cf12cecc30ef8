//! Writes texts onto the cells of the screen. Texts that are too long end with an ellipsis; nothing is written outside of the
//! screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::palette::{Palette, Role};

/// The cells of the screen, with the palette to paint them.
pub struct Pen<'a> {
    /// The cells.
    pub cells: &'a mut Buffer,
    /// The colours.
    pub palette: Palette,
}

impl Pen<'_> {
    /// Writes at most `width` columns of `text`, and returns the column after it.
    pub fn text(&mut self, x: u16, y: u16, width: u16, text: &str, role: Role) -> u16 {
        let style = self.palette.style(role);
        self.styled(x, y, width, text, style)
    }

    /// Writes at most `width` columns of `text` in a style, and returns the column after it.
    pub fn styled(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let area = *self.cells.area();
        let width = width.min(area.right().saturating_sub(x));
        if width == 0 || y < area.top() || y >= area.bottom() || x < area.left() {
            return x;
        }
        if columns(text) <= width {
            return self.cells.set_stringn(x, y, text, width.into(), style).0;
        }
        let (end, _) = self.cells.set_stringn(x, y, text, usize::from(width) - 1, style);
        self.cells.set_stringn(end, y, "…", 1, style).0
    }

    /// Writes `text` right-aligned before the column `right`; nothing where it would begin before `left`.
    pub fn right(&mut self, left: u16, right: u16, y: u16, text: &str, role: Role) {
        let width = columns(text);
        if left + width <= right {
            self.text(right - width, y, width, text, role);
        }
    }

    /// Writes `text` in the first line of `area`, and returns the column after it.
    pub fn line(&mut self, area: Rect, text: &str, role: Role) -> u16 {
        self.text(area.x, area.y, area.width, text, role)
    }
}

/// The width of a text, in columns.
pub fn columns(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(width: u16, text: &str) -> String {
        let mut cells = Buffer::empty(Rect::new(0, 0, 8, 1));
        Pen { cells: &mut cells, palette: Palette::Plain }.text(0, 0, width, text, Role::Plain);
        cells.content().iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn a_text_that_is_too_long_ends_with_an_ellipsis() {
        assert_eq!(written(8, "Speech"), "Speech");
        assert_eq!(written(5, "Speech"), "Spee…");
        assert_eq!(written(99, "Conversation"), "Convers…");
        assert_eq!(written(0, "Speech"), "");
        assert_eq!(written(5, "耳耳耳"), "耳 耳 …");
    }

    #[test]
    fn a_name_cannot_control_the_terminal() {
        assert_eq!(written(8, "a\u{1b}[2Jb"), "a[2Jb");
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut cells = Buffer::empty(Rect::new(0, 0, 4, 1));
        let mut pen = Pen { cells: &mut cells, palette: Palette::Plain };
        assert_eq!(pen.text(9, 0, 4, "x", Role::Plain), 9);
        assert_eq!(pen.text(0, 7, 4, "x", Role::Plain), 0);
        pen.right(0, 4, 0, "too long", Role::Plain);
        assert!(cells.content().iter().all(|cell| cell.symbol() == " "));
    }
}
