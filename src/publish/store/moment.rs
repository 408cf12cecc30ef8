//! Times as people write them: `7d` ago, a day, or a time of day. It reads no clock.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The units of a time ago, in seconds.
const UNITS: [(&str, i64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// The time that a text means at the time `now` in `zone`.
///
/// # Errors
/// What to write, as a sentence.
pub fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let bad = || {
        format!(
            "{text:?} is no time; write 90m, 12h, 7d or 2w for so long ago, 2026-11-29, 2026-11-29T18:30, or 2026-11-29T18:30:00Z"
        )
    };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    if let Some((number, unit)) = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)))
        && let Ok(number) = number.parse::<u32>()
    {
        return now.checked_sub(SignedDuration::from_secs(i64::from(number) * unit)).map_err(|_| bad());
    }
    let at = match text.parse::<Date>() {
        Ok(day) if !text.contains(['T', ' ']) => day.at(0, 0, 0, 0),
        _ => text.parse::<DateTime>().map_err(|_| bad())?,
    };
    zone.to_timestamp(at).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let (now, zone) = ("2026-11-29T12:00:00Z".parse().unwrap(), TimeZone::fixed(jiff::tz::offset(2)));
        for (text, expected) in [
            ("7d", "2026-11-22T12:00:00Z"),
            ("2w", "2026-11-15T12:00:00Z"),
            ("90m", "2026-11-29T10:30:00Z"),
            ("2026-11-01", "2026-10-31T22:00:00Z"),
            ("2026-11-01T03:30", "2026-11-01T01:30:00Z"),
            ("2026-11-01 03:30:15", "2026-11-01T01:30:15Z"),
            ("2026-11-01T03:30:15Z", "2026-11-01T03:30:15Z"),
        ] {
            assert_eq!(moment(text, now, &zone), Ok(expected.parse().unwrap()), "{text}");
        }
        for text in ["", "7", "d", "-3d", "yesterday", "2026-13-01", "4000000000000w", "99999999w"] {
            assert!(moment(text, now, &zone).is_err_and(|said| said.contains("is no time; write")), "{text}");
        }
    }
}
