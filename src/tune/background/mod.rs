//! Thresholds from hours of ordinary background, of which nobody says what they hold: whatever is heard there is false.
//!
//! `statistics` is what is kept of the hours, `state` keeps it in a file, `tail` draws on what was seen to what was not, `choice`
//! finds the thresholds, `report` says it in words.
//!
//! Invariant: no sound is kept, only how often a label's score rose how high, and when the strongest were.

pub mod choice;
pub mod report;
pub mod state;
pub mod statistics;
pub mod tail;
