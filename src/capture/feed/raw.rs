//! The sample formats of raw PCM, and their decoding piece by piece.

use std::io::{self, Read};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S16BE, CODEC_ID_PCM_S16LE, CODEC_ID_PCM_S24BE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use crate::capture::file::{Coder, Mixer, NoSound};
use crate::capture::source::{Channel, Pcm, SampleFormat};

/// The pieces of a second in which raw PCM is read, so that a live writer is heard at once.
const PIECES: u32 = 50;

impl SampleFormat {
    /// The bytes of a sample.
    pub(in crate::capture) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::Mulaw | Self::Alaw => 1,
            Self::S16Le | Self::S16Be => 2,
            Self::S24Le | Self::S24Be => 3,
            Self::S32Le | Self::F32Le => 4,
        }
    }

    fn codec(self) -> AudioCodecId {
        match self {
            Self::U8 => CODEC_ID_PCM_U8,
            Self::S16Le => CODEC_ID_PCM_S16LE,
            Self::S16Be => CODEC_ID_PCM_S16BE,
            Self::S24Le => CODEC_ID_PCM_S24LE,
            Self::S24Be => CODEC_ID_PCM_S24BE,
            Self::S32Le => CODEC_ID_PCM_S32LE,
            Self::F32Le => CODEC_ID_PCM_F32LE,
            Self::Mulaw => CODEC_ID_PCM_MULAW,
            Self::Alaw => CODEC_ID_PCM_ALAW,
        }
    }
}

/// Decodes raw PCM into mono samples.
pub(in crate::capture) struct RawDecoder {
    pcm: Pcm,
    coder: Coder,
    mixer: Mixer,
    /// The bytes of a frame that is not yet whole.
    kept: Vec<u8>,
    interleaved: Vec<f32>,
}

impl RawDecoder {
    /// A decoder of this PCM, which hears a channel with a gain.
    ///
    /// # Errors
    /// One sentence, where it has no such channel.
    pub fn new(pcm: Pcm, channel: Channel, gain_db: f32) -> Result<Self, String> {
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(pcm.format.codec()).with_sample_rate(pcm.rate_hz).with_channels(match pcm.channels {
            1 => symphonia::core::audio::layouts::CHANNEL_LAYOUT_MONO,
            2 => symphonia::core::audio::layouts::CHANNEL_LAYOUT_STEREO,
            more => Channels::Discrete(more),
        });
        // A packet holds what a read gives.
        parameters.with_max_frames_per_packet(1 << 16).with_frames_per_block(1);
        let mixer = Mixer::new(channel, gain_db);
        if let Some(wanted) = mixer.missing(usize::from(pcm.channels)) {
            return Err(format!("channel {wanted} was asked for, but it has {}", pcm.channels));
        }
        let coder = Coder::new(&parameters).map_err(|refusal| refusal.to_string())?;
        Ok(Self { pcm, coder, mixer, kept: Vec::new(), interleaved: Vec::new() })
    }

    /// Replaces the content of `out` with the samples of the frames that these bytes complete.
    ///
    /// # Errors
    /// One sentence, where the decoder is of no more use.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<f32>) -> Result<(), String> {
        out.clear();
        self.kept.extend_from_slice(bytes);
        let frame = self.pcm.format.bytes() * usize::from(self.pcm.channels);
        let most = (1 << 16) * frame;
        while self.kept.len() >= frame {
            let whole = (self.kept.len() / frame * frame).min(most);
            let data: Vec<u8> = self.kept.drain(..whole).collect();
            let packet = Packet::new(0, Timestamp::new(0), Duration::from((whole / frame) as u64), data);
            match self.coder.decode(&packet, &mut self.interleaved) {
                Ok((channels, _)) => self.mixer.mix(&self.interleaved, channels, out),
                Err(NoSound::Damaged) => {}
                Err(NoSound::Broken(sentence)) => return Err(sentence),
            }
        }
        Ok(())
    }

    /// Begins with a whole frame: the rest of one that was begun is forgotten.
    pub fn begin(&mut self) {
        self.kept.clear();
    }

    /// The bytes that are worth reading at a time.
    pub fn piece_bytes(&self) -> usize {
        let frame = self.pcm.format.bytes() * usize::from(self.pcm.channels);
        ((self.pcm.rate_hz / PIECES) as usize * frame).clamp(64, 1 << 16)
    }

    /// Reads once. Returns whether more may come.
    pub fn read(
        &mut self,
        input: &mut impl Read,
        bytes: &mut Vec<u8>,
        out: &mut Vec<f32>,
    ) -> io::Result<Option<Result<(), String>>> {
        bytes.resize(self.piece_bytes(), 0);
        match input.read(bytes)? {
            0 => Ok(None),
            n => Ok(Some(self.decode(&bytes[..n], out))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(format: SampleFormat, channels: u16, channel: Channel, bytes: &[u8], piece: usize) -> Vec<f32> {
        let pcm = Pcm { rate_hz: 16_000, format, channels };
        let mut decoder = RawDecoder::new(pcm, channel, 0.0).unwrap();
        let (mut all, mut out) = (Vec::new(), Vec::new());
        for bytes in bytes.chunks(piece) {
            decoder.decode(bytes, &mut out).unwrap();
            all.append(&mut out);
        }
        all
    }

    #[test]
    fn samples_survive_reads_that_split_them() {
        let samples: Vec<i16> = (-500..500).collect();
        let mut bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        bytes.push(7);
        let heard = decoded(SampleFormat::S16Le, 1, Channel::Mix, &bytes, 3);
        assert_eq!(heard.len(), 1_000);
        assert!(samples.iter().zip(&heard).all(|(sample, heard)| f32::from(*sample) / 32_768.0 == *heard));
    }

    #[test]
    fn every_format_says_a_half() {
        let half = [
            (SampleFormat::U8, vec![0xc0]),
            (SampleFormat::S16Le, vec![0, 0x40]),
            (SampleFormat::S16Be, vec![0x40, 0]),
            (SampleFormat::S24Le, vec![0, 0, 0x40]),
            (SampleFormat::S24Be, vec![0x40, 0, 0]),
            (SampleFormat::S32Le, vec![0, 0, 0, 0x40]),
            (SampleFormat::F32Le, 0.5f32.to_le_bytes().to_vec()),
            (SampleFormat::Mulaw, vec![0x8f]),
            (SampleFormat::Alaw, vec![0xa5]),
        ];
        for (format, bytes) in half {
            assert_eq!(format.bytes(), bytes.len());
            let heard = decoded(format, 1, Channel::Mix, &bytes, 1);
            assert!(heard.len() == 1 && (heard[0] - 0.5).abs() < 0.02, "{format:?}: {heard:?}");
        }
    }

    #[test]
    fn one_of_two_channels_is_heard() {
        let bytes: Vec<u8> = [1_000i16, -2_000, 1_000, -2_000].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let heard = decoded(SampleFormat::S16Le, 2, Channel::Pick(2), &bytes, 5);
        assert_eq!(heard, [-2_000.0 / 32_768.0; 2]);
        let pcm = Pcm { rate_hz: 16_000, format: SampleFormat::S16Le, channels: 2 };
        assert!(RawDecoder::new(pcm, Channel::Pick(3), 0.0).is_err());
    }
}
