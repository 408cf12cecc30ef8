//! One codec at work: packets in, interleaved samples out. A panic of the decoder is an error of the file.

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;
use symphonia::core::units::Duration;

use super::names;
use super::opus::{Head, Opus, RATE_HZ};
use super::sound::{Refusal, gave_up};
use crate::capture::catch_panic::catch_panic;

/// A decoder.
pub(in crate::capture) enum Coder {
    /// One of symphonia's.
    Symphonia(Box<dyn AudioDecoder>),
    /// Opus, which symphonia has none for.
    Opus(Box<Opus>),
}

/// The outcome of a packet that gave no sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::capture) enum NoSound {
    /// The packet is damaged; the next one may be whole.
    Damaged,
    /// The decoder is of no more use; a sentence says why.
    Broken(String),
}

impl Coder {
    /// A decoder for these parameters.
    pub fn new(parameters: &AudioCodecParameters) -> Result<Self, Refusal> {
        if parameters.codec == CODEC_ID_OPUS {
            let head = parameters.extra_data.as_deref().and_then(Head::parse);
            return Self::opus(&head.ok_or_else(|| Refusal::Codec("Opus in a layout that is not known".to_owned()))?);
        }
        if symphonia::default::get_codecs().get_audio_decoder(parameters.codec).is_none() {
            return Err(Refusal::Codec(names::codec(parameters.codec).to_owned()));
        }
        let make = || symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default());
        match catch_panic(make).map_err(|what| Refusal::Broken(gave_up(&what)))? {
            Ok(decoder) => Ok(Self::Symphonia(decoder)),
            Err(error) => Err(Refusal::Codec(format!("coded in a way that is not known here ({error})"))),
        }
    }

    /// A decoder of Opus for this head.
    pub fn opus(head: &Head) -> Result<Self, Refusal> {
        let opus = Opus::new(head).map_err(|what| Refusal::Broken(format!("its head of Opus is damaged ({what})")))?;
        Ok(Self::Opus(Box::new(opus)))
    }

    /// Replaces the content of `out` with the packet's samples, and returns the number of channels and the rate. A packet may
    /// give none.
    pub fn decode(&mut self, packet: &Packet, out: &mut Vec<f32>) -> Result<(usize, u32), NoSound> {
        out.clear();
        let decoded = catch_panic(|| match self {
            Self::Symphonia(decoder) => {
                let sound = decoder.decode(packet)?;
                out.resize(sound.samples_interleaved(), 0.0);
                sound.copy_to_slice_interleaved(&mut *out);
                Ok::<_, Error>((sound.num_planes(), sound.spec().rate()))
            }
            Self::Opus(opus) => {
                let channels = opus.decode(&packet.data, out).ok_or(Error::DecodeError("opus"))?;
                trim(packet, channels, out);
                Ok((channels, RATE_HZ))
            }
        });
        match decoded.map_err(|what| NoSound::Broken(gave_up(&what)))? {
            Ok(format) => Ok(format),
            Err(_) => Err(NoSound::Damaged),
        }
    }

    /// Forgets what came before, as after a gap.
    pub fn reset(&mut self) {
        match self {
            Self::Symphonia(decoder) => decoder.reset(),
            Self::Opus(opus) => opus.reset(),
        }
    }
}

/// Cuts the frames that the container leaves out at either end.
fn trim(packet: &Packet, channels: usize, out: &mut Vec<f32>) {
    let frames = |duration: Duration| usize::try_from(duration.get()).unwrap_or(usize::MAX).saturating_mul(channels);
    out.truncate(out.len().saturating_sub(frames(packet.trim_end)));
    out.drain(..frames(packet.trim_start).min(out.len()));
}
