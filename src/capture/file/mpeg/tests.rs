use std::io::Cursor;

use symphonia::core::io::MediaSourceStream;

use super::*;

/// Silent frames of 32 kbit/s at 16 kHz: 144 bytes of 36 ms, all zeros behind the header.
fn frames(n: usize) -> Vec<u8> {
    [&[0xff, 0xf3, 0x48, 0xc0][..], &[0; 140]].concat().repeat(n)
}

/// An info frame that states this.
fn info(n_frames: u32, n_bytes: u32, delay: u32, padding: u32) -> Vec<u8> {
    let mut frame = frames(1);
    frame[13..17].copy_from_slice(b"Xing");
    frame[17..21].copy_from_slice(&3u32.to_be_bytes());
    frame[21..25].copy_from_slice(&n_frames.to_be_bytes());
    frame[25..29].copy_from_slice(&n_bytes.to_be_bytes());
    frame[29..33].copy_from_slice(b"LAME");
    frame[50..53].copy_from_slice(&(delay << 12 | padding).to_be_bytes()[1..]);
    frame
}

/// The pieces as positions and frames, and the sound at its end.
fn read(bytes: Vec<u8>) -> (Vec<(u64, u64)>, Mpeg) {
    let bytes = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut mpeg = Mpeg::open(bytes).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let (mut pieces, mut out) = (Vec::new(), Vec::new());
    while let Some(piece) = mpeg.next(&mut out).unwrap() {
        let at = piece.at.unwrap_or_else(|| pieces.last().map_or(0, |(at, frames)| at + frames));
        pieces.push((at, (out.len() / piece.channels) as u64));
    }
    (pieces, mpeg)
}

fn total(pieces: &[(u64, u64)]) -> u64 {
    pieces.iter().map(|(_, frames)| frames).sum()
}

#[test]
fn every_frame_is_heard_whatever_the_info_frame_states() {
    assert_eq!(total(&read(frames(20)).0), 20 * 576);
    for stated in [0, 10, u32::MAX] {
        let (pieces, mpeg) = read([info(stated, 0, 0, 529), frames(20)].concat());
        assert_eq!((total(&pieces), mpeg.n_frames()), (20 * 576 - 529, None), "{stated}");
    }
    // Joined files: the second one's info frame is no sound.
    let one = [info(20, 21 * 144, 0, 0), frames(20)].concat();
    assert_eq!(total(&read([one.clone(), one].concat()).0), 40 * 576 - 529);
}

#[test]
fn delay_and_padding_of_a_whole_file_are_left_out() {
    let (pieces, mpeg) = read([info(20, 21 * 144, 576, 1_000), frames(20)].concat());
    let expected = 20 * 576 - (576 + 529) - (1_000 - 529);
    assert_eq!((total(&pieces), mpeg.n_frames(), mpeg.is_truncated()), (expected, Some(expected), false));
    let (_, cut) = read([info(20, 21 * 144, 576, 1_000), frames(10)].concat());
    assert!(cut.is_truncated());
}

#[test]
fn damage_takes_the_time_of_its_bytes_and_tags_take_none() {
    let with = |between: &[u8]| read([&frames(10)[..], between, &frames(10)].concat()).0;
    assert_eq!(with(&[])[10], (5_760, 576));
    for tag in [&b"TAG"[..], b"APETAGEX\xd0\x07\0\0\x20\0\0\0\0\0\0\0", b"ID3\x04\0\0\0\0\x02\0"] {
        let mut between = tag.to_vec();
        between.resize(
            if tag.len() > 10 {
                32
            } else if tag.len() > 3 {
                266
            } else {
                128
            },
            0,
        );
        assert_eq!(with(&between)[10], (5_760, 576), "{tag:?}");
    }
    assert_eq!(with(&[7; 3 * 144 + 20])[10], (5_760 + 3 * 576, 576));
}

#[test]
fn a_cover_that_looks_like_frames_is_no_sound() {
    let cover = frames(200);
    let length = cover.len() as u32;
    let size = [length >> 21 & 127, length >> 14 & 127, length >> 7 & 127, length & 127].map(|part| part as u8);
    let (pieces, _) = read([b"ID3\x03\0\0", &size[..], &cover, &frames(20)].concat());
    assert_eq!(total(&pieces), 20 * 576);
}

#[test]
fn what_is_no_sound_is_refused() {
    let noise: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [vec![0x5a; 5_000], noise, frames(1)] {
        let bytes = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
        assert_eq!(Mpeg::open(bytes).err(), Some(Refusal::Format));
    }
}
