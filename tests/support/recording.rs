//! Recordings: those of the tests' packages, and those that the tests make.

use std::path::{Path, PathBuf};

pub const VOICE: &str = "/usr/share/sounds/alsa/Front_Center.wav";
pub const RINGTONE: &str = "/usr/share/sounds/freedesktop/stereo/phone-incoming-call.oga";

/// Writes the voice with silence after it, about 4.4 s in all. Played in a loop, each voice is an event of its own.
pub fn voice_and_silence(folder: &Path) -> PathBuf {
    voice_and_seconds_of_silence(folder, 3)
}

/// The same with this many seconds of silence. From 8 s on, no window holds two voices, and each event has ended before the next
/// voice.
pub fn voice_and_seconds_of_silence(folder: &Path, seconds: usize) -> PathBuf {
    let bytes = std::fs::read(VOICE).expect("`make test` installs it");
    // Its samples stand behind a header of 44 bytes: 16-bit mono at 48 kHz.
    let mut samples: Vec<i16> = bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    samples.extend(std::iter::repeat_n(0, seconds * 48_000));
    let path = folder.join("voice.wav");
    std::fs::write(&path, wav(&samples, 48_000, 1)).unwrap();
    path
}

/// A 16-bit WAV file of these samples, interleaved.
pub fn wav(samples: &[i16], rate_hz: u32, channels: u16) -> Vec<u8> {
    let data = samples.len() as u32 * 2;
    let mut bytes = Vec::with_capacity(44 + samples.len() * 2);
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * u32::from(channels) * 2).to_le_bytes());
    bytes.extend((channels * 2).to_le_bytes());
    bytes.extend(16u16.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

/// A recording with more channels than any has, and the message about it.
pub fn wav_of_too_many_channels() -> (Vec<u8>, &'static str) {
    let mut bytes = wav(&[0; 100], 16_000, 1);
    bytes[22..24].copy_from_slice(&64_512u16.to_le_bytes());
    (bytes, "its header states 64512 channels; it must be from 1 to 256")
}
