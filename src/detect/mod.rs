//! Detection: the model's scores over time in, sound events out.
//!
//! For each rule `scoring` makes one curve of the scores of its `members`, `segments` finds where on it events lie, and `tracker` decides which are told,
//! and when; `boundaries` sharpens them by the sound itself, `merger` makes one event of a bark, a dog and an animal, `level` measures how
//! loud a stretch was. `standing` says why a rule tells an event, or does not, `why` says it in words, and `trace` remembers it.
//! `curves` is the same for every label of the model, written down; `peaks` keeps no more of them than how high they rose. Times are
//! sample indices at the model's rate.
//!
//! Invariant: nothing here reads a clock, does I/O or knows of other sources; every start has exactly one end.

pub mod boundaries;
pub mod curves;
pub mod level;
mod members;
pub mod merger;
pub mod peaks;
pub mod rule;
pub mod scoring;
pub mod segments;
pub mod standing;
pub mod step;
pub mod trace;
pub mod tracker;
pub mod why;

use std::cell::OnceCell;
use std::sync::Arc;

use crate::detect::rule::Rule;
use crate::event::EndReason;
use crate::model::hierarchy::LabelHierarchy;

use boundaries::{Boundary, BoundaryRefiner, CoarseSegment, SegmentBounds};
use level::LevelMeter;
use members::Members;
use merger::EventMerger;
use scoring::{CurveBank, Scoring};
use segments::{Segment, SegmentFinder, SegmentUpdate};
use standing::{Fate, Standing};
use step::Step;
use trace::{Trace, TracedSegment};
use tracker::{CausalScore, PlacedSegment, Tracker};

/// How far back a sound that is heard now may have begun, in seconds.
const FURTHEST_ONSET_S: u64 = 1;
/// Where a sound that is heard now is taken to have begun where nothing else tells, in milliseconds before now.
const USUAL_RISE_MS: u64 = 300;
/// How loud it is now is measured over so long, in milliseconds.
const LOUDNESS_MS: u64 = 300;
/// A box that has lasted so many values has its onset sharpened, before the sound at it is forgotten.
const LONG_SEGMENT: u64 = 50;

/// What a detector says of one event of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Which of the detector's rules it belongs to; a more specific one may take its place while the event lasts.
    pub rule: usize,
    /// The event's number, the same in all steps of it.
    pub event: u64,
    /// Begin, rising peak, or end.
    pub step: Step,
    /// The root mean square level from the onset to now or to the offset, in dBFS.
    pub level_dbfs: f32,
    /// The rules of which the same event was heard as well, such as the parents of a label.
    pub also: Vec<usize>,
}

/// What a rule hears just now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glance {
    /// The newest causal score, 0…1.
    pub causal: f32,
    /// The newest value of the two-sided curve, 0…1; `None` before the first.
    pub confirmed: Option<f32>,
    /// How it stands.
    pub standing: Standing,
    /// The rule under whose name its open event is told; `None` where none is open.
    pub told_as: Option<usize>,
}

/// What a detector hears with.
#[derive(Debug, Clone, Copy)]
pub struct SoundMeasures<'a> {
    /// How loud it is.
    pub meter: &'a LevelMeter,
    /// Where sounds begin and end; `None` where there is no log-mel.
    pub refiner: Option<&'a BoundaryRefiner>,
}

/// One rule's way from the curve of its scores to steps.
#[derive(Debug, Clone)]
struct RuleDetector {
    finder: SegmentFinder,
    tracker: Tracker,
    /// The sharpened onset of a long box that goes on.
    early_onset: Option<Boundary>,
}

/// The detector of one source: one tracker a rule.
#[derive(Debug)]
pub struct Detector {
    scoring: Arc<Scoring>,
    rules: Arc<[Rule]>,
    members: Members,
    /// The curves of the rules.
    curves: CurveBank,
    detectors: Vec<RuleDetector>,
    merger: EventMerger,
    hierarchy: Arc<LabelHierarchy>,
    sample_rate_hz: u32,
    n_labels: usize,
    /// Where value 0 of the curves begins, as a sample index.
    base: u64,
    next_event: u64,
    steps: Vec<(usize, u64, Step)>,
    /// What was heard and why it was told or not, where it is asked for.
    trace: Option<Trace>,
}

impl Detector {
    /// A detector for `rules` over windows that `scoring` places in time; `hierarchy` says which labels are related.
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
            detectors: Vec::new(),
            merger: EventMerger::new(sample_rate_hz),
            n_labels: hierarchy.n_labels(),
            scoring,
            hierarchy,
            sample_rate_hz,
            base: 0,
            next_event: 0,
            steps: Vec::new(),
            trace: None,
            rules,
        };
        detector.detectors = detector.rules.iter().map(|rule| detector.detector(rule)).collect();
        detector.merger.set_rules(&detector.rules, &detector.hierarchy);
        detector
    }

    /// The rules in force; `Detection::rule` counts in them.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Takes the scores of the windows that end at the sample index `end`, `[windows, labels]`, as far as `is_fresh` says that they
    /// are theirs, and appends what follows from them to `found`.
    pub fn push(&mut self, end: u64, scores: &[f32], is_fresh: &[bool], measures: SoundMeasures, found: &mut Vec<Detection>) {
        let hop = self.scoring.hop_samples();
        let loudness = self.loudness_dbfs(end, measures.meter);
        let usual = end.saturating_sub(self.samples(USUAL_RISE_MS)).max(self.base);
        let furthest = FURTHEST_ONSET_S * u64::from(self.sample_rate_hz);
        // Where it began is the same for every rule that hears it now.
        let beginning = OnceCell::new();
        let began = || {
            *beginning.get_or_init(|| match measures.refiner.and_then(|refiner| refiner.began(end, furthest)) {
                Some(at) => Boundary { at: at.max(self.base), uncertainty: usual.abs_diff(at).max(hop) },
                None => Boundary { at: usual, uncertainty: hop * 5 },
            })
        };
        let (members, n_labels) = (&self.members, self.n_labels);
        self.curves.push(&self.scoring, is_fresh, |window, row| members.score(&scores[window * n_labels..][..n_labels], row));
        let confirmed = self.curves.confirmed();
        let mut steps = std::mem::take(&mut self.steps);
        for (index, (rule, detector)) in self.rules.iter().zip(&mut self.detectors).enumerate() {
            let causal = self.curves.causal()[index];
            let is_loud = rule.is_loud(|| loudness);
            let mut tell = |(event, step)| steps.push((index, event, step));
            detector.tracker.push_causal(
                CausalScore { now: end, score: causal, is_loud },
                began,
                &mut self.next_event,
                &mut tell,
            );
            let Some(value) = confirmed.map(|values| values[index]) else { continue };
            let found = detector.finder.push(value);
            let until = (end + hop).saturating_sub(self.scoring.lag_samples());
            let (closed, going) = detector.placed(found, rule, self.base, hop, measures);
            let fate = detector.tracker.push_confirmed(end, until, closed, going, &mut self.next_event, &mut tell);
            if let Some((trace, segment)) = self.trace.as_mut().zip(found.closed) {
                trace.segments.extend(traced(index, &segment, closed, fate, self.base, hop, measures));
            }
        }
        self.tell(end, &mut steps, measures.meter, found);
        self.steps = steps;
        if let Some(mut trace) = self.trace.take() {
            trace.hop(end, loudness, (0..self.rules.len()).filter_map(|rule| self.glance(rule)));
            self.trace = Some(trace);
        }
    }

    /// Ends every open event at the sample index `now` at the latest, and forgets what was heard: the next window ends a hop after
    /// `base`.
    pub fn finish(&mut self, now: u64, base: u64, reason: EndReason, measures: SoundMeasures, found: &mut Vec<Detection>) {
        let hop = self.scoring.hop_samples();
        let mut steps = std::mem::take(&mut self.steps);
        for (index, (rule, detector)) in self.rules.iter().zip(&mut self.detectors).enumerate() {
            let mut tell = |(event, step)| steps.push((index, event, step));
            let last = detector.finder.finish();
            let (closed, _) = detector.placed(SegmentUpdate { closed: last, open: None }, rule, self.base, hop, measures);
            let fate = detector.tracker.push_confirmed(now, 0, closed, None, &mut self.next_event, &mut tell);
            if let Some((trace, segment)) = self.trace.as_mut().zip(last) {
                trace.segments.extend(traced(index, &segment, closed, fate, self.base, hop, measures));
            }
            detector.tracker.finish(now, reason, &mut tell);
            detector.finder = SegmentFinder::new(self.scoring.extent(), self.scoring.valley(), rule.gate.release);
            detector.early_onset = None;
        }
        self.curves.reset();
        self.base = base;
        self.tell(now, &mut steps, measures.meter, found);
        self.merger.finish(now, measures.meter, found);
        self.steps = steps;
    }

    /// Puts `rules` in force from now on. A rule whose name and labels stay keeps what it heard, and its open events as far as its new
    /// numbers would have told them; all other open events end with `Paused`.
    pub fn replace_rules(
        &mut self,
        rules: impl Into<Arc<[Rule]>>,
        now: u64,
        measures: SoundMeasures,
        found: &mut Vec<Detection>,
    ) {
        let rules = rules.into();
        let is_same = |old: &Rule, new: &Rule| old.subject == new.subject && old.members == new.members;
        let kept: Vec<Option<usize>> = rules.iter().map(|rule| self.rules.iter().position(|old| is_same(old, rule))).collect();
        let mut steps = std::mem::take(&mut self.steps);
        for (index, detector) in self.detectors.iter_mut().enumerate() {
            let mut tell = |(event, step)| steps.push((index, event, step));
            match kept.iter().position(|kept| *kept == Some(index)) {
                Some(new) if rules[new].gate != self.rules[index].gate => {
                    detector.finder.set_release(rules[new].gate.release);
                    detector.tracker.set_gate(rules[new].gate, self.sample_rate_hz, now, &mut tell);
                }
                Some(_) => {}
                None => detector.tracker.finish(now, EndReason::Paused, &mut tell),
            }
        }
        // The ends of what is closed are told under the old rules.
        self.tell(now, &mut steps, measures.meter, found);
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
        self.members = Members::new(&rules);
        self.merger.replace_rules(&kept);
        self.merger.set_rules(&rules, &self.hierarchy);
        self.rules = rules;
    }

    /// What a rule hears just now; `None` where there is no such rule.
    pub fn glance(&self, rule: usize) -> Option<Glance> {
        let detector = self.detectors.get(rule)?;
        let standing = detector.tracker.standing();
        let told_as = match standing {
            Standing::Open { event, .. } => self.merger.told_as(rule, event).map(|(told, _)| told),
            _ => None,
        };
        let causal = detector.tracker.last().map_or(0.0, |last| last.score);
        let confirmed = self.curves.confirmed().map(|values| values[rule]);
        Some(Glance { causal, confirmed, standing, told_as })
    }

    /// The numbers of the open events of which the two-sided score has borne out a part, in no order.
    pub fn confirmed_events(&self) -> Vec<u64> {
        let parts = self
            .detectors
            .iter()
            .enumerate()
            .flat_map(|(rule, detector)| detector.tracker.confirmed_events().map(move |number| (rule, number)));
        parts.filter_map(|(rule, number)| self.merger.told_as(rule, number)).map(|(_, event)| event).collect()
    }

    /// From now on keeps this trace.
    pub fn keep_trace(&mut self, trace: Trace) {
        self.trace = Some(trace);
    }

    /// The trace that was kept.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// How loud it is just now, as a rule's `min_level_dbfs` is asked, in dBFS.
    pub fn loudness_dbfs(&self, now: u64, meter: &LevelMeter) -> f32 {
        meter.level_dbfs(now.saturating_sub(self.samples(LOUDNESS_MS)), now)
    }

    fn detector(&self, rule: &Rule) -> RuleDetector {
        let mut finder = SegmentFinder::new(self.scoring.extent(), self.scoring.valley(), rule.gate.release);
        // The curves of a rule that comes later have as many values as all others.
        finder.skip_to(self.curves.n_values());
        let tracker = Tracker::new(rule.gate, self.scoring.hop_samples(), self.sample_rate_hz);
        RuleDetector { finder, tracker, early_onset: None }
    }

    fn samples(&self, milliseconds: u64) -> u64 {
        milliseconds * u64::from(self.sample_rate_hz) / 1_000
    }

    fn tell(&mut self, now: u64, steps: &mut Vec<(usize, u64, Step)>, meter: &LevelMeter, found: &mut Vec<Detection>) {
        self.merger.relate(now, steps.drain(..), meter, found);
    }
}

impl RuleDetector {
    /// The boxes that the newest value of the curve closed and left open, with their places in time.
    fn placed(
        &mut self,
        found: SegmentUpdate,
        rule: &Rule,
        base: u64,
        hop: u64,
        measures: SoundMeasures,
    ) -> (Option<PlacedSegment>, Option<PlacedSegment>) {
        let worth = |segment: &Segment| segment.peak >= rule.gate.threshold;
        let closed = found.closed.filter(worth).map(|segment| {
            let mut bounds = refine(&segment, &self.finder, base, hop, measures.refiner);
            if let Some(onset) = self.early_onset.take().filter(|_| segment.offset - segment.onset >= LONG_SEGMENT) {
                bounds.onset = onset;
            }
            let is_loud = rule.is_loud(|| measures.meter.level_dbfs(bounds.onset.at, bounds.offset.at));
            let is_clear = bounds.snr_db.is_none_or(|snr| snr >= rule.gate.min_snr_db);
            PlacedSegment { bounds, peak: segment.peak, is_loud, is_clear }
        });
        let going = found.open.filter(worth).map(|segment| {
            if self.early_onset.is_none() && segment.offset - segment.onset >= LONG_SEGMENT {
                self.early_onset = Some(refine(&segment, &self.finder, base, hop, measures.refiner).onset);
            }
            let (from, to) = (base + segment.onset * hop, base + segment.offset * hop);
            let rough = |at| Boundary { at, uncertainty: hop * 3 };
            let bounds = SegmentBounds { onset: self.early_onset.unwrap_or(rough(from)), offset: rough(to), snr_db: None };
            // How far it exceeds the floor is asked when it ends, or has lasted long: before that the floor is not sure.
            let is_loud = rule.is_loud(|| measures.meter.level_dbfs(from, to));
            PlacedSegment { bounds, peak: segment.peak, is_loud, is_clear: true }
        });
        if found.open.is_none() {
            self.early_onset = None;
        }
        (closed, going)
    }
}

/// A box that ended and what became of it, if it is worth a trace.
fn traced(
    rule: usize,
    segment: &Segment,
    closed: Option<PlacedSegment>,
    fate: Option<Fate>,
    base: u64,
    hop: u64,
    measures: SoundMeasures,
) -> Option<TracedSegment> {
    if segment.peak < trace::LEAST_PEAK {
        return None;
    }
    let rough = |value: u64| Boundary { at: base + value * hop, uncertainty: hop * 3 };
    let rough = SegmentBounds { onset: rough(segment.onset), offset: rough(segment.offset), snr_db: None };
    let bounds = closed.map_or(rough, |placed| placed.bounds);
    let level_dbfs = measures.meter.level_dbfs(bounds.onset.at, bounds.offset.at);
    // A box below the threshold does not come to the tracker.
    Some(TracedSegment { rule, bounds, peak: segment.peak, level_dbfs, fate: fate.unwrap_or(Fate::Below) })
}

/// A stretch of a curve as a stretch of time, its edges sharpened by the sound where that is known.
fn refine(segment: &Segment, finder: &SegmentFinder, base: u64, hop: u64, refiner: Option<&BoundaryRefiner>) -> SegmentBounds {
    let (onset, offset) = (base + segment.onset * hop, base + segment.offset * hop);
    let rough = |at| Boundary { at, uncertainty: hop * 3 };
    let Some(refiner) = refiner else { return SegmentBounds { onset: rough(onset), offset: rough(offset), snr_db: None } };
    let value = |sample: u64| sample.saturating_sub(base) / hop;
    let curve = |from: u64, to: u64| finder.median(value(from), (to.saturating_sub(base)).div_ceil(hop));
    refiner.refine(
        &CoarseSegment { onset, offset, peak: segment.peak, curve: &curve, vanished: base + segment.vanished * hop },
        hop * 3,
    )
}

#[cfg(test)]
mod tests;
