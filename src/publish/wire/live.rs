//! The messages of a live view of one source.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Why, level, round, score, time};
use crate::analysis::query::{TopLabel, ViewShape, ViewSnapshot};

/// A message of a live view, by its `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum Live {
    /// The meaning of the numbers: the first message, and another one where a new model changes it.
    #[serde(rename = "live.start")]
    Start(LiveStart),
    /// The newest sound and scores, about ten times a second while the source is open.
    #[serde(rename = "live")]
    Columns(LiveColumns),
    /// Nothing is heard just now, but the connection lives.
    #[serde(rename = "heartbeat")]
    Heartbeat {},
}

/// The meaning of the numbers of [`LiveColumns`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveStart {
    /// The source's name.
    pub source: String,
    /// The length of a column of the spectrogram in milliseconds; 0 where there is no spectrogram.
    pub column_ms: f64,
    /// The frequency of the middle of each band in Hz, ascending; empty where the model takes the waveform and there is no
    /// spectrogram.
    pub bands_hz: Vec<f64>,
    /// How long after a moment its confirmed scores come, in milliseconds.
    pub two_sided_lag_ms: u64,
}

/// The sound and the scores since the last message of this type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveColumns {
    /// The index of the first column. Where it does not follow the last message's columns, some are skipped, or the source was
    /// opened again and counts from 0.
    pub column: u64,
    /// When that column was heard.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// The spectrogram since the last message in Base64: column after column, in each a byte a band from the lowest up. A byte is
    /// round((level in dB + 80) · 2), limited to 0…255.
    pub columns: String,
    /// The level of the newest hop, in dB relative to full scale.
    pub level_dbfs: f64,
    /// The level that the quietest fifth of the last 20 seconds stays below, in dB relative to full scale.
    pub noise_floor_dbfs: f64,
    /// Samples at full scale within the present period of 10 seconds.
    pub clipped_samples: u64,
    /// The moment of the newest causal scores; null before the first.
    #[schemars(extend("format" = "date-time"))]
    pub scored_at: Option<String>,
    /// The labels and groups of which a score is at least 0.003, the strongest first, at most 64.
    pub labels: Vec<LiveLabel>,
}

/// One label of a live view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveLabel {
    /// The name as an identifier.
    pub slug: String,
    /// The newest causal score, 0…1, which announces events.
    pub score: f64,
    /// The newest confirmed score, 0…1, which is some seconds old; null before the first, and where the label is not reported by
    /// itself.
    pub two_sided: Option<f64>,
    /// Why it is an event, or is not, as in `top`.
    pub why: Why,
}

impl LiveStart {
    /// The meaning of a source's numbers.
    pub fn new(source: &str, shape: &ViewShape) -> Self {
        Self {
            source: source.to_owned(),
            column_ms: shape.column_ms,
            bands_hz: shape.bands_hz.iter().map(|hz| round(*hz, 1)).collect(),
            two_sided_lag_ms: shape.confirmed_lag_ms,
        }
    }
}

impl From<ViewSnapshot> for LiveColumns {
    fn from(snapshot: ViewSnapshot) -> Self {
        Self {
            column: snapshot.column,
            at: time(snapshot.at),
            columns: STANDARD.encode(&snapshot.columns),
            level_dbfs: level(snapshot.level_dbfs),
            noise_floor_dbfs: level(snapshot.noise_floor_dbfs),
            clipped_samples: snapshot.clipped_samples,
            scored_at: snapshot.scored_at.map(time),
            labels: snapshot.labels.iter().map(LiveLabel::from).collect(),
        }
    }
}

impl From<&TopLabel> for LiveLabel {
    fn from(label: &TopLabel) -> Self {
        Self {
            slug: label.subject.slug.clone(),
            score: score(label.score),
            two_sided: label.confirmed.map(score),
            why: (&label.why).into(),
        }
    }
}
