//! The findings as a picture: chooses the time span and the labels that are drawn, and computes the spectrogram of the recording.
//!
//! It decodes the recording a second time, for the spectrogram alone; it writes no file.

use std::path::Path;

use super::findings::Findings;
use super::plot::{self, Mark, Panel, Picture, Spectrogram};
use super::{AROUND_S, Failure, LONGEST_PICTURE_S, exit};
use crate::capture::file::Status;
use crate::detect::standing::Fate;
use crate::ear::MAX_PUSH;
use crate::features::LogMel;
use crate::features::mel::band_centres_hz;
use crate::model::Model;
use crate::recording::{self, Listening};
use crate::resample::Resampler;

/// How many labels have a panel where none is named.
const MOST_PANELS: usize = 4;
/// A label without an event has a panel if its peak comes to this part of its threshold.
const NEAR: f32 = 0.5;

/// Draws the time span around `at_s`, or the whole recording, with a panel for each of the rules `asked`, or for the strongest
/// ones.
pub fn svg(
    findings: &Findings,
    (recording, listening): (&Path, Listening),
    asked: &[usize],
    at_s: Option<f64>,
    model: &Model,
) -> Result<String, Failure> {
    let (from_s, to_s) = match at_s {
        Some(at_s) => ((at_s - AROUND_S).max(0.0), (at_s + AROUND_S).min(findings.length_s)),
        None => (0.0, findings.length_s.min(LONGEST_PICTURE_S)),
    };
    let sound = LogMelSpan::read((recording, listening), model, from_s, to_s)?;
    let rules = if asked.is_empty() { strongest(findings, from_s, to_s) } else { asked.to_vec() };
    let curves: Vec<_> = rules.iter().map(|rule| (findings.causal(*rule), findings.confirmed(*rule))).collect();
    let panels = rules.iter().zip(&curves).map(|(rule, (causal, confirmed))| Panel {
        label: findings.name(*rule),
        hop_s: findings.hop_s(),
        causal,
        confirmed,
        threshold: findings.rules[*rule].gate.threshold,
        start_threshold: findings.rules[*rule].gate.start_threshold,
        note: if findings.is_reported(*rule) { "" } else { "not reported" },
    });
    let events = findings.reported_events().filter(|event| !event.is_taken_back()).map(|event| {
        let (onset, offset) = event.span();
        let score = event.end.map_or(0.0, |(heard, ..)| heard.peak_score);
        Mark { label: findings.name(event.rule), onset_s: findings.seconds(onset), offset_s: findings.seconds(offset), score }
    });
    let title = recording.file_name().unwrap_or_default().to_string_lossy();
    Ok(plot::svg(&Picture {
        title: &title,
        from_s,
        to_s,
        spectrogram: sound.spectrogram(),
        panels: panels.collect(),
        events: events.collect(),
        moment_s: at_s,
    }))
}

/// The rules in force that get a panel: first those with events, then those that came nearest to an event, by their peaks.
fn strongest(findings: &Findings, from_s: f64, to_s: f64) -> Vec<usize> {
    let is_seen = |onset: u64, offset: u64| findings.seconds(onset) < to_s && findings.seconds(offset) > from_s;
    let nearness = |rule: usize| {
        let own = findings.segments.iter().filter(|segment| segment.rule == rule);
        let seen = own.filter(|segment| is_seen(segment.bounds.onset.at, segment.bounds.offset.at));
        seen.map(|segment| segment.evidence / findings.rules[rule].gate.threshold).fold(0.0, f32::max)
    };
    let mut rules: Vec<usize> = Vec::new();
    let mut add = |rule: usize| {
        if rules.len() < MOST_PANELS && !rules.contains(&rule) {
            rules.push(rule);
        }
    };
    let events = findings.reported_events().filter(|event| !event.is_taken_back());
    let mut named: Vec<usize> = events.filter(|event| is_seen(event.span().0, event.span().1)).map(|event| event.rule).collect();
    named.sort_by(|a, b| nearness(*b).total_cmp(&nearness(*a)));
    named.into_iter().for_each(&mut add);
    // A label that is part of an event under another name is seen in that event's panel.
    let is_part_of_event =
        |rule: usize| findings.segments.iter().any(|segment| segment.rule == rule && matches!(segment.fate, Fate::PartOf { .. }));
    let is_near_miss = |rule: &usize| nearness(*rule) >= NEAR && !is_part_of_event(*rule);
    let mut near: Vec<usize> = (0..findings.n_reported).filter(is_near_miss).collect();
    near.sort_by(|a, b| nearness(*b).total_cmp(&nearness(*a)));
    near.into_iter().for_each(&mut add);
    rules
}

/// The log-mel spectrogram of a time span of the recording.
struct LogMelSpan {
    frames: Vec<f32>,
    band_hz: Vec<f64>,
    frame_s: f64,
    first_frame_s: f64,
}

impl LogMelSpan {
    fn read((path, listening): (&Path, Listening), model: &Model, from_s: f64, to_s: f64) -> Result<Self, Failure> {
        let Some(parameters) = &model.input.log_mel else {
            return Err(Failure::new("the model takes no log-mel spectrogram, so there is none to draw", exit::FAILED));
        };
        let rate_hz = model.input.sample_rate_hz;
        let frame_s = parameters.hop_length as f64 / f64::from(rate_hz);
        let (first, last) = ((from_s / frame_s).floor() as u64, (to_s / frame_s).ceil() as u64);
        let mut decoder = recording::open(path, listening)?;
        let mut resampler = Resampler::new(decoder.rate_hz(), rate_hz).map_err(|error| Failure::new(error, exit::FAILED))?;
        let mut log_mel =
            LogMel::new(parameters, rate_hz, 4 * MAX_PUSH * rate_hz as usize / decoder.rate_hz() as usize + MAX_PUSH);
        let (mut samples, mut resampled, mut frames, mut taken) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut is_over = false;
        while !is_over && taken <= last {
            samples.clear();
            // A recording that is truncated was reported when it was heard.
            is_over = !matches!(decoder.read(&mut samples), Ok(Status::More));
            for chunk in samples.chunks(MAX_PUSH) {
                resampled.clear();
                resampler.process(chunk, &mut resampled);
                log_mel.push(&resampled);
                while taken < log_mel.n_frames() {
                    if (first..=last).contains(&taken) {
                        frames.extend(log_mel.frame(taken));
                    }
                    taken += 1;
                }
            }
        }
        Ok(Self { frames, band_hz: band_centres_hz(parameters), frame_s, first_frame_s: first as f64 * frame_s })
    }

    fn spectrogram(&self) -> Spectrogram<'_> {
        Spectrogram {
            frames: &self.frames,
            n_bands: self.band_hz.len(),
            frame_s: self.frame_s,
            first_frame_s: self.first_frame_s,
            band_hz: &self.band_hz,
        }
    }
}
