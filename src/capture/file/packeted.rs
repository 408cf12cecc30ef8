//! The containers that symphonia reads: packets with their positions, decoded by its codecs.

use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};

use super::coder::{Coder, NoSound};
use super::sound::{Bytes, Piece, Refusal, Sound, gave_up, unreadable};
use crate::capture::catch_panic::catch_panic;

/// The frames by which a file may be shorter than it states: formats pad their last block.
const PADDING: u64 = 4_096;

/// The sound of the first or default track.
pub(super) struct Packeted {
    reader: Box<dyn FormatReader>,
    coder: Coder,
    track: u32,
    n_frames: Option<u64>,
    frames: u64,
    rate_hz: u32,
    is_truncated: bool,
}

impl Packeted {
    /// Opens the file from its beginning.
    pub fn open(bytes: Bytes, hint: &Hint) -> Result<Self, Refusal> {
        let probe = || symphonia::default::get_probe().probe(hint, bytes, Default::default(), Default::default());
        let reader = catch_panic(probe).map_err(|what| Refusal::Broken(gave_up(&what)))?.map_err(|_| Refusal::Format)?;
        let broken = |what: &str| Refusal::Broken(what.to_owned());
        let track = reader.default_track(TrackType::Audio).ok_or_else(|| broken("the file has no sound in it"))?;
        let (id, n_frames) = (track.id, track.num_frames);
        let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or_else(|| broken("the file does not say how its sound is coded"))?;
        let coder = Coder::new(parameters)?;
        Ok(Self { reader, coder, track: id, n_frames, frames: 0, rate_hz: 0, is_truncated: false })
    }

    fn damaged(&self, error: &Error) -> String {
        let seconds = self.frames as f64 / f64::from(self.rate_hz.max(1));
        match error {
            Error::IoError(error) => unreadable(error),
            error => format!("the file is damaged after {seconds:.1} s ({error})"),
        }
    }
}

impl Sound for Packeted {
    fn next(&mut self, out: &mut Vec<f32>) -> Result<Option<Piece>, String> {
        loop {
            let packet = match catch_panic(|| self.reader.next_packet()).map_err(|what| gave_up(&what))? {
                Ok(Some(packet)) => packet,
                Ok(None) | Err(Error::ResetRequired) => break,
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(self.damaged(&error)),
            };
            if packet.track_id != self.track {
                continue;
            }
            match self.coder.decode(&packet, out) {
                Ok((channels, rate_hz)) if channels > 0 => {
                    self.frames += (out.len() / channels) as u64;
                    self.rate_hz = rate_hz;
                    return Ok(Some(Piece { at: None, channels, rate_hz }));
                }
                // A damaged packet is left out, as players do; the rest is still useful.
                Ok(_) | Err(NoSound::Damaged) => {}
                Err(NoSound::Broken(sentence)) => return Err(sentence),
            }
        }
        self.is_truncated = self.n_frames.is_some_and(|stated| self.frames + PADDING < stated);
        Ok(None)
    }

    fn n_frames(&self) -> Option<u64> {
        self.n_frames
    }

    fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}
