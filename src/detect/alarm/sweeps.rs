//! Sweeps: the alarms that are told by their pitch.
//!
//! - DIN 33404-3: a fall from 1200 to 500 Hz in one second, again and again.
//! - The slow whoop: a rise from 500 to 1200 Hz in 3.5 s, a pause of half a second, again.
//! - BS 5839: two tones of 800 and 970 Hz in turn, or a sweep between the two, one to seven times a second.
//!
//! A siren is none of them: its pitch rises and falls without a jump, or alternates between tones that lie further apart.

use super::glides::Glide;
use super::pulses::Clock;

/// The strength of a pattern that is likely, of one that is nearly sure, and of one that is sure.
const LIKELY: f32 = 0.3;
const NEARLY: f32 = 0.65;
const SURE: f32 = 1.0;

/// The distance of two falls in seconds; an echo may hide the beginning of one.
const FALL_PERIOD_S: std::ops::RangeInclusive<f64> = 0.84..=1.16;
/// The rise of a slow whoop, in Hz a second.
const WHOOP_HZ_A_S: f64 = 200.0;
/// The slowest rise of a whoop so far, in Hz a second.
const LOWEST_RISE_HZ: f64 = 180.0;

/// A row of alike glides.
#[derive(Debug, Clone, Copy, Default)]
struct Row {
    count: u32,
    /// The first frame of the row.
    first: u64,
    /// The newest glide's beginning and end.
    start: u64,
    end: u64,
    /// The beginning of the one before, and the distance of the newest from the one before that.
    before: u64,
    period: u64,
    /// The pitch at the beginning and at the end of the newest glide in Hz.
    from_hz: f32,
    to_hz: f32,
}

/// The sweeps of one source.
#[derive(Debug)]
pub(super) struct Sweeps {
    clock: Clock,
    falls: Row,
    whoops: Row,
    warbles: Row,
    turns: Row,
    /// The first frame of the present glide, and how many of its frames were not on the line of a slow whoop.
    whoop_start: u64,
    n_off: u64,
    /// The last glide that ended.
    last: Option<Glide>,
    /// The moment up to which a pattern holds, as a frame, and its strength.
    until: u64,
    held: f32,
}

impl Sweeps {
    pub fn new(clock: Clock) -> Self {
        let row = Row::default();
        Self {
            clock,
            falls: row,
            whoops: row,
            warbles: row,
            turns: row,
            whoop_start: 0,
            n_off: 0,
            last: None,
            until: 0,
            held: 0.0,
        }
    }

    /// Takes a glide that has ended.
    pub fn take(&mut self, glide: &Glide) {
        let seconds = self.clock.seconds(glide.end - glide.start);
        self.take_fall(glide, seconds);
        self.take_whoop(glide, seconds);
        self.take_warble(glide, seconds);
        self.take_turn(glide, seconds);
        // Shorter ones are the noise's own.
        if seconds >= 0.2 {
            self.last = Some(*glide);
        }
    }

    /// The strength of the evidence after frame `now`, while the tone glides as `current` says, 0…1.
    pub fn strength(&mut self, now: u64, current: Option<&Glide>) -> f32 {
        let mut strength = if now <= self.until { self.held } else { 0.0 };
        let Some(glide) = current else { return strength };
        let seconds = self.clock.seconds(glide.end - glide.start);
        if self.falls.count > 0 && seconds >= 0.5 && self.is_fall_so_far(glide, seconds) {
            strength = strength.max(NEARLY);
        }
        self.follow_whoop(glide, seconds);
        if seconds >= 1.8 && self.is_whoop_so_far(glide, seconds, LOWEST_RISE_HZ) {
            let whoop = if self.whoops.count > 0 { SURE } else { NEARLY };
            if seconds >= 2.6 || self.whoops.count > 0 {
                self.hold(glide.end, 0.5, whoop);
                strength = strength.max(whoop);
            } else {
                strength = strength.max(LIKELY);
            }
        }
        strength
    }

    pub fn reset(&mut self) {
        *self = Self::new(self.clock);
    }

    fn hold(&mut self, end: u64, seconds: f64, strength: f32) {
        let until = end + self.clock.frames(seconds);
        // A weaker pattern does not take the place of a stronger one that still holds.
        self.held = if end <= self.until { self.held.max(strength) } else { strength };
        self.until = self.until.max(until);
    }

    fn take_fall(&mut self, glide: &Glide, seconds: f64) {
        let ratio = glide.from_hz / glide.to_hz;
        let is_fall = (0.78..=1.12).contains(&seconds)
            && (1.75..=2.9).contains(&ratio)
            && (950.0..=1_400.0).contains(&glide.from_hz)
            && (430.0..=680.0).contains(&glide.to_hz);
        if !is_fall {
            return;
        }
        let period = self.clock.seconds(glide.start.saturating_sub(self.falls.start));
        let is_next = self.falls.count > 0 && FALL_PERIOD_S.contains(&period);
        // One fall may have been missed.
        let is_after_next = self.falls.count > 1 && (1.85..=2.15).contains(&period);
        self.falls.count = if is_next || is_after_next { self.falls.count + 1 } else { 1 };
        (self.falls.start, self.falls.end) = (glide.start, glide.end);
        let (seconds, strength) = if self.falls.count > 1 { (1.5, SURE) } else { (0.6, LIKELY) };
        self.hold(glide.end, seconds, strength);
    }

    /// Whether the present glide falls as the second half of a pair of falls does.
    fn is_fall_so_far(&self, glide: &Glide, seconds: f64) -> bool {
        let period = self.clock.seconds(glide.start.saturating_sub(self.falls.start));
        let rate = f64::from(glide.from_hz - glide.to_hz) / seconds;
        FALL_PERIOD_S.contains(&period) && (950.0..=1_400.0).contains(&glide.from_hz) && (450.0..=1_000.0).contains(&rate)
    }

    /// Counts the frames of the present glide that are not on the line of a slow whoop.
    fn follow_whoop(&mut self, glide: &Glide, seconds: f64) {
        if glide.start != self.whoop_start {
            (self.whoop_start, self.n_off) = (glide.start, 0);
        }
        let expected_hz = glide.from_hz + (WHOOP_HZ_A_S * seconds) as f32;
        self.n_off += u64::from((glide.to_hz / expected_hz - 1.0).abs() > 0.07);
    }

    /// Whether a glide rises as a slow whoop does, from silence or after a jump.
    fn is_whoop_so_far(&self, glide: &Glide, seconds: f64, lowest: f64) -> bool {
        let rate = f64::from(glide.to_hz - glide.from_hz) / seconds;
        let is_turn = self.last.is_some_and(|last| {
            self.clock.seconds(glide.start.saturating_sub(last.end)) < 0.15 && (last.to_hz / glide.from_hz - 1.0).abs() < 0.15
        });
        let is_straight = glide.start == self.whoop_start && self.n_off * 10 <= glide.end - glide.start;
        !is_turn && is_straight && (440.0..=570.0).contains(&glide.from_hz) && (lowest..=222.0).contains(&rate)
    }

    fn take_whoop(&mut self, glide: &Glide, seconds: f64) {
        // An echo keeps its last pitch for a while, which makes it flatter.
        let is_whoop = (2.9..=4.1).contains(&seconds)
            && (1_000.0..=1_350.0).contains(&glide.to_hz)
            && self.is_whoop_so_far(glide, seconds, 0.9 * LOWEST_RISE_HZ);
        if !is_whoop {
            return;
        }
        let period = self.clock.seconds(glide.start.saturating_sub(self.whoops.start));
        self.whoops.count = if self.whoops.count > 0 && (3.6..=4.6).contains(&period) { self.whoops.count + 1 } else { 1 };
        self.whoops.start = glide.start;
        // The pattern holds over the pause, and until the next whoop has come far enough.
        self.hold(glide.end, if self.whoops.count > 1 { 3.0 } else { 2.6 }, SURE);
    }

    /// Takes one of the sweeps between 800 and 970 Hz that follow each other at once.
    fn take_warble(&mut self, glide: &Glide, seconds: f64) {
        let (low, high) = (glide.from_hz.min(glide.to_hz), glide.from_hz.max(glide.to_hz));
        let is_warble = (0.07..=1.1).contains(&seconds)
            && (740.0..=880.0).contains(&low)
            && (880.0..=1_040.0).contains(&high)
            && high / low >= 1.13;
        if !is_warble {
            if seconds >= 0.06 {
                self.warbles.count = 0;
            }
            return;
        }
        let is_next = self.warbles.count > 0 && self.clock.seconds(glide.start.saturating_sub(self.warbles.end)) <= 0.06;
        // A vibrato turns where a warble jumps back.
        let is_alike = is_near(glide.to_hz, self.warbles.to_hz) && is_near(glide.from_hz, self.warbles.from_hz);
        if is_next && is_alike {
            self.warbles.count += 1;
        } else {
            (self.warbles.count, self.warbles.first) = (1, glide.start);
        }
        (self.warbles.start, self.warbles.end) = (glide.start, glide.end);
        (self.warbles.from_hz, self.warbles.to_hz) = (glide.from_hz, glide.to_hz);
        let whole = self.clock.seconds(glide.end - self.warbles.first);
        if self.warbles.count >= 2 && whole >= 1.8 {
            self.hold(glide.end, seconds + 0.6, if self.warbles.count >= 3 { SURE } else { NEARLY });
        }
    }

    /// Takes one of two tones in turn. An echo may make the lower one longer, so that only the distance of two alike tones counts.
    fn take_turn(&mut self, glide: &Glide, seconds: f64) {
        let is_steady = (glide.from_hz / glide.to_hz - 1.0).abs() < 0.05;
        let is_tone = is_steady && (0.1..=1.1).contains(&seconds) && (740.0..=1_040.0).contains(&glide.to_hz);
        if !is_tone {
            return;
        }
        let ratio = (glide.to_hz / self.turns.to_hz).max(self.turns.to_hz / glide.to_hz);
        let is_next = self.turns.count > 0 && self.clock.seconds(glide.start.saturating_sub(self.turns.end)) <= 0.12;
        let period = glide.start - self.turns.before.min(glide.start);
        // Each of the two takes half of the time, with the echo a third at the least.
        let part = (glide.start - self.turns.start.min(glide.start)) as f64 / period.max(1) as f64;
        let is_even = (self.turns.count < 2 || (0.32..=0.68).contains(&part))
            && (self.turns.count < 3 || (0.85..=1.18).contains(&(period as f64 / self.turns.period.max(1) as f64)));
        if is_next && is_even && (1.16..=1.26).contains(&ratio) {
            self.turns.count += 1;
        } else {
            (self.turns.count, self.turns.first) = (1, glide.start);
        }
        (self.turns.before, self.turns.period) = (self.turns.start, period);
        (self.turns.start, self.turns.end, self.turns.to_hz) = (glide.start, glide.end, glide.to_hz);
        if self.turns.count >= 4 {
            self.hold(glide.end, seconds + 0.6, if self.turns.count >= 6 { SURE } else { NEARLY });
        }
    }
}

/// Whether two pitches are the same within the accuracy of their measurement.
fn is_near(a_hz: f32, b_hz: f32) -> bool {
    (a_hz / b_hz - 1.0).abs() < 0.06
}
