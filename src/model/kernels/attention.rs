//! Attention of several heads within each window, and the rounding for the product behind it.
//!
//! Each head computes softmax(q · kᵀ / √d) · v, where d is the number of its channels (Vaswani et al., Attention is all you need,
//! 2017, section 3.2). Eight queries are computed at a time: their products with every key of the window stay in the processor's
//! nearest cache until they are used.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x16};

use super::lanes::{LANES, exp, highest, quantize, store, values, vectors};
use super::{Product, Quantized};

/// The number of queries that are computed at a time.
const ROWS: usize = 8;
/// The most channels that a head can have.
pub const MAX_HEAD: usize = 64;
/// The most tokens that a window can have: the model's table of positions is shorter.
pub const MAX_TOKENS: usize = 256;
/// The length of a row, which is longer than its content: rows whose distance is a power of two would compete for the same lines
/// of the cache.
const HEAD_ROW: usize = MAX_HEAD + LANES;
const TOKENS_ROW: usize = MAX_TOKENS + LANES;

/// Attention over `[q, k, v]` of any number of heads.
#[derive(Debug)]
pub struct Attention {
    heads: usize,
    channels: usize,
    weight_step: f32,
    /// The queries of the window, `[tokens, channels]`.
    q: Vec<f32>,
    /// The key of one token, `[channels]`.
    key: Vec<f32>,
    /// The keys of the window, `[channels, tokens]`, each row filled up to a multiple of [`LANES`]; and one more row.
    k: Vec<f32>,
    /// The values of the window, `[tokens, channels]`, and one more row.
    v: Vec<f32>,
    /// The result, `[tokens, channels]`.
    out: Vec<f32>,
}

impl Attention {
    /// Attention of `heads` heads over tokens of `channels` channels: whole groups of [`super::LANES`] for each head, and at most
    /// [`MAX_HEAD`].
    pub fn new(heads: usize, channels: usize, weight_step: f32) -> Self {
        let empty = Vec::new;
        Self { heads, channels, weight_step, q: empty(), key: vec![0.0; channels], k: empty(), v: empty(), out: empty() }
    }

    /// Takes the windows of `product`, which have `tokens` tokens each, at most [`MAX_TOKENS`]; its channels are those of q, k
    /// and v.
    pub fn run(&mut self, level: Level, product: Product, tokens: usize, out: Quantized) {
        let channels = self.channels;
        if self.out.len() < tokens * channels {
            self.q.resize(tokens * channels, 0.0);
            self.k.resize((channels + 1) * tokens.next_multiple_of(LANES), 0.0);
            self.v.resize((tokens + 1) * channels, 0.0);
            self.out.resize(tokens * channels, 0.0);
        }
        dispatch!(level, simd => self.all(simd, product, tokens, out));
    }

    #[inline(always)]
    fn all<S: Simd>(&mut self, simd: S, product: Product, tokens: usize, out: Quantized) {
        let windows = product.integers.chunks_exact(tokens * product.bias.len()).zip(product.scales.chunks_exact(tokens));
        let out = out.rounded.chunks_exact_mut(tokens * self.channels).zip(out.scales.chunks_exact_mut(tokens));
        for ((integers, scales), (rounded, new_scales)) in windows.zip(out) {
            self.take(simd, Product { integers, scales, bias: product.bias }, tokens);
            for head in 0..self.heads {
                self.attend(simd, head, tokens);
            }
            let attended = self.out.chunks_exact(self.channels).zip(rounded.chunks_exact_mut(self.channels));
            for ((token, rounded), scale) in attended.zip(new_scales) {
                *scale = quantize(simd, token, rounded) * self.weight_step;
            }
        }
    }

    /// Unpacks the queries, keys and values of a window into the layout in which they are read.
    #[inline(always)]
    fn take<S: Simd>(&mut self, simd: S, product: Product, tokens: usize) {
        let (channels, columns) = (self.channels, tokens.next_multiple_of(LANES));
        let by_root = 1.0 / ((channels / self.heads) as f32).sqrt();
        let (q_bias, bias) = product.bias.split_at(channels);
        let (k_bias, v_bias) = bias.split_at(channels);
        let rows = self.q.chunks_exact_mut(channels).zip(self.v.chunks_exact_mut(channels));
        for (token, ((integers, scale), (q, v))) in product.tokens().zip(rows).enumerate() {
            let (q_integers, integers) = integers.split_at(channels);
            let (k_integers, v_integers) = integers.split_at(channels);
            store(values(simd, q_integers, scale, q_bias).map(|value| value * by_root), q);
            store(values(simd, k_integers, scale, k_bias), &mut self.key);
            store(values(simd, v_integers, scale, v_bias), v);
            for (row, key) in self.k.chunks_exact_mut(columns).zip(&self.key) {
                row[token] = *key;
            }
        }
    }

    /// Computes one head of the window that was unpacked.
    #[inline(always)]
    fn attend<S: Simd>(&mut self, simd: S, head: usize, tokens: usize) {
        let (channels, columns) = (self.channels, tokens.next_multiple_of(LANES));
        let size = channels / self.heads;
        let (from, keys) = (head * size, &self.k[head * size * columns..]);
        let mut asked = [[0.0; HEAD_ROW]; ROWS];
        let mut weights = [[0.0; TOKENS_ROW]; ROWS];
        for first in (0..tokens).step_by(ROWS) {
            for (row, q) in asked.iter_mut().zip(self.q[first * channels..tokens * channels].chunks_exact(channels)) {
                row[..size].copy_from_slice(&q[from..from + size]);
            }
            product(simd, &asked, (keys, columns), (size, columns), &mut weights);
            let mut by_sum = [0.0; ROWS];
            for (row, by_sum) in weights.iter_mut().zip(&mut by_sum) {
                // The columns after the last token must have no weight.
                row[tokens..columns].fill(f32::MIN);
                *by_sum = 1.0 / exponentials(simd, &mut row[..columns]);
            }
            let mut sums = [[0.0; HEAD_ROW]; ROWS];
            product(simd, &weights, (&self.v[from..], channels), (tokens, size), &mut sums);
            let rows = self.out[first * channels..tokens * channels].chunks_exact_mut(channels);
            for ((row, sums), by_sum) in rows.zip(&sums).zip(by_sum) {
                store(vectors(simd, &sums[..size]).map(|sum| sum * by_sum), &mut row[from..from + size]);
            }
        }
    }
}

/// Writes the rows `a`, `[ROWS, depth]`, times the first `columns` columns of `b`, whose `depth` rows are `stride` apart, into
/// `out`.
///
/// As many sums are kept at a time as the registers hold; processors with long vectors have twice as many.
#[inline(always)]
fn product<S: Simd, const A: usize, const OUT: usize>(
    simd: S,
    a: &[[f32; A]; ROWS],
    (b, stride): (&[f32], usize),
    (depth, columns): (usize, usize),
    out: &mut [[f32; OUT]; ROWS],
) {
    if S::f32s::LEN == LANES {
        pieces::<S, A, OUT, ROWS, 2>(simd, a, (b, stride), (depth, columns), out);
    } else {
        pieces::<S, A, OUT, { ROWS / 2 }, 1>(simd, a, (b, stride), (depth, columns), out);
    }
}

/// The same product in pieces of `R` rows and `V` vectors.
#[inline(always)]
fn pieces<S: Simd, const A: usize, const OUT: usize, const R: usize, const V: usize>(
    simd: S,
    a: &[[f32; A]; ROWS],
    b: (&[f32], usize),
    (depth, columns): (usize, usize),
    out: &mut [[f32; OUT]; ROWS],
) {
    let whole = columns / (V * LANES) * (V * LANES);
    for (a, out) in a.as_chunks::<R>().0.iter().zip(out.as_chunks_mut::<R>().0) {
        for column in (0..whole).step_by(V * LANES) {
            piece::<S, A, OUT, R, V>(simd, a, b, (depth, column), out);
        }
        for column in (whole..columns).step_by(LANES) {
            piece::<S, A, OUT, R, 1>(simd, a, b, (depth, column), out);
        }
    }
}

/// One of these pieces, from `column` on.
#[inline(always)]
fn piece<S: Simd, const A: usize, const OUT: usize, const R: usize, const V: usize>(
    simd: S,
    a: &[[f32; A]; R],
    (b, stride): (&[f32], usize),
    (depth, column): (usize, usize),
    out: &mut [[f32; OUT]; R],
) {
    let mut sums = [[f32x16::splat(simd, 0.0); V]; R];
    for (at, b) in (0..depth.min(A)).zip(b[..depth * stride].chunks_exact(stride)) {
        let mut vectors = [f32x16::splat(simd, 0.0); V];
        for (vector, b) in vectors.iter_mut().zip(b[column..column + V * LANES].chunks_exact(LANES)) {
            *vector = f32x16::from_slice(simd, b);
        }
        for (sums, a) in sums.iter_mut().zip(a) {
            let a = f32x16::splat(simd, a[at]);
            for (sum, b) in sums.iter_mut().zip(&vectors) {
                *sum = b.mul_add(a, *sum);
            }
        }
    }
    for (sums, out) in sums.iter().zip(out) {
        for (sum, out) in sums.iter().zip(out[column..column + V * LANES].chunks_exact_mut(LANES)) {
            sum.store_slice(out);
        }
    }
}

/// Replaces each value x of a row by e^(x − highest value), and returns their sum.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, row: &mut [f32]) -> f32 {
    let highest = f32x16::splat(simd, highest(simd, vectors(simd, row), f32::MIN));
    let mut sum = f32x16::splat(simd, 0.0);
    for values in row.chunks_exact_mut(LANES) {
        let value = exp(simd, f32x16::from_slice(simd, values) - highest);
        sum += value;
        value.store_slice(values);
    }
    sum.reduce_sum()
}
