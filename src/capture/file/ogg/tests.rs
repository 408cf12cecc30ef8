use std::io::Cursor;

use symphonia::core::io::{MediaSourceStream, ReadOnlySource};

use super::pages::tests::page;
use super::*;

/// A packet of silence: 20 ms of CELT for one channel.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// The headers of a stream of Opus that leaves out its first 312 frames.
fn headers(serial: u32) -> Vec<u8> {
    let head = [&b"OpusHead\x01\x01"[..], &312u16.to_le_bytes(), &48_000u32.to_le_bytes(), &[0; 3]].concat();
    [page(2, 0, serial, 0, &head), page(0, 0, serial, 1, b"OpusTags\0\0\0\0\0\0\0\0")].concat()
}

/// Pages of one packet each, with the number of the last one that ends the stream.
fn pages(serial: u32, n: std::ops::Range<u32>, last: u32) -> Vec<u8> {
    let of = |n: u32| page(if n == last { 4 } else { 0 }, u64::from(n + 1) * 960, serial, n + 2, &SILENCE);
    n.flat_map(of).collect()
}

/// The pieces as positions and frames, and the sound at its end.
fn read(bytes: Vec<u8>) -> (Vec<(u64, u64)>, Ogg) {
    let bytes = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut ogg = Ogg::open(bytes).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let (mut pieces, mut out) = (Vec::new(), Vec::new());
    while let Some(piece) = ogg.next(&mut out).unwrap() {
        pieces.push((piece.at.unwrap(), (out.len() / piece.channels) as u64));
    }
    (pieces, ogg)
}

fn end(pieces: &[(u64, u64)]) -> u64 {
    pieces.last().map_or(0, |(at, frames)| at + frames)
}

fn total(pieces: &[(u64, u64)]) -> u64 {
    pieces.iter().map(|(_, frames)| frames).sum()
}

#[test]
fn a_stream_is_heard_without_what_its_head_leaves_out() {
    let (pieces, ogg) = read([headers(7), pages(7, 0..50, 49)].concat());
    assert_eq!((total(&pieces), end(&pieces)), (50 * 960 - 312, 50 * 960 - 312));
    assert_eq!((ogg.n_frames(), ogg.is_truncated()), (Some(50 * 960 - 312), false));
}

#[test]
fn what_follows_damage_keeps_its_time() {
    let mut damaged = pages(7, 20..23, 49);
    damaged.iter_mut().skip(20).step_by(9).for_each(|byte| *byte ^= 0x55);
    let (pieces, ogg) = read([headers(7), pages(7, 0..20, 49), damaged, pages(7, 23..50, 49)].concat());
    assert_eq!((end(&pieces), pieces[20].0), (50 * 960 - 312, 23 * 960 - 312));
    assert!(pieces[20].1 > 0 && total(&pieces) <= 47 * 960 - 312 && !ogg.is_truncated());
    // A page that is not there at all is noticed by its number.
    let (pieces, _) = read([headers(7), pages(7, 0..20, 49), pages(7, 21..50, 49)].concat());
    assert_eq!((end(&pieces), pieces[20].0), (50 * 960 - 312, 21 * 960 - 312));
}

#[test]
fn streams_in_a_chain_are_heard_one_after_the_other() {
    let one = |serial| [headers(serial), pages(serial, 0..50, 49)].concat();
    let (pieces, ogg) = read([one(7), one(8), one(9)].concat());
    assert_eq!((total(&pieces), end(&pieces), ogg.n_frames()), (3 * (50 * 960 - 312), 3 * (50 * 960 - 312), None));
}

#[test]
fn a_stream_that_was_recorded_from_its_middle_begins_at_once() {
    let (pieces, _) = read([headers(7), pages(7, 5_000..5_050, 9_999)].concat());
    assert_eq!(pieces[0].0, 0);
    assert_eq!(end(&pieces), 50 * 960 - 312);
}

#[test]
fn the_frames_behind_the_last_position_are_padding() {
    let last = page(4, 49 * 960 + 100, 7, 51, &SILENCE);
    let (pieces, ogg) = read([headers(7), pages(7, 0..49, 99), last].concat());
    assert_eq!((total(&pieces), ogg.is_truncated()), (49 * 960 + 100 - 312, false));
}

#[test]
fn a_stream_that_breaks_off_is_truncated() {
    let bytes = [headers(7), pages(7, 0..50, 49)].concat();
    assert!(read(bytes[..bytes.len() - 10].to_vec()).1.is_truncated());
}

#[test]
fn a_pipe_gives_the_same_sound() {
    let bytes = [headers(7), pages(7, 0..50, 49)].concat();
    let pipe = ReadOnlySource::new(Cursor::new(bytes));
    let mut ogg = Ogg::open(MediaSourceStream::new(Box::new(pipe), Default::default())).unwrap_or_else(|_| panic!());
    let (mut frames, mut out) = (0, Vec::new());
    while ogg.next(&mut out).unwrap().is_some() {
        frames += out.len();
    }
    assert_eq!((frames, ogg.n_frames()), (50 * 960 - 312, None));
}

#[test]
fn a_stream_of_something_else_is_named() {
    let refused =
        |head: &[u8]| Ogg::open(MediaSourceStream::new(Box::new(Cursor::new(page(2, 0, 7, 0, head))), Default::default())).err();
    assert_eq!(refused(b"Speex   1.2"), Some(Refusal::Codec("Speex".to_owned())));
    assert!(matches!(refused(b"\x80theora"), Some(Refusal::Broken(_))));
}
