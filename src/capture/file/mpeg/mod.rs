//! MPEG audio (MP3, MP2, MP1), frame by frame, whatever stands between the frames.
//!
//! A frame says its own length and nothing of its place, so that the time of what is missing is told by its bytes. The number of
//! frames in a Xing header is a hint: files are joined, and programs that write into a pipe leave it empty. symphonia's reader
//! estimates a length where there is none and cuts the sound there.

use symphonia::core::audio::layouts::{CHANNEL_LAYOUT_MONO, CHANNEL_LAYOUT_STEREO};
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::coder::{Coder, NoSound};
use super::sound::{Bytes, Piece, Refusal, Sound};
use super::window::Window;
use frame::{Frame, Info};

mod frame;

/// The bytes within which the first frame must stand.
const SEARCH: usize = 1 << 20;
/// The most bytes of the tags behind the sound of a file that is as long as it states.
const TAGS: u64 = 1 << 13;
/// The most bytes of a frame.
const LONGEST: usize = 2_881;
/// The frames after a beginning or a gap that may lack the bits of frames before them.
const WARM_UP: u32 = 4;

/// The sound of an MPEG file.
pub(super) struct Mpeg {
    window: Window,
    coder: Coder,
    last: Frame,
    info: Option<Info>,
    /// The frames and bytes of sound so far, by which missing bytes are judged.
    n_frames_read: u64,
    n_bytes_read: u64,
    /// The position of the next sample frame, with the codec's delay, at the rate of the first frame.
    at: u64,
    first_rate_hz: u32,
    n_frames: Option<u64>,
    warm: u32,
    /// The samples that are padding if the file ends behind them.
    held: Vec<f32>,
    held_channels: usize,
    has_ended: bool,
    is_truncated: bool,
}

impl Mpeg {
    /// Opens the file from where its bytes stand.
    pub fn open(bytes: Bytes) -> Result<Self, Refusal> {
        let mut window = Window::new(bytes);
        let first = synchronise(&mut window, None, SEARCH).map_err(Refusal::Broken)?.ok_or(Refusal::Format)?.0;
        let length = window.left();
        let data = window.peek(first.bytes).map_err(Refusal::Broken)?;
        let info = Info::parse(&first, data);
        let coder = coder(&first)?;
        let mut mpeg = Self {
            window,
            coder,
            last: first,
            info: None,
            n_frames_read: 0,
            n_bytes_read: 0,
            at: 0,
            first_rate_hz: first.rate_hz,
            n_frames: None,
            warm: 0,
            held: Vec::new(),
            held_channels: 0,
            has_ended: false,
            is_truncated: false,
        };
        if let Some(info) = info {
            mpeg.window.pass(first.bytes);
            // The header is believed where its length of the file is the true one, which it is not in a joined file.
            let fits = |stated: u64| length.is_some_and(|length| length.saturating_sub(stated) < TAGS);
            let frames = info.n_frames.filter(|_| info.n_bytes.is_some_and(fits)).map(|n| n * first.samples);
            mpeg.n_frames = frames.map(|frames| frames.saturating_sub(info.delay + info.padding)).filter(|frames| *frames > 0);
            mpeg.info = Some(info);
        }
        Ok(mpeg)
    }

    /// The next frame and the sample frames that are missing before it; `None` at the end.
    fn next_frame(&mut self) -> Result<Option<(Frame, u64)>, String> {
        let Some((frame, lost)) = synchronise(&mut self.window, Some(self.last), usize::MAX)? else { return Ok(None) };
        if lost == 0 {
            return Ok(Some((frame, 0)));
        }
        self.warm = 0;
        self.coder.reset();
        let mean = self.n_bytes_read.checked_div(self.n_frames_read).unwrap_or(frame.bytes as u64).max(1);
        Ok(Some((frame, (lost + mean / 2) / mean * frame.samples)))
    }

    /// The samples that are surely no padding, moved to `out`.
    fn release(&mut self, out: &mut Vec<f32>, decoded: &[f32], channels: usize) {
        let padding = self.info.as_ref().map_or(0, |info| info.padding as usize) * channels;
        if self.held_channels != channels {
            self.held.clear();
            self.held_channels = channels;
        }
        self.held.extend_from_slice(decoded);
        let sure = self.held.len().saturating_sub(padding);
        out.extend(self.held.drain(..sure));
    }
}

/// The length of the tag at the beginning of these bytes; `None` where there is none.
pub(super) fn tag(bytes: &[u8]) -> Option<u64> {
    frame::tag(bytes)
}

fn coder(frame: &Frame) -> Result<Coder, Refusal> {
    let mut parameters = AudioCodecParameters::new();
    let codec = [CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3][usize::from(frame.layer) - 1];
    let channels = if frame.channels == 1 { CHANNEL_LAYOUT_MONO } else { CHANNEL_LAYOUT_STEREO };
    parameters.for_codec(codec).with_sample_rate(frame.rate_hz).with_channels(channels);
    Coder::new(&parameters)
}

/// Finds the next frame within so many bytes, and the bytes before it that are neither a frame nor a tag. Without a frame before,
/// the next one must follow on it.
fn synchronise(window: &mut Window, before: Option<Frame>, most: usize) -> Result<Option<(Frame, u64)>, String> {
    let mut lost = 0u64;
    while lost < most as u64 {
        let bytes = window.peek(3 * LONGEST)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if let Some(length) = frame::tag(bytes) {
            window.skip(length)?;
            continue;
        }
        if let Some(frame) = Frame::parse(bytes).filter(|frame| frame.bytes <= bytes.len()) {
            // A frame like the one before it is one; another must be followed by its like, or by nothing.
            let rest = &bytes[frame.bytes..];
            let is_followed = || {
                let next = Frame::parse(rest).filter(|next| next.is_like(&frame));
                let next = next.is_some_and(|next| match rest.get(next.bytes..) {
                    // In any bytes, two may look like frames; three do not.
                    Some(rest) if before.is_none() && rest.len() >= 4 => {
                        Frame::parse(rest).is_some() || frame::tag(rest).is_some()
                    }
                    _ => true,
                });
                next || frame::tag(rest).is_some()
            };
            let joins_on = lost == 0 && before.is_some_and(|before| frame.is_like(&before));
            if joins_on || is_followed() || (rest.is_empty() && before.is_some_and(|before| frame.is_like(&before))) {
                return Ok(Some((frame, lost)));
            }
        }
        let skipped = bytes[1..].iter().position(|byte| matches!(byte, 0xff | b'I' | b'T' | b'A')).map_or(bytes.len(), |n| n + 1);
        window.pass(skipped);
        lost += skipped as u64;
    }
    Ok(None)
}

impl Sound for Mpeg {
    fn next(&mut self, out: &mut Vec<f32>) -> Result<Option<Piece>, String> {
        out.clear();
        while let Some((frame, missing)) = self.next_frame()? {
            let in_first = |frames: u64| frames * u64::from(self.first_rate_hz) / u64::from(frame.rate_hz);
            let (missing, samples) = (in_first(missing), in_first(frame.samples));
            let data = self.window.peek(frame.bytes)?[..frame.bytes].to_vec();
            self.window.pass(frame.bytes);
            if Info::parse(&frame, &data).is_some() {
                // The beginning of a file that was joined on.
                self.warm = 0;
                continue;
            }
            self.n_frames_read += 1;
            self.n_bytes_read += data.len() as u64;
            if frame.layer != self.last.layer || frame.rate_hz != self.last.rate_hz {
                self.coder = coder(&frame).map_err(|refusal| refusal.to_string())?;
                self.warm = 0;
            }
            self.last = frame;
            let mut decoded = Vec::new();
            let packet = Packet::new(0, Timestamp::ZERO, Duration::from(frame.samples), data);
            let (mut channels, mut rate_hz) = (usize::from(frame.channels), frame.rate_hz);
            let is_whole = match self.coder.decode(&packet, &mut decoded) {
                Ok((of, at_hz)) if of > 0 && !decoded.is_empty() => {
                    (channels, rate_hz) = (of, at_hz);
                    true
                }
                Ok(_) | Err(NoSound::Damaged) => false,
                Err(NoSound::Broken(sentence)) => return Err(sentence),
            };
            // The first frames may need bits of frames that are not there, which is no damage.
            if !is_whole && (self.warm < WARM_UP || self.n_frames_read <= WARM_UP.into()) {
                decoded = vec![0.0; frame.samples as usize * channels];
            }
            self.warm = self.warm.saturating_add(1);
            self.at += missing;
            let held = if self.held_channels == channels { in_first((self.held.len() / channels) as u64) } else { 0 };
            let begin = self.at.saturating_sub(held);
            self.at += samples;
            self.release(out, &decoded, channels);
            // The codec's delay is left out.
            let delay = self.info.as_ref().map_or(0, |info| info.delay);
            let early = delay.saturating_sub(begin).min((out.len() / channels) as u64);
            out.drain(..early as usize * channels);
            let at = (begin + early).saturating_sub(delay);
            return Ok(Some(Piece { at: (rate_hz == self.first_rate_hz).then_some(at), channels, rate_hz }));
        }
        let delay = self.info.as_ref().map_or(0, |info| info.delay);
        let stated = self.info.as_ref().and_then(|info| info.n_frames).unwrap_or(0);
        self.is_truncated = self.n_frames.is_some_and(|frames| self.at + 4_096 < frames + delay);
        let held = std::mem::take(&mut self.held);
        // Padding is where the header says that the file ends; behind another end it is sound.
        if self.has_ended || held.is_empty() || stated == self.n_frames_read {
            return Ok(None);
        }
        self.has_ended = true;
        *out = held;
        Ok(Some(Piece { at: None, channels: self.held_channels, rate_hz: self.last.rate_hz }))
    }

    fn n_frames(&self) -> Option<u64> {
        self.n_frames
    }

    fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

#[cfg(test)]
mod tests;
