//! Trains of pulses: the three of half a second of an evacuation signal (ISO 8201), and the four of a tenth of a second of a carbon
//! monoxide alarm.
//!
//! A train is complete once the pulse that would come next has not come. Regular beeps, however many, are no train, and neither is
//! one that other pulses precede too closely: a telephone, an alarm clock or a reversing lorry never is one for longer than its
//! first beeps. One machine serves one channel, and knows nothing of the others.

use super::pulses::{Clock, Pace, Pulse};

/// The numbers of one kind of train; times are seconds.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// The pace at which its pulses are followed.
    pace: Pace,
    /// The number of pulses in a train.
    n_pulses: u32,
    /// The length of a pulse, from and to.
    length_s: (f64, f64),
    /// The distance of the beginnings of two pulses, from and to.
    period_s: (f64, f64),
    /// The greatest difference of two distances within a train.
    jitter_s: f64,
    /// The silence after the last pulse's period that completes a train.
    wait_s: f64,
    /// The pause before a train, at the least.
    pause_s: f64,
    /// The distance of the beginnings of one train's last pulse and the next train's first, from and to.
    next_s: (f64, f64),
    /// The strength while the second and the third pulse have come, of one complete train, and of several.
    strengths: [f32; 4],
}

const TEMPORAL_3: Kind = Kind {
    pace: Pace::Slow,
    n_pulses: 3,
    length_s: (0.39, 0.66),
    period_s: (0.88, 1.12),
    jitter_s: 0.06,
    wait_s: 0.07,
    pause_s: 0.85,
    next_s: (1.75, 2.3),
    strengths: [0.0, 0.1, 0.7, 1.0],
};

const TEMPORAL_4: Kind = Kind {
    pace: Pace::Quick,
    n_pulses: 4,
    length_s: (0.05, 0.175),
    period_s: (0.16, 0.25),
    jitter_s: 0.03,
    wait_s: 1.5,
    pause_s: 1.6,
    next_s: (4.0, 6.5),
    strengths: [0.0, 0.1, 0.6, 1.0],
};

/// The same four pulses where the echo of each lasts until the next: one burst.
const TEMPORAL_4_IN_A_ROOM: Kind = Kind {
    pace: Pace::Burst,
    n_pulses: 1,
    length_s: (0.6, 0.9),
    period_s: (0.0, 0.0),
    jitter_s: 0.0,
    wait_s: 2.2,
    pause_s: 1.6,
    next_s: (4.6, 6.5),
    strengths: [0.0, 0.1, 0.6, 1.0],
};

/// The number of kinds of trains.
pub(super) const N_KINDS: usize = 3;

/// The greatest difference of the levels of two pulses of a train, in dB.
const SAME_DB: f32 = 5.0;
/// A pulse that is fainter than the train's by more than this does not disturb it, in dB.
const FAINTER_DB: f32 = 12.0;

/// A pulse in the pause before a train is none of its own if it is fainter by this, in dB.
const DISTURBING_DB: f32 = 8.0;
/// The number of pulses that are remembered for the pause before a train.
const N_HEARD: usize = 8;
/// Two channels whose pulses begin within a period and this time hear the same train, in seconds.
const SAME_TRAIN_S: f64 = 0.1;

/// The trains of one channel.
#[derive(Debug, Clone)]
pub(super) struct Trains {
    clock: Clock,
    machines: [Machine; N_KINDS],
}

/// A train of one kind.
#[derive(Debug, Clone, Copy)]
struct Machine {
    kind: Kind,
    /// The pulses of the present train; 0 while none goes on.
    count: u32,
    last: u64,
    /// The distance of the newest two pulses.
    period: u64,
    level_db: f32,
    /// The ends and levels of the newest pulses, whatever they were; they take turns.
    heard: [(u64, f32); N_HEARD],
    n_heard: usize,
    /// Whether a pulse goes on.
    is_on: bool,
    is_complete: bool,
    /// The number of complete trains that followed each other.
    n_trains: u32,
    /// The moment up to which the recognised pattern holds, as a frame.
    until: u64,
    held: f32,
}

impl Trains {
    pub fn new(clock: Clock) -> Self {
        let machine = |kind| Machine {
            kind,
            count: 0,
            last: 0,
            period: 0,
            level_db: 0.0,
            heard: [(0, f32::NEG_INFINITY); N_HEARD],
            n_heard: 0,
            is_on: false,
            is_complete: false,
            n_trains: 0,
            until: 0,
            held: 0.0,
        };
        Self { clock, machines: [machine(TEMPORAL_3), machine(TEMPORAL_4), machine(TEMPORAL_4_IN_A_ROOM)] }
    }

    /// Takes a step of a pulse at frame `now`, as it was found at this pace.
    pub fn take(&mut self, now: u64, pace: Pace, pulse: Pulse) {
        let clock = self.clock;
        self.machines.iter_mut().filter(|machine| machine.kind.pace == pace).for_each(|machine| machine.take(now, pulse, clock));
    }

    /// For each kind of train, the beginning of the newest pulse of one that has more pulses than a train, or is getting one more.
    pub fn going_on(&self) -> [Option<u64>; N_KINDS] {
        self.machines.map(|machine| {
            let n_pulses = machine.kind.n_pulses;
            (machine.count > n_pulses || machine.count == n_pulses && machine.is_on).then_some(machine.last)
        })
    }

    /// The strength of the evidence after frame `now`, 0…1. `going_on` says of each kind of train which one goes on in another
    /// channel, so that it is not complete in this one either.
    pub fn strength(&mut self, now: u64, going_on: &[Option<u64>; N_KINDS]) -> f32 {
        let clock = self.clock;
        let machines = self.machines.iter_mut().zip(going_on);
        machines.map(|(machine, going_on)| machine.strength(now, *going_on, clock)).fold(0.0, f32::max)
    }

    pub fn reset(&mut self) {
        *self = Self::new(self.clock);
    }
}

impl Machine {
    fn take(&mut self, now: u64, pulse: Pulse, clock: Clock) {
        match pulse {
            Pulse::Began { level_db } => {
                self.is_on = self.count == 0 || level_db > self.level_db - FAINTER_DB;
            }
            Pulse::Other { level_db, .. } => {
                self.is_on = false;
                if self.count == 0 || level_db > self.level_db - FAINTER_DB {
                    self.spoil();
                }
                self.hear(now, level_db);
            }
            Pulse::Ended { start, end, level_db } => {
                self.is_on = false;
                if self.count == 0 || level_db > self.level_db - FAINTER_DB {
                    self.take_pulse(start, end, level_db, clock);
                }
                self.hear(end, level_db);
            }
        }
    }

    fn take_pulse(&mut self, start: u64, end: u64, level_db: f32, clock: Clock) {
        let within = |frames: u64, range: (f64, f64)| (range.0..=range.1).contains(&clock.seconds(frames));
        if !within(end - start, self.kind.length_s) {
            self.spoil();
            return;
        }
        let since = start - self.last.min(start);
        let is_alike = self.count > 0 && (level_db - self.level_db).abs() <= SAME_DB;
        let is_even = self.count < 2 || clock.seconds(since.abs_diff(self.period)) <= self.kind.jitter_s;
        let is_next = is_alike && self.is_complete && within(since, self.kind.next_s);
        let is_further = is_alike && !self.is_complete && is_even && within(since, self.kind.period_s);
        if is_further {
            (self.count, self.period) = (self.count + 1, since);
        } else if is_next {
            (self.count, self.is_complete) = (1, false);
        } else {
            let quiet_from = start.saturating_sub(clock.frames(self.kind.pause_s));
            let is_first = self.heard.iter().all(|(end, level)| *end <= quiet_from || *level < level_db - DISTURBING_DB);
            (self.n_trains, self.until, self.is_complete) = (0, 0, false);
            self.count = u32::from(is_first);
        }
        (self.last, self.level_db) = (start, level_db);
        if self.count > self.kind.n_pulses {
            (self.n_trains, self.until) = (0, 0);
        } else if self.n_trains > 0 {
            // The pattern goes on, so that it holds until the next pulse has come or the train is complete.
            self.until = self.until.max(end + clock.frames(self.kind.period_s.1 + self.kind.wait_s + 0.1));
        }
    }

    /// Ends the present train: a sound came that does not belong to it.
    fn spoil(&mut self) {
        (self.count, self.is_complete, self.n_trains, self.until) = (0, false, 0, 0);
    }

    /// Remembers that a pulse of this level ended.
    fn hear(&mut self, end: u64, level_db: f32) {
        self.heard[self.n_heard % N_HEARD] = (end, level_db);
        self.n_heard += 1;
    }

    fn strength(&mut self, now: u64, going_on: Option<u64>, clock: Clock) -> f32 {
        let Kind { n_pulses, wait_s, next_s, strengths, .. } = self.kind;
        if self.count == 0 && now > self.until {
            return 0.0;
        }
        let is_due = now >= self.last + self.period + clock.frames(wait_s);
        let goes_on =
            self.is_on || going_on.is_some_and(|last| last.abs_diff(self.last) < self.period + clock.frames(SAME_TRAIN_S));
        if self.count == n_pulses && !self.is_complete && is_due && !goes_on {
            self.is_complete = true;
            self.n_trains += 1;
            self.held = strengths[(1 + self.n_trains as usize).min(3)];
            self.until = self.last + clock.frames(next_s.1 + self.kind.length_s.1);
        }
        let early = match self.count {
            count if count > n_pulses || self.is_complete => 0.0,
            count if count == n_pulses => strengths[1],
            count if count + 1 == n_pulses => strengths[0],
            _ => 0.0,
        };
        if now <= self.until { self.held.max(early) } else { early }
    }
}
