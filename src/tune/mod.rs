//! Thresholds by what recordings, or hours of background, say.
//!
//! Of recordings whose sounds are known: what is matched with what, and which of many candidates is taken. Every candidate was in
//! force in the real engine over the same recordings; here only its events are counted. `background` is for hours of which nobody
//! says what they hold. But for its state file nothing here reads or writes one, and nothing draws a number that is not the same again
//! the next time.

pub mod background;
pub mod bootstrap;
pub mod candidates;
pub mod choose;
pub mod matching;
