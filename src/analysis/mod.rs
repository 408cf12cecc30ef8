//! The analysis thread, one for all sources: pops samples, extends features, batches the windows that are due, decides events.
//!
//! Invariant: it waits for nothing but its own next command or sample. A subscriber or a sink that is slow costs it nothing: what
//! the channel does not take stays in a bounded backlog, and what that does not take is counted.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::capture::Pace;
use crate::control::{HeardPeaks, Mark, SourceTop, View};
use crate::detect::rule::Rule;
use crate::event::{EndReason, Report};
use crate::inference::Inference;
use crate::model::{Model, ModelError};
use crate::ring::Reader;
use crate::stats::{SourceStats, Stats};

mod clock;
mod load;
mod peaks;
mod silence;
mod slot;
mod thread;
mod top;
mod view;

pub(crate) use clock::Now;
use thread::Thread;

/// What the pipeline tells the analysis.
pub enum Command {
    /// A source opened.
    Attach(Box<Attachment>),
    /// A source's capture stopped: its open events end for `reason`, then `report` is published.
    Detach {
        /// The source's name.
        source: Arc<str>,
        /// Why its events end.
        reason: EndReason,
        /// What is published after that.
        report: Option<Report>,
    },
    /// A source came to its end: what is in its ring is still heard.
    Finish {
        /// The source's name.
        source: Arc<str>,
    },
    /// These rules are in force from now on.
    Rules(Vec<Rule>),
    /// This model is in force from now on, with these rules.
    Model(Box<(Model, Inference, Vec<Rule>)>),
    /// The strongest labels of each source just now.
    Top {
        /// How many labels a source.
        k: usize,
        /// Takes the answer.
        reply: oneshot::Sender<Vec<SourceTop>>,
    },
    /// What somebody sees who looks at a source just now; nothing is kept for it.
    View {
        /// The source's name.
        source: Arc<str>,
        /// What was seen already; `None` asks for all that is remembered.
        since: Option<Mark>,
        /// Takes the answer.
        reply: oneshot::Sender<View>,
    },
    /// The peaks of every label that were heard lately; from now on they are kept.
    Peaks {
        /// From which number on; `None` is from now on.
        since: Option<u64>,
        /// No lower ones, 0…1.
        floor: f32,
        /// Takes the answer.
        reply: oneshot::Sender<HeardPeaks>,
    },
    /// End all open events and return.
    Shutdown,
}

/// A source that opened.
pub struct Attachment {
    /// The source's name.
    pub source: Arc<str>,
    /// The rate of its samples in Hz.
    pub rate_hz: u32,
    /// Whether it delivers as time passes, or as fast as it is read.
    pub pace: Pace,
    /// Its samples.
    pub reader: Reader,
    /// How long a sample has been on its way when it enters the ring, in nanoseconds.
    pub device_latency_ns: Arc<AtomicU64>,
    /// It is silent when it has delivered nothing but digital zeros for so long, in milliseconds; 0 is never. May change at any time.
    pub silent_after_ms: Arc<AtomicU64>,
    /// Its counters.
    pub stats: Arc<SourceStats>,
    /// What is published first, such as that the source is back.
    pub report: Option<Report>,
}

/// What the analysis tells the pipeline.
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

/// What a run of the analysis works with.
pub struct Analysis {
    /// The model, for the shape of its windows.
    pub model: Model,
    /// The open model.
    pub inference: Inference,
    /// The rules in force at first.
    pub rules: Vec<Rule>,
    /// Commands from the pipeline.
    pub commands: Receiver<Command>,
    /// Reports to the publishing stage.
    pub reports: Sender<Report>,
    /// Outcomes to the pipeline.
    pub outcomes: Sender<Outcome>,
    /// The daemon's counters.
    pub stats: Arc<Stats>,
}

impl Analysis {
    /// Runs until it is told to shut down, or until the model fails.
    pub fn run(self) {
        let outcomes = self.outcomes.clone();
        let mut thread = Thread::new(self);
        if let Err(error) = thread.run() {
            // The pipeline is told and stops the daemon; if it is gone already, so are we.
            let _ = outcomes.send(Outcome::Failed(error));
        }
    }
}
