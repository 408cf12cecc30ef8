//! The loop of the analysis thread: commands, rings, batches, reports.
//!
//! Its buffers are made once. It waits for nothing but its next command or sample.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::backgrounds::Backgrounds;
use super::clips::Clips;
use super::clock::{Now, WallClock};
use super::embeddings::EmbeddingPast;
use super::outbox::Outbox;
use super::peaks::PeakRing;
use super::query::ViewShape;
use super::shedding::LoadShedding;
use super::slot::Slot;
use super::{Analysis, Attachment, Command, Outcome, Ruleset, view};
use crate::detect::Detection;
use crate::ear::{Ear, MAX_DUE, MAX_PUSH, Settling};
use crate::event::{EndReason, Report};
use crate::inference::{Due, Inference};
use crate::model::{MAX_HOPS, Model, ModelError};
use crate::stats::{SourceState, Stats};

/// The longest sleep, so that a source whose clock runs fast never waits longer.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// The shortest sleep, so that a source that is a little late does not spin the loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// The shortest sleep is at least so long for each source, of which up to 80 count, so that the windows of many sources share
/// batches.
const WAIT_A_SOURCE: Duration = Duration::from_micros(250);
/// Steps that are still taken when the daemon shuts down.
const LAST_STEPS: usize = 4;
/// How long the publishing stage has at the end to take the reports that wait.
const DRAINING: Duration = Duration::from_millis(500);

/// The analysis with its buffers, which are made once.
pub(super) struct Thread {
    pub(super) model: Model,
    pub(super) inference: Inference,
    pub(super) ruleset: Ruleset,
    commands: Receiver<Command>,
    outcomes: Sender<Outcome>,
    outbox: Outbox,
    stats: Arc<Stats>,
    pub(super) slots: Vec<Slot>,
    popped: Vec<f32>,
    /// The hops that are scored together.
    due: Vec<Due>,
    shedding: LoadShedding,
    pub(super) wall: WallClock,
    found: Vec<Detection>,
    /// The recent peaks of every label, while a client asks for them.
    pub(super) peaks: PeakRing,
    /// The shape of views with the model in force.
    pub(super) shape: Arc<ViewShape>,
    /// How many times a source was attached.
    n_attached: u64,
    /// The slot whose windows come first in the next batch, so that none starves.
    turn: usize,
    /// The backgrounds of the sources that are not attached.
    pub(super) backgrounds: Backgrounds,
    /// The clips, where they are on.
    clips: Clips,
}

impl Thread {
    pub fn new(analysis: Analysis) -> Self {
        let Analysis { model, inference, ruleset, commands, reports, outcomes, stats, backgrounds } = analysis;
        Self {
            shape: Arc::new(view::shape(&model)),
            model,
            inference,
            ruleset,
            commands,
            outcomes,
            outbox: Outbox::new(reports, stats.clone()),
            stats,
            slots: Vec::new(),
            popped: vec![0.0; MAX_PUSH],
            due: Vec::with_capacity(MAX_HOPS),
            shedding: LoadShedding::new(Instant::now()),
            wall: WallClock::default(),
            found: Vec::with_capacity(256),
            peaks: PeakRing::default(),
            n_attached: 0,
            turn: 0,
            backgrounds,
            clips: Clips::default(),
        }
    }

    pub fn run(&mut self) -> Result<(), ModelError> {
        self.count_load();
        loop {
            match self.commands.recv_timeout(self.time_until_due()) {
                Ok(command) => {
                    if self.obey(command).is_break() {
                        return self.shut_down();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.shut_down(),
            }
            self.step()?;
            self.drop_unwanted_peaks();
            self.outbox.flush();
        }
    }

    /// Takes the samples that the sources delivered, and scores the hops that are due. It does so once and not until nothing is
    /// due, for a source that delivers as fast as it is read must not keep commands waiting.
    fn step(&mut self) -> Result<(), ModelError> {
        let started = Instant::now();
        self.listen();
        self.infer()?;
        self.stats.steps.fetch_add(1, Relaxed);
        self.clips.step(&mut self.slots, self.wall.offset_ns());
        self.retire();
        let (now, lag) = (Instant::now(), self.slots.iter().map(Slot::lag).max().unwrap_or_default());
        let is_changed = self.shedding.take(now, now.duration_since(started), lag);
        self.count_load();
        if is_changed {
            self.report_hop();
        }
        Ok(())
    }

    /// Reports of every source that its windows are scored farther apart now, or nearer again.
    fn report_hop(&mut self) {
        let hop_ms = self.count_load();
        tracing::warn!(hop_ms, "the distance of two windows changes with the load");
        for index in 0..self.slots.len() {
            let source = self.slots[index].source.clone();
            self.outbox.publish(Report::Overrun { source, samples: 0, gap_ms: 0, hop_ms });
        }
    }

    /// Puts the load and the distance of two scored windows into the counters. Returns that distance in milliseconds.
    fn count_load(&self) -> u64 {
        let hop_ms = u64::from(self.model.detection.hop_ms) * self.shedding.hop_stride();
        self.stats.hop_ms.store(hop_ms, Relaxed);
        self.stats.busy_percent.store((self.shedding.busy_part() * 100.0).round() as u64, Relaxed);
        hop_ms
    }

    /// Does what a command asks; breaks where that is to shut down.
    fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Attach(attachment) => self.attach(*attachment),
            Command::Detach { source, reason, report } => {
                if let Some(index) = self.slots.iter().position(|slot| slot.source == source) {
                    self.end_events(index, reason);
                    let mut slot = self.slots.remove(index);
                    match reason {
                        EndReason::Paused => self.clips.give_up(&mut slot, self.wall.offset_ns()),
                        _ => self.clips.leave(&mut slot, self.wall.offset_ns()),
                    }
                    self.backgrounds.keep(&slot.source, &slot.ear);
                }
                if let Some(report) = report {
                    self.outbox.publish(report);
                }
            }
            Command::Finish { source } => {
                if let Some(slot) = self.slots.iter_mut().find(|slot| slot.source == source) {
                    slot.finishing = true;
                }
            }
            Command::Rules(ruleset) => self.replace_rules(ruleset),
            Command::Clips(handover) => self.clips.change(handover, &mut self.slots),
            Command::Model(replacement) => self.replace_model(*replacement),
            Command::Report(report) => self.outbox.publish(report),
            Command::Query(query) => self.answer(query),
            Command::Shutdown => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn drop_unwanted_peaks(&mut self) {
        if self.peaks.lapse(Instant::now()) {
            self.slots.iter_mut().for_each(|slot| slot.ear.drop_peaks());
        }
    }

    fn attach(&mut self, mut attachment: Attachment) {
        let report = attachment.report.take();
        let mut ear = match Ear::new(&self.model, self.ruleset.rules.clone(), attachment.rate_hz) {
            Ok(ear) => ear,
            Err(error) => {
                tracing::error!(source = %attachment.source, %error, "the source cannot be heard");
                self.outbox.publish(Report::SourceLost { source: attachment.source, reason: error.to_string() });
                return;
            }
        };
        if let Some(report) = report {
            self.outbox.publish(report);
        }
        self.slots.retain(|slot| slot.source != attachment.source);
        self.backgrounds.restore(&attachment.source, &mut ear);
        self.n_attached += 1;
        let mut slot = Slot::new(attachment, ear, self.n_attached);
        if self.model.gives_embeddings {
            slot.embeddings = Some(EmbeddingPast::new(self.inference.embedding_size(), slot.ear.windows_samples()));
        }
        slot.clips = self.clips.tap(&slot.source, slot.rate_hz, slot.ear.hop_s());
        if self.peaks.is_kept() {
            slot.ear.keep_peaks(self.inference.n_labels());
        }
        self.slots.push(slot);
    }

    /// Pops the samples from the rings, as long as the ear of a source has room for more hops that are due.
    fn listen(&mut self) {
        let now = Now::read();
        if let Some(by_ms) = self.wall.look(now) {
            tracing::warn!(by_ms, "the wall clock was set");
            self.outbox.publish(Report::ClockStepped { by_ms });
        }
        for index in 0..self.slots.len() {
            let mut has_come = false;
            loop {
                let slot = &mut self.slots[index];
                if !slot.ear.has_room() {
                    break;
                }
                let popped = slot.reader.pop(&mut self.popped);
                if popped.count == 0 {
                    if slot.finishing {
                        slot.ear.end_input();
                        if slot.ear.settle() == Settling::More {
                            continue;
                        }
                    }
                    break;
                }
                has_come = true;
                slot.take(popped.count as u64);
                if popped.gap_before > 0 {
                    self.overrun(index, popped.gap_before);
                }
                let samples = &self.popped[..popped.count];
                let slot = &mut self.slots[index];
                slot.ear.push(samples);
                slot.clips.iter_mut().for_each(|clips| clips.push(samples));
                slot.stats.record_samples(popped.count as u64, slot.ear.level_dbfs());
                if let Some(report) = slot.health(samples) {
                    self.outbox.publish(report);
                }
            }
            if has_come && let Some(missing) = self.slots[index].arrive(now) {
                let gap_ms = self.skip(index, missing);
                let source = self.slots[index].source.clone();
                tracing::warn!(%source, gap_ms, "sound is missing: the source paused, the machine slept, or the daemon stood still");
                self.outbox.publish(Report::SourceGap { source, gap_ms });
            }
        }
    }

    /// Moves the time of a source on by samples that are lost. Returns their length in milliseconds.
    fn skip(&mut self, index: usize, samples: u64) -> u64 {
        self.found.clear();
        let slot = &mut self.slots[index];
        slot.ear.gap(samples, &mut self.found);
        slot.clips.iter_mut().for_each(|clips| clips.gap(samples));
        let gap_ms = samples * 1_000 / u64::from(slot.rate_hz);
        self.report_found(index);
        gap_ms
    }

    /// Reports samples that were lost because the ring was full, and moves the source's time on by as many.
    fn overrun(&mut self, index: usize, samples: u64) {
        let gap_ms = self.skip(index, samples);
        let slot = &mut self.slots[index];
        slot.stats.overrun_samples.fetch_add(samples, Relaxed);
        let source = slot.source.clone();
        tracing::warn!(%source, samples, gap_ms, "samples were lost: the analysis could not keep up");
        let hop_ms = self.count_load();
        self.outbox.publish(Report::Overrun { source, samples, gap_ms, hop_ms });
    }

    /// Scores the hops that are due, as many as can be scored together.
    fn infer(&mut self) -> Result<(), ModelError> {
        self.due.clear();
        let n_slots = self.slots.len();
        // One hop of each source in turn, then the second of each, so that the backlog of one delays no other.
        for ahead in 0..MAX_DUE {
            let before = self.due.len();
            for step in 0..n_slots {
                let source = (self.turn + step) % n_slots;
                if self.due.len() < MAX_HOPS && self.slots[source].ear.n_due() > ahead {
                    self.due.push(Due { source, ahead });
                }
            }
            if self.due.len() == before || self.due.len() == MAX_HOPS {
                break;
            }
        }
        if self.due.is_empty() {
            return Ok(());
        }
        self.turn = (self.turn + 1) % n_slots;
        let started = Instant::now();
        let before = self.inference.n_windows();
        self.inference.score(&mut self.slots, |slot| &mut slot.ear, &self.due, self.shedding.hop_stride())?;
        if self.inference.n_windows() > before {
            self.stats.inferences.fetch_add(1, Relaxed);
            self.stats.inference_us.fetch_add(started.elapsed().as_micros() as u64, Relaxed);
        }
        let now = Now::read();
        for hop in 0..self.due.len() {
            let index = self.due[hop].source;
            let (scores, is_fresh) = self.inference.scores(hop);
            let slot = &mut self.slots[index];
            self.found.clear();
            slot.ear.take_scores(scores, is_fresh, &mut self.found);
            if let Some(past) = &mut slot.embeddings {
                past.push(slot.ear.now(), |length| self.inference.embedding(hop, length));
            }
            if let Some(clips) = &mut slot.clips {
                clips.hear_voice(slot.ear.now(), slot.ear.model_rate_hz(), scores, is_fresh);
            }
            slot.stats.windows.fetch_add(1, Relaxed);
            slot.record_latency(now);
            if self.peaks.is_kept() {
                slot.store_peaks(&mut self.peaks, &self.model.labels, self.wall.offset_ns());
                self.peaks.hear(slot.ear.hop_s() / n_slots as f64);
            }
            self.report_found(index);
        }
        Ok(())
    }

    /// Removes the sources that have been heard to their end.
    fn retire(&mut self) {
        while let Some(index) =
            self.slots.iter().position(|slot| slot.finishing && slot.reader.available() == 0 && slot.ear.n_due() == 0)
        {
            if self.slots[index].ear.settle() == Settling::More {
                // The next step pushes the rest of its silence.
                return;
            }
            self.end_events(index, EndReason::Decay);
            let mut slot = self.slots.remove(index);
            self.clips.leave(&mut slot, self.wall.offset_ns());
            slot.stats.record_state(SourceState::Ended);
            // A pipeline that is gone needs no outcome.
            let _ = self.outcomes.send(Outcome::Finished { source: slot.source });
        }
    }

    fn end_events(&mut self, index: usize, reason: EndReason) {
        self.found.clear();
        self.slots[index].ear.close(reason, &mut self.found);
        self.slots[index].store_peaks(&mut self.peaks, &self.model.labels, self.wall.offset_ns());
        self.report_found(index);
    }

    fn replace_rules(&mut self, ruleset: Ruleset) {
        // The labels that the report leaves out concern no ear.
        if ruleset.rules != self.ruleset.rules {
            for index in 0..self.slots.len() {
                self.found.clear();
                // The ends of the events that the change closes are reported under the old rules.
                self.slots[index].ear.replace_rules(ruleset.rules.clone(), &mut self.found);
                self.report_found(index);
            }
        }
        self.ruleset = ruleset;
    }

    fn replace_model(&mut self, (model, inference, ruleset): (Model, Inference, Ruleset)) {
        for index in 0..self.slots.len() {
            self.end_events(index, EndReason::Paused);
        }
        // The peaks and the backgrounds of the old model's labels are not the new one's.
        self.peaks.clear();
        self.backgrounds = Backgrounds::default();
        self.ruleset = ruleset;
        self.shape = Arc::new(view::shape(&model));
        self.model = model;
        self.inference = inference;
        self.count_load();
        for slot in std::mem::take(&mut self.slots) {
            let finishing = slot.finishing;
            self.attach(slot.into_attachment());
            if let Some(slot) = self.slots.last_mut() {
                slot.finishing = finishing;
            }
        }
    }

    fn shut_down(&mut self) -> Result<(), ModelError> {
        // The samples in the rings came before the order, so they still count; but only so many, for standard input may go on for
        // ever.
        for _ in 0..LAST_STEPS {
            self.step()?;
        }
        for index in 0..self.slots.len() {
            self.end_events(index, EndReason::Shutdown);
            self.clips.leave(&mut self.slots[index], self.wall.offset_ns());
            self.backgrounds.keep(&self.slots[index].source, &self.slots[index].ear);
        }
        self.clips.finish(self.wall.offset_ns());
        self.outbox.drain(Instant::now() + DRAINING);
        Ok(())
    }

    /// Publishes what a slot's ear found.
    fn report_found(&mut self, index: usize) {
        for detection in self.found.drain(..) {
            if let Some(report) = self.slots[index].report(&detection, &self.ruleset.rules, self.wall.offset_ns()) {
                self.outbox.publish(report);
            }
        }
    }

    /// How long until the next source has a window due, by its own rate; zero where one is due already.
    fn time_until_due(&self) -> Duration {
        let shortest = SHORTEST_WAIT.max(WAIT_A_SOURCE * self.slots.len().min(80) as u32);
        let now = Instant::now();
        let due = self.slots.iter().map(|slot| match slot.time_until_due(now) {
            Duration::ZERO => Duration::ZERO,
            wait => wait.max(shortest),
        });
        due.min().unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)
    }
}
