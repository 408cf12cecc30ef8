//! The tests' shared parts: the real binary and its surroundings, recordings, models, and the one way to wait for something.
#![allow(dead_code, unused_imports, reason = "each test program uses its own part of this")]

pub mod browser;
pub mod camera_proxy;
mod client;
mod clock;
mod command;
mod daemon;
pub mod firefox;
pub mod formats;
pub mod home_assistant;
pub mod http;
pub mod learnt;
pub mod mqtt;
pub mod network;
pub mod onnx;
mod over;
pub mod pages;
mod port;
mod recording;
pub mod runtime;
mod service_manager;
mod sound;
mod wait;

pub use client::Client;
pub use clock::WallClock;
pub use command::{after, failure, failure_with_input, mimid, run, under};
pub use daemon::{Daemon, looped};
pub use over::Over;
pub use port::free_port;
pub use recording::{RINGTONE, VOICE, voice_and_seconds_of_silence, voice_and_silence, wav, wav_of_too_many_channels};
pub use service_manager::ServiceManager;
pub use sound::{Played, SoundServer};
pub use wait::{PATIENCE, until};
