//! The header of a WAV file: RIFF, RF64, BW64 or W64, up to the first byte of its sound.
//!
//! The lengths in it are hints. A recorder that was killed leaves 0, a program that writes into a pipe a stand-in, and 32 bits
//! wrap beyond 4 GiB; the length of the file decides. No sound is read here.

use std::io::{self, Seek, SeekFrom};

use symphonia::core::io::{MediaSource, ReadBytes};

use super::super::sound::{Bytes, Refusal};

/// The bytes of a header's chunk that are kept; those of the longest known ones are far fewer.
const LONGEST_CHUNK: u32 = 1 << 16;
/// The most channels of a recording.
const MOST_CHANNELS: u16 = 256;
/// The end of the GUIDs of W64's chunks, which begin with the name of the chunk.
const W64_RIFF: [u8; 12] = [0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 0x04, 0xc1, 0x00, 0x00];
/// The chunks that stand behind the sound of a good file.
const BEHIND: [&[u8; 4]; 16] = [
    b"LIST", b"bext", b"iXML", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"fact", b"PEAK", b"JUNK", b"junk", b"axml", b"_PMX", b"afsp",
    b"minf", b"PAD ",
];

/// The header.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    /// The format of the sound.
    pub format: Format,
    /// The position of the first byte of the sound.
    pub from: u64,
    /// The number of bytes of the sound; `None` for all that follow.
    pub n_bytes: Option<u64>,
    /// Whether the header states more sound than the file holds.
    pub is_truncated: bool,
    /// An oddity of the lengths, as a clause.
    pub remark: Option<&'static str>,
    /// The chunks that say when and with what the recording was made: their names and bytes.
    pub about: Vec<([u8; 4], Vec<u8>)>,
}

/// The format of the sound, as the chunk `fmt ` states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// The codec: 1 for integers, 3 for floating point.
    pub tag: u16,
    /// The number of channels.
    pub channels: u16,
    /// The sample rate in Hz.
    pub rate_hz: u32,
    /// The bytes of a block: a frame of samples, or a packet of a codec.
    pub block: u16,
    /// The bits of a sample.
    pub bits: u16,
}

/// Reads the header from the beginning of the file.
pub(super) fn read(bytes: &mut Bytes) -> Result<Header, Refusal> {
    let header = match &bytes.read_quad_bytes().map_err(ended)? {
        b"riff" => return read_w64(bytes),
        b"RIFF" => Riff { wide: None },
        // The lengths of more than 32 bits follow in the chunk ds64.
        b"RF64" | b"BW64" => Riff { wide: Some(0) },
        _ => return Err(Refusal::Format),
    };
    bytes.ignore_bytes(4).map_err(ended)?;
    match &bytes.read_quad_bytes().map_err(ended)? {
        b"WAVE" => header.read(bytes),
        _ => Err(Refusal::Format),
    }
}

fn ended(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => broken("there is no sound in the file"),
        _ => Refusal::Broken(super::super::sound::unreadable(&error)),
    }
}

fn broken(what: &str) -> Refusal {
    Refusal::Broken(what.to_owned())
}

struct Riff {
    /// The length of the sound in the chunk ds64, in a file that has one.
    wide: Option<u64>,
}

impl Riff {
    fn read(mut self, bytes: &mut Bytes) -> Result<Header, Refusal> {
        let (mut format, mut about) = (None, Vec::new());
        loop {
            let name = bytes.read_quad_bytes().map_err(ended)?;
            let length = bytes.read_u32().map_err(ended)?;
            if &name == b"data" {
                let format = format.ok_or_else(|| broken("the file does not say how its sound is coded"))?;
                let stated = match self.wide {
                    Some(wide) if length == u32::MAX || (length == 0 && wide > 0) => wide,
                    _ => u64::from(length),
                };
                let is_wide = stated != u64::from(length);
                return Header::of(bytes, format, about, if is_wide { Stated::Wide(stated) } else { Stated::Narrow(length) });
            }
            let content = content(bytes, length)?;
            bytes.ignore_bytes(u64::from(length % 2)).map_err(ended)?;
            match &name {
                b"fmt " => format = Some(Format::parse(&content)?),
                b"ds64" if self.wide.is_some() => {
                    self.wide = content.get(8..16).and_then(|length| length.try_into().ok()).map(u64::from_le_bytes);
                }
                b"bext" | b"iXML" | b"LIST" => about.push((name, content)),
                _ => {}
            }
        }
    }
}

/// The bytes of a chunk, as far as they are of use.
fn content(bytes: &mut Bytes, length: u32) -> Result<Vec<u8>, Refusal> {
    let kept = length.min(LONGEST_CHUNK);
    let content = bytes.read_boxed_slice_exact(kept as usize).map_err(ended)?;
    bytes.ignore_bytes(u64::from(length - kept)).map_err(ended)?;
    Ok(content.into_vec())
}

/// W64, whose chunks have GUIDs for names and lengths of 64 bits that count their own header of 24 bytes.
fn read_w64(bytes: &mut Bytes) -> Result<Header, Refusal> {
    if bytes.read_boxed_slice_exact(12).map_err(ended)?[..] != W64_RIFF {
        return Err(Refusal::Format);
    }
    bytes.ignore_bytes(8).map_err(ended)?;
    let guid = bytes.read_boxed_slice_exact(16).map_err(ended)?;
    if !guid.starts_with(b"wave") {
        return Err(Refusal::Format);
    }
    let mut format = None;
    loop {
        let guid = bytes.read_boxed_slice_exact(16).map_err(ended)?;
        let length = bytes.read_u64().map_err(ended)?;
        let inner = length.saturating_sub(24);
        if guid.starts_with(b"data") {
            let format = format.ok_or_else(|| broken("the file does not say how its sound is coded"))?;
            return Header::of(bytes, format, Vec::new(), Stated::Wide(if length >= u64::MAX / 2 { 0 } else { inner }));
        }
        let narrow = u32::try_from(inner).map_err(|_| broken("the lengths in the header are damaged"))?;
        let content = content(bytes, narrow)?;
        bytes.ignore_bytes(inner.wrapping_neg() % 8).map_err(ended)?;
        if guid.starts_with(b"fmt ") {
            format = Some(Format::parse(&content)?);
        }
    }
}

impl Format {
    fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let short = |at: usize| bytes.get(at..at + 2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let long = |at: usize| Some(u32::from(short(at)?) | u32::from(short(at + 2)?) << 16);
        let read = || Some((short(0)?, short(2)?, long(4)?, short(12)?, short(14)?));
        let (tag, channels, rate_hz, block, bits) =
            read().ok_or_else(|| broken("the file does not say how its sound is coded"))?;
        if channels == 0 || channels > MOST_CHANNELS {
            return Err(Refusal::Broken(format!("its header states {channels} channels; it must be from 1 to {MOST_CHANNELS}")));
        }
        // WAVE_FORMAT_EXTENSIBLE names the codec in the first bytes of a GUID.
        let tag = if tag == 0xfffe { short(24).unwrap_or(tag) } else { tag };
        Ok(Self { tag, channels, rate_hz, block, bits })
    }

    /// The bytes of a tenth of a second: less than that behind the sound is padding.
    fn tenth_of_a_second(&self) -> u64 {
        u64::from(self.rate_hz) * u64::from(self.block) / 10
    }
}

/// The length of the sound that a header states.
#[derive(Clone, Copy)]
enum Stated {
    /// In 32 bits, which may have wrapped.
    Narrow(u32),
    /// In 64 bits.
    Wide(u64),
}

impl Stated {
    fn bytes(self) -> u64 {
        match self {
            Stated::Narrow(bytes) => u64::from(bytes),
            Stated::Wide(bytes) => bytes,
        }
    }

    /// Whether it is one of the lengths that programs write which cannot know the true one yet.
    fn is_stand_in(self) -> bool {
        match self {
            Stated::Narrow(bytes) => {
                // sox has 7ffff000, arecord and others something near 2 GiB, ffmpeg ffffffff.
                bytes == 0 || (0x7fff_f000..=0x8000_0100).contains(&bytes) || bytes >= 0xffff_f000
            }
            Stated::Wide(bytes) => bytes == 0 || bytes >= u64::MAX / 2,
        }
    }
}

impl Header {
    /// The header of a file whose sound begins at this position.
    fn of(bytes: &mut Bytes, format: Format, about: Vec<([u8; 4], Vec<u8>)>, stated: Stated) -> Result<Self, Refusal> {
        let from = bytes.pos();
        let mut header = Self { format, from, n_bytes: Some(stated.bytes()), is_truncated: false, remark: None, about };
        let held = bytes.byte_len().filter(|_| bytes.is_seekable()).map(|end| end.saturating_sub(from));
        let Some(held) = held else {
            // Of a pipe, nobody knows how much it will give; a length that is no stand-in is checked at its end.
            header.n_bytes = if stated.is_stand_in() { None } else { header.n_bytes };
            return Ok(header);
        };
        if stated.is_stand_in() && stated.bytes() != held {
            let is_empty = stated.bytes() == 0 && is_chunks(bytes, from, from + held)?;
            header.n_bytes = (is_empty && held > 0).then_some(0);
            header.remark = (stated.bytes() == 0 && !is_empty && held > 0).then_some(
                "its header gives the sound no length, as that of a recorder that lost power does; it was heard to the end of the file",
            );
        } else if stated.bytes() > held {
            header.is_truncated = true;
        } else if held - stated.bytes() > format.tenth_of_a_second() && !is_chunks(bytes, from + stated.bytes(), from + held)? {
            header.n_bytes = Some(sound_behind(bytes, from, stated, held)?);
            header.remark = Some("the sound goes on behind the length that its header states; it was heard to its end");
        }
        bytes.seek(SeekFrom::Start(from)).map_err(ended)?;
        Ok(header)
    }
}

/// The true number of bytes of sound where it goes on behind the stated length: with a length that wrapped at 4 GiB, up to the
/// chunks behind the sound; else to the end of the file.
fn sound_behind(bytes: &mut Bytes, from: u64, stated: Stated, held: u64) -> Result<u64, Refusal> {
    let Stated::Narrow(low) = stated else { return Ok(held) };
    let wrapped = (held - u64::from(low)) >> 32 << 32;
    let unwrapped = u64::from(low) + wrapped;
    Ok(if wrapped > 0 && is_chunks(bytes, from + unwrapped, from + held)? { unwrapped } else { held })
}

/// Whether nothing but chunks stands from `at` to the end of the file. A sound that goes on has no such names and lengths.
fn is_chunks(bytes: &mut Bytes, at: u64, end: u64) -> Result<bool, Refusal> {
    // Some programs leave out the byte that makes a length even.
    Ok(are_chunks(bytes, at + at % 2, end)? || (at % 2 == 1 && are_chunks(bytes, at, end)?))
}

fn are_chunks(bytes: &mut Bytes, mut at: u64, end: u64) -> Result<bool, Refusal> {
    while at + 8 <= end {
        bytes.seek(SeekFrom::Start(at)).map_err(ended)?;
        let name = bytes.read_quad_bytes().map_err(ended)?;
        let next = at + 8 + u64::from(bytes.read_u32().map_err(ended)?);
        if BEHIND.contains(&&name) {
            // The file may end in the middle of such a chunk, which holds no sound.
        } else if !name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') || next > end + 1 {
            return Ok(false);
        }
        at = next + next % 2;
    }
    Ok(true)
}
