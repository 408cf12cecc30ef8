//! mimid
pub mod analysis;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod detect;
pub mod ear;
pub mod event;
pub mod features;
pub mod model;
pub mod pipeline;
pub mod publish;
pub mod resample;
pub mod ring;
pub mod stats;
pub mod systemd;
