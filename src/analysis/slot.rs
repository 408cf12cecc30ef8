//! A slot: one attached source with its ring, its ear, its sample clock and its health.
//!
//! Every time of an event is counted in samples. The sample clock places the samples on the wall clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Attachment;
use super::clips::ClipTap;
use super::clock::{Now, SampleClock, duration_ns};
use super::embeddings::EmbeddingPast;
use super::peaks::PeakRing;
use super::query::RecentPeak;
use super::silence::Silence;
use crate::capture::Pace;
use crate::detect::Detection;
use crate::detect::boundaries::Boundary;
use crate::detect::peaks::ScorePeak;
use crate::detect::rule::Rule;
use crate::detect::step::{EventSoFar, Step};
use crate::ear::Ear;
use crate::event::{EndReason, Report, SoundEvent};
use crate::model::Labels;
use crate::ring::Reader;
use crate::stats::SourceStats;

/// The longest wait for a source that delivers as fast as it is read.
const AS_WRITTEN_WAIT: Duration = Duration::from_millis(20);
/// The shortest wait that is not zero, for zero means that a hop is due.
const A_MOMENT: Duration = Duration::from_nanos(1);
/// The period in which clipping is reported at most once, in seconds.
const CLIPPING_PERIOD_S: u64 = 10;
/// So many samples at full scale within a period are clipping.
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
    /// The number of this attachment, which no other of this or another source has.
    pub attachment: u64,
    /// Whether the source has come to its end, so that only the samples in the ring are still heard.
    pub finishing: bool,
    device_latency_ns: Arc<AtomicU64>,
    is_held_up: Arc<AtomicBool>,
    clock: SampleClock,
    /// The samples that have been taken out of the ring, and those that were never delivered.
    arrived: u64,
    /// When samples were last found in the ring.
    heard_at: Instant,
    /// The open events by their numbers.
    open_events: HashMap<u64, ReportedEvent>,
    silence: Silence,
    clipping: Clipping,
    /// The embeddings of the newest windows; `None` where none are kept.
    pub embeddings: Option<EmbeddingPast>,
    /// The memory of the last seconds; `None` while clips are off.
    pub clips: Option<ClipTap>,
}

/// The clipping of the present period.
#[derive(Debug, Default)]
struct Clipping {
    /// Samples at full scale.
    samples: u64,
    /// All samples.
    n_samples: u64,
    is_reported: bool,
}

/// An open event.
struct ReportedEvent {
    /// The event as it was reported last.
    event: SoundEvent,
    /// How far the wall clock was ahead when the event began. A clock that is set meanwhile changes neither its onset nor its
    /// length.
    wall_offset_ns: i64,
    /// The embedding of its sound, once it is confirmed.
    embedding: Option<Arc<[u8]>>,
}

impl Slot {
    /// A source that has just opened. `number` is that of its attachment, which no other has.
    pub fn new(attachment: Attachment, ear: Ear, number: u64) -> Self {
        let Attachment { source, rate_hz, pace, reader, device_latency_ns, is_held_up, silent_after_ms, stats, .. } = attachment;
        stats.record_silence(0);
        Self {
            source,
            rate_hz,
            pace,
            reader,
            ear,
            stats,
            attachment: number,
            finishing: false,
            device_latency_ns,
            is_held_up,
            clock: SampleClock::new(rate_hz, pace),
            arrived: 0,
            heard_at: Instant::now(),
            open_events: HashMap::new(),
            silence: Silence::new(silent_after_ms),
            clipping: Clipping::default(),
            embeddings: None,
            clips: None,
        }
    }

    /// The source as it was attached, to be attached again to another model.
    pub fn into_attachment(self) -> Attachment {
        let Slot { source, rate_hz, pace, reader, device_latency_ns, is_held_up, silence, stats, .. } = self;
        let silent_after_ms = silence.after_ms();
        Attachment { source, rate_hz, pace, reader, device_latency_ns, is_held_up, silent_after_ms, stats, report: None }
    }

    /// How long the delivered sound waits for its scores; zero for a source that delivers as fast as it is read.
    pub fn lag(&self) -> Duration {
        match self.pace {
            Pace::RealTime => {
                let in_ring_s = self.seconds(self.reader.available());
                Duration::from_secs_f64(in_ring_s + self.ear.n_due() as f64 * self.ear.hop_s())
            }
            Pace::AsWritten => Duration::ZERO,
        }
    }

    /// Counts samples that were taken out of the ring.
    pub fn take(&mut self, samples: u64) {
        self.arrived += samples;
        self.heard_at = Instant::now();
    }

    /// Places the samples that have arrived by `now` on the clock. Returns the number of samples that are missing.
    pub fn arrive(&mut self, now: Now) -> Option<u64> {
        // Samples that a full ring dropped have arrived all the same, even where the reader has not reached their place yet.
        let end = self.arrived + self.reader.available() as u64 + self.reader.lost();
        let age_ns = i64::try_from(self.device_latency_ns.load(Relaxed)).unwrap_or(0);
        if self.is_held_up.load(Relaxed) {
            // It is late because it is held back, and nothing is missing.
            self.clock.disregard(now);
        }
        let missing = self.clock.arrive(end, age_ns, now);
        self.arrived += missing.unwrap_or(0);
        missing
    }

    /// How long until the next hop is due, by the source's own rate and by the pieces that it delivers; zero where one is due
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
        // The hop is complete with a whole piece, and a piece arrives each time that its length has passed. A late piece may
        // arrive at any moment; a very late one may never arrive.
        let waited_s = now.saturating_duration_since(self.heard_at).as_secs_f64();
        let until_piece_s = (wanted_s / piece_s).ceil() * piece_s - waited_s;
        let is_expected = piece_s > 0.0 && waited_s < wanted_s + 2.0 * piece_s;
        Duration::from_secs_f64(if is_expected { until_piece_s.max(0.0) } else { wanted_s }).max(A_MOMENT)
    }

    fn seconds(&self, samples: usize) -> f64 {
        samples as f64 / f64::from(self.rate_hz)
    }

    /// Records the time from the sound of the newest hop to its scores.
    pub fn record_latency(&self, now: Now) {
        if self.pace == Pace::RealTime
            && let Some(age_ns) = self.clock.age_ns(self.ear.now(), self.ear.model_rate_hz(), now)
        {
            self.stats.latency.add(Duration::from_nanos(u64::try_from(age_ns).unwrap_or(0)));
        }
    }

    /// The report of a detection under `rules`: with its label, its id, and its times by a wall clock that is `wall_offset_ns`
    /// ahead.
    pub fn report(&mut self, detection: &Detection, rules: &[Rule], wall_offset_ns: i64) -> Option<Report> {
        let rate_hz = self.ear.model_rate_hz();
        let rule = rules.get(detection.rule)?;
        let milliseconds = |boundary: Boundary| boundary.uncertainty * 1_000 / u64::from(rate_hz);
        let wall_offset_ns = self.open_events.get(&detection.event).map_or(wall_offset_ns, |open| open.wall_offset_ns);
        let clock = &self.clock;
        if let (Some(past), Some(open)) = (&self.embeddings, self.open_events.get_mut(&detection.event)) {
            let (so_far, (onset, end)) = (detection.step.so_far(), detection.step.span(self.ear.now()));
            if so_far.is_confirmed && open.embedding.is_none() {
                open.embedding = past.of_sound(onset, end);
            }
        }
        let is_refused = matches!(detection.step, Step::End { reason: EndReason::Unconfirmed, .. });
        let event = |so_far: &EventSoFar, id: Uuid, offset: Option<Boundary>| {
            let onset = clock.time(so_far.onset.at, rate_hz, wall_offset_ns)?;
            // The duration is a count of samples, whatever the clocks did meanwhile.
            let lasted =
                |offset: Boundary| SignedDuration::from_nanos(duration_ns(offset.at.saturating_sub(so_far.onset.at), rate_hz));
            Some(SoundEvent {
                id,
                subject: rule.subject.clone(),
                source: self.source.clone(),
                onset,
                offset: offset.map(|offset| onset.checked_add(lasted(offset)).unwrap_or(Timestamp::MAX)),
                score: so_far.score,
                peak_score: so_far.peak_score,
                threshold: so_far.threshold,
                level_dbfs: detection.level_dbfs,
                onset_uncertainty_ms: milliseconds(so_far.onset),
                offset_uncertainty_ms: offset.map(milliseconds),
                also: detection.also.iter().filter_map(|other| rules.get(*other)).map(|rule| rule.subject.clone()).collect(),
                is_confirmed: so_far.is_confirmed && !is_refused,
                embedding: None,
            })
        };
        let (report, offset) = match &detection.step {
            Step::Start(so_far) => {
                let event = event(so_far, Uuid::now_v7(), None)?;
                self.stats.event_began();
                self.open_events.insert(detection.event, ReportedEvent { event: event.clone(), wall_offset_ns, embedding: None });
                (Report::EventStart(event), None)
            }
            Step::Update(so_far) => {
                let event = event(so_far, self.open_events.get(&detection.event)?.event.id, so_far.quiet_from)?;
                self.open_events.get_mut(&detection.event)?.event = event.clone();
                (Report::EventUpdate(event), None)
            }
            Step::End { so_far, offset, reason } => {
                let event = event(so_far, self.open_events.get(&detection.event)?.event.id, Some(*offset))?;
                let embedding = self.open_events.remove(&detection.event).and_then(|open| open.embedding);
                (Report::EventEnd(SoundEvent { embedding, ..event }, *reason), Some(offset.at))
            }
        };
        if let (Some(clips), Report::EventStart(event) | Report::EventUpdate(event) | Report::EventEnd(event, _)) =
            (&mut self.clips, &report)
        {
            clips.follow(event, detection.step.so_far().onset.at, offset, rate_hz);
        }
        Some(report)
    }

    /// Hands over the clips that are due.
    pub fn step_clips(&mut self, wall_offset_ns: i64) {
        let (clock, rate_hz) = (&self.clock, self.rate_hz);
        if let Some(clips) = &mut self.clips {
            clips.step(|at| clock.time(at, rate_hz, wall_offset_ns), false);
        }
    }

    /// Takes the memory of the last seconds away, with the clock that places it.
    pub fn take_clips(&mut self) -> Option<(ClipTap, SampleClock)> {
        Some((self.clips.take()?, self.clock.clone()))
    }

    /// The open events with their numbers, as they were reported last, the oldest first.
    pub fn open_events(&self) -> Vec<(u64, &SoundEvent)> {
        let mut open: Vec<(u64, &SoundEvent)> = self.open_events.iter().map(|(number, open)| (*number, &open.event)).collect();
        open.sort_by_key(|(_, event)| (event.onset, event.id));
        open
    }

    /// When the sample with the index `at` at the model's rate was heard, by a wall clock that is `wall_offset_ns` ahead; `None`
    /// before the first arrival.
    pub fn time(&self, at: u64, wall_offset_ns: i64) -> Option<Timestamp> {
        self.clock.time(at, self.ear.model_rate_hz(), wall_offset_ns)
    }

    /// Samples at full scale within the present period of [`CLIPPING_PERIOD_S`].
    pub fn clipped_samples(&self) -> u64 {
        self.clipping.samples
    }

    /// Puts the peaks that the ear has kept into the ring, with their labels' names and their times on the wall clock.
    pub fn store_peaks(&mut self, ring: &mut PeakRing, labels: &Labels, wall_offset_ns: i64) {
        let (source, rate_hz) = (&self.source, self.ear.model_rate_hz());
        for ScorePeak { label, kind, at, score } in self.ear.take_peaks() {
            if let (Some(at), Some(subject)) = (self.clock.time(at, rate_hz, wall_offset_ns), labels.subjects().get(label)) {
                ring.push(RecentPeak { source: source.clone(), subject: subject.clone(), kind, score, at });
            }
        }
    }

    /// Looks for digital silence and clipping in the samples. Returns what is new of them.
    pub fn health(&mut self, samples: &[f32]) -> Option<Report> {
        let rate = u64::from(self.rate_hz);
        if let Some(seconds) = self.silence.hear(samples, self.rate_hz, &self.stats) {
            return Some(Report::SourceSilent { source: self.source.clone(), seconds });
        }
        let clipping = &mut self.clipping;
        clipping.n_samples += samples.len() as u64;
        clipping.samples += samples.iter().filter(|sample| sample.abs() >= FULL_SCALE).count() as u64;
        let reported = (clipping.samples >= CLIPPING_SAMPLES && !clipping.is_reported).then_some(clipping.samples);
        clipping.is_reported |= reported.is_some();
        if clipping.n_samples >= CLIPPING_PERIOD_S * rate {
            *clipping = Clipping::default();
        }
        reported.map(|samples| Report::SourceClipping { source: self.source.clone(), samples })
    }
}
