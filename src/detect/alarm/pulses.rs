//! The pulses of each band and of a few groups of bands: where a sound begins that is as loud throughout, and where it ends.
//!
//! Each channel follows its noise floor and switches with hysteresis: a pulse begins well above the floor, and ends where the level
//! has fallen by some decibels below the pulse's own, so that reverberation lengthens it by no more than the first few decibels
//! take. Every channel is followed at two paces: at the slow one a dip of less than a tenth of a second, as interference makes it in
//! a room, is part of a pulse; at the quick one it parts two. `bursts` tells where a sound at the slow pace is a burst of quick beeps in a room. A tone that moves on to other bands is no pulse of a band. Nothing
//! here says what a pulse means.

use super::bursts::Bursts;

/// How far a pulse must exceed the noise floor when it begins, in dB.
const ABOVE_FLOOR_DB: f32 = 10.0;
/// How far it must exceed the lowest level since the last pulse, in dB.
const RISE_DB: f32 = 5.0;
/// The fall below its own level that ends a pulse, in dB.
const FALL_DB: f32 = 7.0;
/// The greatest fall from one pulse to the next while the first one's echo may still sound, in dB.
const SAME_DB: f32 = 10.0;
/// No pulse is fainter than this: the level of a tone of -70 dBFS in the log-mel, in dB.
const FAINTEST_DB: f32 = -28.0;
/// A sound that lasts longer than this is no pulse: its level is the new noise floor. In seconds.
const LONGEST_S: f64 = 2.5;
/// The time after a pulse in which the next one must be as loud, in seconds.
const ECHO_S: f64 = 0.6;
/// A shorter pulse is the noise's own, in seconds.
const SHORTEST_S: f64 = 0.04;
/// The dip that ends a pulse at the slow pace, in seconds.
const SLOW_DIP_S: f64 = 0.1;
/// The dip that ends a pulse at the quick pace, in seconds.
const QUICK_DIP_S: f64 = 0.02;
/// The greatest decay of a pulse at the slow pace, in dB: bells and strings decay, alarms do not.
const DECAY_DB: f32 = 5.0;
/// A pulse is below its level for less than this part of its length.
const DIPPED_PART: f32 = 0.3;
/// A band within this distance that is nearly as loud when a pulse ends shows that the tone has moved, in bands.
const MOVES_BANDS: usize = 6;
/// The groups of neighbouring bands that are channels beside the bands themselves, as frequencies in Hz: a pulse may hold a sweep.
const GROUPS_HZ: [(f32, f32); 4] = [(350.0, 1_400.0), (1_000.0, 2_600.0), (2_000.0, 4_500.0), (350.0, 7_000.0)];
/// Bands below this hold no alarm, in Hz.
const LOWEST_HZ: f32 = 380.0;

/// The rate of the frames, by which times in seconds become numbers of frames.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    frames_per_s: f64,
}

impl Clock {
    pub fn new(frames_per_s: f64) -> Self {
        Self { frames_per_s }
    }

    /// The number of frames in a time.
    pub fn frames(self, seconds: f64) -> u64 {
        (seconds * self.frames_per_s).round() as u64
    }

    /// The time of a number of frames in seconds.
    pub fn seconds(self, frames: u64) -> f64 {
        frames as f64 / self.frames_per_s
    }
}

/// A step of a pulse; times are frames.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pulse {
    /// A pulse has lasted long enough to be none of the noise's own.
    Began { level_db: f32 },
    /// A pulse ended.
    Ended { start: u64, end: u64, level_db: f32 },
    /// A sound ended, or turned out, to be no pulse, because it lasts, moves or decays.
    Other { start: u64, end: u64, level_db: f32 },
}

/// The pace at which a channel is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Slow,
    Quick,
    /// Bursts of quick beeps, found at the slow pace.
    Burst,
}

/// The numbers of frames that hold for all channels at one pace.
#[derive(Debug, Clone, Copy)]
struct Limits {
    longest: u64,
    shortest: u64,
    echo: u64,
    dip: u64,
    /// A pulse that decays by more than this is none, in dB; `None` where any may.
    most_decay_db: Option<f32>,
}

/// The channels of one source.
#[derive(Debug)]
pub(super) struct Channels {
    /// The bands of which each channel takes the loudest, from the first to before the last.
    bands: Vec<(usize, usize)>,
    /// The followers of each channel, at the slow and at the quick pace.
    followers: Vec<[Follower; 2]>,
    limits: [Limits; 2],
    bursts: Bursts,
}

impl Channels {
    /// The channels of bands with these centres.
    pub fn new(centres_hz: &[f32], clock: Clock) -> Self {
        let first = centres_hz.partition_point(|hz| *hz < LOWEST_HZ);
        let mut bands: Vec<(usize, usize)> = (first..centres_hz.len()).map(|band| (band, band + 1)).collect();
        let place = |hz: f32| centres_hz.partition_point(|centre| *centre < hz);
        bands.extend(GROUPS_HZ.iter().map(|(low, high)| (place(*low), place(*high))).filter(|(from, to)| from + 1 < *to));
        let limits = [(SLOW_DIP_S, Some(DECAY_DB)), (QUICK_DIP_S, None)].map(|(dip_s, most_decay_db)| Limits {
            longest: clock.frames(LONGEST_S),
            shortest: clock.frames(SHORTEST_S),
            echo: clock.frames(ECHO_S),
            dip: clock.frames(dip_s),
            most_decay_db,
        });
        Self { followers: vec![[Follower::new(); 2]; bands.len()], bursts: Bursts::new(bands.len(), clock), bands, limits }
    }

    /// The number of channels.
    pub fn len(&self) -> usize {
        self.bands.len()
    }

    /// Follows frame `now` with these levels of the bands, and hands each step of a pulse to `take` with its channel.
    pub fn follow(&mut self, now: u64, levels: &[f32], mut take: impl FnMut(usize, Pace, Pulse)) {
        for (channel, ((from, to), followers)) in self.bands.iter().zip(&mut self.followers).enumerate() {
            let level_db = loudest(&levels[*from..*to]);
            self.bursts.remember(channel, now, level_db);
            let loudest_beside = || loudest(&levels[from.saturating_sub(MOVES_BANDS)..(to + MOVES_BANDS).min(levels.len())]);
            for ((follower, limits), pace) in followers.iter_mut().zip(&self.limits).zip([Pace::Slow, Pace::Quick]) {
                let Some(step) = follower.follow(now, level_db, limits, loudest_beside) else { continue };
                take(channel, pace, step);
                if pace == Pace::Slow {
                    take(channel, Pace::Burst, self.bursts.judge(channel, step));
                }
            }
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        self.followers.fill([Follower::new(); 2]);
    }
}

/// The level of the loudest band within sensible bounds. A level that is no number counts as silence.
fn loudest(levels: &[f32]) -> f32 {
    levels.iter().fold(-150.0, |loudest: f32, level| loudest.max(*level)).min(150.0)
}

/// The follower of one channel at one pace.
#[derive(Debug, Clone, Copy)]
struct Follower {
    floor_db: f32,
    is_new: bool,
    /// The first frame of the present pulse.
    start: Option<u64>,
    /// The level of the present pulse near its loudest.
    highest_db: f32,
    sum_db: f32,
    n_frames: u32,
    /// The sum of the levels, each weighted with its distance from the start.
    moment_db: f32,
    /// The sums of these distances and of their squares.
    distances: [f32; 2],
    /// The number of frames since the level has fallen.
    n_below: u64,
    /// Whether the tone moved on as the level fell.
    has_moved: bool,
    /// The end and the level of the last pulse; the level fades.
    ended: u64,
    last_db: f32,
    /// The lowest level since then.
    lowest_db: f32,
}

impl Follower {
    fn new() -> Self {
        Self {
            floor_db: 0.0,
            is_new: true,
            start: None,
            highest_db: 0.0,
            sum_db: 0.0,
            n_frames: 0,
            moment_db: 0.0,
            distances: [0.0; 2],
            n_below: 0,
            has_moved: false,
            ended: 0,
            last_db: f32::NEG_INFINITY,
            lowest_db: f32::INFINITY,
        }
    }

    fn follow(&mut self, now: u64, level_db: f32, limits: &Limits, loudest_beside: impl Fn() -> f32) -> Option<Pulse> {
        if self.is_new {
            // Nothing is known of the noise: the first frame may belong to a pulse.
            self.floor_db = level_db.min(FAINTEST_DB - ABOVE_FLOOR_DB);
            self.is_new = false;
        }
        match self.start {
            Some(start) => self.go_on(start, now, level_db, limits, loudest_beside),
            None => {
                self.wait(now, level_db, limits);
                None
            }
        }
    }

    /// Follows a frame of a pulse.
    fn go_on(&mut self, start: u64, now: u64, level_db: f32, limits: &Limits, loudest_beside: impl Fn() -> f32) -> Option<Pulse> {
        if level_db >= self.highest_db - FALL_DB {
            self.add(level_db, (now - start) as f32);
            // A single louder frame lifts the level by a little only.
            self.highest_db = self.highest_db.max(level_db.min(self.highest_db + 3.0));
            let lasted = now - start;
            if lasted >= limits.longest {
                let level_db = self.sum_db / self.n_frames as f32;
                (self.floor_db, self.start, self.last_db) = (level_db, None, f32::NEG_INFINITY);
                return Some(Pulse::Other { start, end: now, level_db });
            }
            return (lasted == limits.shortest).then_some(Pulse::Began { level_db: self.highest_db });
        }
        self.n_below += 1;
        if self.n_below == 2 {
            self.has_moved = loudest_beside() > self.highest_db - FALL_DB / 2.0;
        }
        if self.n_below < limits.dip.max(2) {
            return None;
        }
        let end = now + 1 - self.n_below;
        (self.start, self.lowest_db) = (None, level_db);
        if end - start < limits.shortest {
            return None;
        }
        (self.last_db, self.ended) = (self.highest_db, end);
        let level_db = self.sum_db / self.n_frames as f32;
        let is_whole = self.n_frames as f32 >= (1.0 - DIPPED_PART) * (end - start) as f32;
        let has_decayed = limits.most_decay_db.is_some_and(|most| self.decay_db((end - start) as f32) > most);
        Some(if is_whole && !self.has_moved && !has_decayed {
            Pulse::Ended { start, end, level_db }
        } else {
            Pulse::Other { start, end, level_db }
        })
    }

    fn add(&mut self, level_db: f32, distance: f32) {
        (self.sum_db, self.n_frames, self.n_below) = (self.sum_db + level_db, self.n_frames + 1, 0);
        self.moment_db += level_db * distance;
        self.distances = [self.distances[0] + distance, self.distances[1] + distance * distance];
    }

    /// The fall of the level over a pulse of this length, by the straight line that fits it best, in dB.
    fn decay_db(&self, length: f32) -> f32 {
        let n = self.n_frames as f32;
        let variance = self.distances[1] - self.distances[0] * self.distances[0] / n;
        let covariance = self.moment_db - self.distances[0] * self.sum_db / n;
        if variance > 0.0 { -covariance / variance * length } else { 0.0 }
    }

    /// Follows a frame outside of pulses.
    fn wait(&mut self, now: u64, level_db: f32, limits: &Limits) {
        if now > self.ended + limits.echo {
            self.last_db -= 0.3;
        }
        self.lowest_db = self.lowest_db.min(level_db);
        let gate = (self.floor_db + ABOVE_FLOOR_DB).max(self.last_db - SAME_DB).max(FAINTEST_DB);
        if level_db > gate && level_db > self.lowest_db + RISE_DB {
            self.start = Some(now);
            (self.highest_db, self.sum_db, self.n_frames) = (level_db, 0.0, 0);
            (self.moment_db, self.distances) = (0.0, [0.0; 2]);
            self.add(level_db, 0.0);
            return;
        }
        // The floor falls fast and rises slowly, and no tail of a pulse lifts it far.
        let rate = if level_db < self.floor_db { 0.1 } else { 0.02 };
        self.floor_db += (level_db - self.floor_db) * rate;
    }
}
