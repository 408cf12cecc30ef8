//! FLAC whose header states a smallest block of 0, as some recorders write it: put right before symphonia reads it, which
//! refuses such files.

use std::io::{Cursor, Read};

use symphonia::core::io::{MediaSourceStream, ReadBytes, ReadOnlySource};

use super::sound::Bytes;

/// The mark, the header of the first block, and the sizes of the smallest and the largest block.
const HEAD: usize = 12;
/// The smallest block that a good header may state.
const SMALLEST: u16 = 16;

/// The bytes of a FLAC file, with a header that states possible sizes of blocks; `magic` are its first bytes, still to be read.
pub(super) fn corrected(mut bytes: Bytes, magic: &[u8]) -> std::io::Result<Bytes> {
    let size = |at: usize| magic.get(at..at + 2).map_or(u16::MAX, |size| u16::from_be_bytes([size[0], size[1]]));
    let (smallest, largest) = (size(8), size(10).max(SMALLEST));
    if smallest >= SMALLEST || magic[4] & 0x7f != 0 {
        return Ok(bytes);
    }
    let mut head = [0; HEAD];
    ReadBytes::read_buf_exact(&mut bytes, &mut head)?;
    // Blocks of one size, as all such files have them.
    head[8..10].copy_from_slice(&largest.to_be_bytes());
    head[10..12].copy_from_slice(&largest.to_be_bytes());
    let joined = ReadOnlySource::new(Cursor::new(head).chain(bytes));
    Ok(MediaSourceStream::new(Box::new(joined), Default::default()))
}
