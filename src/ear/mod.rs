//! One source's way from samples to detections: resample, features, windows, detect. The inference between them is the caller's,
//! so that the windows of several ears, or many windows of one recording, share a batch.
//!
//! Live capture and recordings go through the same ear; it reads no clock, and its times are sample indices at the model's rate.

use std::sync::Arc;

mod scheduler;

pub use scheduler::Need;
use scheduler::Scheduler;

use crate::detect::boundaries::BoundaryRefiner;
use crate::detect::curves::{Curves, ScoredSpan};
use crate::detect::level::LevelMeter;
use crate::detect::peaks::{PeakFinder, ScorePeak};
use crate::detect::rule::Rule;
use crate::detect::scoring::{Scoring, causal};
use crate::detect::step::Step;
use crate::detect::trace::Trace;
use crate::detect::{Detection, Detector, SoundMeasures};
use crate::event::EndReason;
use crate::features::{FrontEnd, LogMel};
use crate::model::Model;
use crate::model::hierarchy::LabelHierarchy;
use crate::resample::{ResampleError, Resampler};

/// The most hops that may be due of a live source: so many may wait for their scores while more sound comes.
pub const MAX_DUE: usize = 32;

/// The most samples that [`Ear::push`] takes at a time.
pub const MAX_PUSH: usize = 8_192;

/// So many hops of silence after a sound's end let its last box end.
const SETTLING_HOPS: u64 = 5;

/// What a source's ear has of it: the recent past as features, the open events.
#[derive(Debug)]
pub struct Ear {
    resampler: Resampler,
    resampled: Vec<f32>,
    front: FrontEnd,
    meter: LevelMeter,
    refiner: Option<BoundaryRefiner>,
    detector: Detector,
    /// The curves of every label, where they are asked for.
    curves: Option<Curves>,
    /// The peaks of every label, where they are asked for.
    peaks: Option<PeakFinder>,
    scoring: Arc<Scoring>,
    hierarchy: Arc<LabelHierarchy>,
    scheduler: Scheduler,
    /// The newest scores of the first window as the model gave them, `[labels]`.
    first_scores: Vec<f32>,
    /// The newest scores of each window, each label's no lower than those of the labels below it.
    propagated: Vec<f32>,
    max_due: usize,
    input_rate_hz: u32,
    model_rate_hz: u32,
    /// Samples at the source's rate that came or were lost.
    input_samples: u64,
    /// Samples at the model's rate that are behind us, skipped ones included.
    position: u64,
    /// The end of the next window.
    next_end: u64,
    /// Where the sound ends, once that is known.
    end_of_input: Option<u64>,
    /// Events that would begin after that.
    beyond: Vec<u64>,
}

impl Ear {
    /// An ear for a source at `input_rate_hz`, with `rules` in force, of which up to [`MAX_DUE`] hops may be due.
    pub fn new(model: &Model, rules: Vec<Rule>, input_rate_hz: u32) -> Result<Self, ResampleError> {
        Self::with_room(model, rules, input_rate_hz, MAX_DUE)
    }

    /// The same for so many hops.
    pub fn with_room(model: &Model, rules: Vec<Rule>, input_rate_hz: u32, max_due: usize) -> Result<Self, ResampleError> {
        let model_rate_hz = model.input.sample_rate_hz;
        let scoring = Arc::new(Scoring::new(&model.detection, model_rate_hz));
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
            // The oldest of the windows that are due must still be there when the newest samples of a push have come.
            front: FrontEnd::new(&model.input, window + ahead),
            meter: LevelMeter::new(model_rate_hz),
            refiner: log_mel.map(|log_mel| BoundaryRefiner::new(log_mel.n_mels, log_mel.hop_length, model_rate_hz, ahead as u64)),
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

    /// Takes the next samples at the source's rate, at most [`MAX_PUSH`], and only while there is room for more hops.
    pub fn push(&mut self, samples: &[f32]) {
        self.input_samples += samples.len() as u64;
        self.resampled.clear();
        self.resampler.process(samples, &mut self.resampled);
        self.take_resampled();
    }

    /// Takes note that `lost` samples at the source's rate are missing here; time goes on by as much.
    ///
    /// A gap shorter than a window counts as silence; a longer one ends the open events.
    pub fn gap(&mut self, lost: u64, found: &mut Vec<Detection>) {
        self.flush_resampler();
        self.input_samples += lost;
        let target = self.at_model_rate(self.input_samples).max(self.position);
        let (missing, hop) = (target - self.position, self.scoring.hop_samples());
        if missing <= self.scoring.longest_samples() && self.n_due() + (missing / hop) as usize + 1 < self.max_due {
            self.push_silence(missing);
            return;
        }
        let base = target / hop * hop;
        self.finish(self.position, base, EndReason::SourceLost, found);
        self.front.skip_to(target);
        self.meter.skip_to(target);
        if let Some(refiner) = &mut self.refiner {
            refiner.skip_to(target);
        }
        self.position = target;
        self.next_end = base + hop;
    }

    /// Takes note that the sound has come to its end: what the resampler holds is let out, and enough silence follows to settle
    /// every score.
    pub fn end_input(&mut self) {
        if self.end_of_input.is_some() {
            return;
        }
        self.flush_resampler();
        if let Some(refiner) = &mut self.refiner {
            refiner.end_input();
        }
        self.end_of_input = Some(self.position);
    }

    /// After [`end_input`](Self::end_input): appends the next piece of the settling silence, and says whether windows are still to
    /// come.
    pub fn settle(&mut self) -> Settling {
        let Some(end) = self.end_of_input else { return Settling::Done };
        let until =
            end + self.scoring.lag_samples() + SETTLING_HOPS * self.scoring.hop_samples() + self.front.lookahead_samples() as u64;
        if self.position >= until {
            return Settling::Done;
        }
        let piece = self.scoring.hop_samples().min(until - self.position);
        self.push_silence(piece);
        Settling::More
    }

    /// How many windows are due.
    pub fn n_due(&self) -> usize {
        let available = self.front.available_until();
        if available < self.next_end { 0 } else { ((available - self.next_end) / self.scoring.hop_samples()) as usize + 1 }
    }

    /// Whether there is room for more sound: what is due must be scored first otherwise.
    pub fn has_room(&self) -> bool {
        self.n_due() < self.max_due
    }

    /// How many samples at the model's rate must come until the next window is due.
    pub fn samples_until_due(&self) -> u64 {
        (self.next_end + self.front.lookahead_samples() as u64).saturating_sub(self.position)
    }

    /// What the window of this length needs that is due after `ahead` hops; only every `hop_stride`-th hop is scored at all.
    pub fn need(&self, length: usize, ahead: usize, hop_stride: u64) -> Need {
        let (hop, reach) = (self.scoring.hop_samples(), self.front.lookahead_samples() as u64);
        let end = self.next_end + ahead as u64 * hop;
        let from = end.saturating_sub(self.scoring.windows_samples()[length] + reach);
        let is_silent = self.meter.is_quiet(from, end + reach, self.scheduler.gate());
        // What comes into the window must be like what is in it, and so must what goes out of it.
        let begin = end.saturating_sub(self.scoring.windows_samples()[length]);
        let is_steady = || self.refiner.as_ref().is_some_and(|refiner| refiner.is_steady(end) && refiner.is_steady(begin + hop));
        self.scheduler.need(length, end / hop, is_silent, is_steady, hop_stride)
    }

    /// The newest scores of the first window, `[labels]`.
    pub fn first_scores(&self) -> &[f32] {
        &self.first_scores
    }

    /// Takes the scores of the next hop, `[lengths, labels]`, all of them or those of the first window alone, and says whether these
    /// ask for the other windows as well.
    pub fn is_raised(&mut self, scores: &[f32], is_complete: bool) -> bool {
        self.scheduler.is_raised(scores, is_complete)
    }

    /// Writes the window of this length that is due after `ahead` others into `out`, in the model's layout.
    pub fn copy_window(&self, length: usize, ahead: usize, out: &mut [f32]) {
        let end = self.next_end + ahead as u64 * self.scoring.hop_samples();
        self.front.copy_window(end, self.scoring.windows_samples()[length] as usize, out);
    }

    /// Takes the scores of the hop that was due first, `[lengths, labels]`, as far as `is_fresh` says that a window of a length was
    /// scored at this hop, and appends what follows from them to `found`.
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
        let rows = scores.chunks_exact(n_labels).zip(self.propagated.chunks_exact_mut(n_labels)).zip(is_fresh);
        for ((scores, propagated), _) in rows.filter(|(_, is_fresh)| **is_fresh) {
            self.hierarchy.propagate_to_ancestors(scores, propagated);
        }
        self.detector.push(self.next_end, &self.propagated, is_fresh, measures, found);
        if let Some(curves) = &mut self.curves {
            curves.push(&self.propagated, is_fresh, self.refiner.as_ref());
        }
        if let Some(peaks) = &mut self.peaks {
            peaks.push(&self.propagated, is_fresh);
        }
        self.next_end += self.scoring.hop_samples();
        self.clamp(first, found);
    }

    /// Ends every open event for `reason`.
    pub fn close(&mut self, reason: EndReason, found: &mut Vec<Detection>) {
        let first = found.len();
        let (now, base) = (self.end_of_input.unwrap_or(self.position), self.now());
        self.finish(now, base, reason, found);
        self.clamp(first, found);
    }

    /// Ends what is open at the sample index `now`; the next window ends a hop after `base`.
    fn finish(&mut self, now: u64, base: u64, reason: EndReason, found: &mut Vec<Detection>) {
        self.scheduler.reset();
        if let Some(refiner) = &mut self.refiner {
            refiner.decide_at(now);
        }
        let measures = SoundMeasures { meter: &self.meter, refiner: self.refiner.as_ref() };
        self.detector.finish(now, base, reason, measures, found);
        if let Some(curves) = &mut self.curves {
            curves.finish(base, self.refiner.as_ref());
        }
        if let Some(peaks) = &mut self.peaks {
            peaks.finish(base);
        }
    }

    /// Puts `rules` in force; see [`Detector::replace_rules`].
    pub fn replace_rules(&mut self, rules: Vec<Rule>, found: &mut Vec<Detection>) {
        self.scheduler.follow(&rules, &self.hierarchy);
        let measures = SoundMeasures { meter: &self.meter, refiner: self.refiner.as_ref() };
        self.detector.replace_rules(rules, self.position, measures, found);
    }

    /// From now on keeps the curve of every label.
    pub fn keep_curves(&mut self, n_labels: usize) {
        self.curves = Some(Curves::new(self.scoring.clone(), n_labels, self.model_rate_hz));
    }

    /// From now on keeps a trace of what is decided, and why.
    pub fn keep_trace(&mut self, trace: Trace) {
        self.detector.keep_trace(trace);
    }

    /// The curves that were kept, box by box; each box is there once it has ended.
    pub fn curves(&self) -> &[ScoredSpan] {
        self.curves.as_ref().map_or(&[], Curves::spans)
    }

    /// From now on keeps the peaks of every label, if it does not yet; they must be taken.
    pub fn keep_peaks(&mut self, n_labels: usize) {
        let base = self.next_end - self.scoring.hop_samples();
        self.peaks.get_or_insert_with(|| PeakFinder::new(self.scoring.clone(), n_labels, base));
    }

    /// Keeps no peaks any longer.
    pub fn drop_peaks(&mut self) {
        self.peaks = None;
    }

    /// The peaks that were kept since they were last taken; none lies beyond the end of the sound.
    pub fn take_peaks(&mut self) -> impl Iterator<Item = ScorePeak> {
        let end = self.end_of_input.unwrap_or(u64::MAX);
        self.peaks.iter_mut().flat_map(PeakFinder::take).map(move |peak| ScorePeak { at: peak.at.min(end), ..peak })
    }

    /// The rules in force.
    pub fn rules(&self) -> &[Rule] {
        self.detector.rules()
    }

    /// The level of the newest hop in dBFS.
    pub fn level_dbfs(&self) -> f32 {
        self.meter.level_dbfs(self.position.saturating_sub(self.scoring.hop_samples()), self.position)
    }

    /// The noise floor of the recent past in dBFS.
    pub fn noise_floor_dbfs(&self) -> f32 {
        self.meter.floor_dbfs()
    }

    /// The newest causal score of a label, no lower than those of the labels below it, 0…1.
    pub fn causal(&self, label: usize) -> f32 {
        causal(self.propagated.chunks_exact(self.hierarchy.n_labels().max(1)).map(|row| row[label]))
    }

    /// The newest of the spectrogram; `None` where the model takes the waveform.
    pub fn log_mel(&self) -> Option<&LogMel> {
        match &self.front {
            FrontEnd::LogMel(log_mel) => Some(log_mel),
            FrontEnd::Waveform(_) => None,
        }
    }

    /// How long after a moment its two-sided score comes, in samples.
    pub fn lag_samples(&self) -> u64 {
        self.scoring.lag_samples()
    }

    /// The distance of two windows in samples.
    pub fn hop_samples(&self) -> u64 {
        self.scoring.hop_samples()
    }

    /// What decides events; to be asked why it does.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// How loud it is just now, as a rule's `min_level_dbfs` is asked, in dBFS.
    pub fn loudness_dbfs(&self) -> f32 {
        self.detector.loudness_dbfs(self.now(), &self.meter)
    }

    /// The end of the newest window that was scored, as a sample index.
    pub fn now(&self) -> u64 {
        self.next_end - self.scoring.hop_samples()
    }

    /// The distance of two windows in seconds.
    pub fn hop_s(&self) -> f64 {
        self.scoring.hop_samples() as f64 / f64::from(self.model_rate_hz)
    }

    /// The rate that times are counted in, in Hz.
    pub fn model_rate_hz(&self) -> u32 {
        self.model_rate_hz
    }

    /// Where the sound ends, as a sample index, once that is known.
    pub fn end_of_input(&self) -> Option<u64> {
        self.end_of_input
    }

    /// Lets out what the resampler holds back, after which it begins anew.
    fn flush_resampler(&mut self) {
        self.resampled.clear();
        self.resampler.flush(&mut self.resampled);
        self.take_resampled();
    }

    fn take_resampled(&mut self) {
        self.front.push(&self.resampled);
        self.meter.push(&self.resampled);
        self.position += self.resampled.len() as u64;
        self.follow();
    }

    /// Lets the edges take what the log-mel has made, before it is forgotten there.
    fn follow(&mut self) {
        if let (Some(refiner), FrontEnd::LogMel(log_mel)) = (&mut self.refiner, &self.front) {
            refiner.follow(log_mel);
        }
    }

    fn push_silence(&mut self, n_samples: u64) {
        const SILENCE: [f32; 1_024] = [0.0; 1_024];
        let mut rest = n_samples;
        while rest > 0 {
            let piece = rest.min(SILENCE.len() as u64);
            self.front.push(&SILENCE[..piece as usize]);
            self.meter.push(&SILENCE[..piece as usize]);
            rest -= piece;
            self.follow();
        }
        self.position += n_samples;
    }

    fn at_model_rate(&self, input_samples: u64) -> u64 {
        (u128::from(input_samples) * u128::from(self.model_rate_hz) / u128::from(self.input_rate_hz)) as u64
    }

    /// No event lasts longer than the sound it is heard in, and none begins in the silence after it.
    fn clamp(&mut self, first: usize, found: &mut Vec<Detection>) {
        let Some(end) = self.end_of_input else { return };
        let mut at = first;
        while at < found.len() {
            let event = found[at].event;
            let begins_beyond = matches!(found[at].step, Step::Start(heard) if heard.onset.at >= end);
            if begins_beyond {
                self.beyond.push(event);
            }
            if self.beyond.contains(&event) {
                found.remove(at);
                continue;
            }
            if let Step::End { heard, offset, .. } = &mut found[at].step {
                heard.onset.at = heard.onset.at.min(end.saturating_sub(1));
                offset.at = offset.at.min(end).max(heard.onset.at + 1);
            }
            at += 1;
        }
    }
}

/// Whether the silence after a sound's end is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// More windows are to come.
    More,
    /// Every score has settled.
    Done,
}
