//! The confirmed score's part in tracking: its segments confirm the announced events, refine and prolong them, and end them. A
//! segment that belongs to no announced event begins one, late.

use super::{MOST_OPEN, TrackedEvent, Tracker};
use crate::detect::boundaries::{Boundary, SegmentBounds};
use crate::detect::standing::Fate;
use crate::detect::step::{Step, TrackerStep};
use crate::event::EndReason;

/// A segment of the confirmed score, placed in time; times are sample indices.
#[derive(Debug, Clone, Copy)]
pub struct PlacedSegment {
    /// The boundaries; the offset of a segment that goes on is the end of the newest hop.
    pub bounds: SegmentBounds,
    /// The evidence so far, 0…1.
    pub evidence: f32,
    /// Whether its level reaches the rule's `min_level_dbfs`.
    pub is_loud: bool,
    /// Whether its signal-to-noise ratio reaches the rule's `min_snr_db`.
    pub is_clear: bool,
}

impl Tracker {
    /// Takes the segments of the confirmed score, which has come to the moment `until`: the segment that has just ended, and the
    /// one that goes on. Returns the fate of the one that ended.
    pub fn push_confirmed(
        &mut self,
        now: u64,
        until: u64,
        closed: Option<PlacedSegment>,
        going: Option<PlacedSegment>,
        next: &mut u64,
        emit: &mut impl FnMut(TrackerStep),
    ) -> Option<Fate> {
        // A segment belongs to the event that it has prolonged already, even if it now reaches another event as well. An event
        // without a segment that goes on has come to its end, even if its segment turned out to be too quiet or too faint.
        let mut going_on = self.open.iter_mut().find(|open| open.is_going).map(|open| {
            open.is_going = false;
            open.event
        });
        let fate = closed.map(|placed| {
            let lasted = placed.bounds.offset.at.saturating_sub(placed.bounds.onset.at);
            match self.belongs(&placed, lasted, going_on.take(), now, next, emit) {
                Ok(at) => {
                    self.grow(at, &placed, Some(placed.bounds.offset), now, emit);
                    Fate::PartOf { event: self.open[at].event }
                }
                Err(fate) => fate,
            }
        });
        if let Some(placed) = going {
            let lasted = until.saturating_sub(placed.bounds.onset.at);
            if let Ok(at) = self.belongs(&placed, lasted, going_on, now, next, emit) {
                self.grow(at, &placed, None, now, emit);
                Self::update(&mut self.open[at], now, self.limits.update, emit);
            }
        }
        self.end_finished(now, until, emit);
        self.renew(now, until, next, emit);
        self.fall_quiet(now, until, emit);
        self.tell_next(now, emit);
        fate
    }

    /// The index of the open event that a segment of this duration belongs to, which may be `going_on`. A segment that belongs to
    /// none begins a new event; the error is the reason why it does not.
    fn belongs(
        &mut self,
        placed: &PlacedSegment,
        lasted: u64,
        going_on: Option<u64>,
        now: u64,
        next: &mut u64,
        emit: &mut impl FnMut(TrackerStep),
    ) -> Result<usize, Fate> {
        match placed {
            placed if placed.evidence < self.gate.threshold => return Err(Fate::Below),
            PlacedSegment { is_loud: false, .. } => return Err(Fate::TooQuiet),
            PlacedSegment { is_clear: false, .. } => return Err(Fate::TooFaint),
            _ => {}
        }
        let onset = placed.bounds.onset.at;
        let reaches = |open: &TrackedEvent| match open.ended {
            Some(ended) => onset <= ended.at + self.bridge(&open.so_far, ended.at),
            None => onset <= open.heard && placed.bounds.offset.at + self.limits.update >= open.so_far.onset.at,
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
        self.begin(placed.bounds.onset, placed.evidence, true, now, next, emit);
        Ok(self.open.len() - 1)
    }

    /// Confirms or prolongs an event with a segment, which ended at `ended` or goes on.
    fn grow(&mut self, at: usize, placed: &PlacedSegment, ended: Option<Boundary>, now: u64, emit: &mut impl FnMut(TrackerStep)) {
        let open = &mut self.open[at];
        if !open.is_bounded {
            // A segment is refined when it ends; until then its peak can move, and its onset with the peak.
            open.so_far.onset = placed.bounds.onset;
            open.is_bounded = ended.is_some();
        }
        open.so_far.onset.at = open.so_far.onset.at.max(self.free_from);
        let is_new = !open.so_far.is_confirmed;
        open.confirmed = open.confirmed.max(placed.evidence);
        open.so_far.is_confirmed = true;
        open.so_far.peak_score = open.confirmed;
        open.is_going = ended.is_none();
        if let Some(ended) = ended.filter(|new| open.ended.is_none_or(|old| new.at >= old.at)) {
            open.ended = Some(ended);
        }
        if is_new && open.is_told {
            open.reported_peak = open.confirmed;
            open.reported_at = now;
            emit((open.event, Step::Update(open.so_far)));
        }
    }

    /// Ends the events that lie behind the confirmed score.
    fn end_finished(&mut self, now: u64, until: u64, emit: &mut impl FnMut(TrackerStep)) {
        let mut at = 0;
        while at < self.open.len() {
            let open = self.open[at];
            let ended = match open.ended {
                _ if open.is_going => None,
                // A sound that goes on after the longest gap begins with the value after this one.
                Some(ended) if until > ended.at + self.bridge(&open.so_far, ended.at) => Some((ended, EndReason::Decay)),
                // No segment came, or the only one turned out not to count.
                None if open.confirmed > 0.0 || until >= open.heard + self.limits.patience => {
                    Some((Boundary { at: open.sounding_until, uncertainty: self.limits.patience }, EndReason::Unconfirmed))
                }
                _ => None,
            };
            match ended {
                Some((offset, reason)) => {
                    self.open.remove(at);
                    self.end(open, now, offset, reason, emit);
                    self.tell_next(now, emit);
                }
                None => at += 1,
            }
        }
    }

    /// Tells of the open events whose sound is over for now, and of those whose sound goes on after that.
    fn fall_quiet(&mut self, now: u64, until: u64, emit: &mut impl FnMut(TrackerStep)) {
        for open in &mut self.open {
            let quiet_from = open.ended.filter(|ended| {
                // The segment of a sound that is heard again comes after its causal score.
                let is_known = open.heard_again <= ended.at || until >= open.sounding_until;
                !open.is_going && open.confirmed > 0.0 && is_known && now >= open.sounding_until + self.limits.quiet
            });
            if quiet_from.is_some() != open.so_far.quiet_from.is_some() {
                open.so_far.quiet_from = quiet_from;
                if open.is_told {
                    emit((open.event, Step::Update(open.so_far)));
                }
            }
        }
    }

    /// Ends an event that has reached the longest duration. If its sound goes on, the next event begins where it ended.
    fn renew(&mut self, now: u64, until: u64, next: &mut u64, emit: &mut impl FnMut(TrackerStep)) {
        let Some(max) = self.limits.max else { return };
        for at in 0..self.open.len() {
            let open = self.open[at];
            if !open.is_going || until.saturating_sub(open.so_far.onset.at) < max {
                continue;
            }
            self.open.remove(at);
            let boundary = Boundary { at: open.so_far.onset.at + max, uncertainty: 0 };
            let quiet_until = self.quiet_until;
            self.end(open, now, boundary, EndReason::MaxDuration, emit);
            // The sound goes on, so that no cool-down follows.
            self.quiet_until = quiet_until;
            self.begin(boundary, open.so_far.score, true, now, next, emit);
            if let Some(new) = self.open.back_mut() {
                new.confirmed = open.so_far.score.max(self.gate.threshold);
                new.so_far.peak_score = new.confirmed;
                new.is_bounded = true;
                new.is_going = true;
                new.sounding_until = open.sounding_until;
            }
            return;
        }
    }
}
