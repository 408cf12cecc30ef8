//! A writer between the drawing and the terminal, for terminals of 16 colours.
//!
//! The backend writes every colour as one of 256; this writer sends the 16 ANSI colours as the older sequences that every
//! terminal knows. It holds a frame back until the frame is complete, and changes nothing but these sequences.

use std::io::{self, Write};

/// The backend's sequence before the number of a text colour.
const COLOUR: &[u8] = b"\x1b[38;5;";

/// A writer that sends a frame when it is flushed.
#[derive(Debug)]
pub struct Ansi16<W> {
    out: W,
    frame: Vec<u8>,
    sent: Vec<u8>,
}

impl<W: Write> Ansi16<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, frame: Vec::new(), sent: Vec::new() }
    }
}

impl<W: Write> Write for Ansi16<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sent.clear();
        let mut rest = self.frame.as_slice();
        while let Some(at) = rest.windows(COLOUR.len()).position(|bytes| bytes == COLOUR) {
            let (before, colour) = rest.split_at(at);
            self.sent.extend_from_slice(before);
            let number = &colour[COLOUR.len()..];
            let length = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let index: Option<u8> = std::str::from_utf8(&number[..length]).ok().and_then(|digits| digits.parse().ok());
            match index {
                Some(index @ 0..8) => write!(self.sent, "\x1b[{}", 30 + index)?,
                Some(index @ 8..16) => write!(self.sent, "\x1b[{}", 82 + index)?,
                _ => self.sent.extend_from_slice(&colour[..COLOUR.len() + length]),
            }
            rest = &number[length..];
        }
        self.sent.extend_from_slice(rest);
        self.frame.clear();
        // A single write never shows half a frame, even over a slow connection.
        self.out.write_all(&self.sent)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> String {
        let mut ansi16 = Ansi16::new(Vec::new());
        ansi16.write_all(text.as_bytes()).unwrap();
        assert!(ansi16.out.is_empty(), "a frame is held back until it is complete");
        ansi16.flush().unwrap();
        ansi16.flush().unwrap();
        String::from_utf8(ansi16.out).unwrap()
    }

    #[test]
    fn the_16_colours_are_sent_as_the_older_sequences() {
        assert_eq!(sent("a\x1b[38;5;2mb\x1b[38;5;8mc\x1b[38;5;15m"), "a\x1b[32mb\x1b[90mc\x1b[97m");
        assert_eq!(
            sent("\x1b[38;5;16ma\x1b[38;5;149mb\x1b[38;2;1;2;3m耳\x1b[0m"),
            "\x1b[38;5;16ma\x1b[38;5;149mb\x1b[38;2;1;2;3m耳\x1b[0m"
        );
        assert_eq!(sent("\x1b[38;5;"), "\x1b[38;5;");
        assert_eq!(sent("\x1b[38;5;99999m"), "\x1b[38;5;99999m");
    }
}
