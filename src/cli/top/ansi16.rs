//! Between the drawing and the terminal: a frame is held back until it is whole, and the 16 colours go out as the sequences that
//! terminals of 16 colours know. The backend writes every colour as one of 256.

use std::io::{self, Write};

/// How the backend begins a colour of the text.
const COLOUR: &[u8] = b"\x1b[38;5;";

/// A writer that passes on what it holds when it is flushed.
#[derive(Debug)]
pub struct Sixteen<W> {
    out: W,
    frame: Vec<u8>,
    sent: Vec<u8>,
}

impl<W: Write> Sixteen<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, frame: Vec::new(), sent: Vec::new() }
    }
}

impl<W: Write> Write for Sixteen<W> {
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
        // One write: over a slow line nobody sees half a frame.
        self.out.write_all(&self.sent)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> String {
        let mut sixteen = Sixteen::new(Vec::new());
        sixteen.write_all(text.as_bytes()).unwrap();
        assert!(sixteen.out.is_empty(), "nothing goes out before it is whole");
        sixteen.flush().unwrap();
        sixteen.flush().unwrap();
        String::from_utf8(sixteen.out).unwrap()
    }

    #[test]
    fn sixteen_colours_have_sequences_of_their_own() {
        assert_eq!(sent("a\x1b[38;5;2mb\x1b[38;5;8mc\x1b[38;5;15m"), "a\x1b[32mb\x1b[90mc\x1b[97m");
        assert_eq!(
            sent("\x1b[38;5;16ma\x1b[38;5;149mb\x1b[38;2;1;2;3m耳\x1b[0m"),
            "\x1b[38;5;16ma\x1b[38;5;149mb\x1b[38;2;1;2;3m耳\x1b[0m"
        );
        assert_eq!(sent("\x1b[38;5;"), "\x1b[38;5;");
        assert_eq!(sent("\x1b[38;5;99999m"), "\x1b[38;5;99999m");
    }
}
