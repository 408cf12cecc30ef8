//! What was found out about a recording: the events that were told, and what became of every rise of a curve. Times are seconds.

use crate::detect::Glance;
use crate::detect::boundaries::Boundary;
use crate::detect::rule::Rule;
use crate::detect::standing::Fate;
use crate::detect::step::EventSoFar;
use crate::detect::trace::{HopScores, TracedSegment};
use crate::detect::why::{Moment, Why};
use crate::ear::Ear;
use crate::event::EndReason;

/// All that is known of a recording.
#[derive(Debug)]
pub struct Findings {
    /// The rules that were heard.
    pub rules: Vec<Rule>,
    /// How many of them, from the first on, are in force; the others say what the report leaves out.
    pub n_reported: usize,
    /// For each rule why the report leaves it out; empty for those in force.
    pub why_not: Vec<String>,
    /// The events of all rules, in the order of their starts.
    pub told: Vec<Told>,
    /// Every rise of a curve.
    pub rises: Vec<TracedSegment>,
    /// The scores of each hop of the stretch that was watched.
    pub hops: Vec<HopScores>,
    /// How each rule stood at the moment that was asked about.
    pub moment: Option<(Moment, Vec<Glance>)>,
    /// How long the recording is.
    pub length_s: f64,
    rate_hz: u32,
    hop: u64,
    lag: u64,
}

/// An event that was told.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its number.
    pub number: u64,
    /// The rule under whose name it was told last.
    pub rule: usize,
    /// As it was when it was announced.
    pub announced: EventSoFar,
    /// The rule under whose name it was announced.
    pub announced_as: usize,
    /// The rules of which the same event was heard as well.
    pub also: Vec<usize>,
    /// Its level in dBFS.
    pub level_dbfs: f32,
    /// What it was in the end, and why it ended.
    pub end: Option<(EventSoFar, Boundary, EndReason)>,
}

impl Told {
    /// An event that was announced.
    pub fn new(number: u64, announced: EventSoFar, rule: usize) -> Self {
        Self { number, rule, announced, announced_as: rule, also: Vec::new(), level_dbfs: 0.0, end: None }
    }

    /// Whether it was announced and then taken back.
    pub fn is_taken_back(&self) -> bool {
        matches!(self.end, Some((_, _, EndReason::Unconfirmed)))
    }

    /// Its onset and offset, as sample indices.
    pub fn span(&self) -> (u64, u64) {
        match &self.end {
            Some((heard, offset, _)) => (heard.onset.at, offset.at),
            None => (self.announced.onset.at, self.announced.announced),
        }
    }

    /// Whether it was heard as this rule, by name or beside.
    pub fn is_of(&self, rule: usize) -> bool {
        self.rule == rule || self.also.contains(&rule)
    }
}

impl Findings {
    /// What `ear` found out, and the events that it told; `n_reported` of its rules are in force.
    pub fn new(ear: &Ear, told: Vec<Told>, n_reported: usize, why_not: Vec<String>) -> Self {
        let end = ear.end_of_input().unwrap_or(ear.now());
        let rate_hz = ear.model_rate_hz();
        let (mut rises, mut hops, mut moment) = (Vec::new(), Vec::new(), None);
        if let Some(trace) = ear.detector().trace() {
            // Nothing begins in the silence that settles the last scores.
            rises.extend(trace.segments.iter().filter(|rise| rise.bounds.onset.at < end).cloned());
            hops.clone_from(&trace.hops);
            moment = trace.snapshot.as_ref().map(|snapshot| {
                let moment = Moment { now: snapshot.end, rate_hz, loudness_dbfs: snapshot.loudness_dbfs };
                (moment, snapshot.glances.clone())
            });
        }
        for rise in &mut rises {
            rise.bounds.offset.at = rise.bounds.offset.at.min(end);
        }
        Self {
            rules: ear.rules().to_vec(),
            n_reported,
            why_not,
            told,
            rises,
            hops,
            moment,
            length_s: end as f64 / f64::from(rate_hz),
            rate_hz,
            hop: ear.hop_samples(),
            lag: ear.lag_samples(),
        }
    }

    /// A sample index in seconds.
    pub fn seconds(&self, at: u64) -> f64 {
        at as f64 / f64::from(self.rate_hz)
    }

    /// The display name of a rule.
    pub fn name(&self, rule: usize) -> &str {
        &self.rules[rule].subject.name
    }

    /// Whether a rule is in force.
    pub fn is_reported(&self, rule: usize) -> bool {
        rule < self.n_reported
    }

    /// The events that were told under the rules in force.
    pub fn events(&self) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(|event| self.is_reported(event.rule))
    }

    /// Whether an event was not announced by what had been heard, but told when both sides had been looked at.
    pub fn is_late(&self, event: &Told) -> bool {
        let gate = &self.rules[event.announced_as].gate;
        let earliest = event.span().0 + self.lag.saturating_sub(5 * self.hop);
        event.announced.score < gate.start_threshold || event.announced.announced >= earliest
    }

    /// The event in force that a rise of a curve became part of.
    pub fn event_of(&self, rise: &TracedSegment) -> Option<&Told> {
        let (from, to) = (rise.bounds.onset.at, rise.bounds.offset.at);
        let Fate::PartOf { .. } = rise.fate else { return None };
        self.told.iter().filter(|event| event.is_of(rise.rule) && !event.is_taken_back()).find(|event| {
            let (onset, offset) = event.span();
            onset < to && from < offset
        })
    }

    /// The causal scores of a rule, each at the moment when it was known.
    pub fn causal(&self, rule: usize) -> Vec<(f64, f32)> {
        self.hops.iter().map(|hop| (self.seconds(hop.end), hop.scores[rule].0)).collect()
    }

    /// The two-sided scores of a rule, each at the moment that it speaks of: the middle of its hop.
    pub fn two_sided(&self, rule: usize) -> Vec<(f64, f32)> {
        let known = self.hops.iter().filter(|hop| !hop.scores[rule].1.is_nan());
        known.map(|hop| (self.seconds((hop.end + self.hop / 2).saturating_sub(self.lag)), hop.scores[rule].1)).collect()
    }

    /// The distance of two scores in seconds.
    pub fn hop_s(&self) -> f64 {
        self.seconds(self.hop)
    }

    /// The two-sided score of a rule nearest to a moment, if it is within a hop of it.
    pub fn two_sided_at(&self, rule: usize, at_s: f64) -> Option<f32> {
        let near = |(time_s, _): &(f64, f32)| (time_s - at_s).abs();
        let nearest = self.two_sided(rule).into_iter().min_by(|a, b| near(a).total_cmp(&near(b)))?;
        (near(&nearest) <= self.hop_s()).then_some(nearest.1)
    }

    /// Why a rule was an event at the moment that was asked about, or was not, by what was known then.
    pub fn why(&self, rule: usize, moment: Moment, glance: &Glance) -> Why {
        let reported_as = glance.reported_as.filter(|told| *told != rule).map(|told| self.rules[told].subject.clone());
        Why::new(glance.standing, reported_as, &self.rules[rule].gate, moment)
    }
}
