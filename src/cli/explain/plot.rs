//! The picture of a recording: spectrogram, score curves, thresholds and events on one time axis, as SVG or PNG.
//!
//! It draws what it is given and decides nothing; it reads no file and writes none. Whatever the numbers and names are, NaN and
//! control characters among them, the picture is well-formed and of bounded size.

mod axis;
mod canvas;
mod curve;
mod events;
mod heat;
mod panel;
mod raster;
mod spectrogram;
#[cfg(test)]
mod tests;

use axis::{Clock, TimeAxis};
use canvas::{Anchor, Canvas, Style, fit};
pub use raster::{PlotError, png};

/// What is drawn; times are seconds from the recording's start.
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    /// The recording's file name.
    pub title: &'a str,
    /// Where the stretch that is shown begins.
    pub from_s: f64,
    /// Where the stretch that is shown ends.
    pub to_s: f64,
    /// The sound.
    pub spectrogram: Spectrogram<'a>,
    /// One a label, about six at most.
    pub panels: Vec<Panel<'a>>,
    /// The events that were told, of any label.
    pub events: Vec<Mark<'a>>,
    /// A moment that was asked about, drawn as a vertical line through everything.
    pub moment_s: Option<f64>,
}

/// The sound's level over time and frequency.
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
    /// The distance of two scores, in seconds; where scores are further apart the curve has a gap.
    pub hop_s: f64,
    /// The score that is known at once, as `(time in seconds, 0…1)`, ascending.
    pub causal: &'a [(f64, f32)],
    /// The score that knows what follows, as `(time in seconds, 0…1)`, ascending.
    pub two_sided: &'a [(f64, f32)],
    /// What the two-sided score has to reach.
    pub threshold: f32,
    /// What the causal score has to reach for an event to be announced at once.
    pub start_threshold: f32,
    /// A few words below the label's name, such as "not reported"; may be empty.
    pub note: &'a str,
}

/// An event that was told.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// What was heard.
    pub label: &'a str,
    /// When it began, in seconds.
    pub onset_s: f64,
    /// When it ended, in seconds.
    pub offset_s: f64,
    /// Its highest score, 0…1.
    pub score: f32,
}

/// The picture's width; all lengths are SVG's px.
const WIDTH: f64 = 1100.0;
/// Where the column of names begins.
const MARGIN: f64 = 24.0;
/// Where the time axis begins.
const LEFT: f64 = 222.0;
/// Where the time axis ends; numbers of lines stand to the right of it.
const RIGHT: f64 = 1018.0;
/// The space between two parts.
const GAP: f64 = 20.0;

/// The colours: ink and greys for what is fixed, one hue for each kind of data.
mod colour {
    pub const PAGE: &str = "#ffffff";
    pub const INK: &str = "#1f2933";
    pub const GREY: &str = "#6b7683";
    pub const AXIS: &str = "#b4bcc6";
    pub const GRID: &str = "#eaedf0";
    pub const EMPTY: &str = "#f5f6f8";
    pub const TWO_SIDED: &str = "#1f6fb5";
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

/// The title and what stretch it is; gives where the next part begins, as all that draw a part do.
fn header(canvas: &mut Canvas, title: &str, n_events: usize, axis: &TimeAxis) -> f64 {
    let events = match n_events {
        0 => "no events".to_owned(),
        1 => "1 event".to_owned(),
        more => format!("{more} events"),
    };
    let stretch = format!("{}, {events}", axis.clock.stretch(axis.from_s, axis.to_s));
    let title_style = Style::new(17.0, colour::INK).bold();
    canvas.text(MARGIN, 36.0, &fit(title, WIDTH - 2.0 * MARGIN, &title_style), &title_style);
    canvas.text(MARGIN, 56.0, &stretch, &Style::new(11.5, colour::GREY));
    74.0
}

/// Seconds below all parts.
fn time_axis(canvas: &mut Canvas, axis: &TimeAxis, y: f64) -> f64 {
    canvas.line((LEFT, y), (RIGHT, y), colour::AXIS, 1.0);
    let style = Style::new(10.5, colour::GREY).at(Anchor::Middle);
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

/// The name of a row in the column of names, with its unit in grey.
fn row_name(canvas: &mut Canvas, name: &str, unit: &str, y: f64) {
    let style = Style::new(12.0, colour::INK).bold();
    canvas.text(MARGIN, y, name, &style);
    canvas.text(MARGIN + canvas::width(name, &style) + 6.0, y, unit, &Style::new(11.0, colour::GREY));
}

/// The moment that was asked about: a line with its time on top; `light` is where the ground is dark.
fn moment(canvas: &mut Canvas, x: f64, time: &str, rows: std::ops::Range<f64>, light: std::ops::Range<f64>) {
    let style = Style::new(10.5, colour::PAGE).bold().at(Anchor::Middle);
    let half = canvas::width(time, &style) / 2.0 + 6.0;
    let middle = x.clamp(LEFT + half, RIGHT - half);
    canvas.line((x, rows.start + 8.0), (x, rows.end), colour::INK, 1.2);
    canvas.line((x, light.start), (x, light.end), colour::PAGE, 1.6);
    canvas.rect((middle - half, rows.start - 3.0), (2.0 * half, 16.0), colour::INK, 3.0);
    canvas.text(middle, rows.start + 9.0, time, &style);
}

/// What the lines of the panels are.
fn legend(canvas: &mut Canvas, y: f64) -> f64 {
    let style = Style::new(10.5, colour::GREY);
    let mut x = LEFT;
    let mut key = |canvas: &mut Canvas, text: &str, draw: &dyn Fn(&mut Canvas, f64, f64)| {
        draw(canvas, x, y - 3.5);
        canvas.text(x + 30.0, y, text, &style);
        x += 30.0 + canvas::width(text, &style) + 22.0;
    };
    key(canvas, "two-sided score", &|canvas, x, y| {
        canvas.translucent(panel::FILL_OPACITY, |canvas| canvas.rect((x, y - 4.0), (24.0, 9.0), colour::TWO_SIDED, 0.0));
        canvas.line((x, y - 4.0), (x + 24.0, y - 4.0), colour::TWO_SIDED, 1.6);
    });
    key(canvas, "its threshold", &|canvas, x, y| {
        canvas.broken_line((x, y), (x + 24.0, y), colour::TWO_SIDED, panel::DASHED);
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
