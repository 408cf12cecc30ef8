//! Queries: questions to the analysis about what is heard just now, and their answers.
//!
//! A query changes nothing that is heard. It is answered from the state that the engine keeps anyway; only peaks are followed for
//! their own sake, and only while a client fetches them.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::detect::peaks::CurveKind;
use crate::detect::rule::Thresholds;
use crate::detect::why::Why;
use crate::event::Subject;

/// A question to the analysis, with the channel for its answer.
#[derive(Debug)]
pub enum Query {
    /// The labels with the highest scores of each source.
    Top {
        /// How many labels a source.
        k: usize,
        /// Takes the answer, one entry a source.
        reply: oneshot::Sender<Vec<SourceTop>>,
    },
    /// The newest columns of a source's spectrogram, with its level and scores.
    View {
        /// The source's name.
        source: Arc<str>,
        /// Where the last answer ended; `None` asks for all that is remembered.
        since: Option<ViewCursor>,
        /// Takes the answer.
        reply: oneshot::Sender<View>,
    },
    /// The recent peaks of every label's score curves. Peaks are followed from the first such query on.
    Peaks {
        /// The number of the first peak that is wanted; `None` asks for those that are still to come.
        since: Option<u64>,
        /// The lowest score of a peak that is wanted, 0…1.
        floor: f32,
        /// Takes the answer.
        reply: oneshot::Sender<RecentPeaks>,
    },
}

/// The scores of one source just now.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTop {
    /// The source's name.
    pub source: Arc<str>,
    /// The level of the last hop, in dB relative to full scale.
    pub level_dbfs: f32,
    /// The level that the quietest fifth of the last 20 seconds stays below, in dB relative to full scale.
    pub noise_floor_dbfs: f32,
    /// Samples at full scale within the present period of 10 seconds.
    pub clipped_samples: u64,
    /// How many hops have been scored; two answers with the same number hold the same scores.
    pub hops: u64,
    /// The distance of two hops in milliseconds.
    pub hop_ms: u32,
    /// The age of the moment that the newest confirmed scores belong to, in milliseconds.
    pub confirmed_lag_ms: u64,
    /// The open events, the oldest first.
    pub open: Vec<OpenEvent>,
    /// The labels and groups with the highest causal scores, the highest first.
    pub labels: Vec<TopLabel>,
}

/// An event that has been reported and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenEvent {
    /// The event's id.
    pub id: Uuid,
    /// The label or group that it is reported as.
    pub subject: Arc<Subject>,
    /// When the sound began.
    pub onset: Timestamp,
    /// Its highest score so far, 0…1.
    pub peak_score: f32,
    /// Whether the confirmed score has borne it out.
    pub is_confirmed: bool,
    /// Whether its sound is over for now.
    pub is_quiet: bool,
    /// The other labels of the same sound.
    pub also: Vec<Arc<Subject>>,
}

/// A label or a group, with its newest scores.
#[derive(Debug, Clone, PartialEq)]
pub struct TopLabel {
    /// The label, or the group.
    pub subject: Arc<Subject>,
    /// The causal score of the newest windows, 0…1, which announces events.
    pub score: f32,
    /// The newest confirmed score, 0…1, which is some seconds old; `None` before the first, and without a rule.
    pub confirmed: Option<f32>,
    /// The background, a score 0…1 that is always there, and 0.01 where it is quiet; `None` without a rule.
    pub background: Option<f32>,
    /// The thresholds in force; `None` where the label is not reported by itself.
    pub thresholds: Option<Thresholds>,
    /// Why it is an event just now, or why not.
    pub why: Why,
}

/// A view of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The meaning of the snapshot's numbers.
    pub shape: Arc<ViewShape>,
    /// The newest of the source; `None` while the source is not attached.
    pub snapshot: Option<ViewSnapshot>,
}

/// The meaning of a [`ViewSnapshot`]'s numbers, which only another model changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewShape {
    /// The length of a column of the spectrogram in milliseconds; 0 where there is no spectrogram.
    pub column_ms: f64,
    /// The frequency of each band's peak in Hz, ascending; empty where there is no spectrogram.
    pub bands_hz: Vec<f64>,
    /// How long after a moment its confirmed scores come, in milliseconds.
    pub confirmed_lag_ms: u64,
}

/// A place in a source's spectrogram, from which on columns are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewCursor {
    /// Which opening of the source the column belongs to; each opening counts its columns from 0.
    pub attachment: u64,
    /// The first column that is wanted.
    pub column: u64,
}

/// The newest of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSnapshot {
    /// Where the next view goes on.
    pub next: ViewCursor,
    /// The index of the first of `columns`.
    pub column: u64,
    /// When that column was heard.
    pub at: Timestamp,
    /// The spectrogram, `[columns, bands]`, one byte each: the level in steps of half a dB above −80 dB.
    pub columns: Vec<u8>,
    /// The level of the last hop, in dB relative to full scale.
    pub level_dbfs: f32,
    /// The level that the quietest fifth of the last 20 seconds stays below, in dB relative to full scale.
    pub noise_floor_dbfs: f32,
    /// Samples at full scale within the present period of 10 seconds.
    pub clipped_samples: u64,
    /// The end of the newest windows that were scored; `None` before the first.
    pub scored_at: Option<Timestamp>,
    /// The labels and groups with a score worth showing, the highest first.
    pub labels: Vec<TopLabel>,
}

/// The recent peaks of all labels, reported or not.
#[derive(Debug, Clone, PartialEq)]
pub struct RecentPeaks {
    /// The number to ask from the next time.
    pub next: u64,
    /// How many peaks were overwritten before they were fetched.
    pub lost: u64,
    /// Whether there are more peaks already than this answer holds.
    pub more: bool,
    /// For how long peaks have been followed since the daemon began, by the sample clock, in seconds; the mean over the sources.
    pub heard_s: f64,
    /// The names of the attached sources.
    pub sources: Vec<Arc<str>>,
    /// The peaks, in the order in which they were found.
    pub peaks: Vec<RecentPeak>,
}

/// A peak of a label's score curve, with its place on the wall clock.
#[derive(Debug, Clone, PartialEq)]
pub struct RecentPeak {
    /// The source's name.
    pub source: Arc<str>,
    /// The label.
    pub subject: Arc<Subject>,
    /// Which of the label's curves.
    pub kind: CurveKind,
    /// Its height, 0…1.
    pub score: f32,
    /// When the curve was highest.
    pub at: Timestamp,
}
