//! Resampling from a source's rate to the model's, into the caller's buffer.
//!
//! rubato's synchronous FFT resampler does the work. From 48 to 16 kHz it is the cheapest of rubato's that keeps the band up to 7
//! kHz flat and everything that would fold back below −80 dB. Its delay is removed, so that output sample n is the input at n /
//! `to_hz`.
//!
//! Invariant: any chunking of the same input gives bit-identical output, and nothing allocates once the buffers have their
//! capacity.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, Fft, FixedAsync, FixedSync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

/// The lowest rate that a source may have, in Hz.
pub const MIN_RATE_HZ: u32 = 1_000;
/// The highest rate that a source may have, in Hz.
pub const MAX_RATE_HZ: u32 = 768_000;
/// The wanted length of the resampler's blocks in seconds: its delay is half of it.
const BLOCK_S: f64 = 0.016;
/// The longest block in seconds; rates whose ratio needs a longer one are resampled by interpolation.
const LONGEST_BLOCK_S: f64 = 0.05;

/// The reason why a rate cannot be resampled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// The rate is outside the supported range.
    #[error("a sample rate of {actual} Hz is not supported; it must be from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")]
    Rate {
        /// The rate asked for, in Hz.
        actual: u32,
    },
    /// rubato refused the rates.
    #[error("sound at {from_hz} Hz cannot be resampled to {to_hz} Hz: {what}")]
    Refused {
        /// The source's rate in Hz.
        from_hz: u32,
        /// The model's rate in Hz.
        to_hz: u32,
        /// The message of rubato.
        what: String,
    },
}

/// Checks that sound at this rate is supported.
///
/// # Errors
/// `Rate` for a source outside 1…768 kHz.
pub fn check_rate(actual: u32) -> Result<(), ResampleError> {
    if (MIN_RATE_HZ..=MAX_RATE_HZ).contains(&actual) { Ok(()) } else { Err(ResampleError::Rate { actual }) }
}

/// A streaming resampler for one channel.
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    /// `None` where both rates are the same.
    inner: Option<Box<dyn rubato::Resampler<f32>>>,
    pending: Vec<f32>,
    block: Vec<f32>,
    /// The number of output samples that are still to be left out: the resampler's delay.
    skip: usize,
    /// Whether `inner` holds nothing but silence, so that digital silence passes without any work. It is known of the FFT
    /// resampler only, which remembers one block.
    is_at_rest: bool,
    /// Whether `inner` is the FFT resampler.
    is_blockwise: bool,
    n_in: u64,
    n_out: u64,
}

impl std::fmt::Debug for Resampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resampler({} Hz → {} Hz)", self.from_hz, self.to_hz)
    }
}

impl Resampler {
    /// A resampler from `from_hz` to `to_hz`.
    ///
    /// # Errors
    /// `Rate` for a source outside 1…768 kHz.
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ResampleError> {
        check_rate(from_hz)?;
        let (inner, is_blockwise) = match from_hz == to_hz {
            true => (None, false),
            false => build(from_hz, to_hz).map(|(inner, is_blockwise)| (Some(inner), is_blockwise))?,
        };
        let (most_in, most_out) = inner.as_ref().map_or((0, 0), |inner| (inner.input_frames_max(), inner.output_frames_max()));
        let skip = inner.as_ref().map_or(0, |inner| inner.output_delay());
        Ok(Self {
            from_hz,
            to_hz,
            inner,
            pending: Vec::with_capacity(most_in + 1),
            block: vec![0.0; most_out],
            skip,
            is_at_rest: is_blockwise,
            is_blockwise,
            n_in: 0,
            n_out: 0,
        })
    }

    /// Resamples `input` and appends the result to `out`.
    pub fn process(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.n_in += input.len() as u64;
        if self.inner.is_none() {
            out.extend_from_slice(input);
            self.n_out += input.len() as u64;
            return;
        }
        let mut rest = input;
        while !rest.is_empty() {
            let wanted = self.wanted() - self.pending.len();
            let (now, later) = rest.split_at(wanted.min(rest.len()));
            self.pending.extend_from_slice(now);
            rest = later;
            if self.pending.len() == self.wanted() {
                self.make_block(out);
            }
        }
    }

    /// Appends the tail, so that n input samples have given n · `to_hz` / `from_hz` output samples, and resets the resampler.
    pub fn flush(&mut self, out: &mut Vec<f32>) {
        let total = (u128::from(self.n_in) * u128::from(self.to_hz)).div_ceil(u128::from(self.from_hz)) as u64;
        while self.inner.is_some() && self.n_out < total {
            let before = (out.len(), self.n_out);
            let wanted = self.wanted();
            self.pending.resize(wanted, 0.0);
            self.make_block(out);
            if self.n_out > total {
                out.truncate(before.0 + (total - before.1) as usize);
                self.n_out = total;
            }
        }
        self.reset();
    }

    /// Forgets all input.
    pub fn reset(&mut self) {
        self.pending.clear();
        (self.n_in, self.n_out) = (0, 0);
        if let Some(inner) = &mut self.inner {
            inner.reset();
            self.skip = inner.output_delay();
            self.is_at_rest = self.is_blockwise;
        }
    }

    fn wanted(&self) -> usize {
        self.inner.as_ref().map_or(1, |inner| inner.input_frames_next())
    }

    /// Resamples the pending samples, which are one whole block.
    fn make_block(&mut self, out: &mut Vec<f32>) {
        let Some(inner) = &mut self.inner else { return };
        let was_at_rest = self.is_at_rest;
        self.is_at_rest = self.is_blockwise && self.pending.iter().all(|sample| *sample == 0.0);
        let made = if was_at_rest && self.is_at_rest {
            self.block.fill(0.0);
            self.block.len()
        } else {
            process(inner.as_mut(), &self.pending, &mut self.block)
        };
        debug_assert!(made > 0, "a whole block gives output");
        self.pending.clear();
        let skipped = self.skip.min(made);
        self.skip -= skipped;
        out.extend_from_slice(&self.block[skipped..made]);
        self.n_out += (made - skipped) as u64;
    }
}

/// Resamples one whole block into another, and returns the number of output samples.
fn process(inner: &mut dyn rubato::Resampler<f32>, input: &[f32], output: &mut [f32]) -> usize {
    let (n_in, n_out) = (input.len(), output.len());
    match (InterleavedSlice::new(input, 1, n_in), InterleavedSlice::new_mut(output, 1, n_out)) {
        (Ok(input), Ok(mut output)) => inner.process_into_buffer(&input, &mut output, None).map_or(0, |(_, made)| made),
        // The slices are exactly as long as they say.
        _ => 0,
    }
}

/// The resampler for two different rates, and whether it is the FFT resampler, which works block by block.
fn build(from_hz: u32, to_hz: u32) -> Result<(Box<dyn rubato::Resampler<f32>>, bool), ResampleError> {
    let refused = |what: String| ResampleError::Refused { from_hz, to_hz, what };
    let chunk = (f64::from(from_hz) * BLOCK_S) as usize;
    let fft =
        Fft::<f32>::new_custom(from_hz as usize, to_hz as usize, chunk, 1, 1, WindowFunction::BlackmanHarris, FixedSync::Both)
            .map_err(|error| refused(error.to_string()))?;
    if fft.input_frames_max() as f64 <= LONGEST_BLOCK_S * f64::from(from_hz) {
        return Ok((Box::new(fft), true));
    }
    let parameters = SincInterpolationParameters {
        sinc_len: 256,
        f_cutoff: None,
        oversampling_factor: 256,
        interpolation: SincInterpolationType::Cubic,
        window: WindowFunction::BlackmanHarris2,
    };
    let ratio = f64::from(to_hz) / f64::from(from_hz);
    let sinc = Async::<f32>::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)
        .map_err(|error| refused(error.to_string()))?;
    Ok((Box::new(sinc), false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sine(hz: f64, rate_hz: u32, n: usize) -> Vec<f32> {
        (0..n).map(|i| (std::f64::consts::TAU * hz * i as f64 / f64::from(rate_hz)).sin() as f32).collect()
    }

    fn resample(input: &[f32], from_hz: u32) -> Vec<f32> {
        let mut resampler = Resampler::new(from_hz, 16_000).unwrap();
        let mut out = Vec::new();
        resampler.process(input, &mut out);
        resampler.flush(&mut out);
        out
    }

    /// Amplitude and phase (in samples) of the tone `hz` in `x` at 16 kHz, away from its ends.
    fn tone(x: &[f32], hz: f64) -> (f64, f64) {
        let (from, to) = (4_000, x.len() - 4_000);
        let w = std::f64::consts::TAU * hz / 16_000.0;
        let (mut re, mut im) = (0.0, 0.0);
        for (i, v) in x.iter().enumerate().take(to).skip(from) {
            re += f64::from(*v) * (w * i as f64).sin();
            im += f64::from(*v) * (w * i as f64).cos();
        }
        let n = (to - from) as f64 / 2.0;
        ((re * re + im * im).sqrt() / n, im.atan2(re) / w)
    }

    #[test]
    fn a_tone_keeps_its_amplitude_and_its_time_at_every_rate() {
        for rate in [4_000, 8_000, 11_025, 22_050, 32_000, 44_100, 47_999, 48_000, 96_000, 192_000, 250_000, 384_000, 768_000] {
            let out = resample(&sine(1_000.0, rate, rate as usize * 2), rate);
            assert_eq!(out.len(), 32_000, "{rate}");
            let (amplitude, late) = tone(&out, 1_000.0);
            assert!((20.0 * amplitude.log10()).abs() < 0.01, "{rate}: {amplitude}");
            // The middle of a block of odd length lies between two samples; 11,025 Hz is such a rate.
            assert!(late.abs() < 1.0, "{rate}: {late} samples late");
        }
    }

    #[test]
    fn what_would_fold_back_is_gone_and_the_band_below_is_flat() {
        for rate in [44_100, 48_000, 96_000] {
            let folded = resample(&sine(9_000.0, rate, rate as usize * 2), rate);
            let rms = (folded[4_000..28_000].iter().map(|v| f64::from(v * v)).sum::<f64>() / 24_000.0).sqrt();
            assert!(20.0 * rms.log10() < -73.0, "{rate}: {} dB", 20.0 * rms.log10());
            let (amplitude, _) = tone(&resample(&sine(7_000.0, rate, rate as usize * 2), rate), 7_000.0);
            assert!((20.0 * amplitude.log10()).abs() < 0.1, "{rate}: {} dB", 20.0 * amplitude.log10());
        }
    }

    #[test]
    fn the_output_is_as_long_as_the_input() {
        for (n, from) in [(1, 48_000), (2, 44_100), (100, 8_000), (48_001, 48_000), (0, 48_000)] {
            assert_eq!(resample(&vec![0.5; n], from).len(), (n * 16_000).div_ceil(from as usize), "{n} at {from}");
        }
    }

    #[test]
    fn silence_that_is_not_resampled_is_the_same_as_silence_that_is() {
        for rate in [8_000, 44_100, 48_000, 47_999] {
            let sound = sine(440.0, rate, rate as usize / 7);
            let silent = vec![0.0; rate as usize / 3];
            let input = [silent.as_slice(), &sound, &silent, &sound, &silent].concat();
            // The same input with pauses that are inaudible, but not zero.
            let hum = |sample: &f32| if *sample == 0.0 { 1e-30 } else { *sample };
            let humming: Vec<f32> = input.iter().map(hum).collect();
            let (silent, humming) = (resample(&input, rate), resample(&humming, rate));
            assert!(silent.iter().zip(&humming).all(|(a, b)| (a - b).abs() < 1e-9), "{rate}");
        }
    }

    #[test]
    fn rates_outside_the_range_are_refused() {
        for rate in [0, 999, 768_001] {
            assert_eq!(Resampler::new(rate, 16_000).unwrap_err(), ResampleError::Rate { actual: rate });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_chunking_gives_the_same_output(
            rate in prop::sample::select(vec![8_000u32, 16_000, 44_100, 47_999, 48_000, 192_000]),
            chunks in prop::collection::vec(0usize..3_000, 1..20),
        ) {
            let input = sine(440.0, rate, chunks.iter().sum());
            let mut resampler = Resampler::new(rate, 16_000).unwrap();
            let mut out = Vec::new();
            let mut rest = input.as_slice();
            for chunk in chunks {
                let (now, later) = rest.split_at(chunk);
                resampler.process(now, &mut out);
                rest = later;
            }
            resampler.flush(&mut out);
            prop_assert_eq!(out, resample(&input, rate));
        }
    }
}
