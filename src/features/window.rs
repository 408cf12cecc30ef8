//! The sliding Fourier transform: takes samples in any chunking, makes the frames of the log-mel spectrogram, and remembers the
//! newest.
//!
//! Frame t is centred on sample t · hop; everything before sample 0 is zero. Frames lie on the absolute grid of samples, so that
//! two windows that overlap share them. A gap moves the index of the next frame and not the phase of the grid.
//!
//! The transform is computed in double precision. In single precision a loud tone would leave an error in bands that are 100 dB
//! weaker, as loud as 16-bit recordings are there. The steps after the transform add positive numbers only, and need no more than
//! single precision.

use std::sync::Arc;

use fearless_simd::{Level, Simd, dispatch};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::mel::Filterbank;
use crate::model::manifest::{LogMelParameters, WindowShape};

/// A streaming log-mel spectrogram that remembers its newest frames.
pub struct LogMel {
    n_fft: usize,
    hop: usize,
    taper: Vec<f64>,
    bank: Filterbank,
    transform: Arc<dyn RealToComplex<f64>>,
    /// The samples from the first one of the next frame on.
    pending: Vec<f32>,
    windowed: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    /// The power of each bin, and zeros after them as the filterbank wants them.
    power: Vec<f32>,
    scratch: Vec<Complex<f64>>,
    /// The frame that is being made, `[n_mels]`.
    newest: Vec<f32>,
    /// The number of pending samples up to the last one that is not zero.
    loud: usize,
    /// The newest frames, `[n_mels, capacity]`; frame t is in column t % capacity. Windows have this layout, and are read far
    /// more often than frames are written.
    frames: Vec<f32>,
    capacity: usize,
    next_frame: u64,
    /// For each band, the factor and the shift that make the graph's value of a level in dB; empty where it takes dB as they are.
    scaling: Vec<(f32, f32)>,
    layout: Layout,
}

/// The order of the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[n_mels, frames]`
    BandsFirst,
    /// `[frames, n_mels]`
    FramesFirst,
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

/// The number of samples that are taken at a time, so that `pending` never grows.
const CHUNK: usize = 2048;

impl LogMel {
    /// A spectrogram that remembers at least the frames of the newest `history_samples` samples.
    pub fn new(parameters: &LogMelParameters, sample_rate_hz: u32, history_samples: usize) -> Self {
        let LogMelParameters { n_fft, win_length, hop_length: hop, .. } = *parameters;
        let bank = Filterbank::new(parameters, sample_rate_hz);
        let transform = RealFftPlanner::<f64>::new().plan_fft_forward(n_fft);
        let margin = (n_fft - win_length) / 2;
        let mut taper = vec![0.0; n_fft];
        let period = match parameters.window {
            WindowShape::HannPeriodic => win_length,
            WindowShape::HannSymmetric => win_length - 1,
        };
        for (n, weight) in taper[margin..margin + win_length].iter_mut().enumerate() {
            *weight = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / period as f64).cos();
        }
        let scaling: Vec<(f32, f32)> = (0..parameters.n_mels).map(|band| parameters.scaling(band)).collect();
        let is_plain = scaling.iter().all(|scaling| *scaling == (1.0, 0.0));
        // Two more frames: a window of n hops has n + 1, and one is being made while the others are in use.
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
            power: vec![0.0; bank.padded_bins()],
            scratch: transform.make_scratch_vec(),
            newest: vec![0.0; bank.n_mels()],
            loud: 0,
            frames: vec![bank.floor_db(); capacity * bank.n_mels()],
            capacity,
            next_frame: 0,
            scaling: if is_plain { Vec::new() } else { scaling },
            layout: Layout::BandsFirst,
            transform,
            bank,
        }
    }

    /// The same, with windows in this layout.
    pub(super) fn in_layout(self, layout: Layout) -> Self {
        Self { layout, ..self }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        for chunk in samples.chunks(CHUNK) {
            if let Some(last) = chunk.iter().rposition(|sample| *sample != 0.0) {
                self.loud = self.pending.len() + last + 1;
            }
            self.pending.extend_from_slice(chunk);
            let mut start = 0;
            while start + self.n_fft <= self.pending.len() {
                self.make_frame(start);
                start += self.hop;
            }
            self.pending.drain(..start);
            self.loud = self.loud.saturating_sub(start);
        }
    }

    /// Continues at the sample index `at`, as if everything remembered before it had been digital silence.
    pub fn skip_to(&mut self, at: u64) {
        self.frames.fill(self.bank.floor_db());
        self.pending.clear();
        self.loud = 0;
        // This is the first frame that reaches beyond `at`; all before it hold silence alone.
        let half = (self.n_fft / 2) as u64;
        self.next_frame = (at + 1).saturating_sub(half).div_ceil(self.hop as u64);
        let first_sample = self.next_frame as i64 * self.hop as i64 - half as i64;
        self.pending.resize((at as i64 - first_sample).max(0) as usize, 0.0);
    }

    /// The number of frames that were made or skipped: the index of the next.
    pub fn n_frames(&self) -> u64 {
        self.next_frame
    }

    /// The index of the oldest remembered frame.
    pub fn oldest_frame(&self) -> u64 {
        self.next_frame.saturating_sub(self.capacity as u64)
    }

    /// The distance of two frames in samples.
    pub fn hop_samples(&self) -> u64 {
        self.hop as u64
    }

    /// The number of bands of a frame.
    pub fn n_mels(&self) -> usize {
        self.bank.n_mels()
    }

    /// The levels of the bands in frame `t` in dB, `n_mels` of them; the frame must be a remembered one.
    pub fn frame(&self, t: u64) -> impl Iterator<Item = f32> {
        self.frames.iter().skip(self.column(t)).step_by(self.capacity).copied()
    }

    /// The end of the latest window that is complete, as a sample index: the centre of the newest frame.
    pub fn available_until(&self) -> u64 {
        self.next_frame.saturating_sub(1) * self.hop as u64
    }

    /// The number of samples after the end of a window that must have come before the window is complete.
    pub fn lookahead_samples(&self) -> usize {
        self.n_fft / 2
    }

    /// Writes the frames centred on `end − length`, …, `end` into `out` in the graph's layout and scale, `length / hop + 1` of
    /// them; frames before the first are digital silence.
    pub fn copy_window(&self, end: u64, length: usize, out: &mut [f32]) {
        let n_frames = length / self.hop + 1;
        let last = end / self.hop as u64;
        // The number of columns before the first frame.
        let before = n_frames.saturating_sub(last as usize + 1);
        let n_made = n_frames - before;
        let first = self.column(last + 1 - n_made as u64);
        let n_straight = n_made.min(self.capacity - first);
        let bands = self.frames.chunks_exact(self.capacity);
        let floor = self.bank.floor_db();
        if self.layout == Layout::FramesFirst {
            let n_mels = self.bank.n_mels();
            for (band, frames) in bands.enumerate() {
                let (factor, shift) = self.scaling.get(band).copied().unwrap_or((1.0, 0.0));
                let made = frames[first..first + n_straight].iter().chain(&frames[..n_made - n_straight]);
                let levels = std::iter::repeat_n(&floor, before).chain(made);
                for (place, level) in out[..n_frames * n_mels].iter_mut().skip(band).step_by(n_mels).zip(levels) {
                    *place = level * factor + shift;
                }
            }
            return;
        }
        for (row, frames) in out.chunks_exact_mut(n_frames).zip(bands) {
            let (silent, made) = row.split_at_mut(before);
            silent.fill(floor);
            let (straight, wrapped) = made.split_at_mut(n_straight);
            straight.copy_from_slice(&frames[first..first + n_straight]);
            wrapped.copy_from_slice(&frames[..n_made - n_straight]);
        }
        for (row, (factor, shift)) in out.chunks_exact_mut(n_frames).zip(&self.scaling) {
            row.iter_mut().for_each(|value| *value = *value * factor + shift);
        }
    }

    /// The place of frame `t` among the frames of a band.
    fn column(&self, t: u64) -> usize {
        (t % self.capacity as u64) as usize
    }

    /// Makes the next frame from the samples `pending[start..start + n_fft]`.
    fn make_frame(&mut self, start: usize) {
        if self.loud <= start {
            self.newest.fill(self.bank.floor_db());
        } else {
            self.transform(start);
        }
        let column = self.column(self.next_frame);
        for (band, level) in self.frames.chunks_exact_mut(self.capacity).zip(&self.newest) {
            band[column] = *level;
        }
        self.next_frame += 1;
    }

    fn transform(&mut self, start: usize) {
        // The compiler makes this function's loops once for each kind of vectors that a processor may have. Their results are the
        // same to the last bit.
        dispatch!(Level::new(), simd => self.transform_on(simd, start));
    }

    #[inline(always)]
    fn transform_on<S: Simd>(&mut self, _: S, start: usize) {
        let samples = &self.pending[start..start + self.n_fft];
        for ((windowed, sample), weight) in self.windowed.iter_mut().zip(samples).zip(&self.taper) {
            *windowed = f64::from(*sample) * weight;
        }
        // This transform made the buffers for itself, so that their lengths cannot be wrong.
        let done = self.transform.process_with_scratch(&mut self.windowed, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers have the transform's lengths");
        for (power, bin) in self.power.iter_mut().zip(&self.spectrum) {
            *power = bin.norm_sqr() as f32;
        }
        self.bank.project_db(&self.power, &mut self.newest);
    }
}
