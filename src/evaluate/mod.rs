//! Judges what was heard by what was there: the measures of the field, their uncertainty, and what went wrong.
//!
//! | module | does |
//! | --- | --- |
//! | `matching` | pairs the true events with those that were heard, by the rules of sed_eval |
//! | `intersection`, `segments` | the counts that need no pairs: by overlap, and by segments of a second |
//! | `tally` | all counts of one recording |
//! | `totals` | sums of tallies, the measures that follow from them, and their intervals |
//! | `psds` | the polyphonic sound detection score over every threshold |
//! | `timing` | the errors of onsets and offsets, and the delay of announcements |
//! | `mistakes` | the worst recordings and the confused labels, with times |
//! | `compare` | whether two results differ by more than chance |
//! | `bootstrap` | the replicates of the recordings |
//!
//! Everything here is arithmetic: the same events give the same numbers each time, in any order of recordings and of events. Nothing here
//! reads a file or knows a model; labels are indices. `docs/evaluate.md` has the definitions and their sources.

pub mod bootstrap;
pub mod compare;
pub mod intersection;
pub mod matching;
pub mod mistakes;
pub mod psds;
pub mod segments;
pub mod tally;
pub mod timing;
pub mod totals;

#[cfg(test)]
mod tests;
