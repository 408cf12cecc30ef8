//! Opus: the one codec that symphonia has no decoder for.

use opus_decoder::OpusMultistreamDecoder;

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
    decoder: OpusMultistreamDecoder,
    channels: usize,
    gain: f32,
}

impl Opus {
    /// A decoder for this head.
    pub fn new(head: &Head) -> Result<Self, String> {
        let Head { channels, streams, coupled, ref mapping, gain_db, .. } = *head;
        let decoder = OpusMultistreamDecoder::new(RATE_HZ, channels, streams.into(), coupled.into(), mapping);
        let decoder = decoder.map_err(|error| error.to_string())?;
        Ok(Self { decoder, channels, gain: crate::capture::callback::linear_gain(gain_db) })
    }

    /// Replaces the content of `out` with the packet's samples; `None` for a damaged one.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Option<usize> {
        out.clear();
        if packet.is_empty() {
            return None;
        }
        out.resize(MOST_FRAMES * self.channels, 0.0);
        let frames = self.decoder.decode_float(packet, out, false).ok();
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
