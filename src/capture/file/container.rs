//! The format of a file, by its first bytes; what no decoder here knows goes to ffmpeg.

use std::fs::File;
use std::path::Path;

use symphonia::core::formats::probe::Hint;
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadBytes, SeekBuffered};

use super::ffmpeg::{Ffmpeg, NoFfmpeg};
use super::mpeg::Mpeg;
use super::ogg::Ogg;
use super::packeted::Packeted;
use super::sound::{Bytes, Refusal, Sound, unreadable};
use super::wav::Wav;
use super::{flac, mp4, mpeg, names};
use crate::text::visible;

/// The bytes by which a format is told.
const MAGIC_BYTES: usize = 64;

/// The treatment of formats that only another program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// ffmpeg is asked, where it is installed.
    Asked,
    /// They are refused.
    Left,
}

/// The sound of a file, whichever format it has.
pub(super) fn sound(file: File, path: &Path, others: Others) -> Result<Box<dyn Sound>, Refusal> {
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let bytes = MediaSourceStream::new(Box::new(file), Default::default());
    let refusal = match container(bytes, path) {
        Err(refusal @ (Refusal::Format | Refusal::Codec(_))) => refusal,
        other => return other,
    };
    let tried = match others {
        Others::Asked if is_file => Ffmpeg::open(path),
        Others::Asked | Others::Left => Err(NoFfmpeg::Missing),
    };
    match tried {
        Ok(sound) => Ok(Box::new(sound)),
        Err(_) if refusal == Refusal::Format => Err(refusal),
        Err(NoFfmpeg::Refused(words)) => Err(Refusal::Broken(format!("{refusal}, and that cannot read it ({words})"))),
        Err(NoFfmpeg::Missing) => Err(Refusal::Broken(format!(
            "{refusal}: install that program, or convert the file where it is: ffmpeg -i {} {}",
            quoted(path),
            quoted(&path.with_extension("flac"))
        ))),
    }
}

/// The sound of bytes that come from elsewhere.
pub(super) fn stream(bytes: Box<dyn MediaSource>, name: &Path) -> Result<Box<dyn Sound>, Refusal> {
    container(MediaSourceStream::new(bytes, Default::default()), name)
}

/// The sound of a container that is read here.
fn container(mut bytes: Bytes, path: &Path) -> Result<Box<dyn Sound>, Refusal> {
    let unreadable = |error: std::io::Error| Refusal::Broken(unreadable(&error));
    let mut magic = magic(&mut bytes).map_err(unreadable)?;
    // A tag of MP3 stands before other formats as well.
    while let Some(length) = mpeg::tag(&magic).filter(|_| magic.starts_with(b"ID3")) {
        bytes.ignore_bytes(length).map_err(unreadable)?;
        magic = self::magic(&mut bytes).map_err(unreadable)?;
    }
    let begins = |beginning: &[u8]| magic.starts_with(beginning);
    let is_wav = match magic.get(..4) {
        Some(b"RIFF" | b"RF64" | b"BW64") => magic.get(8..12) == Some(b"WAVE"),
        Some(b"riff") => magic.get(24..28) == Some(b"wave"),
        _ => false,
    };
    if is_wav {
        return Wav::open(bytes);
    }
    if begins(b"OggS") {
        return Ok(Box::new(Ogg::open(bytes)?));
    }
    if let Some(name) = names::format(&magic) {
        return Err(Refusal::Codec(name.to_owned()));
    }
    let is_adts = magic.first() == Some(&0xff) && magic.get(1).is_some_and(|second| second & 0xf6 == 0xf0);
    let is_mp4 = matches!(magic.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"free" | b"wide" | b"skip"));
    if begins(b"fLaC") {
        bytes = flac::corrected(bytes, &magic).map_err(unreadable)?;
    } else if !(is_adts || is_mp4 || begins(b"FORM") || begins(b"caff") || begins(b"\x1a\x45\xdf\xa3")) {
        return Ok(Box::new(Mpeg::open(bytes)?));
    }
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let edit = if is_mp4 { mp4::edit(&mut bytes) } else { None };
    Ok(Box::new(Packeted::open(bytes, &hint, edit)?))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", visible(&path.display().to_string()).replace('\'', "'\\''"))
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
