//! Computes thresholds from hours of ordinary background, in which every event counts as a false alarm.
//!
//! `statistics` counts the peaks of the scores, and `state` keeps the counts in a file. `tail` extrapolates the counts to scores
//! that were not reached, `choice` finds the thresholds, and `report` writes them out.
//!
//! Invariant: no sound is kept, only counts of the peaks by height, and the times of the strongest ones.

pub mod choice;
pub mod report;
pub mod state;
pub mod statistics;
pub mod tail;
