//! A spectrogram as a small image: frames become columns, decibels become colours, and the PNG becomes a data URI.
//!
//! The image is at most 2,000 columns wide, whatever the length of the recording.

use super::Spectrogram;
use super::axis::TimeAxis;

/// The most columns of an image; more would not be seen in the picture.
const MAX_COLUMNS: usize = 2_000;
/// The range of levels that the colours cover, in dB. A narrower one would show the noise, a wider one would hide the sounds.
const RANGE_DB: std::ops::RangeInclusive<f32> = 40.0..=80.0;
/// The largest magnitude of a level, in dB; it is far beyond any sound, and its power is a finite number.
const LIMIT_DB: f32 = 300.0;

/// The colour map Magma of matplotlib at every tenth; equal steps in dB look equal.
pub const MAGMA: [[u8; 3]; 11] = [
    [0x00, 0x00, 0x04],
    [0x15, 0x0e, 0x37],
    [0x3b, 0x0f, 0x70],
    [0x64, 0x1a, 0x80],
    [0x8c, 0x29, 0x81],
    [0xb6, 0x36, 0x79],
    [0xde, 0x49, 0x68],
    [0xf7, 0x6f, 0x5c],
    [0xfe, 0x9f, 0x6d],
    [0xfe, 0xce, 0x91],
    [0xfc, 0xfd, 0xbf],
];

/// The image of a time span.
#[derive(Debug)]
pub struct Heat {
    /// The PNG as a data URI. A column shows one frame or several; the lowest band is at the bottom.
    pub uri: String,
    /// The time at its left edge, in seconds.
    pub from_s: f64,
    /// The time at its right edge, in seconds.
    pub to_s: f64,
    /// The level that is black, in dB.
    pub low_db: f32,
    /// The level that is brightest, in dB.
    pub high_db: f32,
}

impl Heat {
    /// The image of the frames within `axis`; `None` where there are none.
    pub fn new(spectrogram: &Spectrogram, axis: &TimeAxis) -> Option<Self> {
        let Spectrogram { frames, n_bands, frame_s, first_frame_s, .. } = *spectrogram;
        let n_frames = frames.len().checked_div(n_bands)?;
        if !(frame_s > 0.0 && frame_s.is_finite() && first_frame_s.is_finite()) {
            return None;
        }
        // A frame covers half of the frame distance on either side of its middle.
        let edge_s = |frame: usize| first_frame_s + (frame as f64 - 0.5) * frame_s;
        let frame_at = |time_s: f64| (time_s - first_frame_s) / frame_s + 0.5;
        let first = frame_at(axis.from_s).floor().max(0.0) as usize;
        let end = (frame_at(axis.to_s).ceil().max(0.0) as usize).min(n_frames);
        let seen = frames.get(first.checked_mul(n_bands)?..end * n_bands).filter(|seen| !seen.is_empty())?;
        let step = (end - first).div_ceil(MAX_COLUMNS);
        let columns: Vec<Vec<f32>> = seen.chunks(step * n_bands).map(|column| mean_db(column, n_bands)).collect();
        let (low_db, high_db) = range_db(columns.concat());
        let uri = format!("data:image/png;base64,{}", base64(&png(&columns, n_bands, low_db, high_db).ok()?));
        // The image ends near the axis, however long a frame is.
        let (from_s, to_s) = (edge_s(first), edge_s(first + columns.len() * step));
        let span_s = axis.span_s();
        let (from_s, to_s) = (from_s.max(axis.from_s - span_s), to_s.min(axis.to_s + span_s));
        Some(Self { uri, from_s, to_s, low_db, high_db })
    }
}

/// The mean power of each band over some frames, in dB. A short loud sound stays visible where many frames share a column.
fn mean_db(frames: &[f32], n_bands: usize) -> Vec<f32> {
    let mean = |band: usize| {
        let values = frames[band..].iter().step_by(n_bands).filter(|value| !value.is_nan());
        let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| {
            (sum + 10f64.powf(f64::from(value.clamp(-LIMIT_DB, LIMIT_DB)) / 10.0), count + 1)
        });
        (10.0 * (sum / f64::from(count)).log10()) as f32
    };
    (0..n_bands).map(mean).collect()
}

/// A range of round numbers around nearly all values, in dB. The extremes are left out, so that a click does not darken all else.
fn range_db(mut values: Vec<f32>) -> (f32, f32) {
    values.retain(|value| value.is_finite());
    if values.is_empty() {
        return (-RANGE_DB.end(), 0.0);
    }
    values.sort_unstable_by(f32::total_cmp);
    let rank = |part: f64| values[((values.len() - 1) as f64 * part) as usize];
    let high = (rank(0.999) / 10.0).ceil() * 10.0;
    let low = (rank(0.05) / 10.0).floor() * 10.0;
    (low.clamp(high - RANGE_DB.end(), high - RANGE_DB.start()), high)
}

/// The colour of a level of 0…255.
fn magma(level: u8) -> [u8; 3] {
    let at = f32::from(level) / 255.0 * (MAGMA.len() - 1) as f32;
    let below = (at as usize).min(MAGMA.len() - 2);
    let part = at - below as f32;
    std::array::from_fn(|i| {
        let (from, to) = (f32::from(MAGMA[below][i]), f32::from(MAGMA[below + 1][i]));
        (from + (to - from) * part).round() as u8
    })
}

fn png(columns: &[Vec<f32>], n_bands: usize, low_db: f32, high_db: f32) -> Result<Vec<u8>, png::EncodingError> {
    let level = |db: f32| ((db - low_db) / (high_db - low_db) * 255.0).round() as u8;
    let rows = (0..n_bands).rev();
    let pixels: Vec<u8> = rows.flat_map(|band| columns.iter().map(move |column| level(column[band]))).collect();
    let mut image = Vec::new();
    let mut encoder = png::Encoder::new(&mut image, columns.len() as u32, n_bands as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette((0..=255).flat_map(magma).collect::<Vec<u8>>());
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(image)
}

/// Base64 with padding, as in RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0usize, |bits, i| bits << 8 | usize::from(group.get(i).copied().unwrap_or(0)));
        for digit in 0..4 {
            let is_padding = digit > group.len();
            text.push(if is_padding { '=' } else { char::from(DIGITS[bits >> (18 - 6 * digit) & 63]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(frames: &[f32], n_bands: usize, frame_s: f64, to_s: f64) -> Option<Heat> {
        let spectrogram = Spectrogram { frames, n_bands, frame_s, first_frame_s: 0.0, band_hz: &[] };
        Heat::new(&spectrogram, &TimeAxis::new(0.0, to_s))
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    }

    #[test]
    fn one_loud_frame_of_many_is_seen_in_its_column() {
        let mean = mean_db(&[-90.0, -90.0, -90.0, 0.0, f32::NAN, -90.0], 2);
        assert_eq!(mean.iter().map(|db| db.round()).collect::<Vec<_>>(), [-90.0, -5.0]);
    }

    #[test]
    fn the_colours_spread_over_round_decibels() {
        let noise: Vec<f32> = (0..1_000).map(|i| -62.0 + (i % 10) as f32 * 3.0).collect();
        assert_eq!(range_db(noise), (-70.0, -30.0));
        assert_eq!(range_db(vec![-100.0; 9]), (-140.0, -100.0));
        assert_eq!(range_db(vec![f32::NAN]), (-80.0, 0.0));
    }

    #[test]
    fn a_long_recording_has_a_bounded_number_of_columns() {
        let heat = image(&vec![-50.0; 90_001], 1, 0.01, 900.0).unwrap();
        assert!(heat.uri.len() < 20_000, "{}", heat.uri.len());
        assert!(heat.from_s < 0.0 && heat.to_s >= 900.0, "{heat:?}");
    }

    #[test]
    fn only_frames_within_the_axis_are_in_the_image() {
        let heat = image(&[-50.0; 1_000], 1, 0.01, 1.0).unwrap();
        assert_eq!((heat.from_s, (heat.to_s * 1_000.0).round()), (-0.005, 1_005.0));
    }

    #[test]
    fn what_has_no_frames_has_no_image() {
        assert!(image(&[], 64, 0.01, 1.0).is_none());
        assert!(image(&[0.0; 8], 0, 0.01, 1.0).is_none());
        assert!(image(&[0.0; 8], 16, 0.01, 1.0).is_none());
        assert!(image(&[0.0; 8], 1, f64::NAN, 1.0).is_none());
    }

    #[test]
    fn the_colours_run_from_black_to_light() {
        assert_eq!((magma(0), magma(255)), (MAGMA[0], MAGMA[10]));
        let luminance =
            |level: u8| magma(level).iter().zip([0.2126, 0.7152, 0.0722]).map(|(c, w)| f64::from(*c) * w).sum::<f64>();
        assert!((0..255).all(|level| luminance(level) <= luminance(level + 1) + 0.5));
    }
}
