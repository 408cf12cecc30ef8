//! The sliding Fourier transform: samples in any chunking in, log-mel frames of the recent past out.
//!
//! Frame t is centred on sample t · hop; what lies before sample 0 is zero. Frames stand on the absolute sample grid, so that two
//! windows that overlap share them, and a gap moves the grid's index and not its phase.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::mel::Filterbank;
use crate::model::manifest::LogMelParameters;

/// A streaming log-mel spectrogram that remembers its newest frames.
pub struct LogMel {
    n_fft: usize,
    hop: usize,
    taper: Vec<f64>,
    bank: Filterbank,
    transform: Arc<dyn RealToComplex<f64>>,
    /// The samples from `next_frame`'s first on.
    pending: Vec<f32>,
    windowed: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    power: Vec<f64>,
    scratch: Vec<Complex<f64>>,
    /// The newest frames, `[capacity, n_mels]`, frame t at row t % capacity.
    frames: Vec<f32>,
    capacity: usize,
    next_frame: u64,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogMel")
            .field("n_fft", &self.n_fft)
            .field("hop", &self.hop)
            .field("next_frame", &self.next_frame)
            .finish_non_exhaustive()
    }
}

/// How many samples are taken at a time, so that `pending` never grows.
const CHUNK: usize = 2048;

impl LogMel {
    /// A spectrogram that remembers at least the frames of the newest `history_samples` samples.
    pub fn new(parameters: &LogMelParameters, sample_rate_hz: u32, history_samples: usize) -> Self {
        let LogMelParameters { n_fft, win_length, hop_length: hop, .. } = *parameters;
        let bank = Filterbank::new(parameters, sample_rate_hz);
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(n_fft);
        let margin = (n_fft - win_length) / 2;
        let mut taper = vec![0.0; n_fft];
        for (n, weight) in taper[margin..margin + win_length].iter_mut().enumerate() {
            *weight = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / win_length as f64).cos();
        }
        // Two frames more: a window of n hops has n + 1 frames, and one is being made while the others are wanted.
        let capacity = history_samples.div_ceil(hop) + 2;
        let mut pending = Vec::with_capacity(2 * n_fft + CHUNK);
        pending.resize(n_fft / 2, 0.0);
        Self {
            n_fft,
            hop,
            taper,
            pending,
            windowed: transform.make_input_vec(),
            spectrum: transform.make_output_vec(),
            power: vec![0.0; n_fft / 2 + 1],
            scratch: transform.make_scratch_vec(),
            frames: vec![bank.floor_db(); capacity * bank.n_mels()],
            capacity,
            next_frame: 0,
            transform,
            bank,
        }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        for chunk in samples.chunks(CHUNK) {
            self.pending.extend_from_slice(chunk);
            let mut start = 0;
            while start + self.n_fft <= self.pending.len() {
                self.make_frame(start);
                start += self.hop;
            }
            self.pending.drain(..start);
        }
    }

    /// Continues at the sample index `at`, as if everything remembered before it had been digital silence.
    pub fn skip_to(&mut self, at: u64) {
        self.frames.fill(self.bank.floor_db());
        self.pending.clear();
        // The first frame that reaches over `at`; all before it saw nothing but silence.
        let half = (self.n_fft / 2) as u64;
        self.next_frame = (at + 1).saturating_sub(half).div_ceil(self.hop as u64);
        let first_sample = self.next_frame as i64 * self.hop as i64 - half as i64;
        self.pending.resize((at as i64 - first_sample).max(0) as usize, 0.0);
    }

    /// How many frames have been made or skipped: the index of the next.
    pub fn n_frames(&self) -> u64 {
        self.next_frame
    }

    /// How many bands a frame has.
    pub fn n_mels(&self) -> usize {
        self.bank.n_mels()
    }

    /// Frame `t` in dB, `[n_mels]`; it must be among the newest that are remembered.
    pub fn frame(&self, t: u64) -> &[f32] {
        let n_mels = self.bank.n_mels();
        let row = (t % self.capacity as u64) as usize;
        &self.frames[row * n_mels..(row + 1) * n_mels]
    }

    /// The end of the latest window that can be had, as a sample index: the centre of the newest frame.
    pub fn available_until(&self) -> u64 {
        self.next_frame.saturating_sub(1) * self.hop as u64
    }

    /// How many samples after a window's end must have come before it can be had.
    pub fn lookahead_samples(&self) -> usize {
        self.n_fft / 2
    }

    /// Writes the frames centred on `end − length`, …, `end` into `out` as `[n_mels, length / hop + 1]`; frames before the first
    /// are digital silence.
    pub fn copy_window(&self, end: u64, length: usize, out: &mut [f32]) {
        let n_frames = length / self.hop + 1;
        let last = end / self.hop as u64;
        for column in 0..n_frames {
            let back = (n_frames - 1 - column) as u64;
            if back > last {
                let floor = self.bank.floor_db();
                out.iter_mut().skip(column).step_by(n_frames).take(self.bank.n_mels()).for_each(|value| *value = floor);
                continue;
            }
            let frame = self.frame(last - back);
            for (value, db) in out.iter_mut().skip(column).step_by(n_frames).zip(frame) {
                *value = *db;
            }
        }
    }

    /// Makes the next frame of the samples `pending[start..start + n_fft]`.
    fn make_frame(&mut self, start: usize) {
        let samples = &self.pending[start..start + self.n_fft];
        for ((windowed, sample), weight) in self.windowed.iter_mut().zip(samples).zip(&self.taper) {
            *windowed = f64::from(*sample) * weight;
        }
        // The buffers were made by this transform for itself, so their lengths cannot be wrong.
        let done = self.transform.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers have the transform's lengths");
        for (power, bin) in self.power.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr();
        }
        let n_mels = self.bank.n_mels();
        let row = (self.next_frame % self.capacity as u64) as usize;
        self.bank.project_db(&self.power, &mut self.frames[row * n_mels..(row + 1) * n_mels]);
        self.next_frame += 1;
    }
}
