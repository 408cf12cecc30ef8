//! What a client may ask of the running daemon, on its way from the socket to the pipeline.
//!
//! The publishing stage checks who asks; the pipeline does what is asked and answers on the request's own channel.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::detect::peaks::Kind;
use crate::event::Subject;

/// A request to the pipeline, with the channel for its answer.
#[derive(Debug)]
pub enum Control {
    /// The strongest labels of each source just now.
    Top {
        /// How many labels a source.
        k: usize,
        /// Takes the answer.
        reply: oneshot::Sender<Vec<SourceTop>>,
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
    /// Load the configuration again.
    Reload {
        /// Takes the sentences that say what changed, or those that say what is wrong.
        reply: oneshot::Sender<Result<Vec<String>, Vec<String>>>,
    },
    /// Stop listening for some seconds, or until `Resume`.
    Pause {
        /// For how long; `None` is until `Resume`.
        seconds: Option<f64>,
        /// Says that it is done.
        reply: oneshot::Sender<()>,
    },
    /// Listen again.
    Resume {
        /// Says that it is done.
        reply: oneshot::Sender<()>,
    },
    /// Publish a made-up event of this label, so that a user can see an automation work.
    Test {
        /// A label's name, slug or id, or a group's name.
        label: String,
        /// Takes nothing, or the sentence that says why there is no such label.
        reply: oneshot::Sender<Result<(), String>>,
    },
}

/// The strongest labels of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTop {
    /// The source's name.
    pub source: Arc<str>,
    /// The level of the last hop, in dB relative to full scale.
    pub level_dbfs: f32,
    /// The labels' names, slugs and scores, the strongest first.
    pub labels: Vec<TopLabel>,
}

/// One label of a [`SourceTop`].
#[derive(Debug, Clone, PartialEq)]
pub struct TopLabel {
    /// The display name.
    pub name: String,
    /// The name as an identifier.
    pub slug: String,
    /// The score of the newest window, 0…1.
    pub score: f32,
    /// The threshold in force; `None` where the label is not reported by itself.
    pub threshold: Option<f32>,
}

/// Peaks of all labels, whatever is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct HeardPeaks {
    /// The number from which on to ask the next time.
    pub next: u64,
    /// How many were overwritten before they were asked for.
    pub lost: u64,
    /// Whether more are there already than this answer holds.
    pub more: bool,
    /// For how long peaks have been kept since the daemon began, by the sample clock, in seconds; the mean over the sources.
    pub heard_s: f64,
    /// The sources that are heard.
    pub sources: Vec<Arc<str>>,
    /// The peaks, in the order in which they were found.
    pub peaks: Vec<HeardPeak>,
}

/// One of [`HeardPeaks`].
#[derive(Debug, Clone, PartialEq)]
pub struct HeardPeak {
    /// The source's name.
    pub source: Arc<str>,
    /// The label.
    pub subject: Arc<Subject>,
    /// Which of the label's curves.
    pub kind: Kind,
    /// How high, 0…1.
    pub score: f32,
    /// When the curve was highest.
    pub at: Timestamp,
}
