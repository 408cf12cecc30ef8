//! Computes thresholds from recordings whose sounds are known, or from hours of ordinary background.
//!
//! For known recordings, the caller runs every candidate gate through the engine. `candidates` lists the gates, `matching`
//! compares their events with the true ones, and `choose` picks one gate with the help of `bootstrap`. `reviews` does so by the marks of
//! kept events. `background` is for hours without a list of their sounds. No file but its state file is read or written here. Random numbers come from a fixed seed, so
//! the results repeat.

pub mod background;
pub mod candidates;
pub mod choose;
pub mod reviews;
