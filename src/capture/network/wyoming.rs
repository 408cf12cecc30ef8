//! Wyoming's framing: a line of JSON, then its data and its payload; the payload of an `audio-chunk` is PCM.
//!
//! Nothing is believed of its lengths beyond what a chunk of sound can need.

use serde::Deserialize;
use serde_json::Value;

use crate::capture::source::{Pcm, SampleFormat};
use crate::resample::check_rate;

/// The longest line of JSON, the longest data and the longest payload that is taken, in bytes.
const LONGEST_LINE: usize = 1 << 16;
const LONGEST_PART: usize = 1 << 20;

/// The framing so far.
#[derive(Debug, Default)]
pub(super) struct Framing {
    bytes: Vec<u8>,
}

/// A chunk of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub pcm: Pcm,
    pub payload: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Header {
    r#type: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    data_length: usize,
    #[serde(default)]
    payload_length: usize,
}

impl Framing {
    /// Takes bytes of the connection.
    pub fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next chunk of sound that is whole; other messages are passed over.
    ///
    /// # Errors
    /// One sentence: this is not the framing.
    pub fn next(&mut self) -> Result<Option<Chunk>, String> {
        loop {
            let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') else {
                return if self.bytes.len() > LONGEST_LINE { Err(too_long("line")) } else { Ok(None) };
            };
            if end > LONGEST_LINE {
                return Err(too_long("line"));
            }
            let header: Header = serde_json::from_slice(&self.bytes[..end])
                .map_err(|_| "the satellite's messages are not those of Wyoming".to_owned())?;
            if header.data_length > LONGEST_PART || header.payload_length > LONGEST_PART {
                return Err(too_long("message"));
            }
            let data_end = end + 1 + header.data_length;
            let all = data_end + header.payload_length;
            if self.bytes.len() < all {
                return Ok(None);
            }
            let separate: Value = serde_json::from_slice(&self.bytes[end + 1..data_end]).unwrap_or_default();
            let payload = self.bytes[data_end..all].to_vec();
            self.bytes.drain(..all);
            if header.r#type == "audio-chunk" && !payload.is_empty() {
                let number = |key: &str| header.data.get(key).or_else(|| separate.get(key)).and_then(Value::as_u64);
                return pcm(number).map(|pcm| Some(Chunk { pcm, payload }));
            }
        }
    }
}

/// The form of a chunk, as its data say.
fn pcm(number: impl Fn(&str) -> Option<u64>) -> Result<Pcm, String> {
    let rate_hz = number("rate").and_then(|rate| u32::try_from(rate).ok()).unwrap_or(0);
    check_rate(rate_hz).map_err(|error| error.to_string())?;
    let format = match number("width") {
        Some(1) => SampleFormat::U8,
        Some(2) => SampleFormat::S16Le,
        Some(3) => SampleFormat::S24Le,
        Some(4) => SampleFormat::S32Le,
        _ => return Err("the satellite's samples have no width from 1 to 4 bytes".to_owned()),
    };
    let channels = number("channels").and_then(|n| u16::try_from(n).ok()).filter(|n| (1..=64).contains(n));
    Ok(Pcm { rate_hz, format, channels: channels.ok_or("the satellite's sound has no number of channels from 1 to 64")? })
}

fn too_long(what: &str) -> String {
    format!("the satellite sends a {what} that is longer than any of Wyoming's")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_out_of_any_pieces_and_other_messages_are_passed_over() {
        let mut bytes = Vec::new();
        bytes.extend(b"{\"type\":\"audio-start\",\"data\":{\"rate\":16000,\"width\":2,\"channels\":1}}\n");
        bytes.extend(b"{\"type\":\"audio-chunk\",\"data\":{\"rate\":16000,\"width\":2,\"channels\":1},\"payload_length\":4}\n\x01\x02\x03\x04");
        bytes.extend(b"{\"type\":\"audio-chunk\",\"data_length\":39,\"payload_length\":3}\n{\"rate\":48000,\"width\":3,\"channels\":1}  abc");
        bytes.extend(b"{\"type\":\"audio-stop\"}\n");
        for piece in [1, 7, 1_000] {
            let (mut framing, mut chunks) = (Framing::default(), Vec::new());
            for bytes in bytes.chunks(piece) {
                framing.take(bytes);
                while let Some(chunk) = framing.next().unwrap() {
                    chunks.push((chunk.pcm.rate_hz, chunk.pcm.format, chunk.payload));
                }
            }
            assert_eq!(chunks, [(16_000, SampleFormat::S16Le, vec![1, 2, 3, 4]), (48_000, SampleFormat::S24Le, b"abc".to_vec())]);
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for wrong in [
            &b"GET / HTTP/1.1\n"[..],
            b"{\"type\":\"audio-chunk\",\"payload_length\":4294967296}\n",
            b"{\"type\":\"audio-chunk\",\"data\":{\"rate\":1,\"width\":2,\"channels\":1},\"payload_length\":1}\n1",
            b"{\"type\":\"audio-chunk\",\"data\":{\"rate\":16000,\"width\":9,\"channels\":1},\"payload_length\":1}\n1",
            &[b'{'; LONGEST_LINE + 1],
        ] {
            let mut framing = Framing::default();
            framing.take(wrong);
            assert!(framing.next().is_err());
        }
    }
}
