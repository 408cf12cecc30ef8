//! An ear: one source's way from samples to detections, through resampling, features, windows and detection.
//!
//! The inference lies between the windows and the detection and belongs to the caller, so that the windows of several ears, or
//! many windows of one recording, share a batch. `scheduler` decides which windows are worth an inference, and `end` treats gaps
//! and the end of the sound.
//!
//! Live capture and recordings go through the same ear. It reads no clock; its times are sample indices at the model's rate.
use std::sync::Arc;

mod end;
mod scheduler;

pub use end::Settling;
pub(crate) use scheduler::Need;
use scheduler::Scheduler;

use crate::detect::alarm::AlarmWatch;
use crate::detect::boundaries::BoundaryRefiner;
use crate::detect::curves::{Curves, ScoredSpan};
use crate::detect::level::LevelMeter;
use crate::detect::peaks::{PeakFinder, ScorePeak};
use crate::detect::rule::Rule;
use crate::detect::scoring::{Scoring, causal};
use crate::detect::trace::Trace;
use crate::detect::{Detection, Detector, SoundMeasures};
use crate::features::{FrontEnd, LogMel};
use crate::model::Model;
use crate::model::hierarchy::LabelHierarchy;
use crate::resample::{ResampleError, Resampler};

/// The most hops of a live source that may wait for their scores while more sound comes.
pub const MAX_DUE: usize = 32;

/// The most samples that one call of [`Ear::push`] takes.
pub const MAX_PUSH: usize = 8_192;

/// The ear of one source: the recent past as features, and the open events.
#[derive(Debug)]
pub struct Ear {
    resampler: Resampler,
    resampled: Vec<f32>,
    front: FrontEnd,
    meter: LevelMeter,
    refiner: Option<BoundaryRefiner>,
    /// The watch for the patterns of alarms; `None` where the model's manifest lists no labels of alarms.
    alarms: Option<AlarmWatch>,
    detector: Detector,
    /// The curves of every label; `None` where nobody asked for them.
    curves: Option<Curves>,
    /// The peaks of every label; `None` where nobody asked for them.
    peaks: Option<PeakFinder>,
    scoring: Arc<Scoring>,
    hierarchy: Arc<LabelHierarchy>,
    scheduler: Scheduler,
    /// The newest scores of the first window, as the model gave them, `[labels]`.
    first_scores: Vec<f32>,
    /// The newest scores of each window, propagated to the ancestors of each label, `[windows, labels]`.
    propagated: Vec<f32>,
    max_due: usize,
    input_rate_hz: u32,
    model_rate_hz: u32,
    /// The number of samples at the source's rate that came or were lost.
    input_samples: u64,
    /// The number of samples at the model's rate so far, skipped ones included.
    position: u64,
    /// The end of the next window, as a sample index.
    next_end: u64,
    /// The end of the sound, as a sample index; `None` while it goes on.
    end_of_input: Option<u64>,
    /// The events that would begin after the end of the sound; none of their steps is reported.
    beyond: Vec<u64>,
}

impl Ear {
    /// An ear for a source at `input_rate_hz` with `rules` in force, of which up to [`MAX_DUE`] hops may be due.
    pub fn new(model: &Model, rules: Vec<Rule>, input_rate_hz: u32) -> Result<Self, ResampleError> {
        Self::with_room(model, rules, input_rate_hz, MAX_DUE)
    }

    /// An ear of which up to `max_due` hops may be due.
    pub(crate) fn with_room(model: &Model, rules: Vec<Rule>, input_rate_hz: u32, max_due: usize) -> Result<Self, ResampleError> {
        let model_rate_hz = model.input.sample_rate_hz;
        let scoring = Arc::new(Scoring::new(&model.detection, model_rate_hz).with_alarms(&model.detection, &model.labels));
        let (window, hop) = (scoring.longest_samples() as usize, scoring.hop_samples() as usize);
        let hierarchy = Arc::new(LabelHierarchy::new(&model.labels));
        let log_mel = model.input.log_mel.as_ref();
        let mut scheduler = Scheduler::new(&model.detection, hierarchy.n_labels());
        scheduler.follow(&rules, &hierarchy);
        let ratio = f64::from(model_rate_hz) / f64::from(input_rate_hz);
        let most_resampled = (MAX_PUSH as f64 * ratio).ceil() as usize + 4_096;
        let ahead = max_due * hop + most_resampled;
        Ok(Self {
            resampler: Resampler::new(input_rate_hz, model_rate_hz)?,
            resampled: Vec::with_capacity(most_resampled),
            // The oldest window that is due must still be there when the newest samples of a push have come.
            front: FrontEnd::new(&model.input, window + ahead),
            meter: LevelMeter::new(model_rate_hz),
            refiner: log_mel.map(|log_mel| BoundaryRefiner::new(log_mel.n_mels, log_mel.hop_length, model_rate_hz, ahead as u64)),
            alarms: AlarmWatch::new(&model.detection, &model.input, &model.labels, ahead as u64),
            detector: Detector::new(rules, scoring.clone(), hierarchy.clone(), model_rate_hz),
            scheduler,
            first_scores: vec![0.0; hierarchy.n_labels()],
            propagated: vec![0.0; model.detection.windows_ms.len() * hierarchy.n_labels()],
            hierarchy,
            curves: None,
            peaks: None,
            max_due,
            input_rate_hz,
            model_rate_hz,
            input_samples: 0,
            position: 0,
            next_end: scoring.hop_samples(),
            scoring,
            end_of_input: None,
            beyond: Vec::new(),
        })
    }

    /// Takes the next samples at the source's rate, at most [`MAX_PUSH`], and only while `has_room` says so.
    pub fn push(&mut self, samples: &[f32]) {
        self.input_samples += samples.len() as u64;
        self.resampled.clear();
        self.resampler.process(samples, &mut self.resampled);
        self.take_resampled();
    }

    /// The number of hops whose windows can be scored now.
    pub fn n_due(&self) -> usize {
        let available = self.front.available_until();
        if available < self.next_end { 0 } else { ((available - self.next_end) / self.scoring.hop_samples()) as usize + 1 }
    }

    /// Whether there is room for more sound; otherwise hops that are due must be scored first.
    pub(crate) fn has_room(&self) -> bool {
        self.n_due() < self.max_due
    }

    /// The number of samples at the model's rate that must come until the next hop is due.
    pub(crate) fn samples_until_due(&self) -> u64 {
        (self.next_end + self.front.lookahead_samples() as u64).saturating_sub(self.position)
    }

    /// The source of the scores of the window of this length that is due after `ahead` hops. Only every `hop_stride`-th hop is
    /// scored at all.
    pub(crate) fn need(&self, length: usize, ahead: usize, hop_stride: u64) -> Need {
        let (hop, reach) = (self.scoring.hop_samples(), self.front.lookahead_samples() as u64);
        let end = self.next_end + ahead as u64 * hop;
        let from = end.saturating_sub(self.scoring.windows_samples()[length] + reach);
        let is_silent = self.meter.is_quiet(from, end + reach, self.scheduler.gate());
        // The sound that comes into the window must be like the sound within it, and so must the sound that leaves it.
        let begin = end.saturating_sub(self.scoring.windows_samples()[length]);
        let is_steady = || self.refiner.as_ref().is_some_and(|refiner| refiner.is_steady(end) && refiner.is_steady(begin + hop));
        self.scheduler.need(length, end / hop, is_silent, is_steady, hop_stride)
    }

    /// The newest scores of the first window, `[labels]`.
    pub(crate) fn first_scores(&self) -> &[f32] {
        &self.first_scores
    }

    /// Takes the scores of the next hop, `[lengths, labels]`: those of all windows where `is_complete`, else those of the first
    /// window alone. Returns whether the first window asks for the others to be scored as well.
    pub(crate) fn is_raised(&mut self, scores: &[f32], is_complete: bool) -> bool {
        self.scheduler.is_raised(scores, is_complete)
    }

    /// Writes the window of this length that is due after `ahead` hops into `out`, in the model's layout.
    pub fn copy_window(&self, length: usize, ahead: usize, out: &mut [f32]) {
        let end = self.next_end + ahead as u64 * self.scoring.hop_samples();
        self.front.copy_window(end, self.scoring.windows_samples()[length] as usize, out);
    }

    /// Takes the scores of the hop that was due first, `[lengths, labels]`, and appends the steps that follow from them to
    /// `found`. Only the windows that `is_fresh` names were scored at this hop.
    pub fn take_scores(&mut self, scores: &[f32], is_fresh: &[bool], found: &mut Vec<Detection>) {
        let first = found.len();
        if let Some(refiner) = &mut self.refiner {
            refiner.decide_at(self.next_end);
        }
        let measures = SoundMeasures { meter: &self.meter, refiner: self.refiner.as_ref() };
        let n_labels = self.hierarchy.n_labels().max(1);
        if is_fresh[0] {
            self.first_scores.copy_from_slice(&scores[..n_labels]);
        }
        let (scores, is_fresh) = match &mut self.alarms {
            Some(alarms) => alarms.add_evidence(self.next_end, scores, is_fresh),
            None => (scores, is_fresh),
        };
        let rows = scores.chunks_exact(n_labels).zip(self.propagated.chunks_exact_mut(n_labels)).zip(is_fresh);
        for ((scores, propagated), _) in rows.filter(|(_, is_fresh)| **is_fresh) {
            self.hierarchy.propagate_to_ancestors(scores, propagated);
        }
        self.detector.push(self.next_end, &self.propagated, is_fresh, measures, found);
        if let Some(curves) = &mut self.curves {
            curves.push(&self.propagated, is_fresh, self.refiner.as_ref());
        }
        if let Some(peaks) = &mut self.peaks {
            peaks.push(&self.propagated, is_fresh, self.refiner.as_ref());
        }
        self.next_end += self.scoring.hop_samples();
        self.clamp(first, found);
    }

    /// Puts `rules` in force; see [`Detector::replace_rules`].
    pub(crate) fn replace_rules(&mut self, rules: Vec<Rule>, found: &mut Vec<Detection>) {
        self.scheduler.follow(&rules, &self.hierarchy);
        let measures = SoundMeasures { meter: &self.meter, refiner: self.refiner.as_ref() };
        self.detector.replace_rules(rules, self.position, measures, found);
    }

    /// Keeps the curve of every label from now on.
    pub(crate) fn keep_curves(&mut self, n_labels: usize) {
        self.curves = Some(Curves::new(self.scoring.clone(), n_labels, self.model_rate_hz));
    }

    /// Records in `trace` from now on what is decided, and why.
    pub(crate) fn keep_trace(&mut self, trace: Trace) {
        self.detector.keep_trace(trace);
    }

    /// The kept curves, segment by segment; each segment is there once it has ended.
    pub(crate) fn curves(&self) -> &[ScoredSpan] {
        self.curves.as_ref().map_or(&[], Curves::spans)
    }

    /// Keeps the peaks of every label from now on, if it does not do so yet. [`take_peaks`](Self::take_peaks) must take them.
    pub(crate) fn keep_peaks(&mut self, n_labels: usize) {
        let base = self.next_end - self.scoring.hop_samples();
        let rate_hz = self.model_rate_hz;
        self.peaks.get_or_insert_with(|| PeakFinder::new(self.scoring.clone(), n_labels, base, rate_hz));
    }

    /// Stops to keep peaks.
    pub(crate) fn drop_peaks(&mut self) {
        self.peaks = None;
    }

    /// Takes the peaks that were kept since the last call; none lies beyond the end of the sound.
    pub(crate) fn take_peaks(&mut self) -> impl Iterator<Item = ScorePeak> {
        let end = self.end_of_input.unwrap_or(u64::MAX);
        self.peaks.iter_mut().flat_map(PeakFinder::take).map(move |peak| ScorePeak { at: peak.at.min(end), ..peak })
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> &[Rule] {
        self.detector.rules()
    }

    /// The level of the newest hop in dBFS.
    pub(crate) fn level_dbfs(&self) -> f32 {
        self.meter.level_dbfs(self.position.saturating_sub(self.scoring.hop_samples()), self.position)
    }

    /// The noise floor of the recent past in dBFS.
    pub(crate) fn noise_floor_dbfs(&self) -> f32 {
        self.meter.floor_dbfs()
    }

    /// The newest causal score of a label, 0…1; it is no lower than those of the labels below it in the hierarchy.
    pub(crate) fn causal(&self, label: usize) -> f32 {
        causal(self.propagated.chunks_exact(self.hierarchy.n_labels().max(1)).map(|row| row[label]))
    }

    /// The newest part of the spectrogram; `None` where the model takes the waveform.
    pub(crate) fn log_mel(&self) -> Option<&LogMel> {
        match &self.front {
            FrontEnd::LogMel(log_mel) => Some(log_mel),
            FrontEnd::Waveform(_) => None,
        }
    }

    /// The delay between a moment and its confirmed score, in samples.
    pub(crate) fn lag_samples(&self) -> u64 {
        self.scoring.lag_samples()
    }

    /// The lengths of the windows in samples.
    pub(crate) fn windows_samples(&self) -> &[u64] {
        self.scoring.windows_samples()
    }

    /// The distance of two windows in samples.
    pub fn hop_samples(&self) -> u64 {
        self.scoring.hop_samples()
    }

    /// The detector, which says why it reports an event or does not.
    pub(crate) fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Sets the background of each rule that `of` knows one of; see [`Detector::set_backgrounds`].
    pub(crate) fn set_backgrounds(&mut self, of: impl Fn(&Rule) -> Option<f32>) {
        self.detector.set_backgrounds(of);
    }

    /// The present loudness, as a rule's `min_level_dbfs` is compared with it, in dBFS.
    pub(crate) fn loudness_dbfs(&self) -> f32 {
        self.detector.loudness_dbfs(self.now(), &self.meter)
    }

    /// The end of the newest window that was scored, as a sample index.
    pub fn now(&self) -> u64 {
        self.next_end - self.scoring.hop_samples()
    }

    /// The distance of two windows in seconds.
    pub(crate) fn hop_s(&self) -> f64 {
        self.scoring.hop_samples() as f64 / f64::from(self.model_rate_hz)
    }

    /// The number of samples at the source's rate that came or were lost.
    pub(crate) fn input_samples(&self) -> u64 {
        self.input_samples
    }

    /// The model's rate, at which times are counted, in Hz.
    pub(crate) fn model_rate_hz(&self) -> u32 {
        self.model_rate_hz
    }

    /// The end of the sound, as a sample index; `None` while it goes on.
    pub(crate) fn end_of_input(&self) -> Option<u64> {
        self.end_of_input
    }

    fn take_resampled(&mut self) {
        self.front.push(&self.resampled);
        self.meter.push(&self.resampled);
        self.position += self.resampled.len() as u64;
        self.follow();
    }

    /// Hands the newest frames of the log-mel to those who follow them, before the log-mel forgets them.
    fn follow(&mut self) {
        if let (Some(refiner), FrontEnd::LogMel(log_mel)) = (&mut self.refiner, &self.front) {
            refiner.follow(log_mel);
        }
        if let (Some(alarms), FrontEnd::LogMel(log_mel)) = (&mut self.alarms, &self.front) {
            alarms.follow(log_mel);
        }
    }
}
