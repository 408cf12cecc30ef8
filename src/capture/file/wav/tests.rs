use std::io::Cursor;

use proptest::prelude::*;
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};

use super::*;

/// A file of these chunks.
fn riff(name: &[u8; 4], chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
    let mut bytes = [&name[..], &[0; 4], b"WAVE"].concat();
    for (name, length, content) in chunks {
        bytes.extend(*name);
        bytes.extend(length.to_le_bytes());
        bytes.extend(*content);
    }
    bytes
}

fn fmt(tag: u16, channels: u16, block: u16, bits: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend([tag.to_le_bytes(), channels.to_le_bytes()].concat());
    bytes.extend(8_000u32.to_le_bytes());
    bytes.extend((8_000 * u32::from(block)).to_le_bytes());
    bytes.extend([block.to_le_bytes(), bits.to_le_bytes()].concat());
    bytes
}

/// All samples of a file, and its sound at its end.
fn samples(bytes: MediaSourceStream<'static>) -> (Vec<f32>, Box<dyn Sound>) {
    let mut wav = Wav::open(bytes).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let (mut all, mut piece) = (Vec::new(), Vec::new());
    while wav.next(&mut piece).unwrap().is_some() {
        all.extend(&piece);
    }
    (all, wav)
}

fn file(bytes: Vec<u8>) -> MediaSourceStream<'static> {
    MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default())
}

fn pipe(bytes: Vec<u8>) -> MediaSourceStream<'static> {
    MediaSourceStream::new(Box::new(ReadOnlySource::new(Cursor::new(bytes))), Default::default())
}

fn ramp(n: usize) -> Vec<u8> {
    (0..n).flat_map(|n| ((n % 1_000) as i16 + 1).to_le_bytes()).collect()
}

#[test]
fn a_length_that_no_writer_could_know_is_no_limit() {
    let (format, sound) = (fmt(1, 1, 2, 16), ramp(10_000));
    for length in [0, u32::MAX, 0x7fff_f000, 0x7fff_ffff, 0x8000_0000, 0x7fff_ffdb] {
        let bytes = riff(b"RIFF", &[(b"fmt ", 16, &format), (b"data", length, &sound)]);
        for (is_file, bytes) in [(true, file(bytes.clone())), (false, pipe(bytes))] {
            let (heard, wav) = samples(bytes);
            assert_eq!((heard.len(), wav.is_truncated()), (10_000, false), "{length:x}");
            assert_eq!(wav.n_frames(), is_file.then_some(10_000));
            assert_eq!(wav.remarks().len(), usize::from(is_file && length == 0), "{length:x}");
        }
    }
}

#[test]
fn what_lies_behind_the_stated_length_is_heard_unless_it_is_chunks() {
    let (format, sound) = (fmt(1, 1, 2, 16), ramp(10_000));
    let (first, rest) = sound.split_at(4_000);
    let of = |behind: &[u8]| {
        let mut bytes = riff(b"RIFF", &[(b"fmt ", 16, &format), (b"data", 4_000, first)]);
        bytes.extend(behind);
        let (heard, wav) = samples(file(bytes));
        (heard.len(), wav.remarks().len(), wav.is_truncated())
    };
    assert_eq!(of(rest), (10_000, 1, false));
    assert_eq!(of(&[b"LIST", &4_000u32.to_le_bytes()[..], &[7; 4_000]].concat()), (2_000, 0, false));
    assert_eq!(of(&[b"LIST", &9_000u32.to_le_bytes()[..], &[7; 4_000]].concat()), (2_000, 0, false));
    assert_eq!(of(&[0; 100]), (2_000, 0, false));
    assert_eq!(of(&[]), (2_000, 0, false));
}

#[test]
fn a_file_that_ends_before_its_stated_length_is_truncated() {
    let bytes = riff(b"RIFF", &[(b"fmt ", 16, &fmt(1, 1, 2, 16)), (b"data", 20_001, &ramp(9_000))]);
    for bytes in [file(bytes.clone()), pipe(bytes)] {
        let (heard, wav) = samples(bytes);
        assert_eq!((heard.len(), wav.is_truncated()), (9_000, true));
    }
}

#[test]
fn lengths_of_64_bits_are_in_ds64() {
    let sound = ramp(5_000);
    for name in [b"RF64", b"BW64"] {
        for (wide, heard) in [(10_000u64, 5_000), (6_000, 3_000), (0, 5_000)] {
            let ds64 = [&[0; 8][..], &wide.to_le_bytes(), &[0; 12]].concat();
            let behind = [b"LIST", &3_992u32.to_le_bytes()[..]].concat();
            let mut sound = sound.clone();
            if wide == 6_000 {
                sound[6_000..6_008].copy_from_slice(&behind);
            }
            let chunks: [(&[u8; 4], u32, &[u8]); 3] =
                [(b"ds64", 28, &ds64), (b"fmt ", 16, &fmt(1, 1, 2, 16)), (b"data", u32::MAX, &sound)];
            assert_eq!(samples(file(riff(name, &chunks))).0.len(), heard, "{wide}");
        }
    }
}

#[test]
fn w64_is_read() {
    let guid = |name: &[u8; 4]| [&name[..], &[0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a]].concat();
    let first = [&b"riff"[..], &[0x2e, 0x91, 0xcf, 0x11, 0xa5, 0xd6, 0x28, 0xdb, 4, 0xc1, 0, 0]].concat();
    for length in [24 + 6_000u64, 0, u64::MAX] {
        let mut bytes = [first.clone(), 0u64.to_le_bytes().to_vec(), guid(b"wave"), guid(b"fmt ")].concat();
        bytes.extend([&40u64.to_le_bytes()[..], &fmt(1, 1, 2, 16), &guid(b"data"), &length.to_le_bytes()].concat());
        bytes.extend(ramp(3_000));
        let (heard, wav) = samples(file(bytes));
        assert_eq!((heard.len(), wav.is_truncated(), heard[0]), (3_000, false, 1.0 / 32_768.0), "{length}");
    }
}

#[test]
fn bits_in_wider_blocks_are_found_where_they_stand() {
    let values: Vec<i32> = (0..3_000).map(|n| (n - 1_500) * 1_234 + 1).collect();
    let expected: Vec<f32> = values.iter().map(|value| *value as f32 / 8_388_608.0).collect();
    let low: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    // Some programs leave the highest byte of low bits at 0, which is the sign in others.
    let unsigned: Vec<u8> = values.iter().flat_map(|value| (value & 0xff_ffff).to_le_bytes()).collect();
    let high: Vec<u8> = values.iter().flat_map(|value| (value << 8).to_le_bytes()).collect();
    for data in [low, unsigned, high] {
        let bytes = riff(b"RIFF", &[(b"fmt ", 16, &fmt(1, 1, 4, 24)), (b"data", 12_000, &data)]);
        assert_eq!(samples(file(bytes)).0, expected);
    }
}

#[test]
fn what_no_decoder_knows_is_named() {
    let refused = |format: &[u8]| Wav::open(file(riff(b"RIFF", &[(b"fmt ", 16, format), (b"data", 4, &[0; 4])]))).err();
    assert_eq!(refused(&fmt(0x31, 1, 65, 0)), Some(Refusal::Codec("GSM 6.10".to_owned())));
    assert_eq!(refused(&fmt(0x9999, 1, 65, 0)), Some(Refusal::Codec("codec 0x9999 of WAV".to_owned())));
    assert!(matches!(refused(&fmt(1, 64_512, 0, 16)), Some(Refusal::Broken(sentence)) if sentence.contains("64512 channels")));
    assert!(matches!(refused(&fmt(2, 1, 3, 4)), Some(Refusal::Broken(sentence)) if sentence.contains("too short")));
}

proptest! {
    #[test]
    fn a_pipe_and_a_file_give_the_same_samples(n in 1usize..20_000, cut in 0usize..100) {
        let sound = ramp(n);
        let bytes = riff(b"RIFF", &[(b"fmt ", 16, &fmt(1, 1, 2, 16)), (b"data", sound.len() as u32, &sound)]);
        let bytes = bytes[..bytes.len() - cut.min(sound.len())].to_vec();
        let (from_file, from_pipe) = (samples(file(bytes.clone())), samples(pipe(bytes)));
        prop_assert_eq!(from_file.0, from_pipe.0);
        prop_assert_eq!(from_file.1.is_truncated(), from_pipe.1.is_truncated());
    }
}
