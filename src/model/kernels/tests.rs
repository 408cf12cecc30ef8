//! The kernels against the same arithmetic in double precision, on every kind of vectors that this processor has.

use proptest::prelude::*;

use super::*;

/// The kinds of vectors that this processor has, the widest first.
fn levels() -> Vec<Level> {
    let widest = Level::new();
    #[cfg(target_arch = "x86_64")]
    let others = [widest.as_avx2().map(Level::Avx2), widest.as_sse4_2().map(Level::Sse4_2), widest.as_sse2().map(Level::Sse2)];
    #[cfg(not(target_arch = "x86_64"))]
    let others: [Option<Level>; 0] = [];
    std::iter::once(widest).chain(others.into_iter().flatten()).collect()
}

/// Tokens in double precision.
type Tokens = Vec<Vec<f64>>;

/// An owned product.
#[derive(Debug, Clone)]
struct Owned {
    integers: Vec<i32>,
    scales: Vec<f32>,
    bias: Vec<f32>,
}

impl Owned {
    fn product(&self) -> Product<'_> {
        Product { integers: &self.integers, scales: &self.scales, bias: &self.bias }
    }

    fn values(&self) -> Tokens {
        let rows = self.integers.chunks(self.bias.len()).zip(&self.scales);
        let value = |(integer, bias): (&i32, &f32), scale: f32| f64::from(*integer) * f64::from(scale) + f64::from(*bias);
        rows.map(|(row, scale)| row.iter().zip(&self.bias).map(|pair| value(pair, *scale)).collect()).collect()
    }
}

fn numbers(count: usize, most: f32) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-most..most, count)
}

fn products(tokens: usize, channels: usize) -> impl Strategy<Value = Owned> {
    let integers = prop::collection::vec(-200_000..200_000, tokens * channels);
    (integers, prop::collection::vec(1e-6f32..2e-5, tokens), numbers(channels, 0.5)).prop_map(|(integers, scales, bias)| Owned {
        integers,
        scales,
        bias,
    })
}

/// Checks that each byte is its expected value to half a step, and to the error of single precision.
fn check(expected: &Tokens, rounded: &[u8], scales: &[f32], weight_step: f32, zero: u8, error: f64) {
    let width = rounded.len() / scales.len();
    assert_eq!(expected.len(), scales.len());
    for ((expected, bytes), scale) in expected.iter().zip(rounded.chunks(width)).zip(scales) {
        let step = f64::from(scale / weight_step);
        for (value, byte) in expected.iter().zip(bytes) {
            let said = (f64::from(*byte) - f64::from(zero)) * step;
            assert!((said - value).abs() <= 0.501 * step + error, "{value} became {byte}, which is {said}, at a step of {step}");
        }
    }
}

/// The outputs of a kernel: `rounded`, `scales`.
fn outputs(tokens: usize, width: usize) -> (Vec<u8>, Vec<f32>) {
    (vec![0; tokens * width], vec![0.0; tokens])
}

/// The error function by its series, good to 1e-6 for |x| up to 5.
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

#[test]
fn the_reference_is_right() {
    // Abramowitz and Stegun, table 7.1.
    for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)] {
        assert!((erf(x) - expected).abs() < 1e-9, "{x}");
    }
}

const STEP: f32 = 0.0078;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn gelu_is_the_normal_distribution_times_x(product in (1usize..4, 1usize..4).prop_flat_map(|(n, c)| products(n, c * LANES))) {
        let expected: Tokens = product
            .values()
            .iter()
            .map(|token| token.iter().map(|x| x * 0.5 * (1.0 + erf((x / std::f64::consts::SQRT_2).clamp(-5.0, 5.0)))).collect())
            .collect();
        for level in levels() {
            let (mut rounded, mut scales) = outputs(product.scales.len(), product.bias.len());
            let out = Quantized { rounded: &mut rounded, scales: &mut scales };
            Gelu::new(product.bias.len(), STEP).run(level, product.product(), out);
            check(&expected, &rounded, &scales, STEP, 20, 1e-4);
        }
    }

    #[test]
    fn a_normed_token_has_its_mean_and_deviation(
        (product, x, lines) in (1usize..4, 1usize..4).prop_flat_map(|(n, c)| {
            (products(n, c * LANES), numbers(n * c * LANES, 3.0), prop::collection::vec((0.1f32..2.0, -1.0f32..1.0), c * LANES))
        })
    ) {
        let channels = product.bias.len();
        let (gain, shift): (Vec<f32>, Vec<f32>) = lines.into_iter().unzip();
        let sums: Tokens = product
            .values()
            .iter()
            .zip(x.chunks(channels))
            .map(|(token, x)| token.iter().zip(x).map(|(value, x)| value + f64::from(*x)).collect())
            .collect();
        let further = [channels - 1, 0];
        let expected: Tokens = sums
            .iter()
            .map(|token| {
                let mean = token.iter().sum::<f64>() / channels as f64;
                let variance = token.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / channels as f64;
                let normed = token.iter().zip(gain.iter().zip(&shift));
                let normed = normed.map(|(x, (gain, shift))| (x - mean) / (variance + 1e-6).sqrt() * f64::from(*gain) + f64::from(*shift));
                let mut normed: Vec<f64> = normed.collect();
                normed.extend(further.map(|channel| normed[channel]));
                normed
            })
            .collect();
        for level in levels() {
            let mut norm = Norm::new(&gain, &shift, further.to_vec(), STEP);
            let (mut rounded, mut scales) = outputs(sums.len(), norm.rounded_len());
            let mut added = vec![0.0; sums.len() * channels];
            norm.run_added(level, &x, product.product(), &mut added, Quantized { rounded: &mut rounded, scales: &mut scales });
            check(&expected, &rounded, &scales, STEP, 128, 1e-4);
            for (sum, added) in sums.iter().flatten().zip(&added) {
                prop_assert!((sum - f64::from(*added)).abs() < 1e-5);
            }
            let (mut again, mut their_scales) = outputs(sums.len(), norm.rounded_len());
            norm.run(level, &added, Quantized { rounded: &mut again, scales: &mut their_scales });
            prop_assert_eq!((&again, &their_scales), (&rounded, &scales), "the sums normed by themselves");
        }
    }

    #[test]
    fn attention_is_a_mean_by_likeness(
        (heads, size, windows, tokens, product) in (1usize..4, 1usize..5, 1usize..3, 1usize..40).prop_flat_map(|(heads, groups, windows, tokens)| {
            let size = groups * LANES;
            (Just(heads), Just(size), Just(windows), Just(tokens), products(windows * tokens, 3 * heads * size))
        })
    ) {
        let channels = heads * size;
        let values = product.values();
        let expected: Tokens = values.chunks(tokens).flat_map(|window| attended(window, heads, size)).collect();
        for level in levels() {
            let mut attention = Attention::new(heads, channels, STEP);
            let (mut rounded, mut scales) = outputs(windows * tokens, channels);
            attention.run(level, product.product(), tokens, Quantized { rounded: &mut rounded, scales: &mut scales });
            check(&expected, &rounded, &scales, STEP, 128, 1e-4);
            // A window by itself, in buffers that have held longer ones, has the same result as among others.
            let first = tokens * 3 * channels;
            let alone = Product { integers: &product.integers[..first], scales: &product.scales[..tokens], bias: &product.bias };
            let (mut again, mut their_scales) = outputs(tokens, channels);
            attention.run(level, alone, tokens, Quantized { rounded: &mut again, scales: &mut their_scales });
            prop_assert_eq!((&again[..], &their_scales[..]), (&rounded[..again.len()], &scales[..tokens]));
        }
    }
}

/// One window's attention in double precision.
fn attended(window: &[Vec<f64>], heads: usize, size: usize) -> Tokens {
    let channels = heads * size;
    let part = |token: &[f64], which: usize, head: usize| token[which * channels + head * size..][..size].to_vec();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / (size as f64).sqrt();
    let mut out = vec![Vec::with_capacity(channels); window.len()];
    for head in 0..heads {
        for (token, out) in window.iter().zip(&mut out) {
            let likeness: Vec<f64> = window.iter().map(|other| dot(&part(token, 0, head), &part(other, 1, head))).collect();
            let highest = likeness.iter().copied().fold(f64::MIN, f64::max);
            let weights: Vec<f64> = likeness.iter().map(|likeness| (likeness - highest).exp()).collect();
            let mut sums = vec![0.0; size];
            for (other, weight) in window.iter().zip(&weights) {
                sums.iter_mut().zip(part(other, 2, head)).for_each(|(sum, value)| *sum += weight * value);
            }
            out.extend(sums.iter().map(|sum| sum / weights.iter().sum::<f64>()));
        }
    }
    out
}

#[test]
fn silence_is_no_division_by_zero() {
    let product = Owned { integers: vec![0; 3 * LANES], scales: vec![0.0], bias: vec![0.0; 3 * LANES] };
    let (mut rounded, mut scales) = outputs(1, LANES);
    Attention::new(1, LANES, STEP).run(
        Level::new(),
        product.product(),
        1,
        Quantized { rounded: &mut rounded, scales: &mut scales },
    );
    assert_eq!((rounded, scales), (vec![128; LANES], vec![0.0]));
}
