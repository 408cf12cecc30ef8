//! What a slot has of clips: it remembers the source's last seconds, follows its events, and hands over what is kept.

use std::sync::Arc;

use crossbeam_channel::TrySendError;
use jiff::Timestamp;
use uuid::Uuid;

use super::ring::{SampleRing, VoiceTrack};
use super::takes::{Decision, Lengths, Seen, Take, Takes};
use super::{ClipEvent, ClipHead, ClipPolicy, Handed, Handover, NotKept, PIECE};
use crate::event::SoundEvent;

/// How long after a clip could be handed over its samples are still remembered, in seconds: events are confirmed late, and the writer may be
/// slow.
const SLACK_S: f64 = 10.0;
/// How far from a clip a voice is near it, in seconds.
const NEAR_S: f64 = 5.0;
/// The length of a window in which a voice may stand out only when it is in it as a whole, in seconds.
const WINDOW_S: f64 = 1.0;
/// The most samples that a source's ring has. A source of a very high rate has shorter clips.
const MOST_SAMPLES: u64 = 32 << 20;
/// The pieces that are copied in one step, at most.
const PIECES_A_STEP: usize = 8;

/// The clips of one source.
#[derive(Debug)]
pub(in crate::analysis) struct ClipTap {
    handover: Handover,
    source: Arc<str>,
    rate_hz: u32,
    ring: SampleRing,
    /// `None` where voices are kept.
    voices: Option<VoiceTrack>,
    takes: Takes,
    copying: Option<Copying>,
    /// A message for which there was no room.
    waiting: Option<Handed>,
    /// Whether the source has ended.
    is_end: bool,
    /// Whether nothing was left at the last step.
    is_idle: bool,
}

/// A clip that is being handed over.
#[derive(Debug, Clone, Copy)]
struct Copying {
    first: Uuid,
    next: u64,
    to: u64,
}

/// How a piece of work ended.
enum Progress {
    Done,
    /// The writer has to go on first.
    Stuck,
}

/// The lengths of a policy at a rate.
fn lengths(policy: &ClipPolicy, rate_hz: u32) -> Lengths {
    let samples = |seconds: f64| (seconds * f64::from(rate_hz)).round() as u64;
    let settle_s = if policy.voice_threshold.is_some() { NEAR_S + WINDOW_S } else { 0.0 };
    let most = samples(policy.max_s).min(MOST_SAMPLES - samples(settle_s + SLACK_S).min(MOST_SAMPLES / 2));
    Lengths { before: samples(policy.before_s).min(most / 2), after: samples(policy.after_s), most, settle: samples(settle_s) }
}

impl ClipTap {
    /// A ring for a source whose next sample has the place `first`; `None`, with a word in the log, where there is no memory for it.
    pub fn new(handover: Handover, source: Arc<str>, rate_hz: u32, hop_s: f64, first: u64) -> Option<Self> {
        let lengths = lengths(&handover.policy, rate_hz);
        let seconds = |samples: u64| samples as f64 / f64::from(rate_hz.max(1));
        let len = lengths.most + lengths.settle + (SLACK_S * f64::from(rate_hz)) as u64;
        let ring = match SampleRing::new(len as usize, first) {
            Ok(ring) => ring,
            Err(error) => {
                tracing::error!(%source, %error, "there is no memory for clips, so that none of this source is kept");
                return None;
            }
        };
        handover.stats.hold(ring.memory());
        let n_hops = ((seconds(len) + 2.0 * NEAR_S) / hop_s.max(0.01)) as usize;
        let voices = handover.policy.voice_threshold.map(|_| VoiceTrack::new(n_hops));
        Some(Self {
            handover,
            source,
            rate_hz,
            ring,
            voices,
            takes: Takes::new(lengths),
            copying: None,
            waiting: None,
            is_end: false,
            is_idle: true,
        })
    }

    /// Whether its ring suits another policy.
    pub fn suits(&self, policy: &ClipPolicy) -> bool {
        let (own, other) = (lengths(&self.handover.policy, self.rate_hz), lengths(policy, self.rate_hz));
        own.most == other.most && own.settle == other.settle
    }

    /// The same under another policy that it suits.
    pub fn under(mut self, handover: Handover) -> Self {
        self.takes.set_lengths(lengths(&handover.policy, self.rate_hz));
        self.takes.retain(|event| handover.policy.names.contains(&event.subject.name));
        self.handover = handover;
        self
    }

    /// The name of its source.
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The rate of its samples in Hz.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Whether nothing is left of a source that has ended.
    pub fn is_done(&self) -> bool {
        self.is_end && self.is_idle
    }

    /// Remembers samples.
    pub fn push(&mut self, samples: &[f32]) {
        self.ring.push(samples);
    }

    /// Remembers a gap.
    pub fn gap(&mut self, lost: u64) {
        self.ring.gap(lost);
    }

    /// Remembers how much of a voice the hop has that ends at a sample index at the model's rate: the scores of all labels,
    /// `[lengths, labels]`, and which of the windows were scored.
    pub fn hear_voice(&mut self, end: u64, model_rate_hz: u32, scores: &[f32], is_fresh: &[bool]) {
        let Some(voices) = &mut self.voices else { return };
        let n_labels = scores.len() / is_fresh.len().max(1);
        let rows = scores.chunks_exact(n_labels.max(1)).zip(is_fresh).filter(|(_, is_fresh)| **is_fresh);
        let of = |row: &[f32]| self.handover.voices.iter().filter_map(|label| row.get(*label).copied()).fold(0.0, f32::max);
        let highest = rows.map(|(row, _)| of(row)).fold(0.0, f32::max);
        voices.push(place(end, model_rate_hz, self.rate_hz), highest);
    }

    /// Follows an event whose onset and offset are sample indices at the model's rate.
    pub fn follow(&mut self, event: &SoundEvent, onset: u64, offset: Option<u64>, model_rate_hz: u32) {
        let at = |index: u64| place(index, model_rate_hz, self.rate_hz);
        self.takes.follow(Seen {
            event: ClipEvent { id: event.id, subject: event.subject.clone(), score: event.peak_score },
            onset: at(onset),
            offset: offset.map(at),
            is_confirmed: event.is_confirmed,
            is_wanted: self.handover.wants(event),
        });
    }

    /// Hands over what is due, as far as the writer takes it. `time` says when a sample was heard.
    pub fn step(&mut self, time: impl Fn(u64) -> Option<Timestamp>, is_end: bool) {
        self.is_end |= is_end;
        self.is_idle = false;
        for _ in 0..PIECES_A_STEP {
            if let Some(message) = self.waiting.take() {
                self.send(message);
                if self.waiting.is_some() {
                    return;
                }
            }
            if let Some(copying) = self.copying {
                match self.copy(copying) {
                    Progress::Done => continue,
                    Progress::Stuck => return,
                }
            }
            let known = self.voices.as_ref().map_or(u64::MAX, VoiceTrack::known_until);
            let now = if self.is_end { self.ring.end() } else { self.ring.end().min(known) };
            match self.takes.due(now, self.is_end) {
                Some(decision) => self.decide(decision, &time),
                None => {
                    self.is_idle = true;
                    return;
                }
            }
        }
    }

    /// Gives up what is not handed over yet, because nothing is to be kept any more.
    pub fn give_up(&mut self, time: impl Fn(u64) -> Option<Timestamp>) {
        if let Some(Copying { first, .. }) = self.copying.take() {
            self.handover.tell(Handed::BrokenOff(first, NotKept::Paused));
        }
        while let Some(decision) = self.takes.due(self.ring.end(), true) {
            let message = match decision {
                Decision::Take(take) => {
                    self.head(&take, take.from, take.to, &time).map(|head| Handed::NotKept(head, NotKept::Paused))
                }
                Decision::Within(event, of) => Some(Handed::Within(event, self.source.clone(), of)),
                Decision::TooMany(event) => self.left_out(event, &time),
            };
            message.into_iter().for_each(|message| self.handover.tell(message));
        }
    }

    fn decide(&mut self, decision: Decision, time: impl Fn(u64) -> Option<Timestamp>) {
        let take = match decision {
            Decision::Take(take) => take,
            Decision::Within(event, of) => return self.send(Handed::Within(event, self.source.clone(), of)),
            Decision::TooMany(event) => {
                if let Some(message) = self.left_out(event, &time) {
                    self.send(message);
                }
                return;
            }
        };
        let (from, to) = (take.from.max(self.ring.begin()), take.to.min(self.ring.end()));
        let (from, to, refusal) = match self.voice_near(take.onset, from, to) {
            Ok(to) if from < to => (from, to, None),
            Ok(_) => (take.from, take.to, Some(NotKept::TooSlow)),
            Err(refusal) => (from, to.max(from), Some(refusal)),
        };
        // A source whose first samples have no time yet has no events either.
        let Some(head) = self.head(&take, from, to, &time) else { return };
        match (refusal, take.events.first()) {
            (None, Some(event)) => {
                self.copying = Some(Copying { first: event.id, next: from, to });
                self.send(Handed::Begin(head));
            }
            (Some(why), _) => self.send(Handed::NotKept(head, why)),
            (None, None) => {}
        }
    }

    /// The end of a clip beside which no voice is; the reason why there is none.
    fn voice_near(&self, onset: u64, from: u64, to: u64) -> Result<u64, NotKept> {
        let (Some(voices), Some(threshold)) = (&self.voices, self.handover.policy.voice_threshold) else { return Ok(to) };
        let samples = |seconds: f64| (seconds * f64::from(self.rate_hz)) as u64;
        // At the end of the sound nobody knows what would have come.
        let to = if self.is_end { to.min(voices.known_until().saturating_sub(samples(NEAR_S + WINDOW_S))) } else { to };
        if to <= onset {
            return Err(NotKept::VoiceUnknown);
        }
        let highest = voices.highest(from.saturating_sub(samples(NEAR_S)), to + samples(NEAR_S + WINDOW_S));
        if highest >= threshold { Err(NotKept::Voice(highest)) } else { Ok(to) }
    }

    fn head(&self, take: &Take, from: u64, to: u64, time: impl Fn(u64) -> Option<Timestamp>) -> Option<ClipHead> {
        let (events, source) = (take.events.clone(), self.source.clone());
        Some(ClipHead { events, source, rate_hz: self.rate_hz, from: time(from)?, to: time(to)? })
    }

    fn left_out(&self, event: ClipEvent, time: impl Fn(u64) -> Option<Timestamp>) -> Option<Handed> {
        let now = time(self.ring.end())?;
        let head = ClipHead { events: vec![event], source: self.source.clone(), rate_hz: self.rate_hz, from: now, to: now };
        Some(Handed::NotKept(head, NotKept::TooMany))
    }

    /// Copies the next piece.
    fn copy(&mut self, copying: Copying) -> Progress {
        let Copying { first, next, to } = copying;
        if next >= to {
            self.copying = None;
            self.send(Handed::End(first));
            return Progress::Done;
        }
        if next < self.ring.begin() {
            self.copying = None;
            self.send(Handed::BrokenOff(first, NotKept::TooSlow));
            return Progress::Done;
        }
        let Some(mut piece) = self.handover.piece() else { return Progress::Stuck };
        let n = PIECE.min((to - next) as usize);
        if self.ring.copy(next, &mut piece.samples_mut()[..n]) {
            self.copying = Some(Copying { next: next + n as u64, ..copying });
            self.send(Handed::Samples(first, piece, n));
        }
        Progress::Done
    }

    /// Sends a message, or keeps it for the next step.
    fn send(&mut self, message: Handed) {
        if let Err(TrySendError::Full(message)) = self.handover.to.try_send(message) {
            self.waiting = Some(message);
        }
    }
}

impl Drop for ClipTap {
    fn drop(&mut self) {
        self.handover.stats.release(self.ring.memory());
    }
}

/// The place of a sample index at the model's rate.
fn place(index: u64, model_rate_hz: u32, rate_hz: u32) -> u64 {
    (u128::from(index) * u128::from(rate_hz) / u128::from(model_rate_hz.max(1))) as u64
}
