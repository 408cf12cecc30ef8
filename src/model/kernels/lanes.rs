//! Arithmetic on sixteen numbers at once, with whatever vectors the processor has. All rounding is in this file.

use fearless_simd::prelude::*;
use fearless_simd::{f32x16, i32x16};

use super::Product;

/// The number of numbers that are computed at once.
pub const LANES: usize = 16;

/// A float between 2^23 and 2^24 has no fraction. A small number that is added to this one is therefore rounded to a whole
/// number, ties to even, which is then found in the lowest bits of the sum.
const ROUNDER: f32 = 12_582_912.0;

/// The number of steps from the zero point to the end of a byte, for values of both signs.
const REACH: f32 = 127.0;
/// The zero point of values of both signs.
const ZERO: u8 = 128;
/// GELU never goes below −0.17, so nearly all of a byte can lie above its zero point.
const ZERO_AFTER_GELU: u8 = 20;
const REACH_AFTER_GELU: f32 = 235.0;
const GELU_LOWEST: f32 = -0.17;

/// The vectors of a slice whose length is a multiple of [`LANES`].
#[inline(always)]
pub fn vectors<S: Simd>(simd: S, values: &[f32]) -> impl Iterator<Item = f32x16<S>> {
    values.chunks_exact(LANES).map(move |values| f32x16::from_slice(simd, values))
}

/// The values of a token of a product: `integer · scale + bias`.
#[inline(always)]
pub fn values<S: Simd>(simd: S, integers: &[i32], scale: f32, bias: &[f32]) -> impl Iterator<Item = f32x16<S>> {
    let scale = f32x16::splat(simd, scale);
    integers.chunks_exact(LANES).zip(vectors(simd, bias)).map(move |(integers, bias)| {
        let values: f32x16<S> = i32x16::from_slice(simd, integers).to_float();
        values.mul_add(scale, bias)
    })
}

/// Writes vectors into `out`, one after the other.
#[inline(always)]
pub fn store<S: Simd>(values: impl Iterator<Item = f32x16<S>>, out: &mut [f32]) {
    for (value, out) in values.zip(out.chunks_exact_mut(LANES)) {
        value.store_slice(out);
    }
}

/// The highest of all values and of `least`.
#[inline(always)]
pub fn highest<S: Simd>(simd: S, values: impl Iterator<Item = f32x16<S>>, least: f32) -> f32 {
    values.fold(f32x16::splat(simd, least), |highest, value| highest.max(value)).reduce_max()
}

/// Rounds a token with values of both signs to bytes, at a step of its own, and returns that step.
#[inline(always)]
pub fn quantize<S: Simd>(simd: S, token: &[f32], rounded: &mut [u8]) -> f32 {
    let step = highest(simd, vectors(simd, token).map(|value| value.abs()), 0.0) / REACH;
    round(token, if step > 0.0 { 1.0 / step } else { 0.0 }, ZERO, rounded);
    step
}

/// Rounds a token after a GELU to bytes, at a step of its own, and returns that step.
#[inline(always)]
pub fn quantize_after_gelu<S: Simd>(simd: S, token: &[f32], rounded: &mut [u8]) -> f32 {
    let step = (highest(simd, vectors(simd, token), 0.0) / REACH_AFTER_GELU).max(-GELU_LOWEST / f32::from(ZERO_AFTER_GELU));
    round(token, 1.0 / step, ZERO_AFTER_GELU, rounded);
    step
}

/// Rounds one number after the other; the compiler finds the instructions that make sixteen bytes of sixteen numbers.
#[inline(always)]
fn round(token: &[f32], per_step: f32, zero: u8, rounded: &mut [u8]) {
    let rounder = ROUNDER + f32::from(zero);
    for (value, byte) in token.iter().zip(rounded) {
        *byte = (value * per_step + rounder).to_bits() as u8;
    }
}

/// The value from which on Φ counts as 1.
const PHI_ENDS: f32 = 4.2;
/// Φ(x) − ½ is an odd polynomial, from x^17 down to x; its greatest error times x, up to 6, is 4.3e-5. A fit to erf by least
/// squares whose weights were raised where the error was greatest.
const PHI: [f32; 9] = [
    4.925_945e-11,
    -4.797_232e-9,
    2.072_955_6e-7,
    -5.290_345_6e-6,
    8.984_327e-5,
    -1.086_498_6e-3,
    9.741_057e-3,
    -6.622_224e-2,
    3.988_346_5e-1,
];

/// GELU, x · Φ(x) with the normal distribution's Φ (Hendrycks and Gimpel, Gaussian error linear units, 2016), to 5e-5.
#[inline(always)]
pub fn gelu<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
    let inside = x.max(f32x16::splat(simd, -PHI_ENDS)).min(f32x16::splat(simd, PHI_ENDS));
    let phi = polynomial(simd, inside * inside, &PHI).mul_add(inside, f32x16::splat(simd, 0.5));
    x * phi.max(f32x16::splat(simd, 0.0)).min(f32x16::splat(simd, 1.0))
}

/// e^x for x ≤ 0, to 2e-7 of its value, and never less than e^-80.
///
/// x is n · ln 2 + r with |r| ≤ ½ ln 2; e^r is Taylor's series up to r^7, and 2^n is added to the exponent.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: f32x16<S>) -> f32x16<S> {
    // ln 2 in two parts; the first has so few bits that its products with n are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const SERIES: [f32; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let rounder = f32x16::splat(simd, ROUNDER);
    let x = x.max(f32x16::splat(simd, -80.0));
    let whole = x.mul_add(f32x16::splat(simd, std::f32::consts::LOG2_E), rounder);
    let n = rounder - whole;
    let r = n.mul_add(f32x16::splat(simd, LN_2[0]), x);
    let r = n.mul_add(f32x16::splat(simd, LN_2[1]), r);
    f32x16::from_bits(polynomial(simd, r, &SERIES).to_bits() + (whole.to_bits() << 23))
}

/// A polynomial by its coefficients, the highest first (Horner's scheme).
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: f32x16<S>, coefficients: &[f32; N]) -> f32x16<S> {
    coefficients.iter().fold(f32x16::splat(simd, 0.0), |sum, coefficient| sum.mul_add(x, f32x16::splat(simd, *coefficient)))
}

impl<'a> Product<'a> {
    /// Each token's integers and scale.
    #[inline(always)]
    pub(super) fn tokens(&self) -> impl Iterator<Item = (&'a [i32], f32)> + use<'a> {
        self.integers.chunks_exact(self.bias.len()).zip(self.scales.iter().copied())
    }
}
