//! The state machine of one rule: a score for each window in, begin, rising peak and end of events out.
//!
//! Hysteresis (threshold and release), confirmation (k of n windows), least and greatest duration, hang-over and cool-down.
//! It sees sample indices only: the same scores give the same events, live or from a recording.

use std::collections::VecDeque;

use super::scoring::Moment;
use crate::config::Gate;
use crate::event::EndReason;

/// How much a peak must rise to be told.
const PEAK_STEP: f32 = 0.02;

/// What happened to an event; times are sample indices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// An event began.
    Start(Heard),
    /// Its score rose to a new peak.
    Update(Heard),
    /// It ended.
    End {
        /// The event as it was.
        heard: Heard,
        /// When the sound ended; after its onset.
        offset: u64,
        /// Why the event ended.
        reason: EndReason,
    },
}

/// An event as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// When the sound began, as a sample index.
    pub onset: u64,
    /// The score of the newest window, 0…1.
    pub score: f32,
    /// The highest score so far, 0…1.
    pub peak_score: f32,
    /// The threshold in force, 0…1.
    pub threshold: f32,
}

impl Step {
    /// The event that it is about.
    pub fn heard(&self) -> &Heard {
        match self {
            Step::Start(heard) | Step::Update(heard) | Step::End { heard, .. } => heard,
        }
    }

    /// From the onset to the offset, or to `now` while the sound lasts.
    pub fn span(&self, now: u64) -> (u64, u64) {
        match self {
            Step::Start(heard) | Step::Update(heard) => (heard.onset, now),
            Step::End { heard, offset, .. } => (heard.onset, *offset),
        }
    }
}

/// The gate in samples.
#[derive(Debug, Clone, Copy)]
struct Limits {
    min: u64,
    max: Option<u64>,
    hangover: u64,
    cooldown: u64,
    /// The least time between two updates.
    update: u64,
}

/// The state machine of one rule.
#[derive(Debug, Clone)]
pub struct Tracker {
    gate: Gate,
    limits: Limits,
    hop: u64,
    state: State,
    /// For each of the last n windows, where a rise in it would lie, or `None` where it was below the threshold.
    recent: VecDeque<Option<u64>>,
    /// No event begins before this: the end of the last one.
    free_from: u64,
    /// No event is announced before this: the end of the cool-down.
    quiet_until: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nothing is heard.
    Idle,
    /// Confirmed, but not yet as long as an event must be.
    Pending { heard: Heard },
    /// An event is open.
    Active {
        heard: Heard,
        /// Where the sound ended if the score stays below the release threshold.
        falling: Option<u64>,
        told_peak: f32,
        told_at: u64,
    },
}

impl Tracker {
    /// A tracker for `gate` over windows that come every `hop_samples`.
    pub fn new(gate: Gate, hop_samples: u64, sample_rate_hz: u32) -> Self {
        let samples = |milliseconds: u64| milliseconds.saturating_mul(u64::from(sample_rate_hz)) / 1000;
        Self {
            gate,
            limits: Limits {
                min: samples(gate.min_duration_ms),
                max: gate.max_duration_ms.map(samples),
                hangover: samples(gate.hangover_ms),
                cooldown: samples(gate.cooldown_ms),
                update: u64::from(sample_rate_hz),
            },
            hop: hop_samples,
            state: State::Idle,
            recent: VecDeque::with_capacity(gate.confirm_n + 1),
            free_from: 0,
            quiet_until: 0,
        }
    }

    /// Whether an event is open.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Active { .. })
    }

    /// Takes the score of the next window, and tells what follows from it.
    pub fn push(&mut self, moment: Moment, score: f32, mut tell: impl FnMut(Step)) {
        let hit = score >= self.gate.threshold;
        if self.recent.len() == self.gate.confirm_n {
            self.recent.pop_front();
        }
        self.recent.push_back(hit.then_some(moment.rise));
        match self.state {
            State::Idle => self.confirm(moment, score, &mut tell),
            State::Pending { heard } if score < self.gate.release => {
                // It ended before it was long enough to be reported: nobody was told of it.
                self.state = State::Idle;
                self.free_from = self.free_from.max(heard.onset);
            }
            State::Pending { mut heard } => {
                heard.score = score;
                heard.peak_score = heard.peak_score.max(score);
                self.begin(heard, moment, &mut tell);
            }
            State::Active { .. } => self.follow(moment, score, &mut tell),
        }
    }

    /// Ends the open event, if there is one, at the sample index `now` at the latest.
    pub fn finish(&mut self, now: u64, reason: EndReason) -> Option<Step> {
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.recent.clear();
        let State::Active { heard, falling, .. } = state else { return None };
        Some(self.end(heard, falling.unwrap_or(now).min(now), reason))
    }

    /// Begins an event once k of the last n windows reached the threshold.
    fn confirm(&mut self, moment: Moment, score: f32, tell: &mut impl FnMut(Step)) {
        let hits = self.recent.iter().flatten().count();
        if hits < self.gate.confirm_k || score < self.gate.threshold || moment.rise < self.quiet_until {
            return;
        }
        let Some(first) = self.recent.iter().flatten().next() else { return };
        let heard = Heard { onset: (*first).max(self.free_from), score, peak_score: score, threshold: self.gate.threshold };
        self.begin(heard, moment, tell);
    }

    /// Tells of an event if it is long enough by now, or keeps it pending.
    fn begin(&mut self, heard: Heard, moment: Moment, tell: &mut impl FnMut(Step)) {
        if moment.rise.saturating_sub(heard.onset) < self.limits.min {
            self.state = State::Pending { heard };
            return;
        }
        self.state = State::Active { heard, falling: None, told_peak: heard.peak_score, told_at: moment.rise };
        tell(Step::Start(heard));
    }

    /// Follows an open event to its peak or its end.
    fn follow(&mut self, moment: Moment, score: f32, tell: &mut impl FnMut(Step)) {
        let State::Active { heard, falling, told_peak, told_at } = &mut self.state else { return };
        heard.score = score;
        heard.peak_score = heard.peak_score.max(score);
        if score >= self.gate.release {
            *falling = None;
        } else {
            let fell_at = *falling.get_or_insert(moment.fall);
            if moment.fall.saturating_sub(fell_at) >= self.limits.hangover {
                let heard = *heard;
                self.state = State::Idle;
                tell(self.end(heard, fell_at, EndReason::Decay));
                return;
            }
        }
        if self.limits.max.is_some_and(|max| moment.rise.saturating_sub(heard.onset) >= max) {
            let heard = *heard;
            self.state = State::Idle;
            let step = self.end(heard, moment.rise, EndReason::MaxDuration);
            // The sound goes on: its next event begins where this one ended, without a cool-down.
            self.quiet_until = 0;
            tell(step);
            return;
        }
        if heard.peak_score >= *told_peak + PEAK_STEP && moment.rise.saturating_sub(*told_at) >= self.limits.update {
            *told_peak = heard.peak_score;
            *told_at = moment.rise;
            tell(Step::Update(*heard));
        }
    }

    fn end(&mut self, heard: Heard, offset: u64, reason: EndReason) -> Step {
        // A sound shorter than the window's grain has its estimated end before its estimated onset; it lasted one hop at least.
        let offset = offset.max(heard.onset + self.hop);
        self.free_from = offset;
        self.quiet_until = offset + self.limits.cooldown;
        Step::End { heard, offset, reason }
    }
}

#[cfg(test)]
mod tests;
