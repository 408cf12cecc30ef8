//! Sound out of one file, piece by piece: the trait of all containers, and the reasons why a file gives none.
//!
//! A container knows its bytes and its codec. It mixes no channels, paces nothing and prints nothing.

use symphonia::core::io::MediaSourceStream;

use super::start::Start;

/// A piece of decoded sound: the frames of a packet or of a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The position of the first frame in the recording, in frames, where the container states it.
    pub at: Option<u64>,
    /// The number of channels of a frame.
    pub channels: usize,
    /// The sample rate in Hz.
    pub rate_hz: u32,
}

/// The sound of one file.
pub(super) trait Sound: Send {
    /// Replaces the content of `out` with the interleaved samples of the next piece; `None` at the end of the file.
    ///
    /// # Errors
    /// One sentence: the file is read no further.
    fn next(&mut self, out: &mut Vec<f32>) -> Result<Option<Piece>, String>;

    /// The number of frames that the file states or that follows from its length; `None` where it would be an estimate.
    fn n_frames(&self) -> Option<u64>;

    /// Whether the end came before what the file states.
    fn is_truncated(&self) -> bool {
        false
    }

    /// Whether a gap between the positions of pieces is damage; in some containers a recorder may pause.
    fn is_dense(&self) -> bool {
        true
    }

    /// The moment at which the recording began, if its metadata says so.
    fn start(&self) -> Option<Start> {
        None
    }

    /// The oddities of the file that cost no sound, a clause each.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The formats that are read without another program.
pub(super) const FORMATS: &str = "WAV, FLAC, MP3, AAC, M4A, Ogg, Opus, WebM, AIFF, CAF";

/// The reason why a container gives no sound at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::capture) enum Refusal {
    /// No known format begins like this file.
    Format,
    /// The codec, by its name, is none that can be decoded here.
    Codec(String),
    /// The file has a fault; a sentence says which.
    Broken(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Format => write!(f, "this is no recording in a format that is known ({FORMATS})"),
            Refusal::Codec(name) => write!(f, "its sound is {name}, which needs the program ffmpeg"),
            Refusal::Broken(sentence) => f.write_str(sentence),
        }
    }
}

/// The sentence about a panic of the decoder, which is the file's fault and ends neither the daemon nor the scan of other
/// recordings.
pub(super) fn gave_up(what: &str) -> String {
    format!("the file is damaged, so that its decoder gave up ({what})")
}

/// The sentence about a file that the system does not give.
pub(super) fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this user may not read the file".to_owned(),
        _ => format!("the file cannot be read ({error})"),
    }
}

/// The bytes of a file.
pub(super) type Bytes = MediaSourceStream<'static>;
