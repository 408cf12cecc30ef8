//! mimid hears: a microphone goes in, labelled sound events with onsets and offsets come out on a local socket.
//!
//! This page is the architecture. A user's view is the README; the numbers of the model are in `models/README.md`.
//!
//! # The way the data goes
//!
//! ```text
//! capture ─▶ ring ─▶ resample ─▶ features ─▶ model ─▶ detect ─▶ publish
//! device     SPSC    16 kHz      log-mel     ONNX     events    socket, sinks
//! callback   lock-   mono f32    10 ms hop   scores   on/off    tokio
//! thread     free    ╰────────── analysis thread ──────────╯    runtime
//! ```
//!
//! Each word is a module. [`ear`] is one source's way from samples to detections and knows which of its windows are worth scoring,
//! [`inference`] batches the windows of all ears, [`analysis`] is the thread that runs both, [`pipeline`] starts, watches and stops the stages, [`config`] says what they shall do, [`limits`] what the system
//! lets them have, [`cli`] is the command line. `mimid scan` runs the same [`ear`] over recordings, and [`tune`] finds thresholds by what an ear says of them.
//!
//! # The threads
//!
//! | thread | does | never does |
//! | --- | --- | --- |
//! | device callback (cpal's) | picks or mixes channels, converts to f32, pushes into the ring, counts | allocates, locks, logs, makes a system call, panics |
//! | `analysis`, one for all sources | pops samples, resamples, extends the log-mel spectrogram, batches due windows of all sources, decides events | waits for a subscriber |
//! | `inference`, up to one a further core | scores batches that the analysis offers; started when one thread does not keep up | is waited for by anybody but the analysis |
//! | `source-NAME`, one a source | opens its source, watches it, opens it again when it is lost | touches samples |
//! | `reports` | takes reports over from the analysis and hands them to the runtime | waits for a client |
//! | `publish`, the tokio runtime | numbers reports, hands each as one shared value to the queue of every subscriber; serves clients, takes requests and signals; runs the sinks, MQTT and HTTP, where they are on | touches samples, waits for a client or a sink with anything but its own task |
//! | `groups`, one at a time | looks up which groups a client's user is in | touches samples, is waited for by anybody but that client |
//! | main | starts, supervises, reloads, shuts down | touches samples |
//!
//! # What always holds
//!
//! - Invariant: time is the sample clock. Onsets and offsets are sample indices, anchored to the wall clock when a source opens;
//!   processing time never appears in them.
//! - Invariant: nothing upstream waits for anything downstream. A full ring drops the newest samples, counts them and remembers where;
//!   a full queue drops lines, counts them, and the client is told in their place.
//! - Invariant: every `event.start` has exactly one `event.end`, and no event outlives its sound by more than the second look takes.
//! - Invariant: the same samples give the same events, in any chunking and batching, on any number of threads, live or from a recording;
//!   unless the analysis cannot keep up, which it says.
//! - Invariant: shutdown follows the data: capture stops, the rings are drained, open events end with a reason, clients are flushed,
//!   the socket goes last.
//! - Invariant: a pause, asked for or by quiet hours, closes the devices; nothing is captured to be thrown away.
//! - Invariant: a bad configuration changes nothing, and all its faults are told at once.

pub mod analysis;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod detect;
pub mod ear;
pub mod event;
pub mod features;
pub mod inference;
pub mod limits;
pub mod model;
pub mod pipeline;
pub mod publish;
pub mod resample;
pub mod ring;
pub mod stats;
pub mod systemd;
pub mod tune;

/// The README's Rust program compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
