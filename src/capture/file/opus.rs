//! Opus: the one codec that symphonia has no decoder for. libopus decodes it, which is compiled in.

#![allow(unsafe_code, reason = "libopus is written in C")]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;

use opusic_sys as libopus;

/// The rate of all decoded Opus, in Hz.
pub(super) const RATE_HZ: u32 = 48_000;
/// The most frames of a packet: 120 ms.
const MOST_FRAMES: usize = 5_760;

/// The head of an Opus stream, which Ogg and Matroska have alike.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::capture) struct Head {
    /// The number of channels.
    pub channels: usize,
    /// The frames at the beginning that are left out.
    pub pre_skip: u64,
    gain_db: f32,
    streams: u8,
    coupled: u8,
    mapping: Vec<u8>,
}

impl Head {
    /// Reads a head; `None` where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fixed: &[u8; 19] = bytes.get(..19)?.try_into().ok()?;
        let channels = fixed[9];
        // The upper half of the version says whether the layout is known.
        if !fixed.starts_with(b"OpusHead") || fixed[8] & 0xf0 != 0 || channels == 0 {
            return None;
        }
        let (streams, coupled, mapping) = match fixed[18] {
            0 if channels <= 2 => (1, channels - 1, (0..channels).collect()),
            0 => return None,
            _ => (*bytes.get(19)?, *bytes.get(20)?, bytes.get(21..21 + usize::from(channels))?.to_vec()),
        };
        Some(Self {
            channels: channels.into(),
            pre_skip: u16::from_le_bytes([fixed[10], fixed[11]]).into(),
            gain_db: f32::from(i16::from_le_bytes([fixed[16], fixed[17]])) / 256.0,
            streams,
            coupled,
            mapping,
        })
    }
}

/// A decoder of one stream.
pub(in crate::capture) struct Opus {
    decoder: Decoder,
    channels: usize,
    gain: f32,
}

impl Opus {
    /// A decoder for this head.
    pub fn new(head: &Head) -> Result<Self, String> {
        Ok(Self {
            decoder: Decoder::new(head)?,
            channels: head.channels,
            gain: crate::capture::callback::linear_gain(head.gain_db),
        })
    }

    /// Replaces the content of `out` with the packet's samples; `None` for a damaged one.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Option<usize> {
        out.clear();
        // The decoder takes no bytes at all for a lost packet, and makes up its sound.
        if packet.is_empty() {
            return None;
        }
        out.resize(MOST_FRAMES * self.channels, 0.0);
        let frames = self.decoder.decode(packet, out, self.channels);
        out.truncate(frames.unwrap_or(0) * self.channels);
        if self.gain != 1.0 {
            out.iter_mut().for_each(|sample| *sample *= self.gain);
        }
        frames.map(|_| self.channels)
    }

    /// Forgets what came before.
    pub fn reset(&mut self) {
        self.decoder.reset();
    }
}

/// libopus' decoder of several coupled and single streams. No other type calls libopus.
struct Decoder(NonNull<libopus::OpusMSDecoder>);

// SAFETY: the decoder owns its memory, and libopus keeps nothing that belongs to a thread.
unsafe impl Send for Decoder {}

impl Decoder {
    fn new(head: &Head) -> Result<Self, String> {
        let Head { channels, streams, coupled, ref mapping, .. } = *head;
        let channels = u8::try_from(channels).ok().filter(|channels| mapping.len() == usize::from(*channels));
        let channels = channels.ok_or("its channels and their mapping differ")?;
        let mut fault = libopus::OPUS_OK;
        // SAFETY: the mapping has one byte for each channel, and is only read during the call.
        let decoder = unsafe {
            libopus::opus_multistream_decoder_create(
                RATE_HZ as i32,
                c_int::from(channels),
                c_int::from(streams),
                c_int::from(coupled),
                mapping.as_ptr(),
                &raw mut fault,
            )
        };
        // SAFETY: libopus names each of its faults by a constant string.
        NonNull::new(decoder)
            .map(Self)
            .ok_or_else(|| unsafe { CStr::from_ptr(libopus::opus_strerror(fault)) }.to_string_lossy().into())
    }

    /// Writes the packet's frames into `out`; `None` for a damaged packet, or for one with more frames than `out` takes.
    fn decode(&mut self, packet: &[u8], out: &mut [f32], channels: usize) -> Option<usize> {
        let (bytes, room) = (i32::try_from(packet.len()).ok()?, c_int::try_from(out.len() / channels).ok()?);
        // SAFETY: `out` has room for that many frames of the decoder's channels.
        let frames =
            unsafe { libopus::opus_multistream_decode_float(self.0.as_ptr(), packet.as_ptr(), bytes, out.as_mut_ptr(), room, 0) };
        usize::try_from(frames).ok()
    }

    fn reset(&mut self) {
        // SAFETY: this request takes no further argument.
        unsafe { libopus::opus_multistream_decoder_ctl(self.0.as_ptr(), libopus::OPUS_RESET_STATE) };
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the decoder was created by libopus, and is used no more.
        unsafe { libopus::opus_multistream_decoder_destroy(self.0.as_ptr()) };
    }
}
