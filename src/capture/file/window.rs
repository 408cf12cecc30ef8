//! A window on the bytes of a file, in which frames and pages are looked for.

use symphonia::core::io::{MediaSource, ReadBytes};

use super::sound::{Bytes, unreadable};

/// The bytes that are read at a time.
const READ: usize = 1 << 16;

/// The bytes from a position on, as many as were asked for.
pub(super) struct Window {
    bytes: Bytes,
    held: Vec<u8>,
    from: usize,
    is_over: bool,
}

impl Window {
    /// A window on the bytes from where they stand.
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes, held: Vec::new(), from: 0, is_over: false }
    }

    /// The next bytes, at least `n` unless the file ends before.
    pub fn peek(&mut self, n: usize) -> Result<&[u8], String> {
        while self.held.len() - self.from < n && !self.is_over {
            self.held.drain(..self.from);
            self.from = 0;
            let before = self.held.len();
            // A read lasts until all is there that was asked for, which in a live stream is to come yet.
            let wanted = if self.bytes.is_seekable() { READ.max(n) } else { n - before };
            self.held.resize(before + wanted, 0);
            let read = self.bytes.read_buf(&mut self.held[before..]);
            let count = match read {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => 0,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                    self.held.truncate(before);
                    continue;
                }
                Err(error) => return Err(unreadable(&error)),
            };
            self.held.truncate(before + count);
            self.is_over = count == 0;
        }
        Ok(&self.held[self.from..])
    }

    /// Passes over this many of the bytes that were seen.
    pub fn pass(&mut self, n: usize) {
        self.from = (self.from + n).min(self.held.len());
    }

    /// Passes over this many bytes, seen or not.
    pub fn skip(&mut self, n: u64) -> Result<(), String> {
        let seen = n.min((self.held.len() - self.from) as u64);
        self.pass(seen as usize);
        match self.bytes.ignore_bytes(n - seen) {
            Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(unreadable(&error)),
            _ => Ok(()),
        }
    }

    /// The bytes from here to the end of the file, where that is known.
    pub fn left(&self) -> Option<u64> {
        let seen = (self.held.len() - self.from) as u64;
        let length = self.bytes.byte_len().filter(|_| self.bytes.is_seekable())?;
        Some(length.saturating_sub(self.bytes.pos()) + seen)
    }
}
