//! Hours of the week: the quiet hours, in which nothing is heard, with their end after a given moment, and the hours of a hook.
//!
//! They last whenever the local clock shows a time within them. So they may be shorter on a day when the clocks are set forward,
//! and longer, or come twice, on a day when they are set back. The moment and the time zone are arguments; nothing here reads a
//! clock.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::event::{Pause, PauseReason};
use crate::text::{did_you_mean, nearest};

const DAY_MIN: u32 = 24 * 60;
const WEEK_MIN: u32 = 7 * DAY_MIN;
/// The names of the days; the long ones are read too.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// The highest number of entries of a list, because each is checked once a second.
pub const MAX_ENTRIES: usize = 100;
/// The highest number of steps in the search for the end. Each change of the clocks takes one, and there are two a year.
const MAX_STEPS: usize = 100;

/// The times of the week at which nothing is heard; by default there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuietHours(Vec<Hours>);

/// An entry of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    /// The days on which it begins, from Monday.
    days: [bool; 7],
    /// Minutes after midnight, less than a day.
    from: u32,
    /// Minutes after midnight, at most a day; a time that is not after `from` is on the next day.
    to: u32,
}

impl QuietHours {
    /// Reads a list of entries such as `22:00-06:30` and `Mon-Fri 09:00-17:00`, and returns a sentence for each that cannot be
    /// read.
    pub fn parse(texts: &[String]) -> (Self, Vec<String>) {
        if texts.len() > MAX_ENTRIES {
            return (Self::default(), vec![format!("this has {} entries, but {MAX_ENTRIES} at most can be taken", texts.len())]);
        }
        let (mut hours, mut faults) = (Vec::new(), Vec::new());
        for text in texts {
            match Hours::parse(text) {
                Ok(read) => hours.push(read),
                Err(why) => faults.push(format!("{text:?} {why}")),
            }
        }
        (Self(hours), faults)
    }

    /// The entries in the form in which they are read.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    /// The pause at `now` in `zone`, with its end; `None` outside of quiet hours. Entries that touch or overlap are one pause.
    pub fn pause(&self, now: Timestamp, zone: &TimeZone) -> Option<Pause> {
        if self.left(zone.to_datetime(now)) == Some(0) {
            return None;
        }
        Some(Pause { reason: PauseReason::QuietHours, until: self.end(now, zone) })
    }

    /// Whether the local time at `now` is within these hours.
    pub fn has(&self, now: Timestamp, zone: &TimeZone) -> bool {
        self.left(zone.to_datetime(now)) != Some(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first moment after `now` that is outside of quiet hours.
    fn end(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = now;
        for _ in 0..MAX_STEPS {
            let shown = zone.to_datetime(at);
            let left_min = i64::from(self.left(shown)?);
            if left_min == 0 {
                return Some(at);
            }
            // This holds while the clock goes on evenly. After a change of the clocks the search goes on from the new local time.
            let into_minute_ns = i64::from(shown.second()) * 1_000_000_000 + i64::from(shown.subsec_nanosecond());
            let left = jiff::SignedDuration::from_nanos(left_min * 60_000_000_000 - into_minute_ns);
            let then = at.checked_add(left).ok()?;
            at = zone.following(at).next().map(|set| set.timestamp()).filter(|set| *set < then).unwrap_or(then);
        }
        None
    }

    /// The minutes of quiet hours that are left at the local time `shown`, its own minute included; 0 outside of quiet hours, and
    /// `None` if they fill the whole week.
    fn left(&self, shown: DateTime) -> Option<u32> {
        let day = shown.date().weekday().to_monday_zero_offset() as u32;
        let minute = day * DAY_MIN + shown.hour() as u32 * 60 + shown.minute() as u32;
        let mut left = 0;
        while left < WEEK_MIN {
            match self.0.iter().filter_map(|hours| hours.left((minute + left) % WEEK_MIN)).max() {
                Some(more) => left += more,
                None => return Some(left),
            }
        }
        None
    }
}

impl Hours {
    fn parse(text: &str) -> Result<Self, String> {
        let form = "is no time of day; write it as \"22:00-06:30\" or \"Mon-Fri 09:00-17:00\"";
        let begin = text.find(|letter: char| letter.is_ascii_digit()).ok_or(form)?;
        let (days, times) = text.split_at(begin);
        let (from, to) = times.split_once('-').ok_or(form)?;
        let (from, to) = (time(from).ok_or(form)?, time(to).ok_or(form)?);
        if from == DAY_MIN {
            return Err("begins at 24:00; write 00:00 of the next day".to_owned());
        }
        if from == to {
            return Err("ends when it begins; write 00:00-24:00 for the whole day".to_owned());
        }
        Ok(Self { days: read_days(days.trim())?, from, to })
    }

    fn length(&self) -> u32 {
        if self.to > self.from { self.to - self.from } else { self.to + DAY_MIN - self.from }
    }

    /// The minutes that are left of this entry at a minute of the week; `None` outside of it.
    fn left(&self, minute: u32) -> Option<u32> {
        let begins = (0..7).filter(|day| self.days[*day as usize]).map(|day| day * DAY_MIN + self.from);
        begins
            .filter_map(|begin| self.length().checked_sub((minute + WEEK_MIN - begin) % WEEK_MIN))
            .filter(|left| *left > 0)
            .max()
    }
}

/// Minutes after midnight.
fn time(text: &str) -> Option<u32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let is_number =
        |part: &str, least: usize| (least..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hour, 1) || !is_number(minute, 2) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= DAY_MIN).then_some(hour * 60 + minute)
}

/// Reads days such as `Mon-Fri` and `Sat,Sun`; an empty text means every day.
fn read_days(text: &str) -> Result<[bool; 7], String> {
    if text.is_empty() {
        return Ok([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (read_day(first)?, read_day(last)?);
        // A range such as Fri-Mon crosses the end of the week.
        for step in 0..=(last + 7 - first) % 7 {
            days[(first + step) % 7] = true;
        }
    }
    Ok(days)
}

fn read_day(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let place = |days: [&str; 7]| days.iter().position(|day| day.eq_ignore_ascii_case(text));
    place(DAYS).or_else(|| place(LONG_DAYS)).ok_or_else(|| {
        let hint = did_you_mean(nearest(text, DAYS));
        format!("names a day {text:?}, but the days are {}{hint}", DAYS.join(", "))
    })
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != [true; 7] {
            let named = DAYS.iter().zip(self.days).filter(|(_, is_named)| *is_named).map(|(day, _)| *day);
            write!(f, "{} ", named.collect::<Vec<_>>().join(","))?;
        }
        let Self { from, to, .. } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests;
