//! The input of a graph: its dimensions, and the definition of the log-mel spectrogram where it takes one. Plain data.

use serde::Deserialize;

/// The input of the graph.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The kind of the numbers.
    pub kind: InputKind,
    /// The input's name in the graph.
    pub name: String,
    /// The dimensions of the input, in their order.
    pub shape: Vec<Axis>,
    /// The sample rate of the sound in Hz.
    pub sample_rate_hz: u32,
    /// The parameters of the front end, for `kind = "log-mel"` only.
    pub log_mel: Option<LogMelParameters>,
}

impl Input {
    /// Whether the graph takes a log-mel frame by frame: its shape has the frames before the bands.
    pub fn has_frames_first(&self) -> bool {
        let place = |name| self.shape.iter().position(|axis| *axis == Axis::Named(name));
        place(AxisName::Frames).zip(place(AxisName::Mels)).is_some_and(|(frames, mels)| frames < mels)
    }

    /// Fills a window in the graph's layout with digital silence.
    pub fn fill_with_silence(&self, window: &mut [f32]) {
        let Some(log_mel) = &self.log_mel else { return window.fill(0.0) };
        let value = |band| {
            let (factor, shift) = log_mel.scaling(band);
            log_mel.floor_db() * factor + shift
        };
        let n_frames = window.len() / log_mel.n_mels.max(1);
        match self.has_frames_first() {
            true => window.iter_mut().enumerate().for_each(|(at, place)| *place = value(at % log_mel.n_mels.max(1))),
            false => window.chunks_exact_mut(n_frames.max(1)).enumerate().for_each(|(band, row)| row.fill(value(band))),
        }
    }
}

/// The kind of the numbers that the graph takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// A log-mel spectrogram, made by this program.
    LogMel,
    /// Samples, full scale at ±1.
    Waveform,
}

/// A dimension of the input: a fixed size, or the name of what it counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Axis {
    /// A fixed size.
    Fixed(i64),
    /// A size that depends on the batch or on the length of the window.
    Named(AxisName),
}

/// The thing that a dimension counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AxisName {
    /// Windows in one inference.
    Batch,
    /// Mel bands.
    Mels,
    /// Frames of the spectrogram.
    Frames,
    /// Samples of the waveform.
    Samples,
}

/// The parameters of the log-mel front end.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogMelParameters {
    /// The length of the Fourier transform in samples.
    pub n_fft: usize,
    /// The length of the window in samples; at most `n_fft`, centred in it.
    pub win_length: usize,
    /// The distance of two frames in samples.
    pub hop_length: usize,
    /// The window's shape.
    pub window: WindowShape,
    /// Whether frame t is centred on sample t · `hop_length`, with zeros beyond the ends.
    pub center: bool,
    /// The number of mel bands.
    pub n_mels: usize,
    /// The mel scale.
    pub mel_scale: MelScale,
    /// The lower edge of the lowest band in Hz.
    pub f_min_hz: f64,
    /// The upper edge of the highest band in Hz.
    pub f_max_hz: f64,
    /// The power of the magnitude that is summed in a band; 2.0 is the only known one.
    pub power: f64,
    /// The least power, by which the floor is made.
    pub amin: f64,
    /// Whether the filters are normalised.
    #[serde(default)]
    pub norm: FilterNorm,
    /// How `amin` keeps a band without power from minus infinity.
    #[serde(default)]
    pub floor: Floor,
    /// The logarithm.
    #[serde(default)]
    pub log: LogScale,
    /// Subtracted from each value after the logarithm.
    #[serde(default = "PerBand::zero")]
    pub mean: PerBand,
    /// Divides each value after the mean was subtracted.
    #[serde(default = "PerBand::one")]
    pub std: PerBand,
}

impl LogMelParameters {
    /// The factor and the shift that make a value of a band for the graph from the band's level in dB.
    pub fn scaling(&self, band: usize) -> (f32, f32) {
        let unit = match self.log {
            LogScale::Db => 1.0,
            LogScale::Ln => std::f64::consts::LN_10 / 10.0,
            LogScale::Log10 => 0.1,
        };
        let (mean, std) = (self.mean.of(band), self.std.of(band));
        ((unit / std) as f32, (-mean / std) as f32)
    }

    /// The level of a band without any power in dB.
    pub fn floor_db(&self) -> f32 {
        (10.0 * f64::from((self.amin as f32).max(f32::MIN_POSITIVE)).log10()) as f32
    }
}

#[cfg(test)]
impl LogMelParameters {
    /// The parameters of CED, for tests that want a realistic spectrogram.
    pub fn of_ced() -> Self {
        Self {
            n_fft: 512,
            win_length: 512,
            hop_length: 160,
            window: WindowShape::HannPeriodic,
            center: true,
            n_mels: 64,
            mel_scale: MelScale::Htk,
            f_min_hz: 0.0,
            f_max_hz: 8_000.0,
            power: 2.0,
            amin: 1e-10,
            norm: FilterNorm::None,
            floor: Floor::Max,
            log: LogScale::Db,
            mean: PerBand::zero(),
            std: PerBand::one(),
        }
    }
}

/// A window's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WindowShape {
    /// 0.5 − 0.5 · cos(2πn/N).
    HannPeriodic,
    /// 0.5 − 0.5 · cos(2πn/(N − 1)).
    HannSymmetric,
}

/// A mel scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// mel = 2595 · log10(1 + f / 700 Hz).
    Htk,
    /// Slaney's: mel = 3f / 200 Hz up to 1 kHz, and 15 + 27 · ln(f / 1 kHz) / ln 6.4 above.
    Slaney,
}

/// The normalisation of the mel filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterNorm {
    /// Each filter is 1 at its peak.
    #[default]
    None,
    /// Slaney's: each filter's area is 1, over frequencies in Hz.
    Slaney,
}

/// How `amin` keeps a band without power from minus infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Floor {
    /// The logarithm is of max(power, amin).
    #[default]
    Max,
    /// The logarithm is of power + amin.
    Add,
}

/// The logarithm of a band's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogScale {
    /// 10 · log10, decibels.
    #[default]
    Db,
    /// The natural logarithm.
    Ln,
    /// The logarithm to the base of 10.
    Log10,
}

/// A number for all bands, or one for each.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum PerBand {
    /// The same for all bands.
    All(f64),
    /// One a band, from the lowest on.
    Each(Vec<f64>),
}

impl PerBand {
    /// 0 for all bands.
    pub fn zero() -> Self {
        PerBand::All(0.0)
    }

    /// 1 for all bands.
    pub fn one() -> Self {
        PerBand::All(1.0)
    }

    /// The number of a band; 0 beyond the list, which a checked manifest has none of.
    pub fn of(&self, band: usize) -> f64 {
        match self {
            PerBand::All(number) => *number,
            PerBand::Each(numbers) => numbers.get(band).copied().unwrap_or(0.0),
        }
    }

    /// The numbers, of which there are one or `n_mels`.
    pub(super) fn numbers(&self) -> &[f64] {
        match self {
            PerBand::All(number) => std::slice::from_ref(number),
            PerBand::Each(numbers) => numbers,
        }
    }
}
