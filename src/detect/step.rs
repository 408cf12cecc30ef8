//! What a tracker tells of its events: plain data; times are sample indices.

use super::boundaries::Boundary;
use crate::event::EndReason;

/// What happened to an event; times are sample indices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// An event began.
    Start(EventSoFar),
    /// Its score rose to a new peak.
    Update(EventSoFar),
    /// It ended.
    End {
        /// The event as it was, its onset refined.
        heard: EventSoFar,
        /// When the sound ended; after its onset.
        offset: Boundary,
        /// Why the event ended.
        reason: EndReason,
    },
}

/// An event as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventSoFar {
    /// When the sound began.
    pub onset: Boundary,
    /// The newest score, 0…1.
    pub score: f32,
    /// The highest score so far, 0…1; of an event that ended the peak of its two-sided curve.
    pub peak_score: f32,
    /// The threshold in force, 0…1.
    pub threshold: f32,
    /// When the event was first told, as a sample index.
    pub announced: u64,
}

impl Step {
    /// The event that it is about.
    pub fn heard(&self) -> &EventSoFar {
        match self {
            Step::Start(heard) | Step::Update(heard) | Step::End { heard, .. } => heard,
        }
    }

    /// From the onset to the offset, or to `now` while the sound lasts.
    pub fn span(&self, now: u64) -> (u64, u64) {
        match self {
            Step::Start(heard) | Step::Update(heard) => (heard.onset.at, now),
            Step::End { heard, offset, .. } => (heard.onset.at, offset.at),
        }
    }
}

/// A step of one event; its number tells the events of a detector apart.
pub type TrackerStep = (u64, Step);
