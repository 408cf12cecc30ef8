//! Thresholds by what recordings, or hours of background, say.

pub mod background;
