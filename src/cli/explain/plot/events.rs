//! The rows of events: one a label, in the order of their first onsets. It draws onto the canvas, and chooses no events.

use super::axis::TimeAxis;
use super::canvas::{Anchor, Canvas, TextStyle, fit, width};
use super::{GAP, LEFT, MARGIN, Mark, RIGHT, colour, row_name};

/// How many labels have rows of their own; the events of the others share one.
const MAX_LABELS: usize = 12;
/// How many rows a label has at most; it needs several where its events overlap.
const MAX_ROWS: usize = 3;
const ROW_HEIGHT: f64 = 19.0;
const BAR_HEIGHT: f64 = 12.0;
/// The least width of a bar, so that a short event can be seen.
const MIN_BAR: f64 = 2.0;

/// The events that overlap the time axis, by onset.
pub fn shown<'a>(events: &[Mark<'a>], axis: &TimeAxis) -> Vec<Mark<'a>> {
    let is_shown = |mark: &&Mark| mark.onset_s <= mark.offset_s && mark.onset_s <= axis.to_s && mark.offset_s >= axis.from_s;
    let mut shown: Vec<_> = events.iter().filter(is_shown).copied().collect();
    shown.sort_by(|a, b| a.onset_s.total_cmp(&b.onset_s));
    shown
}

/// A bar in px.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Its left end.
    pub left: f64,
    /// Its right end.
    pub right: f64,
    /// The event's score; `None` where the bar stands for several events.
    score: Option<f32>,
}

/// The bars of events that are sorted by onset; events too close to be told apart share a bar.
pub fn bars<'a>(events: impl Iterator<Item = &'a Mark<'a>>, axis: &TimeAxis) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for mark in events {
        // An event that goes on outside of the axis is clipped there; its bar is longer, so that the round corner is not seen.
        let left = axis.x(mark.onset_s.max(axis.from_s)) - if mark.onset_s < axis.from_s { 4.0 } else { 0.0 };
        let right = axis.x(mark.offset_s.min(axis.to_s)) + if mark.offset_s > axis.to_s { 4.0 } else { 0.0 };
        let right = right.max(left + MIN_BAR);
        match bars.last_mut() {
            Some(last) if left < last.right + 0.5 && right < last.right + 2.0 * MIN_BAR => {
                *last = Bar { left: last.left, right: last.right.max(right), score: None };
            }
            _ => bars.push(Bar { left, right, score: Some(mark.score) }),
        }
    }
    bars
}

/// Distributes events over rows so that none overlaps another, up to the last row.
fn rows<'a>(events: &[&'a Mark<'a>]) -> Vec<Vec<&'a Mark<'a>>> {
    let mut rows: Vec<Vec<&Mark>> = Vec::new();
    for mark in events {
        let is_free = |row: &Vec<&Mark>| row.last().is_none_or(|last| last.offset_s <= mark.onset_s);
        match rows.iter().position(is_free) {
            Some(row) => rows[row].push(mark),
            None if rows.len() < MAX_ROWS => rows.push(vec![mark]),
            None => rows[MAX_ROWS - 1].push(mark),
        }
    }
    rows
}

/// Draws the rows of `shown`, which are sorted by onset, and returns where they end.
pub fn draw(canvas: &mut Canvas, shown: &[Mark], axis: &TimeAxis, top: f64) -> f64 {
    let mut labels: Vec<(&str, Vec<&Mark>)> = Vec::new();
    for mark in shown {
        match labels.iter_mut().find(|(label, _)| *label == mark.label) {
            Some((_, events)) => events.push(mark),
            None => labels.push((mark.label, vec![mark])),
        }
    }
    row_name(canvas, "Events", if shown.is_empty() { "none" } else { "with their scores" }, top + 9.0);
    let mut y = top + GAP;
    let rest = if labels.len() > MAX_LABELS { labels.split_off(MAX_LABELS - 1) } else { Vec::new() };
    for (label, events) in &labels {
        y = draw_label(canvas, label, &rows(events), axis, y);
    }
    if !rest.is_empty() {
        let mut events: Vec<_> = rest.iter().flat_map(|(_, events)| events).copied().collect();
        events.sort_by(|a, b| a.onset_s.total_cmp(&b.onset_s));
        y = draw_label(canvas, &format!("{} more labels", rest.len()), &rows(&events), axis, y);
    }
    if shown.is_empty() {
        canvas.line((LEFT, top + 5.0), (RIGHT, top + 5.0), colour::GRID, 1.0);
    }
    y
}

fn draw_label(canvas: &mut Canvas, label: &str, rows: &[Vec<&Mark>], axis: &TimeAxis, top: f64) -> f64 {
    let style = TextStyle::new(10.5, colour::INK);
    canvas.text(MARGIN, top + 9.5, &fit(label, LEFT - MARGIN - 10.0, &style), &style);
    let mut y = top;
    for row in rows {
        canvas.line((LEFT, y + BAR_HEIGHT / 2.0), (RIGHT, y + BAR_HEIGHT / 2.0), colour::GRID, 1.0);
        draw_row(canvas, &bars(row.iter().copied(), axis), y);
        y += ROW_HEIGHT;
    }
    y
}

/// Draws the bars of one row, with their scores where these have room.
fn draw_row(canvas: &mut Canvas, bars: &[Bar], y: f64) {
    canvas.clipped(|canvas| {
        for bar in bars {
            canvas.rect((bar.left, y), (bar.right - bar.left, BAR_HEIGHT), colour::EVENT, 2.0);
        }
    });
    let inside = TextStyle::new(9.5, colour::INK).at(Anchor::Middle);
    let beside = TextStyle::new(9.5, colour::GREY);
    let ends = bars.iter().skip(1).map(|next| next.left).chain([RIGHT]);
    for (bar, end) in bars.iter().zip(ends) {
        let Some(score) = bar.score.filter(|score| score.is_finite()) else { continue };
        let text = format!("{:.2}", score.clamp(0.0, 1.0));
        let needed = width(&text, &beside) + 8.0;
        let (left, right) = (bar.left.max(LEFT), bar.right.min(RIGHT));
        if right - left >= needed {
            canvas.text((left + right) / 2.0, y + 9.5, &text, &inside);
        } else if end - right >= needed {
            canvas.rect((right, y), (needed, BAR_HEIGHT), colour::PAGE, 0.0);
            canvas.text(right + 4.0, y + 9.5, &text, &beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(onset_s: f64, offset_s: f64) -> Mark<'static> {
        Mark { label: "Dog", onset_s, offset_s, score: 0.5 }
    }

    #[test]
    fn overlapping_events_do_not_cover_each_other() {
        let marks = [mark(0.0, 2.0), mark(1.0, 3.0), mark(2.5, 4.0), mark(3.5, 5.0)];
        let rows = rows(&marks.iter().collect::<Vec<_>>());
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert!(rows.iter().flat_map(|row| row.windows(2)).all(|pair| pair[0].offset_s <= pair[1].onset_s));
    }

    #[test]
    fn events_that_cannot_be_told_apart_are_one_bar() {
        let marks: Vec<_> = (0..10_000).map(|i| mark(f64::from(i) * 0.01, f64::from(i) * 0.01 + 0.005)).collect();
        let axis = TimeAxis::new(0.0, 100.0);
        let bars = bars(marks.iter(), &axis);
        assert!(bars.len() < 500, "{}", bars.len());
        assert_eq!((bars[0].left, bars[0].score), (LEFT, None));
    }

    #[test]
    fn events_that_follow_each_other_stay_two_bars() {
        let marks = [mark(1.0, 2.0), mark(2.0, 3.0)];
        assert_eq!(bars(marks.iter(), &TimeAxis::new(0.0, 5.0)).len(), 2);
    }

    #[test]
    fn only_events_within_the_axis_are_shown_and_by_onset() {
        let marks = [mark(4.0, 5.0), mark(0.0, 0.5), mark(f64::NAN, 3.0), mark(3.0, 2.0), mark(0.9, 1.1)];
        let onsets: Vec<_> = shown(&marks, &TimeAxis::new(1.0, 4.0)).iter().map(|mark| mark.onset_s).collect();
        assert_eq!(onsets, [0.9, 4.0]);
    }
}
