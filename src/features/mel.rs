//! The mel filterbank and the decibel: a power spectrum in, a row of log-mel values out.
//!
//! Triangles on the HTK scale, mel = 2595 · log10(1 + f / 700 Hz) (Young et al., The HTK Book, section 5.4), not normalised.

use crate::model::manifest::LogMelParameters;

/// Triangular filters, kept sparse: a bin lies in two of them at most.
#[derive(Debug, Clone)]
pub struct Filterbank {
    bands: Vec<Band>,
    weights: Vec<f64>,
    amin: f64,
}

/// One filter: the bins `first_bin…` with the weights `weights`.
#[derive(Debug, Clone)]
struct Band {
    first_bin: usize,
    weights: std::ops::Range<usize>,
}

fn hz_to_mel(hz: f64) -> f64 {
    2595.0 * (1.0 + hz / 700.0).log10()
}

fn mel_to_hz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}

/// The frequency of each band's peak in Hz, ascending.
pub fn band_centres_hz(parameters: &LogMelParameters) -> Vec<f64> {
    (1..=parameters.n_mels).map(|edge| edge_hz(parameters, edge)).collect()
}

/// The frequency of an edge in Hz: band b rises from edge b to its peak at edge b + 1 and falls to edge b + 2.
fn edge_hz(parameters: &LogMelParameters, edge: usize) -> f64 {
    let (low, high) = (hz_to_mel(parameters.f_min_hz), hz_to_mel(parameters.f_max_hz));
    mel_to_hz(low + (high - low) * edge as f64 / (parameters.n_mels + 1) as f64)
}

impl Filterbank {
    /// The filters that `parameters` describe, over the `n_fft / 2 + 1` bins of a spectrum at `sample_rate_hz`.
    pub fn new(parameters: &LogMelParameters, sample_rate_hz: u32) -> Self {
        let n_bins = parameters.n_fft / 2 + 1;
        let edge = |i: usize| edge_hz(parameters, i);
        let bin_hz = f64::from(sample_rate_hz) / parameters.n_fft as f64;
        let mut bank = Self { bands: Vec::with_capacity(parameters.n_mels), weights: Vec::new(), amin: parameters.amin };
        for band in 0..parameters.n_mels {
            let (left, peak, right) = (edge(band), edge(band + 1), edge(band + 2));
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                ((hz - left) / (peak - left)).min((right - hz) / (right - peak))
            };
            let first_bin = (0..n_bins).find(|bin| weight(*bin) > 0.0).unwrap_or(0);
            let start = bank.weights.len();
            bank.weights.extend((first_bin..n_bins).map(weight).take_while(|weight| *weight > 0.0));
            bank.bands.push(Band { first_bin, weights: start..bank.weights.len() });
        }
        bank
    }

    /// How many bands there are.
    pub fn n_mels(&self) -> usize {
        self.bands.len()
    }

    /// The value in dB of a band without any power.
    pub fn floor_db(&self) -> f32 {
        decibel(0.0, self.amin)
    }

    /// Projects `power` (`n_fft / 2 + 1` bins) and writes 10 · log10(max(band, amin)) dB for each band into `out` (`n_mels`).
    pub fn project_db(&self, power: &[f64], out: &mut [f32]) {
        for (band, value) in self.bands.iter().zip(out) {
            let weights = &self.weights[band.weights.clone()];
            let sum: f64 = weights.iter().zip(&power[band.first_bin..]).map(|(weight, power)| weight * power).sum();
            *value = decibel(sum, self.amin);
        }
    }
}

fn decibel(power: f64, amin: f64) -> f32 {
    (10.0 * power.max(amin).log10()) as f32
}
