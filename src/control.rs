//! Requests to the running daemon, on their way from the publishing stage to the pipeline.
//!
//! The publishing stage checks who asks; the pipeline does what is asked, or has the analysis answer, and the answer comes on the
//! request's own channel.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::analysis::query::Query;
use crate::detect::rule::Thresholds;
use crate::event::{Report, Subject};

/// A request to the pipeline, with the channel for its answer.
#[derive(Debug)]
pub enum Control {
    /// A question that the analysis answers.
    Query(Query),
    /// Set thresholds of a label or a group until the configuration is loaded again.
    Set {
        /// A label's name, slug or id, or a group's name.
        label: String,
        /// The new thresholds.
        change: ThresholdChange,
        /// Takes the thresholds in force then, or the sentences that say what is wrong.
        reply: oneshot::Sender<Result<InForce, Vec<String>>>,
    },
    /// Write thresholds of a label or a group into the configuration file.
    Save {
        /// A label's name, slug or id, or a group's name.
        label: String,
        /// The thresholds to write; those that are `None` stay as they are in the file.
        change: ThresholdChange,
        /// Takes nothing once the file is written, or the sentence that says why it is not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Write into the configuration file that a label is reported, or is not.
    Choose {
        /// A label's name, slug or id.
        label: String,
        /// What is wanted.
        wanted: Reporting,
        /// Takes nothing once the file is written, or the sentence that says why it is not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Load the configuration again.
    Reload {
        /// Takes the sentences that say what changed, or those that say what is wrong.
        reply: oneshot::Sender<Result<Vec<String>, Vec<String>>>,
    },
    /// Stop listening for some seconds, or until `Resume`.
    Pause {
        /// For how long, in seconds; `None` is until `Resume`.
        seconds: Option<f64>,
        /// Says that it is done.
        reply: oneshot::Sender<()>,
    },
    /// Listen again.
    Resume {
        /// Says that it is done.
        reply: oneshot::Sender<()>,
    },
    /// Publish a report that the publishing stage has made.
    Publish {
        /// The report.
        report: Report,
    },
    /// Publish a made-up event of this label, so that a user can see an automation work.
    Test {
        /// A label's name, slug or id, or a group's name.
        label: String,
        /// Takes a remark where there is one, or the sentence that says why there is no such label.
        reply: oneshot::Sender<Result<Option<String>, String>>,
    },
}

/// Whether a label is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporting {
    /// It is.
    Reported,
    /// It is not.
    LeftOut,
}

/// A label or a group with its thresholds in force.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    /// The label, or the group.
    pub subject: Arc<Subject>,
    /// Its thresholds.
    pub thresholds: Thresholds,
}

/// Changes to the thresholds of a label or a group, 0…1. A field that is `None` stays, or follows the others as it would in the
/// configuration.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ThresholdChange {
    /// The threshold of the confirmed score.
    pub threshold: Option<f64>,
    /// The threshold of the causal score, at which an event is announced at once.
    pub start_threshold: Option<f64>,
    /// The score below which an event ends.
    pub release: Option<f64>,
}
