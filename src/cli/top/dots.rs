//! Curves in braille, two by four dots a cell: as an area, as a line, or as a dotted level.
//!
//! The axis of scores is logarithmic, because labels that nearly fire differ from others by a factor rather than by a difference.

use super::palette::Role;
use super::pen::Pen;

/// The score at the foot of the axis; the score at its top is 1.
const FOOT: f32 = 1e-3;
/// Each dot's bit, `[column][row]`, the rows counted from below.
const BITS: [[u8; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];

/// A field of dots.
pub struct Dots {
    width: usize,
    height: usize,
    cells: Vec<(u8, Role)>,
}

impl Dots {
    /// An empty field of `width` by `height` cells.
    pub fn new(width: u16, height: u16) -> Self {
        let (width, height) = (usize::from(width), usize::from(height));
        Self { width, height, cells: vec![(0, Role::Quiet); width * height] }
    }

    /// The number of columns of dots.
    pub fn columns(&self) -> usize {
        self.width * 2
    }

    fn rows(&self) -> usize {
        self.height * 4
    }

    /// The row of dots of a score.
    fn row(&self, score: f32) -> usize {
        let part = (score.max(FOOT).log10() / -FOOT.log10() + 1.0).clamp(0.0, 1.0);
        (part * self.rows().saturating_sub(1) as f32).round() as usize
    }

    /// The line of cells that a score lies in, counted from above.
    pub fn line_of(&self, score: f32) -> u16 {
        (self.height.saturating_sub(1) - self.row(score) / 4) as u16
    }

    fn set(&mut self, column: usize, row: usize, role: Role) {
        if column >= self.columns() || row >= self.rows() {
            return;
        }
        let (bits, seen) = &mut self.cells[(self.height - 1 - row / 4) * self.width + column / 2];
        *bits |= BITS[column % 2][row % 4];
        *seen = (*seen).max(role);
    }

    /// Fills every other dot below a curve, so that a line before it can be seen.
    pub fn background(&mut self, curve: &[Option<f32>], role: Role) {
        for (column, score) in curve.iter().enumerate() {
            let Some(score) = score.filter(|score| *score >= FOOT) else { continue };
            let top = self.row(score);
            (0..=top).filter(|row| (row + column) % 2 == 0 || *row == top).for_each(|row| self.set(column, row, role));
        }
    }

    /// Fills the area below a curve. A score that reaches `threshold` is drawn as firing, and at least as high as the threshold's
    /// level.
    pub fn area(&mut self, curve: &[Option<f32>], threshold: Option<f32>) {
        for (column, score) in curve.iter().enumerate() {
            let Some(score) = score.filter(|score| *score >= FOOT) else { continue };
            let (top, role) = self.place(score, threshold);
            // A score below a threshold that lies in the lowest row has no dot at all.
            (0..top).for_each(|row| self.set(column, row, role));
        }
    }

    /// Draws a curve as a line; for `threshold` see [`Dots::area`].
    pub fn line(&mut self, curve: &[Option<f32>], threshold: Option<f32>) {
        let mut before: Option<usize> = None;
        for (column, score) in curve.iter().enumerate() {
            let Some(score) = score else {
                before = None;
                continue;
            };
            let (top, role) = self.place(*score, threshold);
            let row = top.saturating_sub(1);
            let from = before.map_or(row, |before| if before < row { before + 1 } else { before.saturating_sub(1).max(row) });
            (row.min(from)..=row.max(from)).for_each(|row| self.set(column, row, role));
            before = Some(row);
        }
    }

    /// The height of a score in dots, and its role.
    fn place(&self, score: f32, threshold: Option<f32>) -> (usize, Role) {
        let row = self.row(score);
        match threshold {
            Some(threshold) if score >= threshold => (row.max(self.row(threshold)) + 1, Role::Firing),
            Some(threshold) => ((row + 1).min(self.row(threshold)), Role::Plain),
            None => (row + 1, Role::Plain),
        }
    }

    /// Marks a score with a horizontal line of `on` dots in every `period`.
    pub fn level(&mut self, score: f32, (on, period): (usize, usize), role: Role) {
        let row = self.row(score);
        for column in (0..self.columns()).filter(|column| column % period < on) {
            self.set(column, row, role);
        }
    }

    /// Paints the field with its upper left corner at `x`, `y`.
    pub fn paint(&self, pen: &mut Pen, x: u16, y: u16) {
        for (at, (bits, role)) in self.cells.iter().enumerate().filter(|(_, (bits, _))| *bits != 0) {
            let sign = char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' ');
            let (column, line) = ((at % self.width) as u16, (at / self.width) as u16);
            pen.text(x + column, y + line, 1, sign.encode_utf8(&mut [0; 4]), *role);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::palette::Palette;
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    impl Dots {
        fn is_set(&self, column: usize, row: usize) -> bool {
            let (bits, _) = self.cells[(self.height - 1 - row / 4) * self.width + column / 2];
            bits & BITS[column % 2][row % 4] != 0
        }
    }

    fn painted(dots: &Dots) -> String {
        let mut cells = Buffer::empty(Rect::new(0, 0, dots.width as u16, dots.height as u16));
        dots.paint(&mut Pen { cells: &mut cells, palette: Palette::Plain }, 0, 0);
        let lines = cells.content().chunks(dots.width).map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn ramp(columns: usize) -> Vec<Option<f32>> {
        (0..columns).map(|column| Some(10f32.powf(-3.0 + 3.0 * column as f32 / (columns - 1) as f32))).collect()
    }

    #[test]
    fn a_score_is_above_its_threshold_exactly_where_the_picture_says_so() {
        for height in [1, 2, 5] {
            for threshold in [0.000_1, 0.001, 0.05, 0.14, 0.9, 1.0] {
                let mut dots = Dots::new(20, height);
                let curve = ramp(dots.columns());
                dots.area(&curve, Some(threshold));
                let row = dots.row(threshold);
                for (column, score) in curve.iter().enumerate() {
                    assert_eq!(dots.is_set(column, row), score.unwrap() >= threshold, "{height} {threshold} {column}");
                }
            }
        }
    }

    #[test]
    fn an_area_a_line_and_a_level_look_right() {
        let mut dots = Dots::new(16, 3);
        let curve = ramp(dots.columns());
        dots.area(&curve, Some(0.2));
        dots.level(0.2, (1, 2), Role::Threshold);
        insta::assert_snapshot!(painted(&dots), @"
        ⡀⡀⡀⡀⡀⡀⡀⡀⡀⡀⡀⡀⣤⣴⣶⣿
             ⣀⣠⣤⣶⣾⣿⣿⣿⣿⣿⣿
        ⣀⣤⣴⣶⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿
        ");
        let mut dots = Dots::new(16, 3);
        let mut jump = curve.clone();
        jump[10..14].fill(Some(0.9));
        jump[20..22].fill(None);
        dots.background(&curve, Role::Confirmed);
        dots.line(&jump, None);
        dots.level(0.2, (3, 4), Role::Threshold);
        insta::assert_snapshot!(painted(&dots), @"
        ⣀⡀⣀⡀⣀⡏⣉⡆⣀⡀⣀⣀⣤⡴⣲⡫
             ⣇⡠⡧⡲⡪⡫⡪⡪⡪⡪⡪
        ⣀⡤⡴⡲⡫⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪⡪
        ");
    }

    #[test]
    fn a_field_without_cells_and_a_score_that_is_no_number_do_not_panic() {
        for (width, height) in [(0, 0), (3, 0), (0, 3), (2, 2)] {
            let mut dots = Dots::new(width, height);
            let curve = [Some(f32::NAN), Some(f32::INFINITY), Some(-1.0), None, Some(0.0), Some(2.0), Some(1.0)];
            dots.area(&curve, Some(f32::NAN));
            dots.background(&curve, Role::Confirmed);
            dots.line(&curve, Some(0.5));
            dots.level(0.5, (1, 2), Role::Threshold);
            let mut cells = Buffer::empty(Rect::new(0, 0, 1, 1));
            dots.paint(&mut Pen { cells: &mut cells, palette: Palette::Ansi }, 0, 0);
        }
    }
}
