//! The answer to `top`: what each source hears just now, and why a label is an event or is not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Why, level, score, time};
use crate::analysis::query::{self, SourceTop};
use crate::detect::rule;

/// What a source hears just now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Top {
    /// The source's name.
    pub source: String,
    /// The level of the newest hop.
    pub level_dbfs: f64,
    /// The level that the quietest fifth of the last 20 seconds stays below.
    #[serde(default)]
    pub noise_floor_dbfs: f64,
    /// Samples at full scale within the present stretch of 10 seconds.
    #[serde(default)]
    pub clipped_samples: u64,
    /// How many hops have been scored: two answers with the same number hold the same scores.
    #[serde(default)]
    pub hops: u64,
    /// The distance of two hops.
    #[serde(default)]
    pub hop_ms: u32,
    /// How long ago the moment is that the newest two-sided scores speak of.
    #[serde(default)]
    pub two_sided_lag_ms: u64,
    /// The events that are open, the oldest first.
    #[serde(default)]
    pub open: Vec<OpenEvent>,
    /// The strongest first.
    pub labels: Vec<TopLabel>,
}

/// An event that has been told and has not ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenEvent {
    /// The same in all lines about this event.
    pub id: String,
    /// The label's display name, or the group's name.
    pub label: String,
    /// The name as an identifier.
    pub slug: String,
    /// When the sound began.
    pub onset: String,
    /// The highest score so far, 0…1.
    pub peak_score: f64,
    /// Whether the score of both sides has borne it out.
    pub confirmed: bool,
    /// The display names of what else the same sound is heard as.
    pub also: Vec<String>,
}

/// One label of a [`Top`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopLabel {
    /// The display name, or the group's name.
    pub label: String,
    /// The name as an identifier.
    pub slug: String,
    /// The newest causal score, 0…1: what announces an event.
    pub score: f64,
    /// The newest score that is looked at from both sides, some seconds old; null before the first, or where nothing is reported.
    #[serde(default)]
    pub two_sided: Option<f64>,
    /// The threshold of the score of both sides; null where the label is not reported by itself.
    pub threshold: Option<f64>,
    /// The threshold of the causal score; null as above.
    #[serde(default)]
    pub start_threshold: Option<f64>,
    /// Where an event ends; null as above.
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
            threshold: thresholds.map(|thresholds| thresholds.threshold),
            start_threshold: thresholds.map(|thresholds| thresholds.start_threshold),
            release: thresholds.map(|thresholds| thresholds.release),
            why: (&label.why).into(),
        }
    }
}
