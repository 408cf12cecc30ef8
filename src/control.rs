//! What a client may ask of the running daemon, on its way from the socket to the pipeline.
//!
//! The publishing stage checks who asks; the pipeline does what is asked and answers on the request's own channel.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::detect::peaks::CurveKind;
use crate::detect::why::Why;
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
    /// Set thresholds of a label or a group until the configuration is loaded again.
    Set {
        /// A label's name, slug or id, or a group's name.
        label: String,
        /// What is set.
        thresholds: SetThresholds,
        /// Takes what is in force then, or the sentences that say what is wrong.
        reply: oneshot::Sender<Result<InForce, Vec<String>>>,
    },
    /// What somebody sees who looks at a source just now.
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

/// The thresholds that a request sets; what is `None` stays, or follows the others as it would in the configuration. 0…1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SetThresholds {
    /// For the score that is looked at from both sides.
    pub threshold: Option<f64>,
    /// For the causal score, at which an event is announced at once.
    pub start_threshold: Option<f64>,
    /// An event ends where its score stays below this.
    pub release: Option<f64>,
}

/// The thresholds of a label or a group that are in force, 0…1.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    /// What they belong to.
    pub subject: Arc<Subject>,
    /// See [`SetThresholds`].
    pub threshold: f32,
    /// See [`SetThresholds`].
    pub start_threshold: f32,
    /// See [`SetThresholds`].
    pub release: f32,
}

/// What one source hears just now.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTop {
    /// The source's name.
    pub source: Arc<str>,
    /// The level of the last hop, in dB relative to full scale.
    pub level_dbfs: f32,
    /// The level that the quietest fifth of the last 20 seconds stays below, in dB relative to full scale.
    pub noise_floor_dbfs: f32,
    /// Samples at full scale within the present stretch of 10 seconds.
    pub clipped_samples: u64,
    /// How many hops have been scored: two answers with the same number hold the same scores.
    pub hops: u64,
    /// The distance of two hops in milliseconds.
    pub hop_ms: u32,
    /// How long ago the moment is that the newest two-sided scores speak of, in milliseconds.
    pub two_sided_lag_ms: u64,
    /// The events that are open, the oldest first.
    pub open: Vec<OpenEvent>,
    /// The labels and groups with the highest scores, the highest first.
    pub labels: Vec<TopLabel>,
}

/// An event that has been told and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenEvent {
    /// The event's id.
    pub id: Uuid,
    /// What it was told as.
    pub subject: Arc<Subject>,
    /// When it began.
    pub onset: Timestamp,
    /// Its highest score so far, 0…1.
    pub peak_score: f32,
    /// Whether the score of both sides has borne it out.
    pub is_confirmed: bool,
    /// What else the same sound is heard as.
    pub also: Vec<Arc<Subject>>,
}

/// One label of a [`SourceTop`].
#[derive(Debug, Clone, PartialEq)]
pub struct TopLabel {
    /// The label, or the group.
    pub subject: Arc<Subject>,
    /// The causal score of the newest windows, 0…1: what announces an event.
    pub score: f32,
    /// The newest score that is looked at from both sides, 0…1, of some seconds ago; `None` before the first, or without a rule.
    pub two_sided: Option<f32>,
    /// The thresholds in force; `None` where the label is not reported by itself.
    pub thresholds: Option<InForce>,
    /// Why it is an event just now, or why not.
    pub why: Why,
}

/// What somebody sees who looks at a source.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// What the picture's numbers mean.
    pub shape: Arc<Shape>,
    /// What is seen; `None` while the source is not attached.
    pub seen: Option<Seen>,
}

/// What the numbers of a [`Seen`] mean: the same as long as the model is.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// How long a column of the spectrogram is, in milliseconds; 0 where there is no spectrogram.
    pub column_ms: f64,
    /// The frequency of each band's peak in Hz, ascending; empty where there is no spectrogram.
    pub bands_hz: Vec<f64>,
    /// How long after a moment its two-sided scores come, in milliseconds.
    pub two_sided_lag_ms: u64,
}

/// How far a source has been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which opening of the source the column belongs to: each counts its columns from 0.
    pub attachment: u64,
    /// The first column that has not been seen.
    pub column: u64,
}

/// What is seen of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Where to go on the next time.
    pub next: Mark,
    /// The index of the first of `columns`.
    pub column: u64,
    /// When that was heard.
    pub at: Timestamp,
    /// The spectrogram, `[columns, bands]`, a byte each: the level in steps of half a dB above −80 dB.
    pub columns: Vec<u8>,
    /// The level of the last hop, in dB relative to full scale.
    pub level_dbfs: f32,
    /// The level that the quietest fifth of the last 20 seconds stays below, in dB relative to full scale.
    pub noise_floor_dbfs: f32,
    /// Samples at full scale within the present stretch of 10 seconds.
    pub clipped_samples: u64,
    /// The end of the newest windows that were scored; `None` before the first.
    pub scored_at: Option<Timestamp>,
    /// The labels and groups of which anything is heard, the strongest first.
    pub labels: Vec<TopLabel>,
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
    pub kind: CurveKind,
    /// How high, 0…1.
    pub score: f32,
    /// When the curve was highest.
    pub at: Timestamp,
}
