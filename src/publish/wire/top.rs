//! The answer to `top`: the scores of each source just now, and why a label is an event or is not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Why, level, score, time};
use crate::analysis::query::{self, SourceTop};
use crate::detect::rule;

/// The scores of one source just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Top {
    /// The source's name.
    pub source: String,
    /// The level of the newest hop, in dB relative to full scale.
    pub level_dbfs: f64,
    /// The level that the quietest fifth of the last 20 seconds stays below, in dB relative to full scale.
    #[serde(default)]
    pub noise_floor_dbfs: f64,
    /// Samples at full scale within the present period of 10 seconds.
    #[serde(default)]
    pub clipped_samples: u64,
    /// How many hops have been scored; two answers with the same number hold the same scores.
    #[serde(default)]
    pub hops: u64,
    /// The distance of two hops in milliseconds.
    #[serde(default)]
    pub hop_ms: u32,
    /// The age of the moment that the newest confirmed scores belong to, in milliseconds.
    #[serde(default)]
    pub two_sided_lag_ms: u64,
    /// The open events, the oldest first.
    #[serde(default)]
    pub open: Vec<OpenEvent>,
    /// The labels and groups with the highest causal scores, the highest first.
    pub labels: Vec<TopLabel>,
}

/// An event that has been reported and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenEvent {
    /// The event's id, the same in all lines about it.
    pub id: String,
    /// The label's display name, or the group's name.
    pub label: String,
    /// The name as an identifier.
    pub slug: String,
    /// When the sound began.
    #[schemars(extend("format" = "date-time"))]
    pub onset: String,
    /// The highest score so far, 0…1.
    pub peak_score: f64,
    /// Whether the confirmed score has borne it out.
    pub confirmed: bool,
    /// The display names of the other labels of the same sound.
    pub also: Vec<String>,
}

/// One label of a [`Top`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopLabel {
    /// The display name, or the group's name.
    pub label: String,
    /// The name as an identifier.
    pub slug: String,
    /// The newest causal score as far as it rises above the label's background, 0…1, which announces events.
    pub score: f64,
    /// The evidence of the newest confirmed score, 0…1, which is some seconds old; null before the first, and where the label is not reported by
    /// itself.
    #[serde(default)]
    pub two_sided: Option<f64>,
    /// The label's background, a score 0…1 that is always there, above which `score` rises; 0.01 where it is quiet, null where the
    /// label is not reported by itself.
    #[serde(default)]
    pub background: Option<f64>,
    /// The threshold of the evidence; null where the label is not reported by itself.
    pub threshold: Option<f64>,
    /// The threshold of the causal score; null as above.
    #[serde(default)]
    pub start_threshold: Option<f64>,
    /// The score below which an event ends; null as above.
    #[serde(default)]
    pub release: Option<f64>,
    /// Why it is an event, or is not.
    #[serde(default)]
    pub why: Why,
    /// The same as a sentence.
    #[serde(default)]
    pub because: String,
}

/// The thresholds of a label or a group, 0…1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Thresholds {
    /// The threshold of the confirmed score.
    pub threshold: f64,
    /// The threshold of the causal score, at which an event is announced at once.
    pub start_threshold: f64,
    /// The score below which an event ends.
    pub release: f64,
}

impl TopLabel {
    /// The thresholds of a label that has some.
    pub fn thresholds(&self) -> Option<Thresholds> {
        let threshold = self.threshold?;
        // An older daemon has one threshold only.
        let start_threshold = self.start_threshold.unwrap_or(threshold);
        Some(Thresholds { threshold, start_threshold, release: self.release.unwrap_or(0.0) })
    }
}

impl From<rule::Thresholds> for Thresholds {
    fn from(thresholds: rule::Thresholds) -> Self {
        let rule::Thresholds { threshold, start_threshold, release } = thresholds;
        Self { threshold: score(threshold), start_threshold: score(start_threshold), release: score(release) }
    }
}

impl From<SourceTop> for Top {
    fn from(top: SourceTop) -> Self {
        Self {
            source: top.source.to_string(),
            level_dbfs: level(top.level_dbfs),
            noise_floor_dbfs: level(top.noise_floor_dbfs),
            clipped_samples: top.clipped_samples,
            hops: top.hops,
            hop_ms: top.hop_ms,
            two_sided_lag_ms: top.confirmed_lag_ms,
            open: top.open.into_iter().map(Into::into).collect(),
            labels: top.labels.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<query::OpenEvent> for OpenEvent {
    fn from(event: query::OpenEvent) -> Self {
        Self {
            id: event.id.to_string(),
            label: event.subject.name.clone(),
            slug: event.subject.slug.clone(),
            onset: time(event.onset),
            peak_score: score(event.peak_score),
            confirmed: event.is_confirmed,
            also: event.also.iter().map(|subject| subject.name.clone()).collect(),
        }
    }
}

impl From<query::TopLabel> for TopLabel {
    fn from(label: query::TopLabel) -> Self {
        let thresholds = label.thresholds.map(Thresholds::from);
        Self {
            because: label.why.because(),
            label: label.subject.name.clone(),
            slug: label.subject.slug.clone(),
            score: score(label.score),
            two_sided: label.confirmed.map(score),
            background: label.background.map(score),
            threshold: thresholds.map(|thresholds| thresholds.threshold),
            start_threshold: thresholds.map(|thresholds| thresholds.start_threshold),
            release: thresholds.map(|thresholds| thresholds.release),
            why: (&label.why).into(),
        }
    }
}
