//! The steps that treat each token by itself: layer normalisation, with the residual before it, and GELU.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x16};

use super::lanes::{gelu, quantize, quantize_after_gelu, store, values, vectors};
use super::{Product, Quantized};

/// A layer normalisation (Ba, Kiros and Hinton, Layer normalization, 2016) with the rounding for the next product.
#[derive(Debug)]
pub struct Norm {
    /// `[channels]`.
    gain: Vec<f32>,
    /// `[channels]`.
    shift: Vec<f32>,
    /// The channels that are repeated at the end of a token.
    further: Vec<usize>,
    /// The step of the next product's weights.
    weight_step: f32,
    /// The token that is being normalised, `[channels]`.
    token: Vec<f32>,
}

/// The small number that is added to the variance.
const EPSILON: f32 = 1e-6;

impl Norm {
    /// A normalisation over as many channels as `gain` and `shift` have.
    pub fn new(gain: &[f32], shift: &[f32], further: Vec<usize>, weight_step: f32) -> Self {
        Self { gain: gain.to_vec(), shift: shift.to_vec(), further, weight_step, token: vec![0.0; gain.len()] }
    }

    /// The number of channels of a token.
    pub fn channels(&self) -> usize {
        self.gain.len()
    }

    /// The number of bytes of a rounded token.
    pub fn rounded_len(&self) -> usize {
        self.gain.len() + self.further.len()
    }

    /// Normalises and rounds the tokens `x`, `[tokens, channels]`.
    pub fn run(&mut self, level: Level, x: &[f32], out: Quantized) {
        dispatch!(level, simd => self.all(simd, x, out));
    }

    /// Normalises and rounds the sums of `x` and a product, which are written into `sums`, `[tokens, channels]`.
    pub fn run_added(&mut self, level: Level, x: &[f32], product: Product, sums: &mut [f32], out: Quantized) {
        dispatch!(level, simd => self.all_added(simd, x, product, sums, out));
    }

    #[inline(always)]
    fn all<S: Simd>(&mut self, simd: S, x: &[f32], out: Quantized) {
        let tokens = x.chunks_exact(self.gain.len());
        for ((token, rounded), scale) in tokens.zip(out.rounded.chunks_exact_mut(self.rounded_len())).zip(out.scales) {
            *scale = self.one(simd, token, rounded);
        }
    }

    #[inline(always)]
    fn all_added<S: Simd>(&mut self, simd: S, x: &[f32], product: Product, sums: &mut [f32], out: Quantized) {
        let width = self.gain.len();
        let tokens = x.chunks_exact(width).zip(product.tokens()).zip(sums.chunks_exact_mut(width));
        let out = out.rounded.chunks_exact_mut(self.rounded_len()).zip(out.scales);
        for (((x, (integers, scale)), sum), (rounded, new_scale)) in tokens.zip(out) {
            store(values(simd, integers, scale, product.bias).zip(vectors(simd, x)).map(|(value, x)| value + x), sum);
            *new_scale = self.one(simd, sum, rounded);
        }
    }

    /// Normalises and rounds one token, and returns its scale.
    #[inline(always)]
    fn one<S: Simd>(&mut self, simd: S, token: &[f32], rounded: &mut [u8]) -> f32 {
        let width = self.gain.len();
        let nothing = f32x16::splat(simd, 0.0);
        let mean = vectors(simd, token).fold(nothing, |sum, x| sum + x).reduce_sum() / width as f32;
        let mean = f32x16::splat(simd, mean);
        let squares = vectors(simd, token).fold(nothing, |sum, x| (x - mean).mul_add(x - mean, sum)).reduce_sum();
        let by_deviation = f32x16::splat(simd, 1.0 / (squares / width as f32 + EPSILON).sqrt());
        let lines = vectors(simd, &self.gain).zip(vectors(simd, &self.shift));
        store(
            vectors(simd, token).zip(lines).map(|(x, (gain, shift))| ((x - mean) * by_deviation).mul_add(gain, shift)),
            &mut self.token,
        );
        let (rounded, again) = rounded.split_at_mut(width);
        let step = quantize(simd, &self.token, rounded);
        for (byte, channel) in again.iter_mut().zip(&self.further) {
            *byte = rounded[*channel];
        }
        step * self.weight_step
    }
}

/// A GELU with the rounding for the next product.
#[derive(Debug)]
pub struct Gelu {
    weight_step: f32,
    /// The token that is being rounded, `[channels]`.
    token: Vec<f32>,
}

impl Gelu {
    /// A GELU over `channels` channels; `weight_step` is the step of the next product's weights.
    pub fn new(channels: usize, weight_step: f32) -> Self {
        Self { weight_step, token: vec![0.0; channels] }
    }

    /// Applies GELU to every token of `product`, and rounds it.
    pub fn run(&mut self, level: Level, product: Product, out: Quantized) {
        dispatch!(level, simd => self.all(simd, product, out));
    }

    #[inline(always)]
    fn all<S: Simd>(&mut self, simd: S, product: Product, out: Quantized) {
        let out = out.rounded.chunks_exact_mut(product.bias.len()).zip(out.scales);
        for ((integers, scale), (rounded, new_scale)) in product.tokens().zip(out) {
            store(values(simd, integers, scale, product.bias).map(|x| gelu(simd, x)), &mut self.token);
            *new_scale = quantize_after_gelu(simd, &self.token, rounded) * self.weight_step;
        }
    }
}
