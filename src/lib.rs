//! mimid
pub mod event;
pub mod features;
pub mod model;
pub mod config;
pub mod detect;
