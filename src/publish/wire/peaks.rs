//! The answer to `peaks`: how high the curves of every label rose, and when.

use serde::{Deserialize, Serialize};

use super::{PeakKind, round, score, time};
use crate::analysis::query::{RecentPeak, RecentPeaks};

/// Peaks of all labels, whatever is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// The number from which on to ask the next time.
    pub next: u64,
    /// How many were overwritten before they were asked for.
    pub lost: u64,
    /// Whether more are there already than this line holds.
    pub more: bool,
    /// For how long peaks have been kept since the daemon began, the mean over the sources, in seconds.
    pub heard_s: f64,
    /// The names of the sources that are heard.
    pub sources: Vec<String>,
    /// In the order in which they were found.
    pub peaks: Vec<Peak>,
}

/// One of [`Peaks`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// The source's name.
    pub source: String,
    /// The label's display name.
    pub label: String,
    /// Which of the label's curves.
    pub kind: PeakKind,
    /// How high, 0…1.
    pub score: f64,
    /// When the curve was highest.
    pub at: String,
}

impl From<RecentPeaks> for Peaks {
    fn from(recent: RecentPeaks) -> Self {
        Self {
            next: recent.next,
            lost: recent.lost,
            more: recent.more,
            heard_s: round(recent.heard_s, 1),
            sources: recent.sources.iter().map(ToString::to_string).collect(),
            peaks: recent.peaks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<RecentPeak> for Peak {
    fn from(peak: RecentPeak) -> Self {
        Self {
            source: peak.source.to_string(),
            label: peak.subject.name.clone(),
            kind: peak.kind.into(),
            score: score(peak.score),
            at: time(peak.at),
        }
    }
}
