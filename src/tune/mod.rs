//! Thresholds from recordings whose sounds are known: what is matched with what, and which of many candidates is taken.
//!
//! Every candidate was in force in the real engine over the same recordings; here only its events are counted. Nothing here reads a
//! file, knows a label, or draws a number that is not the same again the next time.

pub mod bootstrap;
pub mod candidates;
pub mod choose;
pub mod matching;
