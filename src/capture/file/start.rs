//! The moment at which a recording began, as its metadata or its name says.
//!
//! | said by | as |
//! | --- | --- |
//! | the comment of an AudioMoth | `Recorded at 02:15:00 14/03/2026 (UTC+1)` |
//! | the chunk `bext` of a Broadcast WAV | a date, a time, and the samples since midnight |
//! | iXML | the same in elements |
//! | the name of the file | `20260314_021500.WAV`, with anything before and behind |
//!
//! Only the comment names its time zone.

use std::path::Path;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// The moment at which a recording began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The date and the time of day.
    pub at: DateTime,
    /// The offset from UTC; `None` where nothing names it.
    pub offset: Option<Offset>,
}

/// The start that a WAV's chunks tell: their names and bytes; `rate_hz` is the sample rate.
pub(super) fn of_chunks(chunks: &[([u8; 4], Vec<u8>)], rate_hz: u32) -> Option<Start> {
    let of = |name: &'static [u8; 4]| chunks.iter().filter(move |(other, _)| other == name).map(|(_, bytes)| bytes.as_slice());
    of(b"LIST")
        .find_map(comment)
        .or_else(|| of(b"bext").find_map(|bytes| bext(bytes, rate_hz)))
        .or_else(|| of(b"iXML").find_map(|bytes| ixml(&String::from_utf8_lossy(bytes))))
}

/// The start in the name of a file: eight digits of a date and six of a time, in one piece or with a mark between.
pub(super) fn of_name(path: &Path) -> Option<Start> {
    let name = path.file_name()?.to_string_lossy();
    let bytes = name.as_bytes();
    (0..bytes.len()).find_map(|from| {
        let digits = |from: usize, n: usize| bytes.get(from..from + n).filter(|part| part.iter().all(u8::is_ascii_digit));
        let is_alone = from == 0 || !bytes[from - 1].is_ascii_digit();
        let date = digits(from, 8).filter(|_| is_alone)?;
        let mark = usize::from(!bytes.get(from + 8)?.is_ascii_digit());
        let time = digits(from + 8 + mark, 6)?;
        let ends = !bytes.get(from + 14 + mark).is_some_and(u8::is_ascii_digit);
        let number = |part: &[u8]| part.iter().fold(0i16, |number, digit| number * 10 + i16::from(digit - b'0'));
        let date = Date::new(number(&date[..4]), number(&date[4..6]) as i8, number(&date[6..]) as i8).ok()?;
        let time = Time::new(number(&time[..2]) as i8, number(&time[2..4]) as i8, number(&time[4..]) as i8, 0).ok()?;
        // The `Z` of ISO 8601.
        let offset = (bytes.get(from + 14 + mark) == Some(&b'Z')).then_some(Offset::UTC);
        ends.then(|| Start { at: date.to_datetime(time), offset })
    })
}

/// The comment in a list of the kind INFO.
fn comment(list: &[u8]) -> Option<Start> {
    let mut rest = list.strip_prefix(b"INFO")?;
    while rest.len() >= 8 {
        let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
        let content = &rest[8..rest.len().min(8usize.saturating_add(length))];
        if rest.starts_with(b"ICMT") {
            return recorded_at(&String::from_utf8_lossy(content));
        }
        rest = rest.get(8usize.saturating_add(length).saturating_add(length % 2)..).unwrap_or_default();
    }
    None
}

/// An AudioMoth's `Recorded at 02:15:00 14/03/2026 (UTC-3:30) by AudioMoth …`; newer ones have milliseconds.
fn recorded_at(comment: &str) -> Option<Start> {
    let rest = &comment[comment.find("Recorded at ")? + "Recorded at ".len()..];
    let mut words = rest.split_whitespace();
    let time: Time = words.next()?.parse().ok()?;
    let date = words.next()?;
    let mut parts = date.split('/').map(|part| part.parse::<i16>().ok());
    let (day, month, year) = (parts.next()??, parts.next()??, parts.next()??);
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let zone = words.next().and_then(|word| word.strip_prefix("(UTC")?.split(')').next());
    let offset = zone.and_then(|zone| {
        let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "0"));
        let hours: i32 = if hours.is_empty() { 0 } else { hours.parse().ok()? };
        let minutes: i32 = minutes.parse().ok().filter(|minutes| (0..60).contains(minutes))?;
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        Offset::from_seconds(hours.checked_mul(3_600)? + sign * minutes * 60).ok()
    });
    Some(Start { at: date.to_datetime(time), offset })
}

/// The chunk of a Broadcast WAV. The samples since midnight are finer than its time, where both agree.
fn bext(bytes: &[u8], rate_hz: u32) -> Option<Start> {
    let text = |from: usize, n: usize| Some(String::from_utf8_lossy(bytes.get(from..from + n)?).into_owned());
    let at = date_and_time(&text(320, 10)?, &text(330, 8)?)?;
    let since_midnight = bytes.get(338..346).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)?;
    Some(Start { at: refined(at, since_midnight, rate_hz).unwrap_or(at), offset: None })
}

/// The time with the fraction of its second that the samples since midnight tell.
fn refined(at: DateTime, since_midnight: u64, rate_hz: u32) -> Option<DateTime> {
    let nanoseconds = u128::from(since_midnight) * 1_000_000_000 / u128::from(rate_hz.max(1));
    let fine = SignedDuration::from_nanos(i64::try_from(nanoseconds).ok()?);
    let fine = at.date().to_datetime(Time::midnight()).checked_add(fine).ok()?;
    let difference = fine.duration_since(at).abs();
    (difference < SignedDuration::from_secs(1)).then_some(fine)
}

fn ixml(text: &str) -> Option<Start> {
    let element = |name: &str| {
        let from = text.find(&format!("<{name}>"))? + name.len() + 2;
        Some(text[from..].split('<').next().unwrap_or_default().trim().to_owned())
    };
    let at = date_and_time(&element("BEXT_BWF_ORIGINATION_DATE")?, &element("BEXT_BWF_ORIGINATION_TIME")?)?;
    Some(Start { at, offset: None })
}

/// `2026-03-14` and `02:15:00`, with any marks between the numbers.
fn date_and_time(date: &str, time: &str) -> Option<DateTime> {
    let numbers = |text: &str| -> Option<[i16; 3]> {
        let parts: Vec<i16> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
        parts.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date)?, numbers(time)?);
    let small = |number: i16| i8::try_from(number).ok();
    let date = Date::new(year, small(month)?, small(day)?).ok()?;
    let time = Time::new(small(hour)?, small(minute)?, small(second)?, 0).ok()?;
    // A recorder without a clock writes its first day.
    (year > 1_980).then(|| date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(start: Option<Start>) -> Option<(String, Option<i32>)> {
        start.map(|start| (start.at.to_string(), start.offset.map(Offset::seconds)))
    }

    #[test]
    fn names_tell_a_date_and_a_time() {
        let of = |name: &str| told(of_name(Path::new(name))).map(|(at, offset)| format!("{at} {offset:?}"));
        for name in [
            "20260314_021500.WAV",
            "a/SMU01_20260314_021500.wav",
            "20260314T021500.flac",
            "x-20260314-021500_2.w64",
            "20260314021500",
        ] {
            assert_eq!(of(name).as_deref(), Some("2026-03-14T02:15:00 None"), "{name}");
        }
        assert_eq!(of("20260314T021500Z.wav").as_deref(), Some("2026-03-14T02:15:00 Some(0)"));
        for name in
            ["yard.wav", "20261314_021500.wav", "20260314_251500.wav", "120260314_021500.wav", "20260314_0215001.wav", "20260314"]
        {
            assert_eq!(of(name), None, "{name}");
        }
    }

    fn info(comment: &str) -> Vec<u8> {
        [b"INFOIART\x03\0\0\0abc\0ICMT", &(comment.len() as u32).to_le_bytes()[..], comment.as_bytes()].concat()
    }

    #[test]
    fn an_audiomoth_tells_its_time_zone() {
        let of = |comment: &str| told(of_chunks(&[(*b"LIST", info(comment))], 48_000));
        let at = "2026-03-14T02:15:00".to_owned();
        let by = "by AudioMoth 24F31901603710 at medium gain while battery was 4.5V.";
        for (zone, seconds) in [("UTC", 0), ("UTC+1", 3_600), ("UTC-3:30", -12_600), ("UTC+5:45", 20_700)] {
            assert_eq!(
                of(&format!("Recorded at 02:15:00 14/03/2026 ({zone}) {by}")),
                Some((at.clone(), Some(seconds))),
                "{zone}"
            );
        }
        let fine = of(&format!("Recorded at 02:15:00.250 14/03/2026 (UTC) {by}"));
        assert_eq!(fine, Some(("2026-03-14T02:15:00.25".to_owned(), Some(0))));
        assert_eq!(of("Recorded at noon"), None);
        assert_eq!(of("A dog"), None);
    }

    #[test]
    fn a_broadcast_wav_tells_it_to_the_sample() {
        let chunk =
            |date: &[u8; 10], time: &[u8; 8], since: u64| [&[0; 320][..], date, time, &since.to_le_bytes(), &[0; 256]].concat();
        let of = |bytes: Vec<u8>| told(of_chunks(&[(*b"bext", bytes)], 48_000)).map(|(at, _)| at);
        let since = (2 * 3_600 + 15 * 60) * 48_000 + 12_000;
        assert_eq!(of(chunk(b"2026-03-14", b"02:15:00", since)).as_deref(), Some("2026-03-14T02:15:00.25"));
        assert_eq!(of(chunk(b"2026:03:14", b"02-15-00", 7)).as_deref(), Some("2026-03-14T02:15:00"));
        assert_eq!(of(chunk(&[0; 10], &[0; 8], since)), None);
        assert_eq!(of(vec![0; 100]), None);
        let xml = "<BWFXML><BEXT><BEXT_BWF_ORIGINATION_DATE>2026-03-14</BEXT_BWF_ORIGINATION_DATE>\
                   <BEXT_BWF_ORIGINATION_TIME>02:15:00</BEXT_BWF_ORIGINATION_TIME></BEXT></BWFXML>";
        assert_eq!(told(of_chunks(&[(*b"iXML", xml.into())], 1)).map(|(at, _)| at).as_deref(), Some("2026-03-14T02:15:00"));
    }
}
