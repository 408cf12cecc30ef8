//! The part of a manifest that says how scores become events: windows, curves, evidence, and the labels of alarms. Plain data.

use serde::Deserialize;

/// The windows that the model is given, and the numbers by which their scores become a curve and segments of it; see
/// `detect::scoring` and `detect::segments`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The lengths of the windows in milliseconds.
    pub windows_ms: Vec<u32>,
    /// The distance of two windows in milliseconds.
    pub hop_ms: u32,
    /// For each length of window, its stride: the window is scored at every n-th hop, and this is n. Empty: every window at every
    /// hop.
    #[serde(default)]
    pub strides: Vec<usize>,
    /// The stride of the first window while the sound is steady. `None`: the same as otherwise.
    pub steady_stride: Option<usize>,
    /// The level in dBFS that no 10 ms of a window may exceed for the window to count as silence. `None`: digital silence alone
    /// counts.
    pub noise_gate_dbfs: Option<f32>,
    /// The overlap δ of a window with the moment that it scores, as a part of the window's length.
    pub delta: f32,
    /// The number of confirmed scores over which the median is taken; odd.
    pub median: usize,
    /// The part of its peak down to which a segment reaches.
    pub extent: f32,
    /// The part of the lower of two peaks below which the curve between them must fall to make two segments of them.
    pub valley: f32,
    /// The weights of the evidence. `None`: the peak of the confirmed score is the evidence.
    pub evidence: Option<Evidence>,
    /// The labels of alarms, whose scores depend on the pattern of the sound as well. `None`: on the model alone.
    #[serde(default)]
    pub alarms: Option<Alarms>,
}

/// The weights of a segment's evidence, a logistic regression; see `detect::evidence`. All are log odds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// By each unit of the log odds of the confirmed score's peak.
    pub confirmed: f32,
    /// By each unit of the log odds of the highest causal score.
    pub causal: f32,
    /// By each unit of the natural logarithm of the duration in seconds.
    pub duration: f32,
    /// By each 10 dB of the signal-to-noise ratio.
    pub snr: f32,
    /// By each unit of the log odds of the label's background above those of a quiet one.
    pub background: f32,
    /// Taken off the causal score, by the same unit.
    pub start_background: f32,
    /// The log odds of a segment of which all parts are 0.
    pub offset: f32,
}

/// The labels of alarms, and the evidence that their patterns are; see `detect::alarm`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarms {
    /// The names of the labels.
    pub labels: Vec<String>,
    /// The log odds that are added to their scores where no pattern of an alarm has been heard; not above 0.
    pub without: f32,
    /// The log odds that are added where a pattern is sure; not below 0.
    pub with: f32,
}

/// The numbers of [`Detection`] that a configuration sets in place of the model's own.
#[derive(Debug, Clone, PartialEq, Default)]
#[allow(missing_docs, reason = "they are those of Detection")]
pub struct DetectionOverride {
    pub windows_ms: Option<Vec<u32>>,
    pub hop_ms: Option<u32>,
    pub strides: Option<Vec<usize>>,
    pub steady_stride: Option<usize>,
    pub noise_gate_dbfs: Option<f32>,
    pub delta: Option<f32>,
    pub median: Option<usize>,
    pub extent: Option<f32>,
    pub valley: Option<f32>,
}

impl Detection {
    /// The numbers that tests begin with: one window of 1 s, scored ten times a second, without overlap, median or strides.
    #[cfg(test)]
    pub(crate) fn of_tests() -> Self {
        Self {
            windows_ms: vec![1_000],
            hop_ms: 100,
            strides: Vec::new(),
            steady_stride: None,
            noise_gate_dbfs: None,
            delta: 0.0,
            median: 1,
            extent: 0.1,
            valley: 0.3,
            evidence: None,
            alarms: None,
        }
    }

    /// The lengths of the windows in samples at `rate_hz`.
    pub fn windows_samples(&self, rate_hz: u32) -> impl Iterator<Item = usize> + '_ {
        self.windows_ms.iter().map(move |window| samples(*window, rate_hz))
    }

    /// The distance of two windows in samples at `rate_hz`.
    pub fn hop_samples(&self, rate_hz: u32) -> usize {
        samples(self.hop_ms, rate_hz)
    }
}

fn samples(milliseconds: u32, rate_hz: u32) -> usize {
    (u64::from(milliseconds) * u64::from(rate_hz) / 1000) as usize
}
