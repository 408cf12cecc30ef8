//! The containers that symphonia reads: packets with their positions, decoded by its codecs.

use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{FORMAT_ID_ADTS, FORMAT_ID_ISOMP4, FORMAT_ID_MKV};
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use super::coder::{Coder, NoSound};
use super::mp4::Edit;
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
    time_base: Option<TimeBase>,
    /// The part that is heard, in ticks.
    edit: Option<Edit>,
    frames: u64,
    rate_hz: u32,
    is_truncated: bool,
    /// Whether each packet begins where the one before ends, unless one is missing.
    is_dense: bool,
}

impl Packeted {
    /// Opens the file from its beginning.
    pub fn open(bytes: Bytes, hint: &Hint, edit: Option<Edit>) -> Result<Self, Refusal> {
        let probe = || symphonia::default::get_probe().probe(hint, bytes, Default::default(), Default::default());
        let reader = catch_panic(probe).map_err(|what| Refusal::Broken(gave_up(&what)))?.map_err(|_| Refusal::Format)?;
        // A track of an unknown codec has no parameters.
        let unknown = || Refusal::Codec("in a track of a kind that is not known here".to_owned());
        let track = reader.default_track(TrackType::Audio).ok_or_else(unknown)?;
        let (id, n_frames) = (track.id, track.num_frames);
        let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or_else(unknown)?;
        let time_base = track.time_base;
        // Elementary streams have an estimate.
        let n_frames = n_frames.filter(|_| reader.format_info().format != FORMAT_ID_ADTS);
        let heard = edit.and_then(|edit| frames(edit.length?, time_base?, parameters.sample_rate?));
        let n_frames = heard.or(n_frames.map(|stated| stated.saturating_sub(edit.map_or(0, |edit| edit.from))));
        let coder = Coder::new(parameters)?;
        let is_dense = ![FORMAT_ID_ISOMP4, FORMAT_ID_MKV].contains(&reader.format_info().format);
        Ok(Self { is_dense, reader, coder, track: id, n_frames, time_base, edit, frames: 0, rate_hz: 0, is_truncated: false })
    }

    /// The position of the packet's first frame that is heard, in frames.
    fn position(&self, packet: &Packet, rate_hz: u32) -> Option<u64> {
        let time_base = self.time_base?;
        let ticks = u64::try_from(packet.pts.get()).ok().or_else(|| (packet.dur.get() > 0).then_some(0))?;
        frames(ticks, time_base, rate_hz)
    }

    /// Leaves out the frames before and behind the edit; the position of the first one that stays.
    fn cut(&self, at: Option<u64>, channels: usize, out: &mut Vec<f32>) -> Option<u64> {
        let (Some(at), Some(edit), Some(time_base)) = (at, self.edit, self.time_base) else { return at };
        let from = frames(edit.from, time_base, self.rate_hz)?;
        let end = edit.length.and_then(|length| frames(edit.from.saturating_add(length), time_base, self.rate_hz));
        let n = (out.len() / channels) as u64;
        out.truncate(end.map_or(n, |end| end.saturating_sub(at).min(n)) as usize * channels);
        let early = from.saturating_sub(at).min((out.len() / channels) as u64);
        out.drain(..early as usize * channels);
        Some((at + early).saturating_sub(from))
    }

    fn damaged(&self, error: &Error) -> String {
        let seconds = self.frames as f64 / f64::from(self.rate_hz.max(1));
        match error {
            Error::IoError(error) => unreadable(error),
            error => format!("the file is damaged after {seconds:.1} s ({error})"),
        }
    }
}

/// Ticks as frames of sound.
fn frames(ticks: u64, time_base: TimeBase, rate_hz: u32) -> Option<u64> {
    let seconds = u128::from(ticks) * u128::from(time_base.numer.get());
    u64::try_from(seconds * u128::from(rate_hz) / u128::from(time_base.denom.get())).ok()
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
                    self.rate_hz = rate_hz;
                    let at = self.cut(self.position(&packet, rate_hz), channels, out);
                    self.frames += (out.len() / channels) as u64;
                    return Ok(Some(Piece { at, channels, rate_hz }));
                }
                // A damaged packet is left out, and the positions of the others keep their times.
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

    fn is_dense(&self) -> bool {
        self.is_dense
    }

    fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}
