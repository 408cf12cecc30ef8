//! Detection: the model's scores over time in, sound events out.
//!
//! `scoring` says what moment a window's score speaks of, `tracker` is the state machine of one rule, `level` measures how
//! loud a stretch of sound was. Times are sample indices at the model's rate.
//!
//! Invariant: nothing here reads a clock, does I/O or knows of other sources; every start has exactly one end.

pub mod level;
pub mod scoring;
pub mod tracker;

use crate::config::Rule;
use crate::event::EndReason;

use level::LevelMeter;
use scoring::Scoring;
use tracker::{Step, Tracker};

/// What a detector says of one event of one rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Which of the detector's rules it belongs to.
    pub rule: usize,
    /// Begin, rising peak, or end.
    pub step: Step,
    /// The root mean square level from the onset to now or to the offset, in dBFS.
    pub level_dbfs: f32,
}

impl Detection {
    fn new(rule: usize, step: Step, now: u64, meter: &LevelMeter) -> Self {
        let (from, to) = step.span(now);
        Self { rule, step, level_dbfs: meter.level_dbfs(from, to) }
    }
}

/// The detector of one source: one tracker a rule.
#[derive(Debug)]
pub struct Detector {
    scoring: Scoring,
    rules: Vec<Rule>,
    trackers: Vec<Tracker>,
    sample_rate_hz: u32,
}

impl Detector {
    /// A detector for `rules` over windows that `scoring` places in time.
    pub fn new(rules: Vec<Rule>, scoring: Scoring, sample_rate_hz: u32) -> Self {
        let trackers = rules.iter().map(|rule| Tracker::new(rule.gate, scoring.hop_samples(), sample_rate_hz)).collect();
        Self { scoring, rules, trackers, sample_rate_hz }
    }

    /// The rules in force; `Detection::rule` counts in them.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Takes the scores of the window that ends at the sample index `end`, and appends what follows from them to `found`.
    pub fn push(&mut self, end: u64, scores: &[f32], meter: &LevelMeter, found: &mut Vec<Detection>) {
        let moment = self.scoring.place(end);
        for (index, (rule, tracker)) in self.rules.iter().zip(&mut self.trackers).enumerate() {
            let score = rule.members.iter().map(|label| scores[*label]).fold(0.0, f32::max);
            tracker.push(moment, score, |step| found.push(Detection::new(index, step, end, meter)));
        }
    }

    /// Ends every open event at the sample index `now` at the latest.
    pub fn finish(&mut self, now: u64, reason: EndReason, meter: &LevelMeter, found: &mut Vec<Detection>) {
        for (index, tracker) in self.trackers.iter_mut().enumerate() {
            found.extend(tracker.finish(now, reason).map(|step| Detection::new(index, step, now, meter)));
        }
    }

    /// Puts `rules` in force from now on. A rule that stays as it is keeps its state and its open event; the open events of all
    /// others end with `Paused`.
    ///
    /// Returns, for each new rule, the old one that it continues.
    pub fn replace_rules(
        &mut self,
        rules: Vec<Rule>,
        now: u64,
        meter: &LevelMeter,
        found: &mut Vec<Detection>,
    ) -> Vec<Option<usize>> {
        let kept: Vec<Option<usize>> = rules.iter().map(|rule| self.rules.iter().position(|old| old == rule)).collect();
        for (index, tracker) in self.trackers.iter_mut().enumerate() {
            if !kept.contains(&Some(index)) {
                found.extend(tracker.finish(now, EndReason::Paused).map(|step| Detection::new(index, step, now, meter)));
            }
        }
        let hop = self.scoring.hop_samples();
        self.trackers = rules
            .iter()
            .zip(&kept)
            .map(|(rule, kept)| match kept {
                Some(old) => self.trackers[*old].clone(),
                None => Tracker::new(rule.gate, hop, self.sample_rate_hz),
            })
            .collect();
        self.rules = rules;
        kept
    }
}
