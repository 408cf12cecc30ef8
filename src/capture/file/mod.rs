//! Recordings, decoded as they are read, so that memory does not grow with their length.
//!
//! | module | does |
//! | --- | --- |
//! | `wav` | RIFF, RF64, BW64 and W64, by their blocks |
//! | `packeted` | the containers that symphonia reads |
//! | `coder` | a codec of symphonia at work |
//! | `mixing` | a sample of each frame; whether mixing cancels the sound |
//! | `player` | a recording as a source, paced as real time |
//!
//! Commands such as `scan` read a recording as fast as they can; as a source of `run` it is paced as real time.
//!
//! Invariant: an estimate is never a limit. A recording ends where its bytes end, or where exact lengths say so.
//! Invariant: a sample is told at its own time. Sound that is missing is silence of the same length, and is told of.

use std::fs::File;
use std::path::{Path, PathBuf};

use symphonia::core::formats::probe::Hint;
use symphonia::core::io::{MediaSourceStream, ReadBytes, SeekBuffered};

use super::CaptureError;
use crate::capture::source::Channel;
use crate::resample::{Resampler, check_rate};
use mixing::Mixer;
use packeted::Packeted;
use sound::{Bytes, Piece, Refusal, Sound, unreadable};
use wav::Wav;

mod coder;
mod mixing;
mod packeted;
mod player;
mod sound;
mod wav;

pub(crate) use player::{AtEnd, open};

/// The bytes by which a format is told.
const MAGIC_BYTES: usize = 64;
/// The most frames of silence that are given at a time in the place of missing sound.
const SILENCE: u64 = 4_096;
/// The parts of a second by which a stated position may differ from the counted one; containers round their times.
const TOLERANCE: u32 = 66;
/// The longest gap that is believed, and the sum of all, in seconds.
const LONGEST_GAP_S: u64 = 3_600;
const LONGEST_GAPS_S: u64 = 24 * 3_600;

/// A recording while it is read.
pub struct Decoder {
    path: PathBuf,
    sound: Box<dyn Sound>,
    mixer: Mixer,
    rate_hz: u32,
    /// The samples of the piece that is read or waits.
    interleaved: Vec<f32>,
    /// The piece that waits for the silence before it.
    waiting: Option<Piece>,
    silence: u64,
    /// The frames that were given out, with the silence.
    at: u64,
    /// The difference of the given and the stated positions, in frames.
    shift: i128,
    missing: Missing,
    /// From the rate of a later part to that of the first.
    converter: Option<(u32, Resampler)>,
    has_ended: bool,
}

/// The sound that is missing.
#[derive(Debug, Clone, Copy, Default)]
struct Missing {
    first_at: u64,
    frames: u64,
    places: u32,
    jumps: u32,
}

/// The state of a recording after a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// More sound follows.
    More,
    /// The recording was read to its end.
    End,
}

/// The faults and oddities of a recording that was read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// The sound that it lacks, as a predicate of its name: "is truncated; …".
    pub incomplete: Option<String>,
    /// Its oddities, which cost nothing, as clauses.
    pub remarks: Vec<String>,
}

impl Decoder {
    /// Opens a recording; `channel` and `gain_db` say how a sample is made of each frame.
    pub fn open(path: &Path, channel: Channel, gain_db: f32) -> Result<Self, CaptureError> {
        let bad = |what: String| CaptureError::Recording { path: path.into(), what };
        let file = File::open(path).map_err(|error| bad(unreadable(&error)))?;
        let metadata = file.metadata().map_err(|error| bad(unreadable(&error)))?;
        if metadata.is_dir() {
            return Err(bad("this is a folder, not a recording".to_owned()));
        }
        if metadata.is_file() && metadata.len() == 0 {
            return Err(bad("the file is empty".to_owned()));
        }
        let sound = sound(file, path).map_err(|refusal| bad(refusal.to_string()))?;
        let mut opened = Self {
            path: path.into(),
            sound,
            mixer: Mixer::new(channel, gain_db),
            rate_hz: 0,
            interleaved: Vec::new(),
            waiting: None,
            silence: 0,
            at: 0,
            shift: 0,
            missing: Missing::default(),
            converter: None,
            has_ended: false,
        };
        // Only a decoded piece gives the true number of channels and the true rate.
        while opened.interleaved.is_empty() {
            let piece = opened.next_piece()?.ok_or_else(|| bad("there is no sound in the file".to_owned()))?;
            if !opened.interleaved.is_empty() {
                opened.rate_hz = piece.rate_hz;
                opened.shift = -i128::from(piece.at.unwrap_or(0));
                opened.check(piece)?;
                opened.waiting = Some(piece);
            }
        }
        Ok(opened)
    }

    /// The sample rate in Hz.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The number of frames, as the file states it or as it follows from its length; `None` where it would be an estimate.
    pub fn n_frames(&self) -> Option<u64> {
        self.sound.n_frames()
    }

    /// Appends the samples of the next piece to `out`: a moment of sound, never the whole recording.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<Status, CaptureError> {
        if self.has_ended {
            return Ok(Status::End);
        }
        let piece = match self.waiting.take() {
            Some(piece) => piece,
            None => match self.next_piece()? {
                Some(piece) => piece,
                None => return Ok(self.end(out)),
            },
        };
        if self.silence == 0 {
            self.check(piece)?;
            self.silence = self.gap(piece);
        }
        let before = out.len();
        if self.silence > 0 {
            let now = self.silence.min(SILENCE);
            out.resize(before + now as usize, 0.0);
            self.silence -= now;
            self.waiting = Some(piece);
        } else {
            self.convert(piece, out)?;
        }
        self.at += (out.len() - before) as u64;
        Ok(Status::More)
    }

    /// The faults and oddities found so far.
    pub fn findings(&self) -> Findings {
        let mut remarks = self.sound.remarks();
        if let Some(channels) = self.mixer.cancels() {
            remarks.push(format!(
                "mixing its {channels} channels cancels the sound, as where one is the other inverted; hear one with --channel 1"
            ));
        }
        if self.missing.jumps > 0 {
            remarks.push("the positions in the file jump by hours, so that times after that are counted on".to_owned());
        }
        let truncated = self.sound.is_truncated().then(|| "is truncated; what it holds was scanned".to_owned());
        Findings { incomplete: self.lacks().or(truncated), remarks }
    }

    fn lacks(&self) -> Option<String> {
        let Missing { first_at, frames, places, .. } = self.missing;
        let seconds = |frames: u64| frames as f64 / f64::from(self.rate_hz.max(1));
        let place = match places {
            0 => return None,
            1 => format!("at {:.1} s", seconds(first_at)),
            _ => format!("at {places} places, the first at {:.1} s", seconds(first_at)),
        };
        let end = if self.sound.is_truncated() { ", and is truncated" } else { "" };
        let lacks = seconds(frames);
        Some(format!("lacks {lacks:.2} s of sound {place}, where it is damaged{end}; the rest was scanned at its own times"))
    }

    fn next_piece(&mut self) -> Result<Option<Piece>, CaptureError> {
        let next = self.sound.next(&mut self.interleaved);
        next.map_err(|what| CaptureError::Recording { path: self.path.clone(), what })
    }

    /// The number of frames that are missing before the piece.
    fn gap(&mut self, piece: Piece) -> u64 {
        let Some(stated) = piece.at.filter(|_| piece.rate_hz == self.rate_hz) else { return 0 };
        let rate = u64::from(self.rate_hz);
        let late = i128::from(stated) + self.shift - i128::from(self.at);
        let Missing { first_at, frames, places, jumps } = &mut self.missing;
        if late > i128::from(LONGEST_GAP_S * rate) || late + i128::from(*frames) > i128::from(LONGEST_GAPS_S * rate) {
            *jumps += 1;
            self.shift -= late;
            return 0;
        }
        if late < -i128::from(rate) {
            self.shift -= late;
        }
        if late <= i128::from(self.rate_hz / TOLERANCE) {
            return 0;
        }
        if *places == 0 {
            *first_at = self.at;
        }
        *places += 1;
        *frames += late as u64;
        late as u64
    }

    /// Appends the samples of the piece, at the rate of the recording's first part.
    fn convert(&mut self, piece: Piece, out: &mut Vec<f32>) -> Result<(), CaptureError> {
        if self.converter.as_ref().is_some_and(|(rate_hz, _)| *rate_hz != piece.rate_hz) {
            self.flush(out);
        }
        if piece.rate_hz == self.rate_hz {
            self.mixer.mix(&self.interleaved, piece.channels, out);
            return Ok(());
        }
        let (_, converter) = match &mut self.converter {
            Some(converter) => converter,
            none => {
                let made = Resampler::new(piece.rate_hz, self.rate_hz);
                let made = made.map_err(|error| CaptureError::Recording { path: self.path.clone(), what: error.to_string() })?;
                none.insert((piece.rate_hz, made))
            }
        };
        let mut mono = Vec::new();
        self.mixer.mix(&self.interleaved, piece.channels, &mut mono);
        converter.process(&mono, out);
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<f32>) {
        if let Some((_, mut converter)) = self.converter.take() {
            converter.flush(out);
        }
    }

    fn end(&mut self, out: &mut Vec<f32>) -> Status {
        let before = out.len();
        self.flush(out);
        if out.len() > before {
            return Status::More;
        }
        self.has_ended = true;
        Status::End
    }

    fn check(&self, piece: Piece) -> Result<(), CaptureError> {
        let bad = |what: String| CaptureError::Recording { path: self.path.clone(), what };
        check_rate(piece.rate_hz).map_err(|error| bad(error.to_string()))?;
        let Some(wanted) = self.mixer.missing(piece.channels).filter(|_| !self.interleaved.is_empty()) else { return Ok(()) };
        let source_name = self.path.display().to_string();
        Err(CaptureError::Channel { source_name, wanted, available: u16::try_from(piece.channels).unwrap_or(u16::MAX) })
    }
}

/// The sound of a file, whichever format it has.
fn sound(file: File, path: &Path) -> Result<Box<dyn Sound>, Refusal> {
    let mut bytes = MediaSourceStream::new(Box::new(file), Default::default());
    let magic = magic(&mut bytes).map_err(|error| Refusal::Broken(unreadable(&error)))?;
    let is_wav = match magic.get(..4) {
        Some(b"RIFF" | b"RF64" | b"BW64") => magic.get(8..12) == Some(b"WAVE"),
        Some(b"riff") => magic.get(24..28) == Some(b"wave"),
        _ => false,
    };
    if is_wav {
        return Ok(Box::new(Wav::open(bytes)?));
    }
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    Ok(Box::new(Packeted::open(bytes, &hint)?))
}

/// The first bytes of the file, which stay to be read.
fn magic(bytes: &mut Bytes) -> std::io::Result<Vec<u8>> {
    bytes.ensure_seekback_buffer(MAGIC_BYTES);
    let mut magic = Vec::new();
    while magic.len() < MAGIC_BYTES {
        match bytes.read_byte() {
            Ok(byte) => magic.push(byte),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    bytes.seek_buffered_rev(magic.len());
    Ok(magic)
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Format => f.write_str("this is no recording in a format that is known (WAV, FLAC, Ogg Vorbis, MP3)"),
            Refusal::Codec(name) => write!(f, "its sound is coded as {name}, which is not known"),
            Refusal::Broken(sentence) => f.write_str(sentence),
        }
    }
}
