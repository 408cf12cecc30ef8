//! The picture of a recording: spectrogram, score curves, thresholds and events on one time axis, as SVG or PNG.
//!
//! It draws its input and decides nothing; it reads no file and writes none. The picture is well-formed and of bounded size for
//! any numbers and names, NaN and control characters among them.

mod axis;
pub(in crate::cli) mod canvas;
mod curve;
mod events;
mod heat;
mod panel;
mod raster;
mod spectrogram;
#[cfg(test)]
mod tests;

use axis::{Clock, TimeAxis};
use canvas::{Anchor, Canvas, TextStyle, fit};
pub use raster::png;

/// The content of a picture; times are seconds from the recording's start.
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    /// The recording's file name.
    pub title: &'a str,
    /// The beginning of the time axis.
    pub from_s: f64,
    /// The end of the time axis.
    pub to_s: f64,
    /// The recording's spectrogram.
    pub spectrogram: Spectrogram<'a>,
    /// One panel a label, about six at most.
    pub panels: Vec<Panel<'a>>,
    /// The confirmed events, of any label.
    pub events: Vec<Mark<'a>>,
    /// The moment that was asked about, drawn as a vertical line through all rows.
    pub moment_s: Option<f64>,
}

/// The level of the sound over time and frequency.
#[derive(Debug, Clone, Copy)]
pub struct Spectrogram<'a> {
    /// `[n_frames, n_bands]` in dB.
    pub frames: &'a [f32],
    /// How many bands a frame has.
    pub n_bands: usize,
    /// The distance of two frames, in seconds.
    pub frame_s: f64,
    /// The middle of the first frame, in seconds.
    pub first_frame_s: f64,
    /// The centre frequency of each band in Hz, ascending.
    pub band_hz: &'a [f64],
}

/// The scores of one label.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'a> {
    /// The label's name.
    pub label: &'a str,
    /// The hop, in seconds; where scores are further apart, the curve has a gap.
    pub hop_s: f64,
    /// The causal score, as `(time in seconds, 0…1)`, ascending.
    pub causal: &'a [(f64, f32)],
    /// The confirmed score, as `(time in seconds, 0…1)`, ascending.
    pub confirmed: &'a [(f64, f32)],
    /// The threshold of the confirmed score.
    pub threshold: f32,
    /// The threshold of the causal score, at which an event is announced.
    pub start_threshold: f32,
    /// A few words below the label's name, such as "not reported"; may be empty.
    pub note: &'a str,
}

/// An event as it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The name of its label.
    pub label: &'a str,
    /// When it began, in seconds.
    pub onset_s: f64,
    /// When it ended, in seconds.
    pub offset_s: f64,
    /// Its highest score, 0…1.
    pub score: f32,
}

/// The picture's width; all lengths are px of SVG.
const WIDTH: f64 = 1100.0;
/// The left end of the column of names.
const MARGIN: f64 = 24.0;
/// The left end of the time axis.
const LEFT: f64 = 222.0;
/// The right end of the time axis; the thresholds' numbers stand to the right of it.
const RIGHT: f64 = 1018.0;
/// The space between two rows.
const GAP: f64 = 20.0;

/// The colours: ink and greys for axes and texts, one hue for each kind of data.
pub(in crate::cli) mod colour {
    pub const PAGE: &str = "#ffffff";
    pub const INK: &str = "#1f2933";
    pub const GREY: &str = "#6b7683";
    pub const AXIS: &str = "#b4bcc6";
    pub const GRID: &str = "#eaedf0";
    pub const EMPTY: &str = "#f5f6f8";
    pub const CONFIRMED: &str = "#1f6fb5";
    pub const CAUSAL: &str = "#c2354f";
    pub const EVENT: &str = "#f0ad3c";
}

/// Draws `picture` as an SVG document.
pub fn svg(picture: &Picture) -> String {
    let axis = TimeAxis::new(picture.from_s, picture.to_s);
    let shown = events::shown(&picture.events, &axis);
    let mut canvas = Canvas::default();
    let mut y = header(&mut canvas, picture.title, shown.len(), &axis);
    let top = y;
    let moment_s = picture.moment_s.filter(|moment_s| axis.covers(*moment_s));
    if moment_s.is_some() {
        y += 20.0;
    }
    y = events::draw(&mut canvas, &shown, &axis, y) + GAP;
    let heard = y;
    y = spectrogram::draw(&mut canvas, &picture.spectrogram, &axis, y) + GAP;
    let heard = heard..y - GAP;
    for drawn in &picture.panels {
        y = panel::draw(&mut canvas, drawn, &shown, &axis, y, panel::height(picture.panels.len())) + GAP;
    }
    let bottom = y - GAP;
    y = time_axis(&mut canvas, &axis, bottom + 6.0);
    if let Some(moment_s) = moment_s {
        moment(&mut canvas, axis.x(moment_s), &axis.clock.precise(moment_s), top..bottom + 6.0, heard);
    }
    if !picture.panels.is_empty() {
        y = legend(&mut canvas, y + 20.0);
    }
    canvas.finish(picture.title, y + 22.0)
}

/// Draws the title with the time span and the number of events. It returns where the next row begins, as every function that
/// draws a row does.
fn header(canvas: &mut Canvas, title: &str, n_events: usize, axis: &TimeAxis) -> f64 {
    let events = match n_events {
        0 => "no events".to_owned(),
        1 => "1 event".to_owned(),
        more => format!("{more} events"),
    };
    let subtitle = format!("{}, {events}", axis.clock.span(axis.from_s, axis.to_s));
    let title_style = TextStyle::new(17.0, colour::INK).bold();
    canvas.text(MARGIN, 36.0, &fit(title, WIDTH - 2.0 * MARGIN, &title_style), &title_style);
    canvas.text(MARGIN, 56.0, &subtitle, &TextStyle::new(11.5, colour::GREY));
    74.0
}

/// Draws the time axis below all rows.
fn time_axis(canvas: &mut Canvas, axis: &TimeAxis, y: f64) -> f64 {
    canvas.line((LEFT, y), (RIGHT, y), colour::AXIS, 1.0);
    let style = TextStyle::new(10.5, colour::GREY).at(Anchor::Middle);
    for (tick_s, text) in axis.ticks() {
        let x = axis.x(tick_s);
        canvas.line((x, y), (x, y + 5.0), colour::AXIS, 1.0);
        canvas.text(x, y + 18.0, &text, &style);
    }
    let unit = match axis.clock {
        Clock::Seconds => "s",
        Clock::Minutes => "min:s",
        Clock::Hours => "h:min:s",
    };
    row_name(canvas, "Time", unit, y + 18.0);
    y + 24.0
}

/// Draws a row's name in the column of names, with its unit in grey.
fn row_name(canvas: &mut Canvas, name: &str, unit: &str, y: f64) {
    let style = TextStyle::new(12.0, colour::INK).bold();
    canvas.text(MARGIN, y, name, &style);
    canvas.text(MARGIN + canvas::width(name, &style) + 6.0, y, unit, &TextStyle::new(11.0, colour::GREY));
}

/// Draws the moment that was asked about as a line with its time on top; the line is light over the dark spectrogram, at `light`.
fn moment(canvas: &mut Canvas, x: f64, time: &str, rows: std::ops::Range<f64>, light: std::ops::Range<f64>) {
    let style = TextStyle::new(10.5, colour::PAGE).bold().at(Anchor::Middle);
    let half = canvas::width(time, &style) / 2.0 + 6.0;
    let middle = x.clamp(LEFT + half, RIGHT - half);
    canvas.line((x, rows.start + 8.0), (x, rows.end), colour::INK, 1.2);
    canvas.line((x, light.start), (x, light.end), colour::PAGE, 1.6);
    canvas.rect((middle - half, rows.start - 3.0), (2.0 * half, 16.0), colour::INK, 3.0);
    canvas.text(middle, rows.start + 9.0, time, &style);
}

/// Draws the legend of the panels' lines.
fn legend(canvas: &mut Canvas, y: f64) -> f64 {
    let style = TextStyle::new(10.5, colour::GREY);
    let mut x = LEFT;
    let mut key = |canvas: &mut Canvas, text: &str, draw: &dyn Fn(&mut Canvas, f64, f64)| {
        draw(canvas, x, y - 3.5);
        canvas.text(x + 30.0, y, text, &style);
        x += 30.0 + canvas::width(text, &style) + 22.0;
    };
    key(canvas, "confirmed score", &|canvas, x, y| {
        canvas.translucent(panel::FILL_OPACITY, |canvas| canvas.rect((x, y - 4.0), (24.0, 9.0), colour::CONFIRMED, 0.0));
        canvas.line((x, y - 4.0), (x + 24.0, y - 4.0), colour::CONFIRMED, 1.6);
    });
    key(canvas, "its threshold", &|canvas, x, y| {
        canvas.broken_line((x, y), (x + 24.0, y), colour::CONFIRMED, panel::DASHED);
    });
    key(canvas, "causal score", &|canvas, x, y| canvas.line((x, y), (x + 24.0, y), colour::CAUSAL, 1.0));
    key(canvas, "its start threshold", &|canvas, x, y| {
        canvas.broken_line((x, y), (x + 24.0, y), colour::CAUSAL, panel::DOTTED);
    });
    key(canvas, "event of this label", &|canvas, x, y| {
        canvas.translucent(panel::EVENT_OPACITY, |canvas| canvas.rect((x, y - 5.0), (24.0, 10.0), colour::EVENT, 0.0));
    });
    y
}
