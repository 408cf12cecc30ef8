//! Recordings, decoded as they are read, so that memory does not grow with their length.
//!
//! | module | does |
//! | --- | --- |
//! | `container` | the format of a file, by its first bytes |
//! | `wav` | RIFF, RF64, BW64 and W64, by their blocks |
//! | `ogg` | Ogg with Vorbis, Opus and FLAC, by its pages |
//! | `mpeg` | MP3, by its frames |
//! | `packeted` | the containers that symphonia reads; `flac` and `mp4` see to what it leaves out |
//! | `ffmpeg` | all the rest, where that program is installed; `names` knows what it is |
//! | `coder` | a codec at work; `opus` is the one that symphonia lacks |
//! | `window` | the bytes in which pages and frames are looked for |
//! | `start` | the moment at which a recording began |
//! | `mixing` | a sample of each frame; whether mixing cancels the sound |
//! | `player` | a recording as a source, paced as real time |
//!
//! Commands such as `scan` read a recording as fast as they can; as a source of `run` it is paced as real time.
//!
//! Invariant: an estimate is never a limit. A recording ends where its bytes end, or where exact lengths say so.
//! Invariant: a sample is told at its own time. Sound that is missing is silence of the same length, and is told of.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use symphonia::core::io::ReadOnlySource;

use super::CaptureError;
use crate::capture::source::Channel;
use crate::resample::{Resampler, check_rate};
use container::Others;
use sound::{Piece, Sound, unreadable};
pub use start::Start;

mod coder;
mod container;
mod ffmpeg;
mod flac;
mod mixing;
mod mp4;
mod mpeg;
mod names;
mod ogg;
mod opus;
mod packeted;
mod player;
mod sound;
mod start;
mod wav;
mod window;

pub(super) use coder::{Coder, NoSound};
pub(super) use mixing::Mixer;
pub(crate) use player::{AtEnd, open};

/// The most frames of silence that are given at a time in the place of missing sound.
const SILENCE: u64 = 4_096;
/// The parts of a second by which a stated position may differ from the counted one; containers round their times.
const TOLERANCE: u32 = 66;
/// The longest gap that is believed, in seconds, and the most frames of all: six hours at 48 kHz.
const LONGEST_GAP_S: u64 = 3_600;
const MOST_SILENCE: u64 = 1 << 30;

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
        Self::of_file(file, path, Others::Asked, channel, gain_db)
    }

    /// Opens a recording as [`open`](Self::open) does, and runs no other program for a format that is not known here.
    pub fn open_alone(path: &Path, channel: Channel, gain_db: f32) -> Result<Self, CaptureError> {
        let bad = |what: String| CaptureError::Recording { path: path.into(), what };
        let file = File::open(path).map_err(|error| bad(unreadable(&error)))?;
        Self::of_file(file, path, Others::Left, channel, gain_db)
    }

    /// Opens the recording that comes on standard input.
    pub fn open_standard_input(channel: Channel, gain_db: f32) -> Result<Self, CaptureError> {
        let path = Path::new("standard input");
        match std::io::stdin().as_fd().try_clone_to_owned() {
            Ok(descriptor) => Self::of_file(File::from(descriptor), path, Others::Left, channel, gain_db),
            Err(error) => Err(CaptureError::Recording { path: path.into(), what: unreadable(&error) }),
        }
    }

    fn of_file(file: File, path: &Path, others: Others, channel: Channel, gain_db: f32) -> Result<Self, CaptureError> {
        let bad = |what: String| CaptureError::Recording { path: path.into(), what };
        let metadata = file.metadata().map_err(|error| bad(unreadable(&error)))?;
        if metadata.is_dir() {
            return Err(bad("this is a folder, not a recording; scan --recursive takes those in it".to_owned()));
        }
        if metadata.is_file() && metadata.len() == 0 {
            return Err(bad("the file is empty".to_owned()));
        }
        let sound = container::sound(file, path, others).map_err(|refusal| bad(refusal.to_string()))?;
        Self::of_sound(sound, path, channel, gain_db)
    }

    /// Opens what comes from a program or the network, under a name for messages.
    pub(super) fn open_stream(
        stream: Box<dyn Read + Send + Sync>,
        name: &Path,
        channel: Channel,
        gain_db: f32,
    ) -> Result<Self, CaptureError> {
        let bad = |what: String| CaptureError::Recording { path: name.into(), what };
        let sound = container::stream(Box::new(ReadOnlySource::new(stream)), name).map_err(|refusal| bad(refusal.to_string()))?;
        Self::of_sound(sound, name, channel, gain_db)
    }

    fn of_sound(sound: Box<dyn Sound>, path: &Path, channel: Channel, gain_db: f32) -> Result<Self, CaptureError> {
        let bad = |what: String| CaptureError::Recording { path: path.into(), what };
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

    /// The moment at which the recording began, as its metadata or its name says.
    pub fn start(&self) -> Option<Start> {
        self.sound.start().or_else(|| start::of_name(&self.path))
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
        if let Some((seconds, place)) = self.lacks().filter(|_| !self.sound.is_dense()) {
            remarks.push(format!(
                "it leaves out {seconds:.2} s {place}, as where a recorder paused; times behind are told with them"
            ));
        }
        let truncated = self.sound.is_truncated().then(|| "is truncated; what it holds was scanned".to_owned());
        Findings { incomplete: self.damage().or(truncated), remarks }
    }

    /// The seconds that are missing, and where.
    fn lacks(&self) -> Option<(f64, String)> {
        let Missing { first_at, frames, places, .. } = self.missing;
        let seconds = |frames: u64| frames as f64 / f64::from(self.rate_hz.max(1));
        let place = match places {
            0 => return None,
            1 => format!("at {:.1} s", seconds(first_at)),
            _ => format!("at {places} places, the first at {:.1} s", seconds(first_at)),
        };
        Some((seconds(frames), place))
    }

    fn damage(&self) -> Option<String> {
        let (seconds, place) = self.lacks().filter(|_| self.sound.is_dense())?;
        let end = if self.sound.is_truncated() { ", and is truncated" } else { "" };
        Some(format!("lacks {seconds:.2} s of sound {place}, where it is damaged{end}; the rest was scanned at its own times"))
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
        if late > i128::from(LONGEST_GAP_S * rate) || late + i128::from(*frames) > i128::from(MOST_SILENCE) {
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
