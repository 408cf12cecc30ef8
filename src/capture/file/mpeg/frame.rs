//! The header of an MPEG audio frame, the info frame at the beginning of a file, and the tags that stand between frames.

/// The bit rates in kbit/s of MPEG 1, layers 1 to 3, and of MPEG 2, layer 1 and the others.
const BIT_RATES: [[u16; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
/// The sample frames by which the decoder of layer 3 is late.
const DECODER_DELAY: u64 = 529;

/// A frame, by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// 1 to 3.
    pub layer: u8,
    /// The version: 1, 2, or 3 for 2.5.
    version: u8,
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The number of channels.
    pub channels: u8,
    /// The bytes of the frame, with its header.
    pub bytes: usize,
    /// The sample frames in it.
    pub samples: u64,
}

impl Frame {
    /// Reads the header at the beginning of these bytes; `None` where there is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[first, second, third, fourth] = bytes.get(..4)? else { return None };
        if first != 0xff || second & 0xe0 != 0xe0 {
            return None;
        }
        let version = [3, 0, 2, 1][usize::from(second >> 3 & 3)];
        let layer = [0, 3, 2, 1][usize::from(second >> 1 & 3)];
        let bit_rate = usize::from(third >> 4);
        let rate = [44_100, 48_000, 32_000, 0][usize::from(third >> 2 & 3)];
        // The frames of a free bit rate do not say where they end.
        if version == 0 || layer == 0 || rate == 0 || !(1..15).contains(&bit_rate) {
            return None;
        }
        let rate_hz = rate >> (version - 1);
        let table = match (version, layer) {
            (1, layer) => usize::from(layer) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let bits_per_s = u32::from(BIT_RATES[table][bit_rate - 1]) * 1_000;
        let padding = u32::from(third >> 1 & 1);
        let (bytes, samples) = match (layer, version) {
            (1, _) => ((12 * bits_per_s / rate_hz + padding) * 4, 384),
            (3, 2 | 3) => (72 * bits_per_s / rate_hz + padding, 576),
            _ => (144 * bits_per_s / rate_hz + padding, 1_152),
        };
        let channels = if fourth >> 6 == 3 { 1 } else { 2 };
        Some(Self { layer, version, rate_hz, channels, bytes: bytes as usize, samples })
    }

    /// Whether both are frames of the same stream, as far as the headers say.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.layer, self.version, self.rate_hz) == (other.layer, other.version, other.rate_hz)
    }
}

/// The info frame of an encoder, which holds no sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Info {
    /// The number of frames; `None` for 0 and where it is not stated.
    pub n_frames: Option<u64>,
    /// The bytes of the file.
    pub n_bytes: Option<u64>,
    /// The sample frames before the sound.
    pub delay: u64,
    /// The sample frames behind the sound.
    pub padding: u64,
}

impl Info {
    /// Reads the frame's content as an info frame of Xing, LAME or Fraunhofer; `None` where it is sound.
    pub fn parse(frame: &Frame, bytes: &[u8]) -> Option<Self> {
        if frame.layer != 3 {
            return None;
        }
        let word = |at: usize| bytes.get(at..at + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let stated = |value: Option<u32>| value.filter(|value| !matches!(*value, 0 | u32::MAX)).map(u64::from);
        if bytes.get(36..40) == Some(b"VBRI") {
            return Some(Self { n_bytes: stated(word(46)), n_frames: stated(word(50)), delay: 0, padding: 0 });
        }
        let at = match (frame.version, frame.channels) {
            (1, 2) => 36,
            (1, _) | (_, 2) => 21,
            _ => 13,
        };
        // A checksum behind the header moves the rest by its two bytes.
        let at = [at, at + 2].into_iter().find(|at| matches!(bytes.get(*at..at + 4), Some(b"Xing" | b"Info")))?;
        let flags = word(at + 4)?;
        let mut next = at + 8;
        let mut field = |bit: u32, length: usize| {
            let value = (flags & bit != 0).then(|| word(next)).flatten();
            next += if flags & bit != 0 { length } else { 0 };
            stated(value)
        };
        let (n_frames, n_bytes) = (field(1, 4), field(2, 4));
        field(4, 100);
        field(8, 4);
        let mut info = Self { n_frames, n_bytes, delay: 0, padding: 0 };
        let is_lame = matches!(bytes.get(next..next + 4), Some(b"LAME" | b"Lavf" | b"Lavc"));
        // Twelve bits each, in three bytes.
        if let Some(trim) = word(next + 21).filter(|_| is_lame) {
            info.delay = u64::from(trim >> 20) + DECODER_DELAY;
            info.padding = u64::from(trim >> 8 & 0xfff).saturating_sub(DECODER_DELAY);
        }
        Some(info)
    }
}

/// The length of the tag at the beginning of these bytes; `None` where there is none.
pub(super) fn tag(bytes: &[u8]) -> Option<u64> {
    match bytes {
        [b'I', b'D', b'3', version, _, flags, a, b, c, d, ..] if *version < 0xff && (a | b | c | d) < 0x80 => {
            let length = [a, b, c, d].iter().fold(0u64, |length, byte| length << 7 | u64::from(**byte));
            Some(10 + length + if flags & 0x10 != 0 { 10 } else { 0 })
        }
        [b'T', b'A', b'G', ..] => Some(128),
        [b'A', b'P', b'E', b'T', b'A', b'G', b'E', b'X', ..] => {
            // The length counts the items and the footer; a footer ends the tag.
            let length = bytes.get(12..16).map(|length| u32::from_le_bytes([length[0], length[1], length[2], length[3]]));
            let is_header = bytes.get(23).is_some_and(|flags| flags & 0x20 != 0);
            Some(32 + length.filter(|_| is_header).map_or(0, u64::from))
        }
        _ => None,
    }
}
