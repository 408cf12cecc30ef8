//! Detection: the model's scores over time in, sound events out.
//!
//! For each rule `scoring` makes one curve of the scores, `boxes` finds where on it events lie, and `tracker` decides which are told,
//! and when; `edges` sharpens them by the sound itself, `family` makes one event of a bark, a dog and an animal, `level` measures how
//! loud a stretch was. `curves` is the same for every label of the model, written down; `peaks` keeps no more of them than how high they
//! rose. Times are sample indices at the model's rate.
//!
//! Invariant: nothing here reads a clock, does I/O or knows of other sources; every start has exactly one end.

pub mod boxes;
pub mod curves;
pub mod edges;
pub mod family;
pub mod level;
pub mod peaks;
pub mod scoring;
pub mod tracker;

use std::sync::Arc;

use crate::config::Rule;
use crate::event::EndReason;

use boxes::{Boxes, Found, Stretch};
use edges::{Coarse, Edge, Edges, Sharp};
use family::{Families, Kinship};
use level::LevelMeter;
use scoring::{Curve, Scoring};
use tracker::{Boxed, Causal, Step, Tracker};

/// How far back a sound that is heard now may have begun, in seconds.
const FURTHEST_ONSET_S: u64 = 1;
/// Where a sound that is heard now is taken to have begun where nothing else tells, in milliseconds before now.
const USUAL_RISE_MS: u64 = 300;
/// How loud it is now is measured over so long, in milliseconds.
const LOUDNESS_MS: u64 = 300;
/// A box that has lasted so many values has its onset sharpened, before the sound at it is forgotten.
const LONG_BOX: u64 = 50;

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

/// What a detector hears with.
#[derive(Debug, Clone, Copy)]
pub struct Senses<'a> {
    /// How loud it is.
    pub meter: &'a LevelMeter,
    /// Where sounds begin and end; `None` where there is no log-mel.
    pub edges: Option<&'a Edges>,
}

/// One rule's way from scores to steps.
#[derive(Debug, Clone)]
struct Listener {
    curve: Curve,
    boxes: Boxes,
    tracker: Tracker,
    /// The sharpened onset of a long box that goes on.
    long_onset: Option<Edge>,
}

/// The detector of one source: one tracker a rule.
#[derive(Debug)]
pub struct Detector {
    scoring: Arc<Scoring>,
    rules: Vec<Rule>,
    listeners: Vec<Listener>,
    families: Families,
    kinship: Arc<Kinship>,
    sample_rate_hz: u32,
    n_labels: usize,
    /// Where value 0 of the curves begins, as a sample index.
    base: u64,
    next_event: u64,
    steps: Vec<(usize, u64, Step)>,
}

impl Detector {
    /// A detector for `rules` over windows that `scoring` places in time; `kinship` says which labels are related.
    pub fn new(rules: Vec<Rule>, scoring: Arc<Scoring>, kinship: Arc<Kinship>, sample_rate_hz: u32) -> Self {
        let mut detector = Self {
            rules: Vec::new(),
            listeners: Vec::new(),
            families: Families::new(sample_rate_hz),
            n_labels: kinship.n_labels(),
            scoring,
            kinship,
            sample_rate_hz,
            base: 0,
            next_event: 0,
            steps: Vec::new(),
        };
        detector.listeners = rules.iter().map(|rule| detector.listener(rule)).collect();
        detector.families.set_rules(&rules, &detector.kinship);
        detector.rules = rules;
        detector
    }

    /// The rules in force; `Detection::rule` counts in them.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Takes the scores of the windows that end at the sample index `end`, `[windows, labels]`, and appends what follows from them to
    /// `found`.
    pub fn push(&mut self, end: u64, scores: &[f32], senses: Senses, found: &mut Vec<Detection>) {
        let hop = self.scoring.hop_samples();
        let loudness = senses.meter.level_dbfs(end.saturating_sub(self.samples(LOUDNESS_MS)), end);
        let usual = end.saturating_sub(self.samples(USUAL_RISE_MS)).max(self.base);
        let furthest = FURTHEST_ONSET_S * u64::from(self.sample_rate_hz);
        let began = || match senses.edges.and_then(|edges| edges.began(end, furthest)) {
            Some(at) => Edge { at: at.max(self.base), uncertainty: usual.abs_diff(at).max(hop) },
            None => Edge { at: usual, uncertainty: hop * 5 },
        };
        let mut steps = std::mem::take(&mut self.steps);
        for (index, (rule, listener)) in self.rules.iter().zip(&mut self.listeners).enumerate() {
            let score_of = |row: &[f32]| rule.members.iter().map(|label| row[*label]).fold(0.0, f32::max);
            let (causal, two_sided) = listener.curve.push(&self.scoring, scores.chunks_exact(self.n_labels).map(score_of));
            let is_loud = rule.is_loud(|| loudness);
            let mut tell = |(event, step)| steps.push((index, event, step));
            listener.tracker.hear(Causal { now: end, score: causal, is_loud }, began, &mut self.next_event, &mut tell);
            let Some(value) = two_sided else { continue };
            let found = listener.boxes.push(value);
            let until = (end + hop).saturating_sub(self.scoring.lag_samples());
            let (closed, going) = listener.boxed(found, rule, self.base, hop, senses);
            listener.tracker.refine(end, until, closed, going, &mut self.next_event, &mut tell);
        }
        self.tell(end, &mut steps, senses.meter, found);
        self.steps = steps;
    }

    /// Ends every open event at the sample index `now` at the latest, and forgets what was heard: the next window ends a hop after
    /// `base`.
    pub fn finish(&mut self, now: u64, base: u64, reason: EndReason, senses: Senses, found: &mut Vec<Detection>) {
        let hop = self.scoring.hop_samples();
        let mut steps = std::mem::take(&mut self.steps);
        for (index, (rule, listener)) in self.rules.iter().zip(&mut self.listeners).enumerate() {
            let mut tell = |(event, step)| steps.push((index, event, step));
            let closed = listener.boxes.finish();
            let (closed, _) = listener.boxed(Found { closed, open: None }, rule, self.base, hop, senses);
            listener.tracker.refine(now, 0, closed, None, &mut self.next_event, &mut tell);
            listener.tracker.finish(now, reason, &mut tell);
            listener.curve = Curve::new(&self.scoring);
            listener.boxes = Boxes::new(self.scoring.extent(), self.scoring.valley(), rule.gate.release);
            listener.long_onset = None;
        }
        self.base = base;
        self.tell(now, &mut steps, senses.meter, found);
        self.families.finish(now, senses.meter, found);
        self.steps = steps;
    }

    /// Puts `rules` in force from now on. A rule that stays as it is keeps its state and its open events; the open events of all
    /// others end with `Paused`.
    pub fn replace_rules(&mut self, rules: Vec<Rule>, now: u64, senses: Senses, found: &mut Vec<Detection>) {
        let kept: Vec<Option<usize>> = rules.iter().map(|rule| self.rules.iter().position(|old| old == rule)).collect();
        let mut steps = std::mem::take(&mut self.steps);
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if !kept.contains(&Some(index)) {
                listener.tracker.finish(now, EndReason::Paused, &mut |(event, step)| steps.push((index, event, step)));
            }
        }
        // The ends of what is closed are told under the old rules.
        self.tell(now, &mut steps, senses.meter, found);
        self.steps = steps;
        self.listeners = rules
            .iter()
            .zip(&kept)
            .map(|(rule, kept)| match kept {
                Some(old) => self.listeners[*old].clone(),
                None => self.listener(rule),
            })
            .collect();
        self.families.replace_rules(&kept);
        self.families.set_rules(&rules, &self.kinship);
        self.rules = rules;
    }

    fn listener(&self, rule: &Rule) -> Listener {
        Listener {
            curve: Curve::new(&self.scoring),
            boxes: Boxes::new(self.scoring.extent(), self.scoring.valley(), rule.gate.release),
            tracker: Tracker::new(rule.gate, self.scoring.hop_samples(), self.sample_rate_hz),
            long_onset: None,
        }
    }

    fn samples(&self, milliseconds: u64) -> u64 {
        milliseconds * u64::from(self.sample_rate_hz) / 1_000
    }

    fn tell(&mut self, now: u64, steps: &mut Vec<(usize, u64, Step)>, meter: &LevelMeter, found: &mut Vec<Detection>) {
        self.families.relate(now, steps.drain(..), meter, found);
    }
}

impl Listener {
    /// The boxes that the newest value of the curve closed and left open, with their places in time.
    fn boxed(&mut self, found: Found, rule: &Rule, base: u64, hop: u64, senses: Senses) -> (Option<Boxed>, Option<Boxed>) {
        let worth = |stretch: &Stretch| stretch.peak >= rule.gate.threshold;
        let closed = found.closed.filter(worth).map(|stretch| {
            let mut sharp = sharpen(&stretch, &self.boxes, base, hop, senses.edges);
            if let Some(onset) = self.long_onset.take().filter(|_| stretch.offset - stretch.onset >= LONG_BOX) {
                sharp.onset = onset;
            }
            let is_loud = rule.is_loud(|| senses.meter.level_dbfs(sharp.onset.at, sharp.offset.at))
                && sharp.snr_db.is_none_or(|snr| snr >= rule.gate.min_snr_db);
            Boxed { sharp, peak: stretch.peak, is_loud }
        });
        let going = found.open.filter(worth).map(|stretch| {
            if self.long_onset.is_none() && stretch.offset - stretch.onset >= LONG_BOX {
                self.long_onset = Some(sharpen(&stretch, &self.boxes, base, hop, senses.edges).onset);
            }
            let (from, to) = (base + stretch.onset * hop, base + stretch.offset * hop);
            let rough = |at| Edge { at, uncertainty: hop * 3 };
            let sharp = Sharp { onset: self.long_onset.unwrap_or(rough(from)), offset: rough(to), snr_db: None };
            // How far it exceeds the floor is asked when it ends, or has lasted long: before that the floor is not sure.
            Boxed { sharp, peak: stretch.peak, is_loud: rule.is_loud(|| senses.meter.level_dbfs(from, to)) }
        });
        if found.open.is_none() {
            self.long_onset = None;
        }
        (closed, going)
    }
}

/// A stretch of a curve as a stretch of time, its edges sharpened by the sound where that is known.
fn sharpen(stretch: &Stretch, boxes: &Boxes, base: u64, hop: u64, edges: Option<&Edges>) -> Sharp {
    let (onset, offset) = (base + stretch.onset * hop, base + stretch.offset * hop);
    let rough = |at| Edge { at, uncertainty: hop * 3 };
    let Some(edges) = edges else { return Sharp { onset: rough(onset), offset: rough(offset), snr_db: None } };
    let value = |sample: u64| sample.saturating_sub(base) / hop;
    let curve = |from: u64, to: u64| boxes.median(value(from), (to.saturating_sub(base)).div_ceil(hop));
    edges.sharpen(&Coarse { onset, offset, peak: stretch.peak, curve: &curve, vanished: base + stretch.vanished * hop }, hop * 3)
}
