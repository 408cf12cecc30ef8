//! The state machine of one rule: the causal score begins events at once, the two-sided boxes confirm, bound and end them.
//!
//! Two clocks: now, at which a sound is first heard, and the moment that the two-sided curve has come to, a window later. An event
//! that no box confirms ends as `Unconfirmed`. It sees sample indices only: the same scores give the same events, live or from a
//! recording. Every start has exactly one end.

use std::collections::VecDeque;

use super::boundaries::{Boundary, SegmentBounds};
use super::standing::{Fate, Standing};
use super::step::{EventSoFar, Step, TrackerStep};
use crate::detect::rule::Gate;
use crate::event::EndReason;

/// How much a peak must rise to be told.
const PEAK_STEP: f32 = 0.02;
/// How long the two-sided curve may take to confirm an event once it has come to the moment of its start, in milliseconds.
const PATIENCE_MS: u64 = 500;
/// A causal score below this part of the start threshold says that the sound is over.
const OVER: f32 = 0.5;
/// The longer a sound has lasted, the longer a gap in it is bridged: by this part of its duration …
const BRIDGED_PART: u64 = 5;
/// … but by no more than this, in milliseconds.
const LONGEST_BRIDGE_MS: u64 = 15_000;
/// Events of one rule that may be open at a time: each is waiting for the two-sided curve.
const MOST_OPEN: usize = 8;

/// What is heard now, before anything of it is sure.
#[derive(Debug, Clone, Copy)]
pub struct CausalScore {
    /// Now, as a sample index.
    pub now: u64,
    /// The causal score, 0…1.
    pub score: f32,
    /// Whether it is as loud as the rule asks for.
    pub is_loud: bool,
}

/// A box of the two-sided curve; times are sample indices.
#[derive(Debug, Clone, Copy)]
pub struct PlacedSegment {
    /// Where it lies; for one that goes on, its offset is the newest value's end.
    pub bounds: SegmentBounds,
    /// Its peak so far, 0…1.
    pub peak: f32,
    /// Whether it is as loud as the rule asks for.
    pub is_loud: bool,
    /// Whether it stands out of the noise as the rule asks for.
    pub is_clear: bool,
}

/// The gate in samples.
#[derive(Debug, Clone, Copy)]
struct Limits {
    min: u64,
    max: Option<u64>,
    hangover: u64,
    longest_bridge: u64,
    cooldown: u64,
    patience: u64,
    /// The least time between two updates.
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
            cooldown: samples(gate.cooldown_ms),
            patience: samples(PATIENCE_MS),
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
    /// Whether each of the last n windows reached the start threshold.
    recent: VecDeque<bool>,
    /// What was heard last.
    last: Option<CausalScore>,
    /// Whether the two-sided curve refused the sound that is heard now: it may not begin another event.
    is_refused: bool,
    /// No event begins before this: the end of the cool-down.
    quiet_until: u64,
    /// No event begins before this: the end of the last one.
    free_from: u64,
}

#[derive(Debug, Clone, Copy)]
struct TrackedEvent {
    event: u64,
    heard: EventSoFar,
    /// The highest two-sided score; 0 until a box confirms the event.
    confirmed: f32,
    /// Whether a box that ended has given the onset.
    is_bounded: bool,
    /// Whether a box of it goes on. Of one rule there is one such event at most.
    is_going: bool,
    /// Where its last box ended that was as loud and as clear as the rule asks for; `None` before the first.
    ended: Option<Boundary>,
    /// When the causal score last spoke for it.
    heard_until: u64,
    told_peak: f32,
    told_at: u64,
}

impl TrackedEvent {
    /// Where it ends if it is to end at `now`, which is known to within `uncertainty`.
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
            // Most rules never have an event, so that room for it is made with the first.
            open: VecDeque::new(),
            recent: VecDeque::with_capacity(gate.confirm_n + 1),
            last: None,
            is_refused: false,
            quiet_until: 0,
            free_from: 0,
        }
    }

    /// Whether an event is open.
    pub fn is_active(&self) -> bool {
        !self.open.is_empty()
    }

    /// What was heard last; `None` before the first.
    pub fn last(&self) -> Option<CausalScore> {
        self.last
    }

    /// How the rule stands just now.
    pub fn standing(&self) -> Standing {
        let confirmed = self.open.iter().rfind(|open| open.confirmed > 0.0);
        if let Some(open) = confirmed.or(self.open.back()) {
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

    /// The numbers of the open events that a box has confirmed.
    pub fn confirmed_events(&self) -> impl Iterator<Item = u64> {
        self.open.iter().filter(|open| open.confirmed > 0.0).map(|open| open.event)
    }

    /// Puts other numbers in force; what was heard stays. An event that they would not have told ends as `Paused`.
    pub fn set_gate(&mut self, gate: Gate, sample_rate_hz: u32, now: u64, tell: &mut impl FnMut(TrackerStep)) {
        // Whether a sound was loud, clear or long enough was asked when it was heard, so only the threshold is asked again.
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
            tell(self.end(open, open.offset(now, self.hop), EndReason::Paused));
        }
    }

    fn hits(&self) -> usize {
        self.recent.iter().filter(|hit| **hit).count()
    }

    /// Takes the causal score of now. `began` estimates where the sound that is heard now began; `next` numbers a new event.
    pub fn push_causal(
        &mut self,
        causal: CausalScore,
        began: impl Fn() -> Boundary,
        next: &mut u64,
        tell: &mut impl FnMut(TrackerStep),
    ) {
        let CausalScore { now, score, is_loud } = causal;
        self.last = Some(causal);
        let is_heard = score >= OVER * self.gate.start_threshold;
        self.is_refused &= is_heard;
        if self.recent.len() == self.gate.confirm_n {
            self.recent.pop_front();
        }
        self.recent.push_back(score >= self.gate.start_threshold && is_loud);
        let sure = self.recent.back() == Some(&true) && self.hits() >= self.gate.confirm_k;
        let gap = self.open.back().map(|last| self.bridge(&last.heard, now)).unwrap_or(0);
        if let Some(last) = self.open.back_mut()
            && now.saturating_sub(last.heard_until) <= gap + self.hop
        {
            // The same sound goes on.
            if is_heard {
                last.heard_until = now;
            }
            last.heard.score = score;
            last.heard.peak_score = last.heard.peak_score.max(score);
            Self::update(last, now, self.limits.update, tell);
            return;
        }
        if !sure || self.is_refused || now < self.quiet_until || self.open.len() == MOST_OPEN {
            return;
        }
        let onset = began();
        // An event is told once it is as long as it must be.
        if now.saturating_sub(onset.at) >= self.limits.min {
            self.begin(onset, score, now, next, tell);
        }
    }

    /// Takes what the two-sided curve says now that it has come to `until`: the box that just ended, and the one that goes on. Says
    /// what became of the one that ended.
    pub fn push_confirmed(
        &mut self,
        now: u64,
        until: u64,
        closed: Option<PlacedSegment>,
        going: Option<PlacedSegment>,
        next: &mut u64,
        tell: &mut impl FnMut(TrackerStep),
    ) -> Option<Fate> {
        // A box belongs to the event that it has prolonged already, whatever else it reaches by now; and an event of which no box goes on
        // any longer has come to its end, also where the box turns out to be too quiet or too faint.
        let mut going_on = self.open.iter_mut().find(|open| open.is_going).map(|open| {
            open.is_going = false;
            open.event
        });
        let fate = closed.map(|placed| {
            let lasted = placed.bounds.offset.at.saturating_sub(placed.bounds.onset.at);
            match self.belongs(&placed, lasted, going_on.take(), now, next, tell) {
                Ok(at) => {
                    self.grow(at, &placed, Some(placed.bounds.offset));
                    Fate::Told { event: self.open[at].event }
                }
                Err(fate) => fate,
            }
        });
        if let Some(placed) = going {
            let lasted = until.saturating_sub(placed.bounds.onset.at);
            if let Ok(at) = self.belongs(&placed, lasted, going_on, now, next, tell) {
                self.grow(at, &placed, None);
                Self::update(&mut self.open[at], now, self.limits.update, tell);
            }
        }
        self.end_what_is_over(until, tell);
        self.renew(now, until, next, tell);
        fate
    }

    /// Ends every open event at the sample index `now` at the latest.
    pub fn finish(&mut self, now: u64, reason: EndReason, tell: &mut impl FnMut(TrackerStep)) {
        self.recent.clear();
        while let Some(open) = self.open.pop_front() {
            let offset = open.offset(now, self.hop);
            let offset = Boundary { at: offset.at.min(now), ..offset };
            tell(self.end(open, offset, reason));
        }
    }

    /// The open event that a box of this length belongs to, which may be `going_on`, or a new one for it; or why it is none.
    fn belongs(
        &mut self,
        placed: &PlacedSegment,
        lasted: u64,
        going_on: Option<u64>,
        now: u64,
        next: &mut u64,
        tell: &mut impl FnMut(TrackerStep),
    ) -> Result<usize, Fate> {
        match placed {
            placed if placed.peak < self.gate.threshold => return Err(Fate::Below),
            PlacedSegment { is_loud: false, .. } => return Err(Fate::TooQuiet),
            PlacedSegment { is_clear: false, .. } => return Err(Fate::TooFaint),
            _ => {}
        }
        let onset = placed.bounds.onset.at;
        let reaches = |open: &TrackedEvent| match open.ended {
            Some(ended) => onset <= ended.at + self.bridge(&open.heard, ended.at),
            None => onset <= open.heard.announced && placed.bounds.offset.at + self.limits.update >= open.heard.onset.at,
        };
        let same = going_on.and_then(|event| self.open.iter().position(|open| open.event == event));
        match same.or_else(|| self.open.iter().position(reaches)) {
            Some(at) => return Ok(at),
            None if lasted < self.limits.min => return Err(Fate::TooShort),
            None if onset < self.quiet_until && self.limits.cooldown > 0 => {
                return Err(Fate::CoolingDown { until: self.quiet_until });
            }
            None if onset < self.quiet_until || placed.bounds.offset.at <= self.free_from => return Err(Fate::Overlapping),
            None if self.open.len() == MOST_OPEN => return Err(Fate::Busy),
            None => {}
        }
        self.begin(placed.bounds.onset, placed.peak, now, next, tell);
        Ok(self.open.len() - 1)
    }

    /// A box confirms an event, or prolongs it.
    fn grow(&mut self, at: usize, placed: &PlacedSegment, ended: Option<Boundary>) {
        let open = &mut self.open[at];
        if !open.is_bounded {
            // The edges of a box are sharpened when it ends; until then its peak, and with it its beginning, can still move.
            open.heard.onset = placed.bounds.onset;
            open.is_bounded = ended.is_some();
        }
        open.heard.onset.at = open.heard.onset.at.max(self.free_from);
        open.confirmed = open.confirmed.max(placed.peak);
        open.heard.peak_score = open.heard.peak_score.max(placed.peak);
        open.is_going = ended.is_none();
        if let Some(ended) = ended.filter(|new| open.ended.is_none_or(|old| new.at >= old.at)) {
            open.ended = Some(ended);
        }
    }

    /// Ends the events that the two-sided curve has left behind.
    fn end_what_is_over(&mut self, until: u64, tell: &mut impl FnMut(TrackerStep)) {
        let mut at = 0;
        while at < self.open.len() {
            let open = self.open[at];
            let ended = match open.ended {
                _ if open.is_going => None,
                // A sound that goes on after the longest gap begins with the value after this one.
                Some(ended) if until > ended.at + self.bridge(&open.heard, ended.at) => Some((ended, EndReason::Decay)),
                // Either no box has come, or the only one was none in the end.
                None if open.confirmed > 0.0 || until >= open.heard.announced + self.limits.patience => {
                    Some((Boundary { at: open.heard_until, uncertainty: self.limits.patience }, EndReason::Unconfirmed))
                }
                _ => None,
            };
            match ended {
                Some((offset, reason)) => {
                    self.open.remove(at);
                    let told = self.end(open, offset, reason);
                    tell(told);
                }
                None => at += 1,
            }
        }
    }

    /// An event that has lasted as long as one may ends; if its sound goes on, the next begins where it ended.
    fn renew(&mut self, now: u64, until: u64, next: &mut u64, tell: &mut impl FnMut(TrackerStep)) {
        let Some(max) = self.limits.max else { return };
        for at in 0..self.open.len() {
            let open = self.open[at];
            if !open.is_going || until.saturating_sub(open.heard.onset.at) < max {
                continue;
            }
            self.open.remove(at);
            let boundary = Boundary { at: open.heard.onset.at + max, uncertainty: 0 };
            let quiet_until = self.quiet_until;
            let told = self.end(open, boundary, EndReason::MaxDuration);
            tell(told);
            // The sound goes on, so there is no cool-down.
            self.quiet_until = quiet_until;
            self.begin(boundary, open.heard.score, now, next, tell);
            if let Some(new) = self.open.back_mut() {
                new.confirmed = open.heard.score.max(self.gate.threshold);
                new.is_bounded = true;
                new.is_going = true;
                new.heard_until = open.heard_until;
            }
            return;
        }
    }

    fn begin(&mut self, onset: Boundary, score: f32, now: u64, next: &mut u64, tell: &mut impl FnMut(TrackerStep)) {
        let onset = Boundary { at: onset.at.max(self.free_from), ..onset };
        let heard = EventSoFar { onset, score, peak_score: score, threshold: self.gate.threshold, announced: now };
        let event = *next;
        *next += 1;
        self.open.push_back(TrackedEvent {
            event,
            heard,
            confirmed: 0.0,
            is_bounded: false,
            is_going: false,
            ended: None,
            heard_until: now,
            told_peak: score,
            told_at: now,
        });
        tell((event, Step::Start(heard)));
    }

    fn end(&mut self, open: TrackedEvent, offset: Boundary, reason: EndReason) -> TrackerStep {
        let mut heard = open.heard;
        if open.confirmed > 0.0 {
            heard.peak_score = open.confirmed;
        }
        // However short a sound is, it lasted one hop at least.
        let offset = Boundary { at: offset.at.max(heard.onset.at + self.hop), ..offset };
        if reason == EndReason::Unconfirmed {
            self.is_refused = true;
        } else {
            self.free_from = self.free_from.max(offset.at);
            self.quiet_until = self.quiet_until.max(offset.at + self.limits.cooldown);
        }
        (open.event, Step::End { heard, offset, reason })
    }

    fn update(open: &mut TrackedEvent, now: u64, least: u64, tell: &mut impl FnMut(TrackerStep)) {
        if open.heard.peak_score >= open.told_peak + PEAK_STEP && now.saturating_sub(open.told_at) >= least {
            open.told_peak = open.heard.peak_score;
            open.told_at = now;
            tell((open.event, Step::Update(open.heard)));
        }
    }

    /// How long a gap is bridged in a sound that lasted until `until`.
    fn bridge(&self, heard: &EventSoFar, until: u64) -> u64 {
        let lasted = until.saturating_sub(heard.onset.at);
        (lasted / BRIDGED_PART).clamp(self.limits.hangover, self.limits.longest_bridge)
    }
}

#[cfg(test)]
mod tests;
