//! The row of the spectrogram, with the frequencies at its left and the scale of its colours at its right.

use super::axis::{TimeAxis, frequency_ticks};
use super::canvas::{Anchor, Canvas, Px, TextStyle};
use super::heat::{Heat, MAGMA};
use super::{LEFT, RIGHT, Spectrogram, colour, row_name};

const HEIGHT: f64 = 200.0;
/// The least distance of two frequencies that are written.
const TICK_PX: f64 = 22.0;
const BAR_WIDTH: f64 = 9.0;

/// Draws the spectrogram and returns where it ends.
pub fn draw(canvas: &mut Canvas, spectrogram: &Spectrogram, axis: &TimeAxis, top: f64) -> f64 {
    row_name(canvas, "Spectrogram", "", top + 10.0);
    let bottom = top + HEIGHT;
    canvas.rect((LEFT, top), (RIGHT - LEFT, HEIGHT), colour::EMPTY, 0.0);
    let Some(heat) = Heat::new(spectrogram, axis) else {
        let style = TextStyle::new(11.0, colour::GREY).at(Anchor::Middle);
        canvas.text((LEFT + RIGHT) / 2.0, top + HEIGHT / 2.0, "no sound in this time span", &style);
        return bottom;
    };
    let (x, width) = (axis.x(heat.from_s), (heat.to_s - heat.from_s) * axis.px_per_s());
    let (x, y, width, height, uri) = (Px(x), Px(top), Px(width), Px(HEIGHT), &heat.uri);
    canvas.clipped(|canvas| {
        canvas.push(format_args!(
            r#"<image x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none" href="{uri}"/>"#
        ));
    });
    frequencies(canvas, spectrogram, bottom);
    colour_bar(canvas, &heat, top);
    bottom
}

fn frequencies(canvas: &mut Canvas, spectrogram: &Spectrogram, bottom: f64) {
    let band_px = HEIGHT / spectrogram.n_bands as f64;
    let band_hz = &spectrogram.band_hz[..spectrogram.band_hz.len().min(spectrogram.n_bands)];
    let style = TextStyle::new(10.5, colour::GREY).at(Anchor::End);
    for (band, hz) in frequency_ticks(band_hz, TICK_PX / band_px) {
        // A band's centre frequency is the middle of its row of pixels.
        let y = bottom - (band + 0.5) * band_px;
        canvas.line((LEFT - 5.0, y), (LEFT, y), colour::AXIS, 1.0);
        let text = if hz < 1_000.0 { format!("{hz} Hz") } else { format!("{} kHz", hz / 1_000.0) };
        canvas.text(LEFT - 9.0, y + 3.7, &text, &style);
    }
}

fn colour_bar(canvas: &mut Canvas, heat: &Heat, top: f64) {
    let left = RIGHT + 10.0;
    let stops: String = MAGMA
        .iter()
        .enumerate()
        .map(|(tenth, [r, g, b])| format!(r##"<stop offset="{}%" stop-color="#{r:02x}{g:02x}{b:02x}"/>"##, tenth * 10))
        .collect();
    canvas.push(format_args!(r#"<linearGradient id="level" x1="0" y1="1" x2="0" y2="0">{stops}</linearGradient>"#));
    canvas.rect((left, top), (BAR_WIDTH, HEIGHT), "url(#level)", 0.0);
    let range = heat.high_db - heat.low_db;
    // Both ends of the range are multiples of 10 dB.
    let step: f32 = if range > 40.0 { 20.0 } else { 10.0 };
    let style = TextStyle::new(10.5, colour::GREY);
    let ticks = (0..=(range / step) as usize).map(|i| heat.high_db - i as f32 * step);
    for (index, db) in ticks.enumerate() {
        let y = top + f64::from((heat.high_db - db) / range) * HEIGHT;
        canvas.line((left + BAR_WIDTH, y), (left + BAR_WIDTH + 4.0, y), colour::AXIS, 1.0);
        let sign = if db < 0.0 { "−" } else { "" };
        let unit = if index == 0 { " dB" } else { "" };
        canvas.text(left + BAR_WIDTH + 7.0, y + 3.7, &format!("{sign}{:.0}{unit}", db.abs()), &style);
    }
}
