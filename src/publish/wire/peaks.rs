//! The answer to `peaks`: the recent peaks of every label's score curves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PeakKind, round, score, time};
use crate::analysis::query::{RecentPeak, RecentPeaks};

/// Recent peaks of all labels, reported or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Peaks {
    /// The number to ask from the next time.
    pub next: u64,
    /// How many peaks were overwritten before they were fetched.
    pub lost: u64,
    /// Whether there are more peaks already than this line holds.
    pub more: bool,
    /// For how long peaks have been followed since the daemon began, in seconds; the mean over the sources.
    pub heard_s: f64,
    /// The names of the sources that are heard.
    pub sources: Vec<String>,
    /// The peaks, in the order in which they were found.
    pub peaks: Vec<Peak>,
}

/// A peak of a label's score curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Peak {
    /// The source's name.
    pub source: String,
    /// The label's display name.
    pub label: String,
    /// Which of the label's curves.
    pub kind: PeakKind,
    /// Its height, 0…1.
    pub score: f64,
    /// When the curve was highest.
    #[schemars(extend("format" = "date-time"))]
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
