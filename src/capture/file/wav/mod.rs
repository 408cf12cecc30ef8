//! WAV: the blocks behind the header, packet by packet, up to the end of the file where its lengths are no use.
//!
//! symphonia's codecs decode the blocks. Its own reader of WAV stops at the lengths in the header, and refuses the files of
//! recorders that were killed.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_MULAW,
    CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::io::{MediaSource, ReadBytes};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::coder::{Coder, NoSound};
use super::mpeg::Mpeg;
use super::sound::{Bytes, Piece, Refusal, Sound, unreadable};
use super::start::{self, Start};
use header::{Format, Header};

pub(super) mod header;

/// The most bytes and frames of a packet.
const PACKET_BYTES: u64 = 1 << 15;
const PACKET_FRAMES: u64 = 4_096;
/// The pieces of a second in which a pipe is read.
const LIVE_PIECES: u32 = 50;

/// The sound of a WAV file.
pub(super) struct Wav {
    bytes: Bytes,
    header: Header,
    blocks: Blocks,
    coder: Coder,
    /// The bytes of sound that were read.
    read: u64,
    /// The frames that were decoded or passed over.
    frames: u64,
    ended_early: bool,
    /// The most bytes that are read at a time: of a live writer no more than a moment's.
    packet_bytes: u64,
}

/// The blocks of the sound.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    bytes: u64,
    frames: u64,
    samples: Samples,
}

/// The place of samples in their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Samples {
    /// As the codec wants them.
    AsTheyAre,
    /// So many bits in four bytes, as `arecord -f S24_LE` writes them: in the low bits, or in the high ones, which the samples
    /// themselves tell.
    Padded { bits: u16, are_high: Option<bool> },
}

impl Wav {
    /// Opens the file from its beginning.
    pub fn open(mut bytes: Bytes) -> Result<Box<dyn Sound>, Refusal> {
        let header = header::read(&mut bytes)?;
        match header.format.tag {
            0x50 | 0x55 => Ok(Box::new(Mpeg::open(bytes)?)),
            _ => Ok(Box::new(Self::of(bytes, header)?)),
        }
    }

    /// The blocks behind a header.
    fn of(bytes: Bytes, header: Header) -> Result<Self, Refusal> {
        let (codec, blocks) = Blocks::of(&header.format)?;
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(codec).with_sample_rate(header.format.rate_hz).with_channels(match header.format.channels {
            1 => symphonia::core::audio::layouts::CHANNEL_LAYOUT_MONO,
            2 => symphonia::core::audio::layouts::CHANNEL_LAYOUT_STEREO,
            more => Channels::Discrete(more),
        });
        parameters.with_max_frames_per_packet(PACKET_FRAMES.max(blocks.frames)).with_frames_per_block(blocks.frames);
        let coder = Coder::new(&parameters)?;
        let is_live = !bytes.is_seekable();
        let moment = u64::from(header.format.rate_hz / LIVE_PIECES) * blocks.bytes / blocks.frames.max(1);
        let packet_bytes = if is_live { moment.clamp(1, PACKET_BYTES) } else { PACKET_BYTES };
        Ok(Self { bytes, header, blocks, coder, read: 0, frames: 0, ended_early: false, packet_bytes })
    }

    /// Reads up to so many bytes, fewer only at the end of the file.
    fn read_up_to(&mut self, n: usize) -> Result<Vec<u8>, String> {
        let mut data = vec![0; n];
        let mut filled = 0;
        while filled < n {
            match self.bytes.read_buf(&mut data[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        data.truncate(filled);
        Ok(data)
    }
}

impl Sound for Wav {
    fn next(&mut self, out: &mut Vec<f32>) -> Result<Option<Piece>, String> {
        let Blocks { bytes: block, frames, .. } = self.blocks;
        let n_blocks = (self.packet_bytes / block).min(PACKET_FRAMES / frames).max(1);
        let left = self.header.n_bytes.map_or(u64::MAX, |n_bytes| n_bytes - self.read);
        let wanted = (n_blocks * block).min(left / block * block);
        let mut data = self.read_up_to(wanted as usize)?;
        self.ended_early |= (data.len() as u64) < wanted && self.header.n_bytes.is_some();
        let n_blocks = data.len() as u64 / block;
        // The file may end in the middle of a block.
        data.truncate((n_blocks * block) as usize);
        if n_blocks == 0 {
            return Ok(None);
        }
        self.read += n_blocks * block;
        self.blocks.samples.align(&mut data);
        let (at, n_frames) = (self.frames, n_blocks * frames);
        self.frames += n_frames;
        let packet = Packet::new(0, Timestamp::new(at as i64), Duration::from(n_frames), data);
        match self.coder.decode(&packet, out) {
            Ok((channels, rate_hz)) => Ok(Some(Piece { at: Some(at), channels, rate_hz })),
            Err(NoSound::Damaged) => {
                out.clear();
                Ok(Some(Piece {
                    at: Some(at),
                    channels: self.header.format.channels.into(),
                    rate_hz: self.header.format.rate_hz,
                }))
            }
            Err(NoSound::Broken(sentence)) => Err(sentence),
        }
    }

    fn n_frames(&self) -> Option<u64> {
        // The length of a pipe is not known.
        let length = self.bytes.byte_len().filter(|_| self.bytes.is_seekable());
        let held = || length.map(|end| end.saturating_sub(self.header.from));
        self.header.n_bytes.or_else(held).map(|n_bytes| n_bytes / self.blocks.bytes * self.blocks.frames)
    }

    fn is_truncated(&self) -> bool {
        self.header.is_truncated || self.ended_early
    }

    fn start(&self) -> Option<Start> {
        start::of_chunks(&self.header.about, self.header.format.rate_hz)
    }

    fn remarks(&self) -> Vec<String> {
        self.header.remark.map(str::to_owned).into_iter().collect()
    }
}

impl Blocks {
    /// The codec and the blocks of a format. The block's size counts, since the number of bits is often another one.
    fn of(format: &Format) -> Result<(AudioCodecId, Self), Refusal> {
        let (channels, block) = (u64::from(format.channels), u64::from(format.block));
        let by_bits = u64::from(format.bits.div_ceil(8));
        let sample = if block > 0 && block % channels == 0 { block / channels } else { by_bits };
        let of_samples = |codec, samples| Ok((codec, Self { bytes: sample * channels, frames: 1, samples }));
        let of_packets = |codec, header: u64, first: u64| {
            // A block begins with a header for each channel; four bits are a sample.
            let frames = block.checked_sub(header * channels).map(|rest| rest * 2 / channels + first);
            match frames {
                Some(frames) if block > 0 => Ok((codec, Self { bytes: block, frames, samples: Samples::AsTheyAre })),
                _ => {
                    Err(Refusal::Broken(format!("its header states blocks of {block} bytes, which are too short for its codec")))
                }
            }
        };
        let padded = Samples::Padded { bits: format.bits, are_high: None };
        match (format.tag, sample) {
            (1, 1) => of_samples(CODEC_ID_PCM_U8, Samples::AsTheyAre),
            (1, 2) => of_samples(CODEC_ID_PCM_S16LE, Samples::AsTheyAre),
            (1, 3) => of_samples(CODEC_ID_PCM_S24LE, Samples::AsTheyAre),
            (1, 4) if (17..32).contains(&format.bits) => of_samples(CODEC_ID_PCM_S32LE, padded),
            (1, 4) => of_samples(CODEC_ID_PCM_S32LE, Samples::AsTheyAre),
            (3, 4) => of_samples(CODEC_ID_PCM_F32LE, Samples::AsTheyAre),
            (3, 8) => of_samples(CODEC_ID_PCM_F64LE, Samples::AsTheyAre),
            (6, 1) => of_samples(CODEC_ID_PCM_ALAW, Samples::AsTheyAre),
            (7, 1) => of_samples(CODEC_ID_PCM_MULAW, Samples::AsTheyAre),
            (2, _) => of_packets(CODEC_ID_ADPCM_MS, 7, 2),
            (0x11, _) => of_packets(CODEC_ID_ADPCM_IMA_WAV, 4, 1),
            _ => Err(Refusal::Codec(codec_name(format))),
        }
    }
}

/// The name of a codec that is not decoded here.
fn codec_name(format: &Format) -> String {
    match format.tag {
        1 | 3 => format!("PCM of {} bits in blocks of {} bytes", format.bits, format.block),
        0x31 => "GSM 6.10".to_owned(),
        0x40 | 0x45 | 0x64 | 0x65 => "G.72x".to_owned(),
        0xff | 0x1600 | 0x1610 => "AAC".to_owned(),
        0x160..=0x163 => "Windows Media Audio".to_owned(),
        0x2000 => "AC-3".to_owned(),
        tag => format!("codec {tag:#06x} of WAV"),
    }
}

impl Samples {
    /// Moves the bits of each sample to the high end of its four bytes.
    fn align(&mut self, data: &mut [u8]) {
        let Samples::Padded { bits, are_high } = self else { return };
        let shift = 32 - u32::from(*bits);
        let value = |bytes: &[u8]| i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let fits = |sample: i32| sample << shift >> shift == sample;
        if are_high.is_none() {
            let mut samples = data.chunks_exact(4).map(value);
            // Bits below the high ones are no padding; and without any, a sample that does not fit into the low ones is high.
            *are_high = match (samples.clone().any(|sample| sample & ((1 << shift) - 1) != 0), samples.all(fits)) {
                (true, _) => Some(false),
                (false, false) => Some(true),
                (false, true) => None,
            };
        }
        if *are_high != Some(true) {
            for bytes in data.chunks_exact_mut(4) {
                let sample = value(bytes) << shift;
                bytes.copy_from_slice(&sample.to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
