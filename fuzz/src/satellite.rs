//! What comes from the network by itself: the bytes that a satellite pushes, Wyoming's messages or raw PCM in any form, and the answers of
//! cameras to a question for them.

use std::convert::Infallible;

use mimid::capture::network::discovery::answer;
use mimid::capture::network::satellite::SatelliteDecoder;
use mimid::capture::source::{Channel, Coding, Pcm, SampleFormat};
use mimid::resample::check_rate;

use super::memory;

/// Reads the bytes as the answer of a camera: its addresses are those of a web server.
pub fn discovery(bytes: &[u8]) {
    memory::within(16, || {
        if let Some(camera) = answer(bytes) {
            assert!(camera.services.iter().all(|service| service.starts_with("http")));
        }
    });
}

/// Decodes the bytes, of which the first two choose the form of raw PCM and the pieces they come in: in bounded memory, at a rate that can be
/// heard.
pub fn satellite(bytes: &[u8]) {
    let [form, piece, bytes @ ..] = bytes else { return };
    let (_, format) = SampleFormat::NAMES[usize::from(*form) % SampleFormat::NAMES.len()];
    let pcm = Pcm { rate_hz: 16_000, format, channels: u16::from(form / 16) + 1 };
    let coding = if form.is_multiple_of(2) { Coding::Auto(pcm) } else { Coding::Raw(pcm) };
    memory::within(16, || {
        let mut decoder = SatelliteDecoder::new(coding, Channel::Mix, 0.0).expect("PCM can be pushed");
        for bytes in bytes.chunks(usize::from(*piece) + 1) {
            let taken = decoder.take(bytes, |samples, rate_hz| {
                assert!(check_rate(rate_hz).is_ok(), "{rate_hz} Hz");
                assert!(samples.iter().all(|sample| sample.is_finite()));
                Ok::<(), Infallible>(())
            });
            let Ok(taken) = taken;
            if let Err(sentence) = taken {
                assert!(!sentence.is_empty() && sentence.len() < 200 && !sentence.contains('\n'), "{sentence}");
                return;
            }
        }
    });
}
