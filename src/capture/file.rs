//! Recordings: WAV, FLAC, Ogg Vorbis and MP3. symphonia decodes them as they are read, so that memory does not grow with their
//! length.
//!
//! Commands such as `scan` read a recording as fast as they can; as a source of `run` it is paced as real time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;

use super::callback::{linear_gain, mix};
use super::catch_panic::catch_panic;
use super::{Capture, CaptureError, Notice, Pace, RING_S, spawn};
use crate::capture::source::Channel;
use crate::resample::check_rate;
use crate::ring::{Writer, ring};

/// A recording while it is read.
pub struct Decoder {
    path: PathBuf,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate_hz: u32,
    n_frames: Option<u64>,
    channel: Channel,
    gain: f32,
    interleaved: Vec<f32>,
    read: u64,
    /// The packet that was decoded to learn the format, until it is asked for.
    first: Option<Vec<f32>>,
}

/// The state of a recording after a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// More sound follows.
    More,
    /// The recording was read to its end.
    End,
    /// The recording ends before the end that its header announces.
    Truncated,
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
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
            hint.with_extension(extension);
        }
        let stream = MediaSourceStream::new(Box::new(file), Default::default());
        let not_audio = |_| bad("this is no recording in a format that is known (WAV, FLAC, Ogg Vorbis, MP3)".to_owned());
        let gave_up = |what: String| bad(gave_up(&what));
        let probe = || symphonia::default::get_probe().probe(&hint, stream, Default::default(), Default::default());
        let reader = catch_panic(probe).map_err(gave_up)?.map_err(not_audio)?;
        let track = reader.default_track(TrackType::Audio).ok_or_else(|| bad("the file has no sound in it".to_owned()))?;
        let (id, n_frames) = (track.id, track.num_frames);
        let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
        let parameters = parameters.ok_or_else(|| bad("the file does not say how its sound is coded".to_owned()))?;
        let unknown = |error| bad(format!("its sound is coded in a way that is not known ({error})"));
        let make = || symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default());
        let decoder = catch_panic(make).map_err(gave_up)?.map_err(unknown)?;
        let mut opened = Self {
            path: path.into(),
            reader,
            decoder,
            track: id,
            rate_hz: 0,
            n_frames,
            channel,
            gain: linear_gain(gain_db),
            interleaved: Vec::new(),
            read: 0,
            first: None,
        };
        // Only a decoded packet gives the true number of channels and the true rate.
        let mut first = Vec::new();
        while first.is_empty() {
            match opened.decode(&mut first)? {
                Status::More => {}
                Status::End | Status::Truncated => return Err(bad("there is no sound in the file".to_owned())),
            }
        }
        opened.first = Some(first);
        Ok(opened)
    }

    /// The sample rate in Hz.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The number of frames that the header announces; `None` where it announces none.
    pub fn n_frames(&self) -> Option<u64> {
        self.n_frames
    }

    /// Appends the samples of the next packet to `out`: a moment of sound, never the whole recording.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<Status, CaptureError> {
        if let Some(first) = self.first.take() {
            out.extend_from_slice(&first);
            return Ok(Status::More);
        }
        self.decode(out)
    }

    fn decode(&mut self, out: &mut Vec<f32>) -> Result<Status, CaptureError> {
        loop {
            let packet = match catch_panic(|| self.reader.next_packet()).map_err(|what| self.bad(gave_up(&what)))? {
                Ok(Some(packet)) => packet,
                Ok(None) => return Ok(self.at_end()),
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(self.at_end()),
                Err(Error::ResetRequired) => return Ok(self.at_end()),
                Err(error) => return Err(self.bad(format!("the file is damaged after {} ({error})", self.time()))),
            };
            if packet.track_id != self.track {
                continue;
            }
            let decoded = catch_panic(|| {
                let sound = self.decoder.decode(&packet)?;
                self.interleaved.resize(sound.samples_interleaved(), 0.0);
                sound.copy_to_slice_interleaved(&mut self.interleaved);
                Ok((sound.num_planes(), sound.spec().rate()))
            });
            let (channels, rate_hz) = match decoded.map_err(|what| self.bad(gave_up(&what)))? {
                Ok(sound) => sound,
                // A damaged packet is left out, as players do; the rest is still useful.
                Err(Error::DecodeError(_)) => continue,
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(self.at_end()),
                Err(error) => return Err(self.bad(format!("the file is damaged after {} ({error})", self.time()))),
            };
            if channels == 0 {
                continue;
            }
            self.check(channels, rate_hz)?;
            let frames = self.interleaved.chunks_exact(channels);
            self.read += frames.len() as u64;
            out.extend(frames.map(|frame| mix(frame, self.channel, self.gain, |sample| sample)));
            return Ok(Status::More);
        }
    }

    fn check(&mut self, channels: usize, rate_hz: u32) -> Result<(), CaptureError> {
        if self.rate_hz == 0 {
            self.rate_hz = rate_hz;
        }
        if rate_hz != self.rate_hz {
            return Err(self.bad(format!("the sample rate changes from {} to {rate_hz} Hz after {}", self.rate_hz, self.time())));
        }
        check_rate(rate_hz).map_err(|error| self.bad(error.to_string()))?;
        match self.channel {
            Channel::Pick(wanted) if usize::from(wanted) > channels => {
                let source_name = self.path.display().to_string();
                Err(CaptureError::Channel { source_name, wanted, available: u16::try_from(channels).unwrap_or(u16::MAX) })
            }
            Channel::Pick(_) | Channel::Mix => Ok(()),
        }
    }

    /// Whether all announced frames came. Formats pad their last block, so that a few frames less are no loss.
    fn at_end(&self) -> Status {
        match self.n_frames {
            Some(announced) if self.read + 4_096 < announced => Status::Truncated,
            _ => Status::End,
        }
    }

    fn time(&self) -> String {
        format!("{:.1} s", self.read as f64 / f64::from(self.rate_hz.max(1)))
    }

    fn bad(&self, what: String) -> CaptureError {
        CaptureError::Recording { path: self.path.clone(), what }
    }
}

/// The sentence about a panic of the decoder, which is the file's fault and ends neither the daemon nor the scan of other
/// recordings.
fn gave_up(what: &str) -> String {
    format!("the file is damaged, so that its decoder gave up ({what})")
}

fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read the file".to_owned(),
        _ => format!("the file cannot be read ({error})"),
    }
}

/// The behaviour of a paced recording at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// The source ends.
    Stop,
    /// The recording starts again.
    Repeat,
}

/// The length of the blocks in which samples are pushed.
const BLOCK: Duration = Duration::from_millis(20);

/// Plays a recording into a ring, paced as real time.
pub(crate) fn open(path: &Path, at_end: AtEnd, channel: Channel, gain_db: f32) -> Result<Capture, CaptureError> {
    let decoder = Decoder::open(path, channel, gain_db)?;
    let rate_hz = decoder.rate_hz();
    let (writer, reader) = ring((rate_hz * RING_S) as usize);
    let (tell, notices) = bounded(1);
    // The sender is the guard: dropping it stops the thread.
    let (guard, stop) = bounded::<()>(0);
    let mut player = Player { decoder, at_end, channel, gain_db, writer, stop, started: Instant::now(), played: 0 };
    let work = move || player.run(&tell);
    spawn("recording", work)?;
    Ok(Capture {
        rate_hz,
        reader,
        device_latency_ns: Arc::new(AtomicU64::new(0)),
        notices,
        pace: Pace::RealTime,
        guard: Box::new(guard),
    })
}

struct Player {
    decoder: Decoder,
    at_end: AtEnd,
    channel: Channel,
    gain_db: f32,
    writer: Writer,
    stop: Receiver<()>,
    started: Instant,
    played: u64,
}

/// The player was stopped.
struct Stopped;

impl Player {
    fn run(&mut self, tell: &Sender<Notice>) {
        let mut samples = Vec::new();
        loop {
            samples.clear();
            let status = self.decoder.read(&mut samples);
            if self.play(&samples).is_err() {
                return;
            }
            let notice = match (status, self.at_end) {
                (Ok(Status::More), _) => continue,
                (Ok(Status::End | Status::Truncated), AtEnd::Repeat) => {
                    match Decoder::open(&self.decoder.path, self.channel, self.gain_db) {
                        Ok(decoder) if decoder.rate_hz == self.decoder.rate_hz => {
                            self.decoder = decoder;
                            continue;
                        }
                        Ok(decoder) => Notice::Lost(format!("{} has another sample rate now", decoder.path.display())),
                        Err(error) => Notice::Lost(error.to_string()),
                    }
                }
                (Ok(Status::End), AtEnd::Stop) => Notice::Ended,
                (Ok(Status::Truncated), AtEnd::Stop) => {
                    tracing::warn!(path = %self.decoder.path.display(), "the recording is truncated; what it holds was played");
                    Notice::Ended
                }
                (Err(error), _) => Notice::Lost(error.to_string()),
            };
            let _ = tell.send(notice);
            return;
        }
    }

    /// Pushes samples into the ring, each block when it is due and when there is room for it.
    fn play(&mut self, samples: &[f32]) -> Result<(), Stopped> {
        let rate = f64::from(self.decoder.rate_hz);
        let block = ((rate * BLOCK.as_secs_f64()) as usize).max(1);
        for chunk in samples.chunks(block) {
            // A block is due when its last sample would have been recorded.
            let due = self.started + Duration::from_secs_f64((self.played + chunk.len() as u64) as f64 / rate);
            self.wait(due.saturating_duration_since(Instant::now()))?;
            while self.writer.vacant() < chunk.len() {
                self.wait(BLOCK)?;
            }
            self.writer.push(chunk);
            self.played += chunk.len() as u64;
        }
        Ok(())
    }

    fn wait(&self, time: Duration) -> Result<(), Stopped> {
        match self.stop.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stopped),
        }
    }
}
