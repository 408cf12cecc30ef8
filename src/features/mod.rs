//! Features: from mono samples at the model's rate to the windows that the model takes.
//!
//! `window` makes the frames of the log-mel spectrogram by a sliding Fourier transform, and `mel` projects each onto the mel
//! bands. Both work on a stream, so that every sample is transformed once, however much the model's windows overlap.
//!
//! Invariant: any chunking of the same samples gives bit-identical features, and nothing here allocates after construction.

pub(crate) mod mel;
mod window;

use window::Layout;
pub use window::LogMel;

use crate::model::manifest::Input;

/// The front end of one source: the recent past in the form that the model takes.
#[derive(Debug)]
pub enum FrontEnd {
    /// A log-mel spectrogram.
    LogMel(Box<LogMel>),
    /// The samples themselves.
    Waveform(Waveform),
}

impl FrontEnd {
    /// A front end for `input` that remembers at least `history_samples` samples.
    pub fn new(input: &Input, history_samples: usize) -> Self {
        match &input.log_mel {
            Some(parameters) => {
                let layout = if input.has_frames_first() { Layout::FramesFirst } else { Layout::BandsFirst };
                let log_mel = LogMel::new(parameters, input.sample_rate_hz, history_samples);
                FrontEnd::LogMel(Box::new(log_mel.in_layout(layout)))
            }
            None => FrontEnd::Waveform(Waveform::new(history_samples)),
        }
    }

    /// Takes the next samples.
    pub fn push(&mut self, samples: &[f32]) {
        match self {
            FrontEnd::LogMel(front) => front.push(samples),
            FrontEnd::Waveform(front) => front.push(samples),
        }
    }

    /// Continues at the sample index `at`, as if everything remembered before it had been digital silence.
    pub fn skip_to(&mut self, at: u64) {
        match self {
            FrontEnd::LogMel(front) => front.skip_to(at),
            FrontEnd::Waveform(front) => front.skip_to(at),
        }
    }

    /// The end of the latest window that is complete, as a sample index.
    pub fn available_until(&self) -> u64 {
        match self {
            FrontEnd::LogMel(front) => front.available_until(),
            FrontEnd::Waveform(front) => front.available_until(),
        }
    }

    /// The number of samples after the end of a window that must have come before the window is complete.
    pub fn lookahead_samples(&self) -> usize {
        match self {
            FrontEnd::LogMel(front) => front.lookahead_samples(),
            FrontEnd::Waveform(_) => 0,
        }
    }

    /// Writes the window of `length` samples that ends at the sample index `end` into `out`, in the model's layout.
    ///
    /// Everything before the first sample is digital silence. `end` must not lie after `available_until`, nor the start of the
    /// window before the remembered past.
    pub fn copy_window(&self, end: u64, length: usize, out: &mut [f32]) {
        match self {
            FrontEnd::LogMel(front) => front.copy_window(end, length, out),
            FrontEnd::Waveform(front) => front.copy_window(end, length, out),
        }
    }
}

/// The newest samples, for models that take the waveform itself.
#[derive(Debug)]
pub struct Waveform {
    ring: Vec<f32>,
    /// The number of samples so far, skipped ones included.
    n_samples: u64,
}

impl Waveform {
    /// A waveform that remembers the newest `history_samples` samples.
    pub fn new(history_samples: usize) -> Self {
        Self { ring: vec![0.0; history_samples.max(1)], n_samples: 0 }
    }

    fn push(&mut self, samples: &[f32]) {
        let size = self.ring.len();
        let skipped = samples.len().saturating_sub(size);
        self.n_samples += skipped as u64;
        for sample in &samples[skipped..] {
            let place = (self.n_samples % size as u64) as usize;
            self.ring[place] = *sample;
            self.n_samples += 1;
        }
    }

    fn skip_to(&mut self, at: u64) {
        self.ring.fill(0.0);
        self.n_samples = at;
    }

    fn available_until(&self) -> u64 {
        self.n_samples
    }

    fn copy_window(&self, end: u64, length: usize, out: &mut [f32]) {
        let size = self.ring.len() as u64;
        for (i, value) in out[..length].iter_mut().enumerate() {
            let back = (length - i) as u64;
            *value = if back > end { 0.0 } else { self.ring[((end - back) % size) as usize] };
        }
    }
}

#[cfg(test)]
mod tests;
