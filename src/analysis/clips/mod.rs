//! Clips on the side of the analysis: a source's last seconds are remembered while clips are on, and a stretch of them is handed over when
//! an event of a chosen label is confirmed and over.
//!
//! `ring` remembers, `takes` decides which stretch is kept, and `tap` is what a slot has of both. Samples go to the writer in pieces, in
//! buffers that come back; while none is free they stay in the ring, and a writer that is too slow for that loses the clip.
//!
//! Invariant: without clips there is no ring. Nothing leaves it but the stretches of confirmed events of chosen labels, and where
//! `without_voice` is on none with a voice near it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;
use uuid::Uuid;

use super::clock::SampleClock;
use super::slot::Slot;
use crate::event::{SoundEvent, Subject};
use crate::locked::Locked;
use crate::model::Labels;
use crate::model::hierarchy::Ontology;
use crate::stats::clips::ClipStats;

mod ring;
mod takes;
mod tap;

pub(super) use tap::ClipTap;

/// The samples of a piece.
const PIECE: usize = 32_768;
/// The pieces that are on their way at a time, at most: 21 s of sound at 48 kHz.
const PIECES: usize = 32;
/// The messages that wait for the writer, at most.
const MESSAGES: usize = 128;
/// The time that the rest of a source that has ended has, before what is left of it is given up.
const LEAVING: Duration = Duration::from_secs(10);
/// The same at the end of the daemon.
const CLOSING: Duration = Duration::from_millis(500);
/// The pause between two looks at the end of the daemon.
const MOMENT: Duration = Duration::from_millis(2);

/// The node of the ontology below which every label is a human voice, in AudioSet.
const VOICE: &str = "/m/09l8g";
/// Labels that stand elsewhere in it and hold voices all the same: crowds, children at play, and songs.
const WITH_VOICES: [&str; 6] = ["/m/07rkbfh", "/m/03qtwd", "/m/07qfr4h", "/t/dd00013", "/m/053hz1", "/m/0y4f8"];

/// Whose sound is kept, and how much of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipPolicy {
    /// The display names of the labels and groups.
    pub names: Vec<String>,
    /// The seconds before an event.
    pub before_s: f64,
    /// The seconds after it.
    pub after_s: f64,
    /// The seconds of the longest clip.
    pub max_s: f64,
    /// The score of a human voice from which on nothing near it is kept; `None` where voices are kept.
    pub voice_threshold: Option<f32>,
}

/// An event with a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipEvent {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub subject: Arc<Subject>,
    /// Its highest score.
    pub score: f32,
}

/// A clip before its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipHead {
    /// Its events, the first one first.
    pub events: Vec<ClipEvent>,
    /// The name of the source.
    pub source: Arc<str>,
    /// The rate of its samples in Hz.
    pub rate_hz: u32,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub to: Timestamp,
}

/// Why there is no clip of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotKept {
    /// A voice is near it, with this score.
    Voice(f32),
    /// The sound ended before it was known whether a voice is near it.
    VoiceUnknown,
    /// The writer did not take it in time.
    TooSlow,
    /// Too many events waited for clips.
    TooMany,
    /// The daemon was paused, or the source was changed, before it was handed over.
    Paused,
}

/// A message to the writer.
#[derive(Debug)]
pub enum Handed {
    /// A clip begins. It is known by its first event from now on.
    Begin(ClipHead),
    /// So many of the next samples of a clip.
    Samples(Uuid, Piece, usize),
    /// A clip is whole.
    End(Uuid),
    /// A clip that had begun is not kept.
    BrokenOff(Uuid, NotKept),
    /// A clip is not kept, and none of its samples is handed over.
    NotKept(ClipHead, NotKept),
    /// An event lies within the clip that has this first event.
    Within(ClipEvent, Arc<str>, Uuid),
}

/// A buffer for samples, which goes back to where it came from when it is dropped.
#[derive(Debug)]
pub struct Piece {
    memory: Option<Locked>,
    home: Sender<Locked>,
}

impl Piece {
    /// The samples.
    pub fn samples(&self) -> &[i16] {
        self.memory.as_deref().unwrap_or_default()
    }

    fn samples_mut(&mut self) -> &mut [i16] {
        self.memory.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            // There is room for every buffer; without a home it is released.
            let _ = self.home.try_send(memory);
        }
    }
}

/// The way of clips from the analysis to their writer.
#[derive(Debug, Clone)]
pub struct Handover {
    /// Whose sound is kept.
    pub policy: Arc<ClipPolicy>,
    /// The labels that are voices, by their indices among the model's outputs.
    voices: Arc<[usize]>,
    to: Sender<Handed>,
    spare: Receiver<Locked>,
    home: Sender<Locked>,
    stats: Arc<ClipStats>,
}

impl Handover {
    /// A way with all its buffers, and its other end.
    ///
    /// # Errors
    /// The system has no memory left.
    pub fn new(policy: ClipPolicy, labels: &Labels, stats: Arc<ClipStats>) -> std::io::Result<(Self, Receiver<Handed>)> {
        let (to, handed) = bounded(MESSAGES);
        let (home, spare) = bounded(PIECES);
        for _ in 0..PIECES {
            let memory = Locked::new(PIECE)?;
            stats.hold(&memory);
            let _ = home.try_send(memory);
        }
        Ok((Self { policy: Arc::new(policy), voices: voices(labels).into(), to, spare, home, stats }, handed))
    }

    /// The same way under another policy, or with another model.
    #[must_use]
    pub fn under(&self, policy: ClipPolicy, labels: &Labels) -> Self {
        Self { policy: Arc::new(policy), voices: voices(labels).into(), ..self.clone() }
    }

    /// A free buffer; `None` while all are on their way.
    fn piece(&self) -> Option<Piece> {
        let memory = self.spare.try_recv().ok()?;
        Some(Piece { memory: Some(memory), home: self.home.clone() })
    }

    /// Tells the writer something, if it has room for it.
    fn tell(&self, message: Handed) {
        let _ = self.to.try_send(message);
    }

    /// Whether clips are kept of an event, by the names that it has.
    fn wants(&self, event: &SoundEvent) -> bool {
        let mut names = std::iter::once(&event.subject).chain(&event.also).map(|subject| &subject.name);
        names.any(|name| self.policy.names.contains(name))
    }
}

/// The labels of a model that are human voices, by their indices.
fn voices(labels: &Labels) -> Vec<usize> {
    let ontology = Ontology::of(labels);
    let is_voice = |id: &str| id == VOICE || WITH_VOICES.contains(&id);
    let is_below = |id: &str| is_voice(id) || ontology.ancestors(id).into_iter().any(is_voice);
    labels.subjects().iter().enumerate().filter(|(_, subject)| is_below(&subject.id)).map(|(label, _)| label).collect()
}

/// A source that has ended, of which something is still to be handed over.
pub(super) struct Leaving {
    tap: ClipTap,
    clock: SampleClock,
    until: Instant,
}

/// The clips of all sources.
#[derive(Default)]
pub(super) struct Clips {
    /// The way to the writer; `None` while clips are off.
    pub handover: Option<Handover>,
    leaving: Vec<Leaving>,
}

impl Clips {
    /// The tap of a source that opens; `None` while clips are off or of no label.
    pub fn tap(&self, source: &Arc<str>, rate_hz: u32, hop_s: f64) -> Option<ClipTap> {
        let handover = self.handover.as_ref().filter(|handover| !handover.policy.names.is_empty())?;
        ClipTap::new(handover.clone(), source.clone(), rate_hz, hop_s, 0)
    }

    /// Takes another way over, or none. Sources that go on get a new ring only where their old one does not suit.
    pub fn change(&mut self, handover: Option<Handover>, slots: &mut [Slot]) {
        self.handover = handover;
        if self.handover.is_none() {
            self.leaving.clear();
        }
        let handover = self.handover.as_ref().filter(|handover| !handover.policy.names.is_empty());
        for slot in slots {
            let (rate_hz, hop_s, heard) = (slot.rate_hz, slot.ear.hop_s(), slot.ear.input_samples());
            slot.clips = match (slot.clips.take(), handover) {
                (_, None) => None,
                (Some(tap), Some(handover)) if tap.suits(&handover.policy) => Some(tap.under(handover.clone())),
                (before, Some(handover)) => {
                    drop(before);
                    ClipTap::new(handover.clone(), slot.source.clone(), rate_hz, hop_s, heard)
                }
            };
        }
    }

    /// Hands over what is due.
    pub fn step(&mut self, slots: &mut [Slot], wall_offset_ns: i64) {
        for slot in slots {
            slot.step_clips(wall_offset_ns);
        }
        if !self.leaving.is_empty() {
            let now = Instant::now();
            self.leaving.retain_mut(|leaving| {
                let Leaving { tap, clock, until } = leaving;
                let (rate_hz, is_in_time) = (tap.rate_hz(), now < *until);
                tap.step(|at| clock.time(at, rate_hz, wall_offset_ns), true);
                is_in_time && !tap.is_done()
            });
        }
    }

    /// Takes over what is left of a source that has ended by itself.
    pub fn leave(&mut self, slot: &mut Slot, wall_offset_ns: i64) {
        if let Some((mut tap, clock)) = slot.take_clips() {
            let rate_hz = tap.rate_hz();
            tap.step(|at| clock.time(at, rate_hz, wall_offset_ns), true);
            if !tap.is_done() {
                self.leaving.push(Leaving { tap, clock, until: Instant::now() + LEAVING });
            }
        }
    }

    /// Gives up what is left of a source, because nothing is to be kept any more.
    pub fn give_up(&mut self, slot: &mut Slot, wall_offset_ns: i64) {
        self.leaving.retain(|leaving| leaving.tap.source() != &slot.source);
        if let Some((mut tap, clock)) = slot.take_clips() {
            let rate_hz = tap.rate_hz();
            tap.give_up(|at| clock.time(at, rate_hz, wall_offset_ns));
        }
    }

    /// Hands over the rest at the end of the daemon, which waits for it a moment.
    pub fn finish(&mut self, wall_offset_ns: i64) {
        let deadline = Instant::now() + CLOSING;
        while !self.leaving.is_empty() && Instant::now() < deadline {
            self.step(&mut [], wall_offset_ns);
            std::thread::sleep(MOMENT);
        }
        self.leaving.clear();
        self.handover = None;
    }
}
