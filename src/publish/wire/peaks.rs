//! The answer to `peaks`: how high the curves of every label rose, and when.

use serde::{Deserialize, Serialize};

use super::{round, score, time};
use crate::control::{HeardPeak, HeardPeaks};
use crate::detect::peaks::CurveKind;

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

/// The curves of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakKind {
    /// The one that decides whether there was an event.
    TwoSided,
    /// The one that announces events.
    Causal,
}

impl From<HeardPeaks> for Peaks {
    fn from(heard: HeardPeaks) -> Self {
        Self {
            next: heard.next,
            lost: heard.lost,
            more: heard.more,
            heard_s: round(heard.heard_s, 1),
            sources: heard.sources.iter().map(ToString::to_string).collect(),
            peaks: heard.peaks.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<HeardPeak> for Peak {
    fn from(peak: HeardPeak) -> Self {
        Self {
            source: peak.source.to_string(),
            label: peak.subject.name.clone(),
            kind: peak.kind.into(),
            score: score(peak.score),
            at: time(peak.at),
        }
    }
}

impl From<CurveKind> for PeakKind {
    fn from(kind: CurveKind) -> Self {
        match kind {
            CurveKind::Confirmed => PeakKind::TwoSided,
            CurveKind::Causal => PeakKind::Causal,
        }
    }
}

impl From<PeakKind> for CurveKind {
    fn from(kind: PeakKind) -> Self {
        match kind {
            PeakKind::TwoSided => CurveKind::Confirmed,
            PeakKind::Causal => CurveKind::Causal,
        }
    }
}
