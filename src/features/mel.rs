//! The mel filterbank and the decibel: from a power spectrum to one frame of the log-mel spectrogram.
//!
//! The filters are triangles. Their corners lie on the HTK scale, mel = 2595 · log10(1 + f / 700 Hz) (Young et al., The HTK Book,
//! section 5.4), or on that of Slaney's Auditory Toolbox, which is linear below 1 kHz.

use crate::model::manifest::{FilterNorm, Floor, LogMelParameters, MelScale};

/// The number of products that are summed side by side.
const LANES: usize = 4;

/// Triangular filters, stored sparsely: a bin lies in two of them at most.
#[derive(Debug, Clone)]
pub struct Filterbank {
    bands: Vec<Band>,
    weights: Vec<[f32; LANES]>,
    padded_bins: usize,
    /// Added to each band's power.
    added: f32,
    /// The least power of a band.
    least: f32,
}

/// One filter: the weights of the bins from `first_bin` on, filled up with zeros.
#[derive(Debug, Clone)]
struct Band {
    first_bin: usize,
    weights: std::ops::Range<usize>,
}

/// Slaney's scale has a straight part of 3 mel each 200 Hz up to here, and ln 6.4 / 27 a mel above.
const BREAK_HZ: f64 = 1_000.0;
const HZ_A_MEL: f64 = 200.0 / 3.0;

/// ln 6.4 / 27.
fn log_step() -> f64 {
    6.4f64.ln() / 27.0
}

fn hz_to_mel(scale: MelScale, hz: f64) -> f64 {
    match scale {
        MelScale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        MelScale::Slaney if hz < BREAK_HZ => hz / HZ_A_MEL,
        MelScale::Slaney => BREAK_HZ / HZ_A_MEL + (hz / BREAK_HZ).ln() / log_step(),
    }
}

fn mel_to_hz(scale: MelScale, mel: f64) -> f64 {
    match scale {
        MelScale::Htk => 700.0 * (10f64.powf(mel / 2595.0) - 1.0),
        MelScale::Slaney if mel < BREAK_HZ / HZ_A_MEL => mel * HZ_A_MEL,
        MelScale::Slaney => BREAK_HZ * ((mel - BREAK_HZ / HZ_A_MEL) * log_step()).exp(),
    }
}

/// The frequency of each band's peak in Hz, ascending.
pub fn band_centres_hz(parameters: &LogMelParameters) -> Vec<f64> {
    (1..=parameters.n_mels).map(|edge| edge_hz(parameters, edge)).collect()
}

/// The frequency of an edge in Hz: band b rises from edge b to its peak at edge b + 1 and falls to edge b + 2.
fn edge_hz(parameters: &LogMelParameters, edge: usize) -> f64 {
    let scale = parameters.mel_scale;
    let (low, high) = (hz_to_mel(scale, parameters.f_min_hz), hz_to_mel(scale, parameters.f_max_hz));
    mel_to_hz(scale, low + (high - low) * edge as f64 / (parameters.n_mels + 1) as f64)
}

impl Filterbank {
    /// The filters that `parameters` describe, over the `n_fft / 2 + 1` bins of a spectrum at `sample_rate_hz`.
    pub fn new(parameters: &LogMelParameters, sample_rate_hz: u32) -> Self {
        let n_bins = parameters.n_fft / 2 + 1;
        let edge = |i: usize| edge_hz(parameters, i);
        let bin_hz = f64::from(sample_rate_hz) / parameters.n_fft as f64;
        let mut bank = Self {
            bands: Vec::with_capacity(parameters.n_mels),
            weights: Vec::new(),
            padded_bins: n_bins + LANES,
            added: if parameters.floor == Floor::Add { parameters.amin as f32 } else { 0.0 },
            least: (parameters.amin as f32).max(f32::MIN_POSITIVE),
        };
        for band in 0..parameters.n_mels {
            let (left, peak, right) = (edge(band), edge(band + 1), edge(band + 2));
            let height = match parameters.norm {
                FilterNorm::None => 1.0,
                FilterNorm::Slaney => 2.0 / (right - left),
            };
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                height * ((hz - left) / (peak - left)).min((right - hz) / (right - peak))
            };
            let first_bin = (0..n_bins).find(|bin| weight(*bin) > 0.0).unwrap_or(0);
            let start = bank.weights.len();
            let weights: Vec<f32> =
                (first_bin..n_bins).map(weight).take_while(|weight| *weight > 0.0).map(|weight| weight as f32).collect();
            bank.weights.extend(weights.chunks(LANES).map(|chunk| {
                let mut padded = [0.0; LANES];
                padded[..chunk.len()].copy_from_slice(chunk);
                padded
            }));
            bank.bands.push(Band { first_bin, weights: start..bank.weights.len() });
        }
        bank
    }

    /// The number of bands.
    pub fn n_mels(&self) -> usize {
        self.bands.len()
    }

    /// The length of the power spectrum that [`project_db`](Self::project_db) takes: its bins, and zeros after them.
    pub fn padded_bins(&self) -> usize {
        self.padded_bins
    }

    /// The value of a band without any power, in dB.
    pub fn floor_db(&self) -> f32 {
        decibel(self.least)
    }

    /// Projects `power` ([`padded_bins`](Self::padded_bins)) and writes each band's level in dB, at least that of `amin`, into
    /// `out` (`n_mels`).
    #[inline(always)]
    pub fn project_db(&self, power: &[f32], out: &mut [f32]) {
        for (band, value) in self.bands.iter().zip(out.iter_mut()) {
            let weights = &self.weights[band.weights.clone()];
            let mut sums = [0.0; LANES];
            for (weights, power) in weights.iter().zip(power[band.first_bin..].chunks_exact(LANES)) {
                for ((sum, weight), power) in sums.iter_mut().zip(weights).zip(power) {
                    *sum += weight * power;
                }
            }
            *value = ((sums[0] + sums[2]) + (sums[1] + sums[3]) + self.added).max(self.least);
        }
        for value in out {
            *value = decibel(*value);
        }
    }
}

/// 10 · log10 of a normal positive number, to 1e-5 dB. It has no branches, so that the compiler computes several values at once.
///
/// The number is 2^e · m with m from √½ to √2, and ln m is the series 2 (s + s³ / 3 + s⁵ / 5 + …) of s = (m − 1) / (m + 1).
#[inline(always)]
fn decibel(power: f32) -> f32 {
    const ROOT_HALF: i32 = 0x3f35_04f3;
    const MANTISSA: i32 = 0x007f_ffff;
    const DB_PER_OCTAVE: f64 = 10.0 * std::f64::consts::LOG10_2;
    const DB_PER_LOG: f64 = 10.0 * std::f64::consts::LOG10_E;
    let bits = power.to_bits() as i32 - ROOT_HALF;
    let mantissa = f32::from_bits(((bits & MANTISSA) + ROOT_HALF) as u32);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let log = 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0))));
    // The two terms may nearly cancel, or add up to −100; their sum must not be rounded twice.
    (f64::from(bits >> 23) * DB_PER_OCTAVE + f64::from(log) * DB_PER_LOG) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::decibel;

    #[test]
    fn the_floor_is_exact() {
        assert_eq!(decibel(1e-10), -100.0);
    }

    proptest! {
        #[test]
        fn the_decibel_is_that_of_the_logarithm(bits in f32::MIN_POSITIVE.to_bits()..f32::MAX.to_bits()) {
            let power = f32::from_bits(bits);
            prop_assert!((f64::from(decibel(power)) - 10.0 * f64::from(power).log10()).abs() < 4e-5, "{power}");
        }
    }
}
