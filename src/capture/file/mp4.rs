//! The edit list of MP4: which part of the first track of sound is heard.
//!
//! Encoders of AAC begin with some frames that are none of the recording, and fill the last block; the list says so. symphonia
//! reads everything else of the container and leaves it out.

use std::io::{Read, Seek, SeekFrom};

use symphonia::core::io::{MediaSource, ReadBytes};

use super::sound::Bytes;

/// The most bytes of the box that describes the tracks.
const MOST_BYTES: u64 = 1 << 26;

/// The part of a track that is heard, in ticks of the track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// The first tick.
    pub from: u64,
    /// The number of ticks; `None` for all.
    pub length: Option<u64>,
}

/// The edit of the first track of sound; `None` where there is none, or where the file cannot be searched. The bytes stand
/// where they stood.
pub(super) fn edit(bytes: &mut Bytes) -> Option<Edit> {
    let begin = bytes.pos();
    let end = bytes.byte_len().filter(|_| bytes.is_seekable())?;
    let found = movie(bytes, begin, end).and_then(|movie| of_movie(&movie));
    bytes.seek(SeekFrom::Start(begin)).ok()?;
    found
}

/// The content of the box `moov`.
fn movie(bytes: &mut Bytes, mut at: u64, end: u64) -> Option<Vec<u8>> {
    while at + 8 <= end {
        bytes.seek(SeekFrom::Start(at)).ok()?;
        let (length, name) = (u64::from(bytes.read_be_u32().ok()?), bytes.read_quad_bytes().ok()?);
        let (header, length) = match length {
            0 => (8, end - at),
            1 => (16, bytes.read_be_u64().ok()?),
            length => (8, length),
        };
        let content = length.checked_sub(header)?;
        if &name == b"moov" {
            let mut movie = Vec::new();
            (content <= MOST_BYTES).then(|| bytes.take(content).read_to_end(&mut movie)).and_then(Result::ok)?;
            return Some(movie);
        }
        at = at.checked_add(length)?;
    }
    None
}

/// The boxes in some bytes: their names and contents.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let (name, content) = (bytes.get(4..8)?, bytes.get(8..length)?);
        bytes = &bytes[length..];
        Some((name, content))
    })
}

/// The content of the box at this path.
fn inner<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter()
        .try_fold(bytes, |bytes, wanted| boxes(bytes).find(|(name, _)| *name == wanted.as_slice()).map(|(_, content)| content))
}

/// The ticks a second in the box `mvhd` or `mdhd`, whose times have 32 or 64 bits.
fn ticks_a_second(header: &[u8]) -> Option<u64> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    Some(u64::from(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?))).filter(|ticks| *ticks > 0)
}

fn of_movie(movie: &[u8]) -> Option<Edit> {
    let is_sound = |track: &&[u8]| inner(track, &[b"mdia", b"hdlr"]).is_some_and(|handler| handler.get(8..12) == Some(b"soun"));
    let track = boxes(movie).filter(|(name, _)| *name == b"trak").map(|(_, content)| content).find(is_sound)?;
    let of_movie = ticks_a_second(inner(movie, &[b"mvhd"])?)?;
    let of_track = ticks_a_second(inner(track, &[b"mdia", b"mdhd"])?)?;
    let list = inner(track, &[b"edts", b"elst"])?;
    let is_wide = list.first()? == &1;
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let width = if is_wide { 8 } else { 4 };
    let nothing = if is_wide { u64::MAX } else { u64::from(u32::MAX) };
    let entries = list.get(8..)?.chunks_exact(2 * width + 4);
    let entries = entries.map(|entry| (number(&entry[..width]), number(&entry[width..2 * width])));
    // An entry of nothing is a pause before the track. More than one of sound is a cut, as no recorder makes it.
    let mut of_sound = entries.filter(|(_, from)| *from != nothing);
    let (length, from) = of_sound.next().filter(|_| of_sound.next().is_none())?;
    let length = u64::try_from(u128::from(length) * u128::from(of_track) / u128::from(of_movie)).ok();
    Some(Edit { from, length: length.filter(|length| *length > 0) })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use symphonia::core::io::MediaSourceStream;

    use super::*;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], name, content].concat()
    }

    fn header(ticks: u32) -> Vec<u8> {
        [&[0; 12][..], &ticks.to_be_bytes(), &[0; 80]].concat()
    }

    fn track(handler: &[u8; 4], entries: &[(u32, u32)]) -> Vec<u8> {
        let mut list = [[0; 4], (entries.len() as u32).to_be_bytes()].concat();
        for (length, from) in entries {
            list.extend([length.to_be_bytes(), from.to_be_bytes(), [0, 1, 0, 0]].concat());
        }
        let media = [boxed(b"mdhd", &header(16_000)), boxed(b"hdlr", &[&[0; 8][..], handler, &[0; 12]].concat())].concat();
        boxed(b"trak", &[boxed(b"edts", &boxed(b"elst", &list)), boxed(b"mdia", &media)].concat())
    }

    fn found(tracks: &[Vec<u8>]) -> Option<Edit> {
        let movie = boxed(b"moov", &[boxed(b"mvhd", &header(1_000)), tracks.concat()].concat());
        let bytes = [boxed(b"ftyp", b"M4A "), boxed(b"mdat", &[7; 1_000]), movie].concat();
        let mut bytes = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
        let edit = edit(&mut bytes);
        assert_eq!(bytes.pos(), 0);
        edit
    }

    #[test]
    fn the_edit_of_the_first_track_of_sound_is_found() {
        let picture = track(b"vide", &[(9, 9)]);
        let expected = Some(Edit { from: 1_024, length: Some(80_000) });
        assert_eq!(found(&[picture.clone(), track(b"soun", &[(5_000, 1_024)])]), expected);
        assert_eq!(found(&[track(b"soun", &[(300, u32::MAX), (5_000, 1_024)])]), expected);
        assert_eq!(found(&[track(b"soun", &[(0, 1_024)])]), Some(Edit { from: 1_024, length: None }));
        assert_eq!(found(&[track(b"soun", &[(100, 0), (100, 5_000)])]), None);
        assert_eq!(found(&[picture]), None);
    }
}
