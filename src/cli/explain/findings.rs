//! All that is known of a recording once it was heard: its events, and the segments of every label's scores with what became of
//! each.
//!
//! It holds and looks up; it writes no sentence and draws nothing. Times are seconds where a name ends in `_s`, else sample
//! indices.

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
    /// The rules that the recording was heard with.
    pub rules: Vec<Rule>,
    /// How many of them, from the first on, are in force. The others stand for the labels that the report leaves out.
    pub n_reported: usize,
    /// For each rule why the report leaves it out; empty for those in force.
    pub why_not: Vec<String>,
    /// The events of all rules, in the order of their starts.
    pub events: Vec<ExplainedEvent>,
    /// Every segment of every rule's confirmed score.
    pub segments: Vec<TracedSegment>,
    /// The scores of each hop within the time span that was watched.
    pub hops: Vec<HopScores>,
    /// How each rule stood at the moment that was asked about.
    pub moment: Option<(Moment, Vec<Glance>)>,
    /// How long the recording is.
    pub length_s: f64,
    rate_hz: u32,
    hop: u64,
    lag: u64,
}

/// An event, from its announcement to its end.
#[derive(Debug, Clone)]
pub struct ExplainedEvent {
    /// Its number.
    pub number: u64,
    /// The rule under whose name it ended, or goes on.
    pub rule: usize,
    /// The event as it was announced.
    pub announced: EventSoFar,
    /// The rule under whose name it was announced.
    pub announced_as: usize,
    /// The other rules that heard the same sound.
    pub also: Vec<usize>,
    /// Its level in dBFS.
    pub level_dbfs: f32,
    /// The event as it ended, its offset, and why it ended.
    pub end: Option<(EventSoFar, Boundary, EndReason)>,
}

impl ExplainedEvent {
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

    /// Whether this rule heard it, under its own name or another.
    pub fn is_of(&self, rule: usize) -> bool {
        self.rule == rule || self.also.contains(&rule)
    }
}

impl Findings {
    /// The findings of an `ear` that has heard the whole recording, and its `events`; the first `n_reported` of its rules are in
    /// force.
    pub fn new(ear: &Ear, events: Vec<ExplainedEvent>, n_reported: usize, why_not: Vec<String>) -> Self {
        let end = ear.end_of_input().unwrap_or(ear.now());
        let rate_hz = ear.model_rate_hz();
        let (mut segments, mut hops, mut moment) = (Vec::new(), Vec::new(), None);
        if let Some(trace) = ear.detector().trace() {
            // The silence that settles the last scores is no part of the recording.
            segments.extend(trace.segments.iter().filter(|segment| segment.bounds.onset.at < end).cloned());
            hops.clone_from(&trace.hops);
            moment = trace.snapshot.as_ref().map(|snapshot| {
                let moment = Moment { now: snapshot.end, rate_hz, loudness_dbfs: snapshot.loudness_dbfs };
                (moment, snapshot.glances.clone())
            });
        }
        for segment in &mut segments {
            segment.bounds.offset.at = segment.bounds.offset.at.min(end);
        }
        Self {
            rules: ear.rules().to_vec(),
            n_reported,
            why_not,
            events,
            segments,
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

    /// The events under the rules in force.
    pub fn reported_events(&self) -> impl Iterator<Item = &ExplainedEvent> {
        self.events.iter().filter(|event| self.is_reported(event.rule))
    }

    /// Whether an event was announced only when its confirmed score was known, because its causal score did not announce it.
    pub fn is_late(&self, event: &ExplainedEvent) -> bool {
        let gate = &self.rules[event.announced_as].gate;
        let earliest = event.span().0 + self.lag.saturating_sub(5 * self.hop);
        event.announced.score < gate.start_threshold || event.announced.announced >= earliest
    }

    /// The event that a segment became part of.
    pub fn event_of(&self, segment: &TracedSegment) -> Option<&ExplainedEvent> {
        let (from, to) = (segment.bounds.onset.at, segment.bounds.offset.at);
        let Fate::PartOf { .. } = segment.fate else { return None };
        self.events.iter().filter(|event| event.is_of(segment.rule) && !event.is_taken_back()).find(|event| {
            let (onset, offset) = event.span();
            onset < to && from < offset
        })
    }

    /// The causal scores of a rule as `(seconds, score)`, each at the moment when it was known.
    pub fn causal(&self, rule: usize) -> Vec<(f64, f32)> {
        self.hops.iter().map(|hop| (self.seconds(hop.end), hop.scores[rule].0)).collect()
    }

    /// The confirmed scores of a rule as `(seconds, score)`, each in the middle of the hop that it belongs to.
    pub fn confirmed(&self, rule: usize) -> Vec<(f64, f32)> {
        let known = self.hops.iter().filter(|hop| !hop.scores[rule].1.is_nan());
        known.map(|hop| (self.seconds((hop.end + self.hop / 2).saturating_sub(self.lag)), hop.scores[rule].1)).collect()
    }

    /// The hop in seconds.
    pub fn hop_s(&self) -> f64 {
        self.seconds(self.hop)
    }

    /// The confirmed score of a rule at a moment; `None` where no score lies within a hop of it.
    pub fn confirmed_at(&self, rule: usize, at_s: f64) -> Option<f32> {
        let near = |(time_s, _): &(f64, f32)| (time_s - at_s).abs();
        let nearest = self.confirmed(rule).into_iter().min_by(|a, b| near(a).total_cmp(&near(b)))?;
        (near(&nearest) <= self.hop_s()).then_some(nearest.1)
    }

    /// Why a rule was an event at the moment that was asked about, or was not, by the causal scores up to then.
    pub fn why(&self, rule: usize, moment: Moment, glance: &Glance) -> Why {
        let reported_as = glance.reported_as.filter(|other| *other != rule).map(|other| self.rules[other].subject.clone());
        Why::new(glance, reported_as, &self.rules[rule].gate, moment)
    }
}
