//! The check of a manifest: every number lies in a range in which sound can be analysed in bounded memory and time.
//!
//! A model's folder may come from anywhere, so the check expects no sense of it.

use super::{Alarms, Axis, AxisName, Detection, Evidence, FORMAT, Input, InputKind, LogMelParameters, Manifest};
use crate::model::{Labels, MAX_HOPS};

/// The most numbers that are held of a source: those of the longest window and of the hops that may wait behind it.
const MOST_HELD: usize = 1 << 24;
/// The most frames of the spectrogram that hold the same sample, each of which takes a Fourier transform.
const MOST_OVERLAPPING: usize = 64;

fn require(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Checks everything that the types of the manifest do not already ensure.
pub(super) fn manifest(manifest: &Manifest) -> Result<(), String> {
    if manifest.format != FORMAT {
        return Err(format!("format is {}, but this program reads format {FORMAT}", manifest.format));
    }
    require(!manifest.name.chars().any(char::is_control), "name must not hold control characters")?;
    let plain = |file: &str| !file.is_empty() && !file.contains('/') && file != "..";
    require(plain(&manifest.file) && plain(&manifest.labels), "file and labels must be names of files in the model's folder")?;
    require(manifest.ontology.as_deref().is_none_or(plain), "ontology must be the name of a file in the model's folder")?;
    require(manifest.thresholds.as_deref().is_none_or(plain), "thresholds must be the name of a file in the model's folder")?;
    let input = &manifest.input;
    require((1_000..=192_000).contains(&input.sample_rate_hz), "sample_rate_hz must be from 1000 to 192000")?;
    let count = |name| input.shape.iter().filter(|axis| **axis == Axis::Named(name)).count();
    match input.kind {
        InputKind::Waveform => {
            require(input.log_mel.is_none(), "[input.log_mel] belongs to kind = \"log-mel\" only")?;
            require(count(AxisName::Samples) == 1, "the shape of a waveform needs \"samples\" once")?;
            require(
                count(AxisName::Mels) + count(AxisName::Frames) == 0,
                "the shape of a waveform has no \"mels\" or \"frames\"",
            )?;
        }
        InputKind::LogMel => {
            let Some(log_mel) = &input.log_mel else { return Err("kind = \"log-mel\" needs [input.log_mel]".to_owned()) };
            require(
                count(AxisName::Mels) == 1 && count(AxisName::Frames) == 1,
                "the shape of a log-mel needs \"mels\" and \"frames\" once each",
            )?;
            require(count(AxisName::Samples) == 0, "the shape of a log-mel has no \"samples\"")?;
            front_end(log_mel, input.sample_rate_hz)?;
        }
    }
    require(count(AxisName::Batch) <= 1, "the shape has more than one \"batch\"")?;
    require(
        input.shape.iter().all(|axis| !matches!(axis, Axis::Fixed(size) if *size != 1)),
        "a fixed dimension can only be 1; a graph that is made for a batch of another size has \"batch\" in its shape",
    )?;
    require(
        manifest.external_data.iter().all(|data| plain(&data.file)),
        "the files of external_data must be names of files in the model's folder",
    )?;
    let bank = manifest.output.embedding.as_ref().and_then(|embedding| embedding.bank.as_deref());
    require(bank.is_none_or(plain), "bank must be the name of a file in the model's folder")?;
    let embedding = manifest.output.embedding.as_ref();
    require(
        embedding.is_none_or(|embedding| (2..=4_096).contains(&embedding.size)),
        "the size of [output.embedding] must be from 2 to 4096",
    )?;
    detection(&manifest.detection, input)
}

fn front_end(p: &LogMelParameters, rate_hz: u32) -> Result<(), String> {
    require((16..=65_536).contains(&p.n_fft) && p.n_fft.is_multiple_of(2), "n_fft must be even and from 16 to 65536")?;
    require(p.win_length >= 2 && p.win_length <= p.n_fft, "win_length must be from 2 to n_fft")?;
    let hops = p.n_fft.div_ceil(MOST_OVERLAPPING)..=p.n_fft;
    if !hops.contains(&p.hop_length) {
        return Err(format!("hop_length must be from n_fft / {MOST_OVERLAPPING} to n_fft"));
    }
    require((1..=512).contains(&p.n_mels), "n_mels must be from 1 to 512")?;
    require(p.center, "center = false is not known")?;
    require(p.power == 2.0, "power must be 2.0")?;
    require(p.amin > 0.0 && p.amin.is_finite(), "amin must be above 0")?;
    let suits = |numbers: &[f64]| numbers.len() == 1 || numbers.len() == p.n_mels;
    require(suits(p.mean.numbers()) && suits(p.std.numbers()), "mean and std must be one number, or a list of n_mels numbers")?;
    require(p.mean.numbers().iter().all(|mean| mean.abs() <= 1e6), "mean must be from -1000000 to 1000000")?;
    require(p.std.numbers().iter().all(|std| (1e-6..=1e6).contains(std)), "std must be from 0.000001 to 1000000")?;
    let nyquist = f64::from(rate_hz) / 2.0;
    require(
        p.f_min_hz >= 0.0 && p.f_min_hz < p.f_max_hz && p.f_max_hz <= nyquist,
        "0 ≤ f_min_hz < f_max_hz ≤ half the sample rate must hold",
    )
}

/// Checks the numbers of detection for this input.
pub(super) fn detection(detection: &Detection, input: &Input) -> Result<(), String> {
    let Detection {
        windows_ms,
        hop_ms,
        strides,
        steady_stride,
        noise_gate_dbfs,
        delta,
        median,
        extent,
        valley,
        evidence,
        alarms,
    } = detection;
    require((1..=8).contains(&windows_ms.len()), "windows_ms must hold from 1 to 8 lengths")?;
    require(windows_ms.iter().all(|window| (10..=60_000).contains(window)), "windows_ms must be from 10 to 60000")?;
    let shortest = windows_ms.iter().min().unwrap_or(hop_ms);
    require(*hop_ms >= 10 && hop_ms <= shortest, "hop_ms must be from 10 to the shortest window")?;
    require(strides.is_empty() || strides.len() == windows_ms.len(), "strides must hold one number for each of windows_ms")?;
    require(strides.iter().all(|stride| (1..=16).contains(stride)), "strides must be from 1 to 16")?;
    require(steady_stride.is_none_or(|stride| (1..=16).contains(&stride)), "steady_stride must be from 1 to 16")?;
    require(noise_gate_dbfs.is_none_or(|gate| (-150.0..=0.0).contains(&gate)), "noise_gate_dbfs must be from -150 to 0")?;
    require((0.0..=0.5).contains(delta), "delta must be from 0 to 0.5")?;
    require(median % 2 == 1 && *median <= 9, "median must be 1, 3, 5, 7 or 9")?;
    require(*extent > 0.0 && *extent < 1.0, "extent must be between 0 and 1")?;
    require(*valley > 0.0 && *valley < 1.0, "valley must be between 0 and 1")?;
    if let Some(Evidence { confirmed, causal, duration, snr, background, start_background, offset }) = evidence {
        let all = [confirmed, causal, duration, snr, background, start_background, offset];
        require(
            all.iter().all(|weight| (-20.0..=20.0).contains(*weight)),
            "[detection.evidence] must hold numbers from -20 to 20",
        )?;
        // A lower score must never be better evidence.
        require(*confirmed >= 0.0 && *causal >= 0.0, "evidence.confirmed and evidence.causal must not be below 0")?;
        require((0.0..=2.0).contains(start_background), "evidence.start_background must be from 0 to 2")?;
    }
    if let Some(Alarms { labels, without, with }) = alarms {
        require(!labels.is_empty(), "[detection.alarms] must name a label")?;
        require((-10.0..=0.0).contains(without), "[detection.alarms] without must be from -10 to 0")?;
        require((0.0..=10.0).contains(with), "[detection.alarms] with must be from 0 to 10")?;
        require(input.log_mel.is_some(), "[detection.alarms] needs kind = \"log-mel\"")?;
    }
    let rate_hz = input.sample_rate_hz;
    let (longest, hop) = (detection.windows_samples(rate_hz).max().unwrap_or(0), detection.hop_samples(rate_hz));
    let samples = longest + MAX_HOPS * hop;
    let held = match &input.log_mel {
        None => samples,
        Some(log_mel) => {
            let whole = |samples: usize| samples.is_multiple_of(log_mel.hop_length);
            let all_whole = whole(hop) && detection.windows_samples(rate_hz).all(whole);
            require(all_whole, "windows_ms and hop_ms must be whole frames")?;
            samples / log_mel.hop_length * log_mel.n_mels
        }
    };
    if held > MOST_HELD {
        return Err(format!("the longest window and {MAX_HOPS} hops are {held} numbers, but they may be {MOST_HELD} at most"));
    }
    Ok(())
}

/// Checks that the labels of alarms are labels of the model.
pub(super) fn alarms(detection: &Detection, labels: &Labels) -> Result<(), String> {
    let mut names = detection.alarms.iter().flat_map(|alarms| &alarms.labels);
    let unknown = names.find(|name| labels.find(name).is_none());
    unknown.map_or(Ok(()), |name| Err(format!("[detection.alarms] names {name:?}, which is none of the model's labels")))
}

#[cfg(test)]
mod tests {
    use super::super::PerBand;
    use super::*;

    fn waveform(sample_rate_hz: u32) -> Input {
        Input { kind: InputKind::Waveform, name: String::new(), shape: Vec::new(), sample_rate_hz, log_mel: None }
    }

    fn log_mel(n_fft: usize, hop_length: usize, n_mels: usize) -> LogMelParameters {
        LogMelParameters { n_fft, win_length: n_fft, hop_length, n_mels, ..LogMelParameters::of_ced() }
    }

    #[test]
    fn a_log_mel_is_normalised_by_one_number_or_one_a_band() {
        let of = |mean: PerBand, std: PerBand| front_end(&LogMelParameters { mean, std, ..log_mel(512, 160, 64) }, 16_000);
        assert_eq!(of(PerBand::All(-4.5), PerBand::Each(vec![5.0; 64])), Ok(()));
        for (mean, std, told) in [
            (PerBand::Each(vec![0.0; 63]), PerBand::one(), "one number, or a list of n_mels"),
            (PerBand::All(f64::NAN), PerBand::one(), "mean must be from"),
            (PerBand::zero(), PerBand::zero(), "std must be from"),
            (PerBand::zero(), PerBand::Each(Vec::new()), "one number, or a list of n_mels"),
        ] {
            let fault = of(mean, std).unwrap_err();
            assert!(fault.contains(told), "{fault}");
        }
    }

    #[test]
    fn a_manifest_cannot_ask_for_more_memory_than_is_bearable() {
        let of = |windows_ms: &[u32], hop_ms| Detection { windows_ms: windows_ms.to_vec(), hop_ms, ..Detection::of_tests() };
        assert_eq!(detection(&of(&[10_000], 1_000), &waveform(192_000)), Ok(()));
        let told = "the longest window and 64 hops are 17664000 numbers, but they may be 16777216 at most";
        assert_eq!(detection(&of(&[60_000, 500], 500), &waveform(192_000)), Err(told.to_owned()));
        let input = Input { log_mel: Some(log_mel(64, 1, 512)), ..waveform(16_000) };
        let told = detection(&of(&[1_000], 100), &input).unwrap_err();
        assert!(told.contains("60620800 numbers"), "{told}");
    }

    #[test]
    fn the_labels_of_alarms_are_labels_of_the_model_and_their_log_odds_are_bounded() {
        let of = |names: &[&str], without, with| Detection {
            alarms: Some(Alarms { labels: names.iter().map(|name| (*name).to_owned()).collect(), without, with }),
            ..Detection::of_tests()
        };
        let input = Input { log_mel: Some(log_mel(512, 160, 64)), ..waveform(16_000) };
        assert_eq!(detection(&of(&["Fire alarm"], -1.75, 6.0), &input), Ok(()));
        for (wrong, told) in [
            (of(&[], 0.0, 0.0), "must name a label"),
            (of(&["Fire alarm"], 0.1, 0.0), "without must be from -10 to 0"),
            (of(&["Fire alarm"], f32::NAN, 0.0), "without must be from -10 to 0"),
            (of(&["Fire alarm"], 0.0, 10.5), "with must be from 0 to 10"),
        ] {
            let fault = detection(&wrong, &input).unwrap_err();
            assert!(fault.contains(told), "{fault}");
        }
        let fault = detection(&of(&["Fire alarm"], 0.0, 0.0), &waveform(16_000)).unwrap_err();
        assert!(fault.contains("needs kind = \"log-mel\""), "{fault}");
        let labels = Labels::new([("/f".to_owned(), "Fire alarm".to_owned())], Vec::new());
        assert_eq!(alarms(&of(&["fire_alarm"], 0.0, 0.0), &labels), Ok(()));
        let fault = alarms(&of(&["Fire alarm", "Fire alram"], 0.0, 0.0), &labels).unwrap_err();
        assert_eq!(fault, "[detection.alarms] names \"Fire alram\", which is none of the model's labels");
    }

    #[test]
    fn a_manifest_cannot_ask_for_a_transform_at_every_sample() {
        assert_eq!(front_end(&log_mel(512, 8, 64), 16_000), Ok(()));
        for (n_fft, hop_length) in [(512, 7), (65_536, 1), (514, 8), (16, 0), (16, 17)] {
            let told = front_end(&log_mel(n_fft, hop_length, 64), 16_000).unwrap_err();
            assert_eq!(told, "hop_length must be from n_fft / 64 to n_fft", "{hop_length} of {n_fft}");
        }
    }
}
