//! Decodes the bytes that a satellite pushes over one connection: Wyoming's messages, or raw PCM. It opens and closes nothing.

use super::wyoming::Framing;
use crate::capture::feed::hear::Wanted;
use crate::capture::feed::raw::RawDecoder;
use crate::capture::source::{Channel, Coding, Pcm};

/// The decoder of one connection.
pub struct SatelliteDecoder {
    wanted: Wanted,
    state: State,
}

enum State {
    /// The first byte will tell Wyoming's messages from raw PCM.
    Undecided(Pcm),
    Raw(Pcm, RawDecoder),
    Wyoming(Framing, Option<(Pcm, RawDecoder)>),
}

impl SatelliteDecoder {
    /// A decoder of bytes in this coding, which hears a channel with a gain in dB.
    ///
    /// # Errors
    /// One sentence: nothing can be pushed in this coding, or it has no such channel.
    pub fn new(coding: Coding, channel: Channel, gain_db: f32) -> Result<Self, String> {
        let wanted = Wanted { channel, gain_db };
        let state = match coding {
            Coding::Auto(pcm) => State::Undecided(pcm),
            Coding::Raw(pcm) => State::Raw(pcm, RawDecoder::new(pcm, channel, gain_db)?),
            Coding::Container => return Err("a container cannot be pushed; leave format out".to_owned()),
        };
        Ok(Self { wanted, state })
    }

    /// Takes bytes, and gives mono samples and their rate in Hz to `put`.
    ///
    /// # Errors
    /// The outer error is that of `put`. The inner one is a sentence: the connection is of no more use.
    pub fn take<E>(&mut self, bytes: &[u8], mut put: impl FnMut(&[f32], u32) -> Result<(), E>) -> Result<Result<(), String>, E> {
        let new = |pcm, wanted: Wanted| RawDecoder::new(pcm, wanted.channel, wanted.gain_db);
        if let State::Undecided(pcm) = self.state {
            self.state = match bytes.first() {
                None => return Ok(Ok(())),
                Some(b'{') => State::Wyoming(Framing::default(), None),
                Some(_) => match new(pcm, self.wanted) {
                    Ok(decoder) => State::Raw(pcm, decoder),
                    Err(sentence) => return Ok(Err(sentence)),
                },
            };
        }
        let mut samples = Vec::new();
        match &mut self.state {
            State::Undecided(_) => {}
            State::Raw(pcm, decoder) => {
                if let Err(sentence) = decoder.decode(bytes, &mut samples) {
                    return Ok(Err(sentence));
                }
                put(&samples, pcm.rate_hz)?;
            }
            State::Wyoming(framing, decoder) => {
                framing.take(bytes);
                loop {
                    let chunk = match framing.next() {
                        Ok(Some(chunk)) => chunk,
                        Ok(None) => break,
                        Err(sentence) => return Ok(Err(sentence)),
                    };
                    if decoder.as_ref().is_none_or(|(pcm, _)| *pcm != chunk.pcm) {
                        match new(chunk.pcm, self.wanted) {
                            Ok(new) => *decoder = Some((chunk.pcm, new)),
                            Err(sentence) => return Ok(Err(sentence)),
                        }
                    }
                    if let Some((pcm, decoder)) = decoder {
                        if let Err(sentence) = decoder.decode(&chunk.payload, &mut samples) {
                            return Ok(Err(sentence));
                        }
                        put(&samples, pcm.rate_hz)?;
                    }
                }
            }
        }
        Ok(Ok(()))
    }
}
