//! One attached source: its ring, its ear, its place on the wall clock, and what its samples say of its health.
//!
//! The wall clock is read once, when the first samples are seen; every time of an event is counted in samples from there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Attachment;
use super::peaks::{PeakRing, Stored};
use crate::capture::Pace;
use crate::config::Rule;
use crate::detect::Detection;
use crate::detect::edges::Edge;
use crate::detect::peaks::Peak;
use crate::detect::step::{Heard, Step};
use crate::ear::Ear;
use crate::event::{Report, SoundEvent};
use crate::ring::Reader;
use crate::stats::SourceStats;

/// The longest wait for a source that delivers as fast as it is read.
const AS_WRITTEN_WAIT: Duration = Duration::from_millis(20);
/// The shortest wait that is one.
const A_MOMENT: Duration = Duration::from_nanos(1);
/// Digital silence of this length is reported once, in seconds.
const SILENT_AFTER_S: u64 = 10;
/// Clipping is looked at over stretches of this length, in seconds, and reported at most once in each.
const CLIPPING_PERIOD_S: u64 = 10;
/// So many samples at full scale within a stretch are called clipping.
const CLIPPING_SAMPLES: u64 = 50;
/// A sample this near to full scale counts as clipped.
const FULL_SCALE: f32 = 0.9999;

/// One attached source.
pub(super) struct Slot {
    pub source: Arc<str>,
    pub rate_hz: u32,
    pace: Pace,
    pub reader: Reader,
    pub ear: Ear,
    pub stats: Arc<SourceStats>,
    /// Whether the source has come to its end, so that only what is in the ring is still heard.
    pub finishing: bool,
    device_latency_ns: Arc<std::sync::atomic::AtomicU64>,
    anchor: Option<Anchor>,
    /// When samples were last found in the ring.
    heard_at: Instant,
    /// The open events by their numbers, as they were told last.
    open: HashMap<u64, SoundEvent>,
    zeros: u64,
    clipping: Clipping,
}

/// Samples at full scale within the current stretch.
#[derive(Debug, Default)]
struct Clipping {
    samples: u64,
    looked_at: u64,
    told: bool,
}

/// The wall-clock time of sample 0, by the first samples' arrival.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    start: Timestamp,
}

impl Anchor {
    /// The wall-clock time of the sample index `at`.
    fn time(&self, at: u64, rate_hz: u32) -> Timestamp {
        let nanoseconds = u128::from(at) * 1_000_000_000 / u128::from(rate_hz);
        let after = SignedDuration::from_nanos(i64::try_from(nanoseconds).unwrap_or(i64::MAX));
        self.start.checked_add(after).unwrap_or(Timestamp::MAX)
    }
}

impl Slot {
    /// A source that has just opened.
    pub fn new(attachment: Attachment, ear: Ear) -> Self {
        let Attachment { source, rate_hz, pace, reader, device_latency_ns, stats, .. } = attachment;
        let open = HashMap::new();
        Self {
            source,
            rate_hz,
            pace,
            reader,
            ear,
            stats,
            finishing: false,
            device_latency_ns,
            anchor: None,
            heard_at: Instant::now(),
            open,
            zeros: 0,
            clipping: Clipping::default(),
        }
    }

    /// The source as it was attached, to be attached again to another model.
    pub fn into_attachment(self) -> Attachment {
        let Slot { source, rate_hz, pace, reader, device_latency_ns, stats, .. } = self;
        Attachment { source, rate_hz, pace, reader, device_latency_ns, stats, report: None }
    }

    /// How long what it has delivered waits for its scores; a source that delivers as fast as it is read waits for nobody.
    pub fn lag(&self) -> Duration {
        match self.pace {
            Pace::RealTime => {
                let in_ring_s = self.seconds(self.reader.available());
                Duration::from_secs_f64(in_ring_s + self.ear.n_due() as f64 * self.ear.hop_s())
            }
            Pace::AsWritten => Duration::ZERO,
        }
    }

    /// Samples were found in the ring just now.
    pub fn found_samples(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// How long until the next hop is due, by the source's own rate and by the pieces that it delivers; nothing where one is due
    /// already.
    pub fn time_until_due(&self, now: Instant) -> Duration {
        let until_due_s = self.ear.samples_until_due() as f64 / f64::from(self.ear.model_rate_hz());
        let (in_ring_s, piece_s) = (self.seconds(self.reader.available()), self.seconds(self.reader.piece()));
        let wanted_s = until_due_s - in_ring_s;
        if self.finishing || wanted_s <= 0.0 {
            return Duration::ZERO;
        }
        if self.pace == Pace::AsWritten {
            return Duration::from_secs_f64(wanted_s).min(AS_WRITTEN_WAIT);
        }
        // What is wanted is complete with a whole piece, and pieces come at the distance of their length. One that is late may come
        // any moment; one that is very late may never come.
        let waited_s = now.saturating_duration_since(self.heard_at).as_secs_f64();
        let until_piece_s = (wanted_s / piece_s).ceil() * piece_s - waited_s;
        let is_telling = piece_s > 0.0 && waited_s < wanted_s + 2.0 * piece_s;
        Duration::from_secs_f64(if is_telling { until_piece_s.max(0.0) } else { wanted_s }).max(A_MOMENT)
    }

    fn seconds(&self, samples: usize) -> f64 {
        samples as f64 / f64::from(self.rate_hz)
    }

    /// Anchors the source to the wall clock when its first samples are seen, `popped` of them out of the ring already: sample 0
    /// came when the ring was empty, and had been on its way before that as long as the device says.
    pub fn anchor(&mut self, popped: usize) {
        if self.anchor.is_some() {
            return;
        }
        let in_ring = (popped + self.reader.available()) as u64 * 1_000_000_000 / u64::from(self.rate_hz);
        let age = SignedDuration::from_nanos((in_ring + self.device_latency_ns.load(Relaxed)) as i64);
        self.anchor = Some(Anchor { start: Timestamp::now().checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH) });
    }

    /// A detection under `rules` with its name, its times on the wall clock and its id.
    pub fn report(&mut self, detection: &Detection, rules: &[Rule]) -> Option<Report> {
        let anchor = self.anchor?;
        let rate_hz = self.ear.model_rate_hz();
        let rule = rules.get(detection.rule)?;
        let milliseconds = |edge: Edge| edge.uncertainty * 1_000 / u64::from(rate_hz);
        let event = |heard: &Heard, id: Uuid, offset: Option<Edge>| SoundEvent {
            id,
            subject: rule.subject.clone(),
            source: self.source.clone(),
            onset: anchor.time(heard.onset.at, rate_hz),
            offset: offset.map(|offset| anchor.time(offset.at, rate_hz)),
            score: heard.score,
            peak_score: heard.peak_score,
            threshold: heard.threshold,
            level_dbfs: detection.level_dbfs,
            onset_uncertainty_ms: milliseconds(heard.onset),
            offset_uncertainty_ms: offset.map(milliseconds),
            also: detection.also.iter().filter_map(|other| rules.get(*other)).map(|rule| rule.subject.clone()).collect(),
        };
        match &detection.step {
            Step::Start(heard) => {
                let begun = event(heard, Uuid::now_v7(), None);
                self.stats.events.fetch_add(1, Relaxed);
                self.open.insert(detection.event, begun.clone());
                Some(Report::EventStart(begun))
            }
            Step::Update(heard) => {
                let told = self.open.get_mut(&detection.event)?;
                *told = event(heard, told.id, None);
                Some(Report::EventUpdate(told.clone()))
            }
            Step::End { heard, offset, reason } => {
                let id = self.open.remove(&detection.event)?.id;
                Some(Report::EventEnd(event(heard, id, Some(*offset)), *reason))
            }
        }
    }

    /// The open events with their numbers, as they were told last, the oldest first.
    pub fn open(&self) -> Vec<(u64, &SoundEvent)> {
        let mut open: Vec<(u64, &SoundEvent)> = self.open.iter().map(|(number, event)| (*number, event)).collect();
        open.sort_by_key(|(_, event)| (event.onset, event.id));
        open
    }

    /// How many samples were at full scale within the present stretch.
    pub fn clipped_samples(&self) -> u64 {
        self.clipping.samples
    }

    /// Puts the peaks that the ear has kept into the ring, with their times on the wall clock.
    pub fn store_peaks(&mut self, ring: &mut PeakRing) {
        let Some(anchor) = self.anchor else { return };
        let (source, rate_hz) = (&self.source, self.ear.model_rate_hz());
        for Peak { label, kind, at, score } in self.ear.take_peaks() {
            ring.push(Stored { source: source.clone(), label, kind, score, at: anchor.time(at, rate_hz) });
        }
    }

    /// What the samples themselves say of the source's health.
    pub fn health(&mut self, samples: &[f32]) -> Option<Report> {
        let rate = u64::from(self.rate_hz);
        let was_silent = self.zeros >= SILENT_AFTER_S * rate;
        match samples.iter().rposition(|sample| *sample != 0.0) {
            None => self.zeros += samples.len() as u64,
            Some(last) => self.zeros = (samples.len() - 1 - last) as u64,
        }
        if !was_silent && self.zeros >= SILENT_AFTER_S * rate {
            tracing::warn!(source = %self.source, seconds = SILENT_AFTER_S, "the source delivers nothing but digital silence");
            return Some(Report::SourceSilent { source: self.source.clone(), seconds: self.zeros as f64 / rate as f64 });
        }
        let clipping = &mut self.clipping;
        clipping.looked_at += samples.len() as u64;
        clipping.samples += samples.iter().filter(|sample| sample.abs() >= FULL_SCALE).count() as u64;
        let told = (clipping.samples >= CLIPPING_SAMPLES && !clipping.told).then_some(clipping.samples);
        clipping.told |= told.is_some();
        if clipping.looked_at >= CLIPPING_PERIOD_S * rate {
            *clipping = Clipping::default();
        }
        told.map(|samples| Report::SourceClipping { source: self.source.clone(), samples })
    }
}
