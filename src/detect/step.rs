//! The steps of an event: start, update and end. Plain data; times are sample indices.

use super::boundaries::Boundary;
use crate::event::EndReason;

/// One step of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The event begins.
    Start(EventSoFar),
    /// The event is known better: its score has risen, it is confirmed, its sound is over for now, or goes on.
    Update(EventSoFar),
    /// The event ends.
    End {
        /// The event in its final state, its onset refined.
        so_far: EventSoFar,
        /// The end of the sound; after its onset.
        offset: Boundary,
        /// Why the event ended.
        reason: EndReason,
    },
}

/// The state of an event as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventSoFar {
    /// The beginning of the sound.
    pub onset: Boundary,
    /// The newest score, 0…1.
    pub score: f32,
    /// The highest score so far, 0…1; of a confirmed event that ended, its evidence.
    pub peak_score: f32,
    /// The threshold in force, 0…1.
    pub threshold: f32,
    /// When the event was announced, as a sample index.
    pub announced: u64,
    /// Whether the confirmed score has borne the event out.
    pub is_confirmed: bool,
    /// The end of the sound so far, where it is over for now: it may go on while the event is open. `None` while it lasts.
    pub quiet_from: Option<Boundary>,
}

impl Step {
    /// The state of the event at this step.
    pub(crate) fn so_far(&self) -> &EventSoFar {
        match self {
            Step::Start(so_far) | Step::Update(so_far) | Step::End { so_far, .. } => so_far,
        }
    }

    /// From the onset to the offset, or to `now` while the sound lasts.
    pub(crate) fn span(&self, now: u64) -> (u64, u64) {
        match self {
            Step::Start(so_far) | Step::Update(so_far) => (so_far.onset.at, so_far.quiet_from.map_or(now, |end| end.at)),
            Step::End { so_far, offset, .. } => (so_far.onset.at, offset.at),
        }
    }
}

/// A step together with the number of its event, which is unique within a detector.
pub(crate) type TrackerStep = (u64, Step);
