//! mimid hears: a microphone goes in, labelled sound events with onsets and offsets come out on a local socket.
//!
//! This page is the architecture. A user's view is the README and `docs/`; the numbers of the model are in `models/README.md`; `CONTRIBUTING.md` says where a new part goes.
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
//! Each word is a module.
//!
//! # The layers
//!
//! A module imports from the layers below its own and never from one above, nor from another of its own layer. `make lint` reads this
//! list and fails where an import breaks it.
//!
//! ```text
//! cli                                          the command line, the socket's client, how things are printed
//! pipeline                                     starts, watches, reloads and stops the stages
//! config                                       reads, judges, edits and prints the configuration; it fills the types of the stages
//! publish                                      the hub, the wire's types, the socket, MQTT, HTTP, hooks, the store and clips
//! control                                      requests to the running daemon, with the way back for their answers
//! analysis tune learn recording                the analysis thread; thresholds by what was heard; learnt sounds; the engine over recordings
//! evaluate dataset                             the measures of what was heard; data sets and truth files
//! inference                                    batches of windows, and the helper threads that share them
//! ear                                          one source's way from samples to detections, and the scheduler of its windows
//! detect capture                               rules, segments, boundaries and events; devices, recordings, programs, pipes, the network
//! features                                     the log-mel spectrogram
//! model                                        graphs, labels and the label hierarchy
//! resample ring stats hours program            the sample rate, the ring buffer, the counters; hours of the week; programs with their children
//! event files limits locked secret systemd text tls   reports of what was heard; files that are whole; what the system allows; memory for sound; passwords; the service manager; names in messages; whom to trust
//! ```
//!
//! # Glossary
//!
//! | term | meaning |
//! | --- | --- |
//! | frame | one column of the log-mel spectrogram, every 10 ms |
//! | window | the stretch of sound that the model scores at once; a model may have windows of several lengths |
//! | hop | the distance between two scored windows, 100 ms with the shipped model |
//! | hop stride | load shedding scores only every n-th hop, and n is the hop stride |
//! | causal score | the score of a label in the windows that end now; it announces an event |
//! | confirmed score | the score of a moment from the windows on both sides of it, some seconds later; it confirms an event, or takes it back |
//! | segment | a stretch of a curve of scores that belongs to one peak |
//! | onset, offset | the beginning and the end of a sound |
//! | boundary | an onset or an offset; boundary refinement moves a segment's boundaries to where the sound itself begins and ends |
//! | label hierarchy | which labels stand above which in the ontology; scores propagate to ancestors |
//! | rule, gate | a rule names the labels that are reported together; its gate holds the thresholds and durations |
//! | event merger | makes one event of the labels of one sound, such as Bark, Dog and Animal |
//! | scheduler | decides which windows of an ear are worth scoring |
//! | report, line | a report is the typed message of the engine; its line is the JSON that a client gets |
//! | source, input | a source is a named ear with its settings; its input is the device, recording or stream that it opens |
//! | sink | MQTT, HTTP or the hooks: a subscriber of the hub inside the daemon |
//! | hook, run | a hook of the configuration has a program or a server told of some reports; a run is one such telling, with all its tries |
//! | store | the file with every event and report of health, without any sound |
//! | summary | the report of what was heard in a day, beside the four weeks before |
//! | mark | what a person says of an event in the store: right, wrong, or another sound |
//! | clip, take | a clip is the sound of an event that is kept as a file; a take is the stretch of a source's sound that becomes one |
//!
//! # The threads
//!
//! | thread | does | never does |
//! | --- | --- | --- |
//! | device callback (cpal's) | picks or mixes channels, converts to f32, pushes into the ring, counts | allocates, locks, logs, makes a system call, panics |
//! | `analysis`, one for all sources | pops samples, resamples, extends the log-mel spectrogram, batches due windows of all sources, decides events | waits for a subscriber |
//! | `inference`, up to one a further core | scores batches that the analysis offers; started when one thread does not keep up | is waited for by anybody but the analysis |
//! | `feed-NAME`, one a source that is fed by a program, a pipe or the network | reads, decodes and pushes into the ring; waits where there is no room | outlives its source |
//! | `source-NAME`, one a source | opens its source, watches it, opens it again when it is lost | touches samples |
//! | `reports` | takes reports over from the analysis and hands them to the runtime | waits for a client |
//! | `publish`, the tokio runtime | numbers reports, hands each as one shared value to the queue of every subscriber; serves clients, takes requests and signals; runs the sinks, MQTT, HTTP and the hooks, where they are on | touches samples, waits for a client or a sink with anything but its own task |
//! | `store`, and `store-log` | keeps reports in the file where the store is on; moves SQLite's log into it | is waited for by anybody but the hub's task, for more than a quarter of a second |
//! | `clips` | writes the sound of chosen events where clips are on, makes its folder and the store agree, and clears | is waited for by anybody |
//! | `hooks-file` | keeps the runs that wait in a file, where there are hooks and a store | is waited for by anybody after the start |
//! | `groups`, one at a time | looks up which groups a client's user is in | touches samples, is waited for by anybody but that client |
//! | main | starts, supervises, reloads, shuts down | touches samples |
//!
//! # What always holds
//!
//! - Invariant: time is the sample clock. Onsets and offsets are sample indices, anchored to the wall clock when a source opens;
//!   processing time never appears in them.
//! - Invariant: nothing upstream waits for anything downstream. A full ring drops the newest samples, counts them and remembers where;
//!   a full queue drops lines, counts them, and the client is told in their place.
//! - Invariant: every `event.start` has exactly one `event.end`, and no event outlives its sound by more than the confirmed score takes.
//! - Invariant: the same samples give the same events, in any chunking and batching, on any number of threads, live or from a recording;
//!   unless the analysis cannot keep up, which it says.
//! - Invariant: shutdown follows the data: capture stops, the rings are drained, open events end with a reason, clients are flushed,
//!   the socket goes last.
//! - Invariant: with a store, a client sees a report only after it is kept, and no number is given twice; a disk that does not keep up
//!   is told and not waited for.
//! - Invariant: a pause, asked for or by quiet hours, closes the devices; nothing is captured to be thrown away.
//! - Invariant: no sound is stored that the configuration did not ask for, and without clips none is remembered for them.
//! - Invariant: a bad configuration changes nothing, and all its faults are told at once.

pub mod analysis;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod dataset;
pub mod detect;
pub mod ear;
pub mod evaluate;
pub mod event;
pub mod features;
pub(crate) mod files;
pub mod hours;
pub mod inference;
pub mod learn;
pub(crate) mod limits;
pub(crate) mod locked;
pub mod model;
pub(crate) mod pipeline;
pub(crate) mod program;
pub mod publish;
pub(crate) mod recording;
pub mod resample;
pub mod ring;
pub(crate) mod secret;
pub mod stats;
pub(crate) mod systemd;
pub(crate) mod text;
pub(crate) mod tls;
pub mod tune;

/// The Rust programs in the pages compile.
#[cfg(doctest)]
#[doc = include_str!("../docs/protocol.md")]
pub struct Protocol;
