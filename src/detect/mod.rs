//! Detection: the model's scores over time go in, sound events come out.
//!
//! Each rule has one curve of scores, which `scoring` makes of the scores of the rule's labels (`members`). `segments` finds the
//! segments of the curve, and `tracker` decides which of them are events and when each is reported; `rule_detector` holds the two
//! together. `boundaries` refines onsets and offsets by the sound itself, and `level` measures how loud a stretch of sound was.
//! `merger` makes one event of the labels of one sound, such as Bark, Dog and Animal.
//!
//! For explanations, `standing` says why a rule reports an event or does not, `why` puts it into words, and `trace` records it.
//! `curves` and `peaks` follow every label of the model: `curves` keeps the segments of a recording, `peaks` the heights of the
//! peaks alone. Times are sample indices at the model's rate.
//!
//! Invariant: nothing here reads a clock, does I/O or knows of other sources; every start has exactly one end.

pub(crate) mod alarm;
pub(crate) mod boundaries;
pub(crate) mod curves;
pub(crate) mod evidence;
pub(crate) mod level;
mod members;
pub(crate) mod merger;
pub mod peaks;
pub mod rule;
mod rule_detector;
pub(crate) mod scoring;
pub(crate) mod segments;
pub(crate) mod standing;
pub mod step;
pub(crate) mod trace;
pub(crate) mod tracker;
pub mod why;

use std::cell::OnceCell;
use std::sync::Arc;

use crate::detect::rule::Rule;
use crate::event::EndReason;
use crate::model::hierarchy::LabelHierarchy;
use crate::model::odds::probability;

use boundaries::{Boundary, BoundaryRefiner};
use evidence::EvidenceOf;
use level::LevelMeter;
use members::Members;
use merger::EventMerger;
use rule_detector::{CurveTime, RuleDetector};
use scoring::{CurveBank, Scoring};
use segments::SegmentUpdate;
use standing::Standing;
use step::Step;
use trace::Trace;
use tracker::CausalScore;

/// The longest time between the onset of a sound and its announcement, in seconds.
const FURTHEST_ONSET_S: u64 = 1;
/// The time between the onset of a sound and its announcement where the log-mel does not show the onset, in milliseconds.
const USUAL_RISE_MS: u64 = 300;
/// The newest stretch of sound over which the present loudness is measured, in milliseconds.
const LOUDNESS_MS: u64 = 300;

/// A background that is higher than that of a label which is not heard by less is not worth to be kept, in log odds.
const LEAST_BACKGROUND: f32 = 0.1;

/// One step of one event: what a detector reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// The rule that the event belongs to, as an index into the detector's rules. It may change to a more specific one while the
    /// event lasts.
    pub rule: usize,
    /// The event's number, the same in all of its steps.
    pub event: u64,
    /// Start, update or end.
    pub step: Step,
    /// The root mean square level from the onset to now, or to the offset, in dBFS.
    pub level_dbfs: f32,
    /// The other rules that found the same event, such as the parents of a label.
    pub also: Vec<usize>,
}

/// The newest scores of a rule, and how the rule stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Glance {
    /// The newest causal score as far as it rises above the background, 0…1.
    pub causal: f32,
    /// The evidence of the newest confirmed score, 0…1; `None` before the first.
    pub confirmed: Option<f32>,
    /// The label's background, a score from 0 to 1; 0.01 where it is quiet.
    pub background: f32,
    /// Why the rule has an event or has none.
    pub standing: Standing,
    /// The rule under whose name the open event is reported; `None` where none is open.
    pub reported_as: Option<usize>,
}

/// The measurements of the sound itself that a detector consults beside the scores.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoundMeasures<'a> {
    /// The level over the recent past.
    pub meter: &'a LevelMeter,
    /// Onsets and offsets in the log-mel; `None` where the model takes the waveform.
    pub refiner: Option<&'a BoundaryRefiner>,
}

/// The detector of one source: a segment finder and a tracker for each rule, and the event merger behind them.
#[derive(Debug)]
pub(crate) struct Detector {
    scoring: Arc<Scoring>,
    rules: Arc<[Rule]>,
    members: Members,
    /// One curve a rule.
    curves: CurveBank,
    evidence: EvidenceOf,
    detectors: Vec<RuleDetector>,
    merger: EventMerger,
    hierarchy: Arc<LabelHierarchy>,
    sample_rate_hz: u32,
    n_labels: usize,
    /// The sample index at which value 0 of the curves begins.
    base: u64,
    next_event: u64,
    steps: Vec<(usize, u64, Step)>,
    /// The rules whose evidence is too weak for an event, and where they were heard, as sample indices.
    beside: Vec<(usize, (u64, u64))>,
    /// The record of what was decided and why; `None` where nobody asked for it.
    trace: Option<Trace>,
}

impl Detector {
    /// A detector for `rules`. `scoring` places the model's windows in time, `hierarchy` says which labels are related.
    pub fn new(
        rules: impl Into<Arc<[Rule]>>,
        scoring: Arc<Scoring>,
        hierarchy: Arc<LabelHierarchy>,
        sample_rate_hz: u32,
    ) -> Self {
        let rules = rules.into();
        let mut detector = Self {
            members: Members::new(&rules),
            curves: CurveBank::new(&scoring, rules.len()),
            evidence: EvidenceOf::new(&scoring, rules.len(), sample_rate_hz),
            detectors: Vec::new(),
            merger: EventMerger::new(sample_rate_hz),
            n_labels: hierarchy.n_labels(),
            scoring,
            hierarchy,
            sample_rate_hz,
            base: 0,
            next_event: 0,
            steps: Vec::new(),
            beside: Vec::new(),
            trace: None,
            rules,
        };
        detector.detectors = detector.rules.iter().map(|rule| detector.detector(rule)).collect();
        detector.merger.set_rules(&detector.rules, &detector.hierarchy);
        detector
    }

    /// The rules in force; [`Detection::rule`] is an index into them.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Takes the scores of the windows that end at the sample index `end`, `[windows, labels]`, and appends the steps that follow
    /// from them to `detections`. Only the windows that `is_fresh` names were scored at this hop; the other rows are ignored.
    pub fn push(
        &mut self,
        end: u64,
        scores: &[f32],
        is_fresh: &[bool],
        measures: SoundMeasures,
        detections: &mut Vec<Detection>,
    ) {
        let time = self.curve_time();
        let loudness = self.loudness_dbfs(end, measures.meter);
        let usual = end.saturating_sub(self.samples(USUAL_RISE_MS)).max(self.base);
        let furthest = FURTHEST_ONSET_S * u64::from(self.sample_rate_hz);
        // The onset is the same for every rule that announces an event at this hop.
        let beginning = OnceCell::new();
        let began = || {
            *beginning.get_or_init(|| match measures.refiner.and_then(|refiner| refiner.began(end, furthest)) {
                Some(at) => Boundary { at: at.max(self.base), uncertainty: usual.abs_diff(at).max(time.hop) },
                None => Boundary { at: usual, uncertainty: time.hop * 5 },
            })
        };
        let (members, n_labels) = (&self.members, self.n_labels);
        self.curves.push(&self.scoring, is_fresh, |window, row| members.score(&scores[window * n_labels..][..n_labels], row));
        let confirmed = self.curves.confirmed();
        self.evidence.push(self.curves.causal());
        let mut steps = std::mem::take(&mut self.steps);
        for (index, (rule, detector)) in self.rules.iter().zip(&mut self.detectors).enumerate() {
            let score = self.evidence.rises(index, self.curves.causal()[index]);
            let causal = CausalScore { now: end, score, is_loud: rule.is_loud(|| loudness) };
            let mut emit = |(event, step)| steps.push((index, event, step));
            detector.tracker.push_causal(causal, began, &mut self.next_event, &mut emit);
            let Some(value) = confirmed.map(|values| values[index]) else { continue };
            let update = detector.finder.push(value);
            let until = (end + time.hop).saturating_sub(self.scoring.lag_samples());
            let (closed, going) = detector.place(update, (index, rule), &self.evidence, time, measures);
            if let Some(stretch) = detector.beside(update, rule, &self.scoring, time) {
                self.beside.push((index, stretch));
            }
            let fate = detector.tracker.push_confirmed(end, until, closed, going, &mut self.next_event, &mut emit);
            if let Some((trace, segment)) = self.trace.as_mut().zip(update.closed) {
                trace.segments.extend(rule_detector::traced(
                    index,
                    &segment,
                    detector.last_evidence(),
                    closed,
                    fate,
                    time,
                    measures,
                ));
            }
        }
        let heard_until = |rule: usize, number| self.detectors[rule].tracker.heard_until(number, end);
        self.merger.push(end, steps.drain(..), self.beside.drain(..), heard_until, measures.meter, detections);
        self.steps = steps;
        if let Some(mut trace) = self.trace.take() {
            trace.hop(end, loudness, (0..self.rules.len()).filter_map(|rule| self.glance(rule)));
            self.trace = Some(trace);
        }
    }

    /// Ends every open event, at the sample index `now` at the latest, and forgets the scores. The next window ends a hop after
    /// `base`.
    pub fn finish(&mut self, now: u64, base: u64, reason: EndReason, measures: SoundMeasures, detections: &mut Vec<Detection>) {
        let time = self.curve_time();
        let mut steps = std::mem::take(&mut self.steps);
        for (index, (rule, detector)) in self.rules.iter().zip(&mut self.detectors).enumerate() {
            let mut emit = |(event, step)| steps.push((index, event, step));
            let last = detector.finder.finish();
            let update = SegmentUpdate { closed: last, open: None };
            let (closed, _) = detector.place(update, (index, rule), &self.evidence, time, measures);
            let fate = detector.tracker.push_confirmed(now, 0, closed, None, &mut self.next_event, &mut emit);
            if let Some((trace, segment)) = self.trace.as_mut().zip(last) {
                trace.segments.extend(rule_detector::traced(
                    index,
                    &segment,
                    detector.last_evidence(),
                    closed,
                    fate,
                    time,
                    measures,
                ));
            }
            detector.tracker.finish(now, reason, &mut emit);
            detector.reset(rule, &self.scoring);
        }
        self.curves.reset();
        self.evidence.reset();
        self.base = base;
        self.merger.push(now, steps.drain(..), std::iter::empty(), |_, _| None, measures.meter, detections);
        self.merger.finish(now, measures.meter, detections);
        self.steps = steps;
    }

    /// Puts `rules` in force from now on.
    ///
    /// A rule whose name and labels stay the same keeps its curve. Its open events go on as far as its new thresholds and
    /// durations would have reported them. All other open events end with `Paused`.
    pub fn replace_rules(
        &mut self,
        rules: impl Into<Arc<[Rule]>>,
        now: u64,
        measures: SoundMeasures,
        detections: &mut Vec<Detection>,
    ) {
        let rules = rules.into();
        let is_same = |old: &Rule, new: &Rule| old.subject == new.subject && old.members == new.members;
        let kept: Vec<Option<usize>> = rules.iter().map(|rule| self.rules.iter().position(|old| is_same(old, rule))).collect();
        let mut steps = std::mem::take(&mut self.steps);
        for (index, detector) in self.detectors.iter_mut().enumerate() {
            let mut emit = |(event, step)| steps.push((index, event, step));
            match kept.iter().position(|kept| *kept == Some(index)) {
                Some(new) if rules[new].gate != self.rules[index].gate => {
                    detector.finder.set_release(rule_detector::confirmed_release(&rules[new], &self.scoring));
                    detector.tracker.set_gate(rules[new].gate, self.sample_rate_hz, now, &mut emit);
                }
                Some(_) => {}
                None => detector.tracker.finish(now, EndReason::Paused, &mut emit),
            }
        }
        // The ends of these events are reported under the old rules.
        self.merger.push(now, steps.drain(..), std::iter::empty(), |_, _| None, measures.meter, detections);
        self.steps = steps;
        self.detectors = rules
            .iter()
            .zip(&kept)
            .map(|(rule, kept)| match kept {
                Some(old) => self.detectors[*old].clone(),
                None => self.detector(rule),
            })
            .collect();
        self.curves = self.curves.rearranged(&kept);
        self.evidence = self.evidence.rearranged(&kept);
        self.members = Members::new(&rules);
        self.merger.replace_rules(&kept);
        self.merger.set_rules(&rules, &self.hierarchy);
        self.rules = rules;
    }

    /// The newest scores of a rule and how it stands; `None` where there is no such rule.
    pub fn glance(&self, rule: usize) -> Option<Glance> {
        let detector = self.detectors.get(rule)?;
        let standing = detector.tracker.standing();
        let reported_as = match standing {
            Standing::Open { event, .. } => self.merger.reported_as(rule, event).map(|(told, _)| told),
            _ => None,
        };
        let causal = detector.tracker.last().map_or(0.0, |last| last.score);
        let confirmed = self.curves.confirmed().map(|values| self.evidence.of_value(rule, values[rule], self.curves.n_values()));
        let background = probability(self.evidence.background(rule).unwrap_or(evidence::QUIET));
        Some(Glance { causal, confirmed, background, standing, reported_as })
    }

    /// The rules whose label is always there to some degree, with their backgrounds in log odds.
    pub fn backgrounds(&self) -> impl Iterator<Item = (&Rule, f32)> {
        let of = |rule| self.evidence.background(rule).filter(|background| background - evidence::QUIET > LEAST_BACKGROUND);
        self.rules.iter().enumerate().filter_map(move |(index, rule)| Some((rule, of(index)?)))
    }

    /// Sets the background of each rule that `of` knows one of, in log odds.
    pub fn set_backgrounds(&mut self, of: impl Fn(&Rule) -> Option<f32>) {
        for (index, rule) in self.rules.iter().enumerate() {
            if let Some(background) = of(rule) {
                self.evidence.set_background(index, background);
            }
        }
    }

    /// The numbers of the open events that the confirmed score has confirmed for at least one of their rules, in no order.
    pub fn confirmed_events(&self) -> Vec<u64> {
        let parts = self
            .detectors
            .iter()
            .enumerate()
            .flat_map(|(rule, detector)| detector.tracker.confirmed_events().map(move |number| (rule, number)));
        parts.filter_map(|(rule, number)| self.merger.reported_as(rule, number)).map(|(_, event)| event).collect()
    }

    /// Records everything that is decided from now on in `trace`.
    pub fn keep_trace(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// The trace that [`keep_trace`](Self::keep_trace) began.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// The present loudness, as a rule's `min_level_dbfs` is compared with it, in dBFS.
    pub fn loudness_dbfs(&self, now: u64, meter: &LevelMeter) -> f32 {
        meter.level_dbfs(now.saturating_sub(self.samples(LOUDNESS_MS)), now)
    }

    /// A detector for a new rule, whose curve is as long as those of all others.
    fn detector(&self, rule: &Rule) -> RuleDetector {
        RuleDetector::new(rule, &self.scoring, self.curves.n_values(), self.sample_rate_hz)
    }

    fn curve_time(&self) -> CurveTime {
        CurveTime { base: self.base, hop: self.scoring.hop_samples() }
    }

    fn samples(&self, milliseconds: u64) -> u64 {
        milliseconds * u64::from(self.sample_rate_hz) / 1_000
    }
}

#[cfg(test)]
mod tests;
