//! The commands that do their work and end, as their users meet them: the real binary with recordings, models and configurations.

mod errors;
mod explain;
mod model;
mod package;
mod readme;
mod scan;
#[path = "../support/mod.rs"]
mod support;
mod tune;
