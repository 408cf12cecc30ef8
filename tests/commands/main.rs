//! The commands that do their work and end, from the outside: the real binary with recordings, models and configurations.

mod devices;
mod errors;
mod evaluate;
mod explain;
mod foreign;
mod formats;
mod learn;
mod model;
mod package;
mod readme;
mod scan;
#[path = "../support/mod.rs"]
mod support;
mod tune;
