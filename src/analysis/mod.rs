//! The analysis thread, one for all sources: pops samples, extends features, batches the windows that are due, decides events.
//!
//! `thread` is the loop, with a `slot` for each source, whose samples `clock` lays on the wall clock and `silence` watches.
//! `backgrounds` keeps what a source that is away had learnt. `shedding` scores fewer hops while there is too much to do. `query`
//! declares what may be asked, which `answer`, `view` and `peaks` answer. `outbox` hands the reports over, `clips` the sound that is kept, and
//! `embeddings` those of the newest windows, where a store keeps them.
//!
//! Invariant: it waits for nothing but its own next command or sample. A slow subscriber or sink costs it nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crossbeam_channel::{Receiver, Sender};

use crate::capture::Pace;
use crate::detect::rule::Rule;
use crate::event::{EndReason, Report};
use crate::inference::Inference;
use crate::model::{Model, ModelError};
use crate::ring::Reader;
use crate::stats::{SourceStats, Stats};

mod answer;
pub mod backgrounds;
pub mod clips;
mod clock;
mod embeddings;
mod outbox;
mod peaks;
pub mod query;
mod shedding;
mod silence;
mod slot;
mod thread;
mod view;

use backgrounds::Backgrounds;
use clips::Handover;
pub(crate) use clock::Now;
use query::Query;
use thread::Thread;

/// An order or a question of the pipeline to the analysis.
pub enum Command {
    /// A source opened.
    Attach(Box<Attachment>),
    /// A source's capture stopped: its open events end for `reason`, then `report` is published.
    Detach {
        /// The source's name.
        source: Arc<str>,
        /// Why its events end.
        reason: EndReason,
        /// The report that is published after that.
        report: Option<Report>,
    },
    /// A source came to its end. The samples that are in its ring are still heard.
    Finish {
        /// The source's name.
        source: Arc<str>,
    },
    /// These rules are in force from now on.
    Rules(Ruleset),
    /// Clips are handed over this way from now on; `None` where none are kept.
    Clips(Option<Handover>),
    /// This model is in force from now on, with these rules.
    Model(Box<(Model, Inference, Ruleset)>),
    /// Publish this report after those of everything that came before.
    Report(Report),
    /// A question, which is answered on its own channel.
    Query(Query),
    /// End all open events and return.
    Shutdown,
}

/// The rules in force, and the labels that are left out of the report on purpose.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ruleset {
    /// One rule for each label or group that is reported.
    pub rules: Vec<Rule>,
    /// The labels that `[report] ignore` names, by their indices among the model's outputs. Only answers to queries tell them
    /// from other labels without a rule.
    pub ignored: Vec<usize>,
}

/// A source that opened.
pub struct Attachment {
    /// The source's name.
    pub source: Arc<str>,
    /// The rate of its samples in Hz.
    pub rate_hz: u32,
    /// Whether it delivers in real time, or as fast as it is read.
    pub pace: Pace,
    /// Its samples.
    pub reader: Reader,
    /// How long a sample has been on its way when it enters the ring, in nanoseconds.
    pub device_latency_ns: Arc<AtomicU64>,
    /// Whether its samples have found no room in the ring of late, so that their lateness says nothing.
    pub is_held_up: Arc<AtomicBool>,
    /// After how many milliseconds of nothing but digital zeros the source is silent; 0 is never. It may change at any time.
    pub silent_after_ms: Arc<AtomicU64>,
    /// Its counters.
    pub stats: Arc<SourceStats>,
    /// The report that is published first, such as that the source is back.
    pub report: Option<Report>,
}

/// The end of a source, or of the analysis itself, as the pipeline learns of it.
#[derive(Debug)]
pub enum Outcome {
    /// A source that came to its end has been heard to its end.
    Finished {
        /// The source's name.
        source: Arc<str>,
    },
    /// The model failed while running: the analysis has ended.
    Failed(ModelError),
}

/// The parts that a run of the analysis works with.
pub struct Analysis {
    /// The model, for the shape of its windows.
    pub model: Model,
    /// The open model.
    pub inference: Inference,
    /// The rules in force at first.
    pub ruleset: Ruleset,
    /// Commands from the pipeline.
    pub commands: Receiver<Command>,
    /// Reports to the publishing stage.
    pub reports: Sender<Report>,
    /// Outcomes to the pipeline.
    pub outcomes: Sender<Outcome>,
    /// The daemon's counters.
    pub stats: Arc<Stats>,
    /// The backgrounds of the sources when they were last heard with this model.
    pub backgrounds: Backgrounds,
}

impl Analysis {
    /// Runs until it is told to shut down, or until the model fails. Returns the backgrounds of the sources.
    pub fn run(self) -> Backgrounds {
        let outcomes = self.outcomes.clone();
        let mut thread = Thread::new(self);
        if let Err(error) = thread.run() {
            // The pipeline is told and stops the daemon; if it is gone already, so are we.
            let _ = outcomes.send(Outcome::Failed(error));
        }
        thread.backgrounds
    }
}
