//! One codec at work: packets in, interleaved samples out. A panic of the decoder is an error of the file.

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;

use super::sound::{Refusal, gave_up};
use crate::capture::catch_panic::catch_panic;

/// A decoder with its parameters.
pub(super) struct Coder {
    decoder: Box<dyn AudioDecoder>,
}

/// The outcome of a packet that gave no sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoSound {
    /// The packet is damaged; the next one may be whole.
    Damaged,
    /// The decoder is of no more use; a sentence says why.
    Broken(String),
}

impl Coder {
    /// A decoder for these parameters.
    pub fn new(parameters: &AudioCodecParameters) -> Result<Self, Refusal> {
        let make = || symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default());
        match catch_panic(make).map_err(|what| Refusal::Broken(gave_up(&what)))? {
            Ok(decoder) => Ok(Self { decoder }),
            Err(error) => Err(Refusal::Broken(format!("its sound is coded in a way that is not known ({error})"))),
        }
    }

    /// Replaces the content of `out` with the packet's samples, and returns the number of channels and the rate. A packet may
    /// give none.
    pub fn decode(&mut self, packet: &Packet, out: &mut Vec<f32>) -> Result<(usize, u32), NoSound> {
        out.clear();
        let decoded = catch_panic(|| {
            let sound = self.decoder.decode(packet)?;
            out.resize(sound.samples_interleaved(), 0.0);
            sound.copy_to_slice_interleaved(&mut *out);
            Ok((sound.num_planes(), sound.spec().rate()))
        });
        match decoded.map_err(|what| NoSound::Broken(gave_up(&what)))? {
            Ok(format) => Ok(format),
            Err(Error::DecodeError(_) | Error::IoError(_)) => Err(NoSound::Damaged),
            Err(error) => Err(NoSound::Broken(format!("the file is damaged ({error})"))),
        }
    }
}
