//! The tracker of one rule, a state machine: the causal score announces events at once, and the segments of the confirmed score
//! confirm them, refine them and end them (`confirm`).
//!
//! A tracker has two clocks. One is now, when a sound is announced; the other is the moment that the confirmed score has come to,
//! about a window earlier. An event that no segment confirms ends as `Unconfirmed`. The tracker sees sample indices alone, so
//! that the same scores give the same events, live or from a recording. Every start has exactly one end.
//!
//! Of the events of a rule that are open, one is told at a time. A sound that is announced while another event of the rule is
//! open is told when that one has ended, and only if the confirmed score has borne it out.

mod confirm;

use std::collections::VecDeque;

use super::boundaries::Boundary;
use super::standing::Standing;
use super::step::{EventSoFar, Step, TrackerStep};
use crate::detect::rule::Gate;
use crate::event::EndReason;

pub use confirm::PlacedSegment;

/// The least rise of the peak score that is reported as an update.
const PEAK_STEP: f32 = 0.02;
/// The time that the confirmed score has to confirm an event, once it has come to the moment of the announcement, in
/// milliseconds.
const PATIENCE_MS: u64 = 500;
/// The part of the start threshold below which a causal score means that the sound is over.
const OVER: f32 = 0.5;
/// The duration of a sound so far, divided by this, is the longest gap that is bridged in it.
pub(super) const BRIDGED_PART: u64 = 5;
/// The longest gap that is bridged in a sound, in milliseconds, unless it is one that comes back.
pub(super) const LONGEST_BRIDGE_MS: u64 = 15_000;
/// The longest gap that is bridged in a sound that comes back, in milliseconds.
const RETURN_BRIDGE_MS: u64 = 90_000;
/// A sound comes back where the rule's earlier events lasted so long in all, in milliseconds …
const RETURNS_MS: u64 = 20_000;
/// … of which one that ended so long ago counts for 1/e, in milliseconds …
const FORGOTTEN_MS: u64 = 300_000;
/// … and a shorter one than this does not count: a bark or a doorbell is an event of its own each time, in milliseconds.
const COUNTS_MS: u64 = 5_000;
/// The time without a causal score of the sound after which a sound whose segment has ended is over for now, in milliseconds.
const QUIET_MS: u64 = 500;
/// The most events of one rule that are open at a time, each of which waits for the confirmed score.
const MOST_OPEN: usize = 8;

/// The newest causal score.
#[derive(Debug, Clone, Copy)]
pub struct CausalScore {
    /// The present moment, as a sample index.
    pub now: u64,
    /// The score, 0…1.
    pub score: f32,
    /// Whether the present level reaches the rule's `min_level_dbfs`.
    pub is_loud: bool,
}

/// The durations of the gate in samples.
#[derive(Debug, Clone, Copy)]
struct Limits {
    min: u64,
    max: Option<u64>,
    hangover: u64,
    longest_bridge: u64,
    /// The longest gap that is bridged in a sound that comes back.
    return_bridge: u64,
    /// How long the earlier events of a sound that comes back lasted in all, at least.
    returns: f32,
    /// The time after which an earlier event counts for 1/e.
    forgotten: f32,
    /// The shortest event that counts.
    counts: u64,
    cooldown: u64,
    patience: u64,
    quiet: u64,
    /// The least distance of two updates.
    update: u64,
}

impl Limits {
    fn new(gate: &Gate, hop_samples: u64, sample_rate_hz: u32) -> Self {
        let samples = |milliseconds: u64| milliseconds.saturating_mul(u64::from(sample_rate_hz)) / 1000;
        Self {
            min: samples(gate.min_duration_ms),
            max: gate.max_duration_ms.map(|max| samples(max).max(hop_samples)),
            hangover: samples(gate.hangover_ms),
            longest_bridge: samples(LONGEST_BRIDGE_MS.max(gate.hangover_ms)),
            return_bridge: samples(RETURN_BRIDGE_MS.max(gate.hangover_ms)),
            returns: samples(RETURNS_MS) as f32,
            forgotten: samples(FORGOTTEN_MS) as f32,
            counts: samples(COUNTS_MS),
            cooldown: samples(gate.cooldown_ms),
            patience: samples(PATIENCE_MS),
            quiet: samples(QUIET_MS),
            update: u64::from(sample_rate_hz),
        }
    }
}

/// The state machine of one rule.
#[derive(Debug, Clone)]
pub struct Tracker {
    gate: Gate,
    limits: Limits,
    hop: u64,
    /// The open events, the oldest first.
    open: VecDeque<TrackedEvent>,
    /// For each of the last n windows, whether it reached the start threshold.
    recent: VecDeque<bool>,
    /// The newest causal score; `None` before the first.
    last: Option<CausalScore>,
    /// Whether the confirmed score did not confirm the sound that goes on, which must not be announced again.
    is_refused: bool,
    /// The end of the cool-down, before which no event begins.
    quiet_until: u64,
    /// The end of the last event, before which no other begins.
    free_from: u64,
    /// How long the earlier events lasted in all, in samples, as it counted at `free_from`: the longer ago, the less it counts.
    lasted: f32,
}

#[derive(Debug, Clone, Copy)]
struct TrackedEvent {
    event: u64,
    so_far: EventSoFar,
    /// The moment at which the causal score announced it, as a sample index.
    heard: u64,
    /// Whether its start was emitted.
    is_told: bool,
    /// The highest evidence; 0 until a segment confirms the event.
    confirmed: f32,
    /// Whether the onset comes from a segment that ended, and is final.
    is_bounded: bool,
    /// Whether a segment of the event goes on. A rule has one such event at most.
    is_going: bool,
    /// The end of its last segment that was as loud and as clear as the rule asks for; `None` before the first.
    ended: Option<Boundary>,
    /// The last moment at which the causal score showed the sound.
    sounding_until: u64,
    /// The moment from which the causal score has shown the sound again, after a pause.
    heard_again: u64,
    reported_peak: f32,
    reported_at: u64,
}

impl TrackedEvent {
    /// The offset of an event that is ended at `now`, a moment known to within `uncertainty` samples.
    fn offset(&self, now: u64, uncertainty: u64) -> Boundary {
        let now = Boundary { at: now, uncertainty };
        if self.is_going { now } else { self.ended.unwrap_or(now) }
    }
}

impl Tracker {
    /// A tracker for `gate` over windows that come every `hop_samples`.
    pub fn new(gate: Gate, hop_samples: u64, sample_rate_hz: u32) -> Self {
        Self {
            gate,
            limits: Limits::new(&gate, hop_samples, sample_rate_hz),
            hop: hop_samples,
            // Most rules never have an event, so that memory for events is taken with the first.
            open: VecDeque::new(),
            recent: VecDeque::with_capacity(gate.confirm_n + 1),
            last: None,
            is_refused: false,
            quiet_until: 0,
            free_from: 0,
            lasted: 0.0,
        }
    }

    /// Whether an event is open.
    #[cfg(test)]
    pub fn is_active(&self) -> bool {
        !self.open.is_empty()
    }

    /// The newest causal score; `None` before the first.
    pub fn last(&self) -> Option<CausalScore> {
        self.last
    }

    /// The standing of the rule just now.
    pub fn standing(&self) -> Standing {
        if let Some(open) = self.open.iter().find(|open| open.is_told) {
            return Standing::Open { event: open.event, is_confirmed: open.confirmed > 0.0 };
        }
        let Some(last) = self.last else { return Standing::Below };
        let hits = self.hits();
        match last {
            CausalScore { score, .. } if score < self.gate.start_threshold => Standing::Below,
            CausalScore { is_loud: false, .. } => Standing::TooQuiet,
            _ if self.is_refused => Standing::Refused,
            CausalScore { now, .. } if now < self.quiet_until => Standing::CoolingDown { until: self.quiet_until },
            _ if hits < self.gate.confirm_k => Standing::Confirming { hits },
            _ => Standing::TooShort,
        }
    }

    /// The numbers of the open events that a segment has confirmed.
    pub fn confirmed_events(&self) -> impl Iterator<Item = u64> {
        self.open.iter().filter(|open| open.confirmed > 0.0).map(|open| open.event)
    }

    /// The last moment at which the sound of an open event has been heard, `now` at the latest; `None` where there is no such event.
    pub fn heard_until(&self, event: u64, now: u64) -> Option<u64> {
        let open = self.open.iter().find(|open| open.event == event)?;
        Some(if open.is_going { now } else { open.sounding_until.max(open.ended.map_or(0, |ended| ended.at)) })
    }

    /// Puts another gate in force; the scores so far stay. An event that the new gate would not have reported ends as `Paused`.
    pub fn set_gate(&mut self, gate: Gate, sample_rate_hz: u32, now: u64, emit: &mut impl FnMut(TrackerStep)) {
        // Level, signal-to-noise ratio and duration are compared as the sound goes by, so that only the threshold can be compared
        // again.
        let Gate { min_level_dbfs, min_snr_db, min_duration_ms, .. } = self.gate;
        let asks_the_same =
            (gate.min_level_dbfs, gate.min_snr_db, gate.min_duration_ms) == (min_level_dbfs, min_snr_db, min_duration_ms);
        self.gate = gate;
        self.limits = Limits::new(&gate, self.hop, sample_rate_hz);
        while self.recent.len() > gate.confirm_n {
            self.recent.pop_front();
        }
        let stays = |open: &TrackedEvent| asks_the_same && (open.confirmed == 0.0 || open.confirmed >= gate.threshold);
        let (stay, end): (VecDeque<TrackedEvent>, Vec<TrackedEvent>) = (
            self.open.iter().copied().filter(|open| stays(open)).collect(),
            self.open.iter().copied().filter(|open| !stays(open)).collect(),
        );
        self.open = stay;
        for open in end {
            self.end(open, now, open.offset(now, self.hop), EndReason::Paused, emit);
        }
        self.tell_next(now, emit);
    }

    fn hits(&self) -> usize {
        self.recent.iter().filter(|hit| **hit).count()
    }

    /// Takes the newest causal score, and announces an event where it reaches the start threshold. `began` estimates the onset of
    /// the sound that goes on now; `next` is the number of a new event.
    pub fn push_causal(
        &mut self,
        causal: CausalScore,
        began: impl Fn() -> Boundary,
        next: &mut u64,
        emit: &mut impl FnMut(TrackerStep),
    ) {
        let CausalScore { now, score, is_loud } = causal;
        self.last = Some(causal);
        let is_sounding = score >= OVER * self.gate.start_threshold;
        self.is_refused &= is_sounding;
        if self.recent.len() == self.gate.confirm_n {
            self.recent.pop_front();
        }
        self.recent.push_back(score >= self.gate.start_threshold && is_loud);
        let sure = self.recent.back() == Some(&true) && self.hits() >= self.gate.confirm_k;
        let gap = self.open.back().map(|last| self.bridge(&last.so_far, now)).unwrap_or(0);
        if let Some(last) = self.open.back_mut()
            && now.saturating_sub(last.sounding_until) <= gap + self.hop
        {
            // The sound of the last event goes on.
            if is_sounding {
                if now > last.sounding_until + self.hop {
                    last.heard_again = now;
                }
                last.sounding_until = now;
            }
            last.so_far.score = score;
            // Evidence and causal scores are not compared with each other.
            if !last.so_far.is_confirmed {
                last.so_far.peak_score = last.so_far.peak_score.max(score);
            }
            Self::update(last, now, self.limits.update, emit);
            return;
        }
        if !sure || self.is_refused || now < self.quiet_until || self.open.len() == MOST_OPEN {
            return;
        }
        let onset = began();
        // An event is announced once it is as long as the rule asks for.
        if now.saturating_sub(onset.at) >= self.limits.min {
            self.begin(onset, score, false, now, next, emit);
        }
    }

    /// Ends every open event at the sample index `now` at the latest.
    pub fn finish(&mut self, now: u64, reason: EndReason, emit: &mut impl FnMut(TrackerStep)) {
        self.recent.clear();
        while let Some(open) = self.open.pop_front() {
            let offset = open.offset(now, self.hop);
            let offset = Boundary { at: offset.at.min(now), ..offset };
            self.end(open, now, offset, reason, emit);
        }
    }

    fn begin(
        &mut self,
        onset: Boundary,
        score: f32,
        is_confirmed: bool,
        now: u64,
        next: &mut u64,
        emit: &mut impl FnMut(TrackerStep),
    ) {
        let onset = Boundary { at: onset.at.max(self.free_from), ..onset };
        let threshold = self.gate.threshold;
        let so_far = EventSoFar { onset, score, peak_score: score, threshold, announced: now, is_confirmed, quiet_from: None };
        let event = *next;
        *next += 1;
        let is_told = !self.open.iter().any(|open| open.is_told);
        self.open.push_back(TrackedEvent {
            event,
            so_far,
            heard: now,
            is_told,
            confirmed: 0.0,
            is_bounded: false,
            is_going: false,
            ended: None,
            sounding_until: now,
            heard_again: 0,
            reported_peak: score,
            reported_at: now,
        });
        if is_told {
            emit((event, Step::Start(so_far)));
        }
    }

    /// Tells the oldest open event that the confirmed score has borne out, if no other one is told.
    fn tell_next(&mut self, now: u64, emit: &mut impl FnMut(TrackerStep)) {
        if self.open.iter().any(|open| open.is_told) {
            return;
        }
        if let Some(open) = self.open.iter_mut().find(|open| open.confirmed > 0.0) {
            open.is_told = true;
            open.so_far.announced = now;
            emit((open.event, Step::Start(open.so_far)));
        }
    }

    /// Ends an event that is no longer among the open ones. One that was never told is told now, if it was borne out.
    fn end(&mut self, mut open: TrackedEvent, now: u64, offset: Boundary, reason: EndReason, emit: &mut impl FnMut(TrackerStep)) {
        if !open.is_told && open.confirmed > 0.0 && reason != EndReason::Unconfirmed {
            open.is_told = true;
            open.so_far.announced = now;
            emit((open.event, Step::Start(open.so_far)));
        }
        let so_far = open.so_far;
        // Every event lasts one hop at least.
        let offset = Boundary { at: offset.at.max(so_far.onset.at + self.hop), ..offset };
        if reason == EndReason::Unconfirmed {
            self.is_refused = true;
        } else {
            let lasted = offset.at.saturating_sub(so_far.onset.at);
            let counts = if lasted >= self.limits.counts { lasted as f32 } else { 0.0 };
            self.lasted = self.lasted_by(offset.at) + counts;
            self.free_from = self.free_from.max(offset.at);
            self.quiet_until = self.quiet_until.max(offset.at + self.limits.cooldown);
            // A later event begins where this one ends, at the earliest: this one may be longer than its sound.
            for later in self.open.iter_mut().filter(|later| later.so_far.onset.at >= so_far.onset.at) {
                later.so_far.onset.at = later.so_far.onset.at.max(offset.at.min(now));
            }
        }
        if open.is_told {
            emit((open.event, Step::End { so_far, offset, reason }));
        }
    }

    fn update(open: &mut TrackedEvent, now: u64, least: u64, emit: &mut impl FnMut(TrackerStep)) {
        if open.is_told
            && open.so_far.peak_score >= open.reported_peak + PEAK_STEP
            && now.saturating_sub(open.reported_at) >= least
        {
            open.reported_peak = open.so_far.peak_score;
            open.reported_at = now;
            emit((open.event, Step::Update(open.so_far)));
        }
    }

    /// The longest gap that is bridged in a sound that lasted until `until`, in samples.
    fn bridge(&self, so_far: &EventSoFar, until: u64) -> u64 {
        if self.lasted_by(so_far.onset.at) >= self.limits.returns {
            return self.limits.return_bridge;
        }
        let lasted = until.saturating_sub(so_far.onset.at);
        (lasted / BRIDGED_PART).clamp(self.limits.hangover, self.limits.longest_bridge)
    }

    /// How long the earlier events lasted in all, as it counts at a moment.
    fn lasted_by(&self, at: u64) -> f32 {
        self.lasted * (-(at.saturating_sub(self.free_from) as f32) / self.limits.forgotten).exp()
    }
}

#[cfg(test)]
mod tests;
