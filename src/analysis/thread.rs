//! The loop of the analysis thread: commands, rings, batches, reports.
//!
//! Its buffers are made once; it never waits but for its next command or sample.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, TrySendError};

use super::clock::{Now, WallClock};
use super::load::Load;
use super::peaks::PeakRing;
use super::slot::Slot;
use super::top::top;
use super::{Analysis, Attachment, Command, Outcome, view};
use crate::control::{Shape, View};
use crate::detect::Detection;
use crate::detect::rule::Rule;
use crate::ear::{Ear, MAX_DUE, MAX_PUSH, Settling};
use crate::event::{EndReason, Report};
use crate::inference::{Due, Inference};
use crate::model::MAX_HOPS;
use crate::model::{Model, ModelError};
use crate::stats::SourceState;

/// The longest sleep: a command, or a source whose clock runs fast, never waits longer.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// The shortest sleep, so that a source that is a little late does not spin the loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// The same where there are many sources: so much longer for each of them, up to ten times, so that their windows share batches.
const WAIT_A_SOURCE: Duration = Duration::from_micros(250);
/// Batches that are still scored when the daemon shuts down.
const LAST_STEPS: usize = 4;
/// Reports that are kept while the publishing stage takes none.
const BACKLOG: usize = 8_192;

/// The analysis with its buffers, which are made once.
pub(super) struct Thread {
    analysis: Analysis,
    slots: Vec<Slot>,
    popped: Vec<f32>,
    /// The hops that are scored together.
    due: Vec<Due>,
    load: Load,
    wall: WallClock,
    found: Vec<Detection>,
    backlog: VecDeque<Report>,
    /// The peaks of every label, while a client asks for them.
    peaks: PeakRing,
    /// What those see who look at a source, by the model in force.
    shape: Arc<Shape>,
    /// How many times a source was attached.
    n_attached: u64,
    /// Which slot's windows come first in the next batch, so that none starves.
    turn: usize,
}

enum Next {
    GoOn,
    Stop,
}

impl Thread {
    pub fn new(analysis: Analysis) -> Self {
        let load = Load::new(Instant::now());
        Self {
            slots: Vec::new(),
            popped: vec![0.0; MAX_PUSH],
            due: Vec::with_capacity(MAX_HOPS),
            load,
            wall: WallClock::default(),
            found: Vec::with_capacity(256),
            backlog: VecDeque::with_capacity(64),
            peaks: PeakRing::default(),
            shape: Arc::new(view::shape(&analysis.model)),
            n_attached: 0,
            turn: 0,
            analysis,
        }
    }

    pub fn run(&mut self) -> Result<(), ModelError> {
        self.tell_load();
        loop {
            match self.analysis.commands.recv_timeout(self.time_until_due()) {
                Ok(command) => {
                    if let Next::Stop = self.obey(command) {
                        return self.shut_down();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.shut_down(),
            }
            self.step()?;
            self.drop_peaks_nobody_wants();
            self.flush_backlog();
        }
    }

    /// Takes what the sources delivered, and scores the hops that are due, once and not until nothing is due: a source that delivers
    /// as fast as it is read must not keep commands waiting.
    fn step(&mut self) -> Result<(), ModelError> {
        let started = Instant::now();
        self.listen();
        self.infer()?;
        self.analysis.stats.steps.fetch_add(1, Relaxed);
        self.retire();
        let (now, lag) = (Instant::now(), self.slots.iter().map(Slot::lag).max().unwrap_or_default());
        let is_changed = self.load.take(now, now.duration_since(started), lag);
        self.tell_load();
        if is_changed {
            self.tell_spread();
        }
        Ok(())
    }

    /// Every source is told that windows are scored farther apart now, or nearer again.
    fn tell_spread(&mut self) {
        let hop_ms = self.tell_load();
        tracing::warn!(hop_ms, "the distance of two windows changes, for what there is to do");
        for index in 0..self.slots.len() {
            let source = self.slots[index].source.clone();
            self.publish(Report::Overrun { source, samples: 0, gap_ms: 0, hop_ms });
        }
    }

    /// Puts into the counters how busy the analysis is and how far apart it scores, which it returns, in milliseconds.
    fn tell_load(&self) -> u64 {
        let hop_ms = u64::from(self.analysis.model.detection.hop_ms) * self.load.spread();
        self.analysis.stats.hop_ms.store(hop_ms, Relaxed);
        self.analysis.stats.busy_percent.store((self.load.part() * 100.0).round() as u64, Relaxed);
        hop_ms
    }

    fn obey(&mut self, command: Command) -> Next {
        match command {
            Command::Attach(attachment) => self.attach(*attachment),
            Command::Detach { source, reason, report } => {
                if let Some(index) = self.slots.iter().position(|slot| slot.source == source) {
                    self.end_events(index, reason);
                    self.slots.remove(index);
                }
                if let Some(report) = report {
                    self.publish(report);
                }
            }
            Command::Finish { source } => {
                if let Some(slot) = self.slots.iter_mut().find(|slot| slot.source == source) {
                    slot.finishing = true;
                }
            }
            Command::Rules(rules) => self.replace_rules(rules),
            Command::Model(replacement) => self.replace_model(*replacement),
            Command::Top { k, reply } => {
                // The asker may have gone meanwhile; then nobody misses the answer.
                let _ = reply.send(self.slots.iter().map(|slot| top(slot, &self.analysis.model, k)).collect());
            }
            Command::View { source, since, reply } => {
                let slot = self.slots.iter().find(|slot| slot.source == source);
                let seen = slot.and_then(|slot| view::look(slot, &self.analysis.model, since, self.wall.offset_ns()));
                let _ = reply.send(View { shape: self.shape.clone(), seen });
            }
            Command::Peaks { since, floor, reply } => {
                self.keep_peaks();
                let sources = self.slots.iter().map(|slot| slot.source.clone()).collect();
                let _ = reply.send(self.peaks.answer(since, floor, &self.analysis.model.labels, sources));
            }
            Command::Shutdown => return Next::Stop,
        }
        Next::GoOn
    }

    /// A client asks for peaks: every ear keeps them from now on.
    fn keep_peaks(&mut self) {
        self.peaks.keep(Instant::now());
        let n_labels = self.analysis.inference.n_labels();
        self.slots.iter_mut().for_each(|slot| slot.ear.keep_peaks(n_labels));
    }

    fn drop_peaks_nobody_wants(&mut self) {
        if self.peaks.lapse(Instant::now()) {
            self.slots.iter_mut().for_each(|slot| slot.ear.drop_peaks());
        }
    }

    fn attach(&mut self, mut attachment: Attachment) {
        let report = attachment.report.take();
        let ear = match Ear::new(&self.analysis.model, self.analysis.rules.clone(), attachment.rate_hz) {
            Ok(ear) => ear,
            Err(error) => {
                tracing::error!(source = %attachment.source, %error, "the source cannot be heard");
                self.publish(Report::SourceLost { source: attachment.source, reason: error.to_string() });
                return;
            }
        };
        if let Some(report) = report {
            self.publish(report);
        }
        self.slots.retain(|slot| slot.source != attachment.source);
        self.n_attached += 1;
        let mut slot = Slot::new(attachment, ear, self.n_attached);
        if self.peaks.is_kept() {
            slot.ear.keep_peaks(self.analysis.inference.n_labels());
        }
        self.slots.push(slot);
    }

    /// Pops what the rings hold, as long as no more hops are due of a source than its ear can hold.
    fn listen(&mut self) {
        let now = Now::read();
        if let Some(by_ms) = self.wall.look(now) {
            tracing::warn!(by_ms, "the wall clock was set");
            self.publish(Report::ClockStepped { by_ms });
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
                slot.stats.heard(popped.count as u64, slot.ear.level_dbfs());
                if let Some(report) = slot.health(samples) {
                    self.publish(report);
                }
            }
            if has_come && let Some(missing) = self.slots[index].arrive(now) {
                let gap_ms = self.skip(index, missing);
                let source = self.slots[index].source.clone();
                tracing::warn!(%source, gap_ms, "sound is missing: the machine slept, or the daemon stood still");
                self.publish(Report::SourceGap { source, gap_ms });
            }
        }
    }

    /// The time of a source goes on by samples that nobody will hear; says how long they are, in milliseconds.
    fn skip(&mut self, index: usize, samples: u64) -> u64 {
        self.found.clear();
        let slot = &mut self.slots[index];
        slot.ear.gap(samples, &mut self.found);
        let gap_ms = samples * 1_000 / u64::from(slot.rate_hz);
        self.report_found(index);
        gap_ms
    }

    /// Samples were lost because the ring was full: time goes on by as much, and subscribers are told.
    fn overrun(&mut self, index: usize, samples: u64) {
        let gap_ms = self.skip(index, samples);
        let slot = &mut self.slots[index];
        slot.stats.overrun_samples.fetch_add(samples, Relaxed);
        let source = slot.source.clone();
        tracing::warn!(%source, samples, gap_ms, "samples were lost: the analysis could not keep up");
        let hop_ms = self.tell_load();
        self.publish(Report::Overrun { source, samples, gap_ms, hop_ms });
    }

    /// Scores the hops that are due, as many as can be scored together.
    fn infer(&mut self) -> Result<(), ModelError> {
        self.due.clear();
        let n_slots = self.slots.len();
        // One hop of each source in turn, then the second of each, so that a backlog of one delays no other.
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
        let (inference, stats) = (&mut self.analysis.inference, &self.analysis.stats);
        let before = inference.n_windows();
        inference.score(&mut self.slots, |slot| &mut slot.ear, &self.due, self.load.spread())?;
        if inference.n_windows() > before {
            stats.inferences.fetch_add(1, Relaxed);
            stats.inference_us.fetch_add(started.elapsed().as_micros() as u64, Relaxed);
        }
        let now = Now::read();
        for hop in 0..self.due.len() {
            let index = self.due[hop].source;
            let (scores, is_fresh) = self.analysis.inference.scores(hop);
            let slot = &mut self.slots[index];
            self.found.clear();
            slot.ear.take_scores(scores, is_fresh, &mut self.found);
            slot.stats.windows.fetch_add(1, Relaxed);
            slot.record_latency(now);
            if self.peaks.is_kept() {
                slot.store_peaks(&mut self.peaks, self.wall.offset_ns());
                self.peaks.hear(slot.ear.hop_s() / n_slots as f64);
            }
            self.report_found(index);
        }
        Ok(())
    }

    /// Lets go of the sources that have been heard to their end.
    fn retire(&mut self) {
        while let Some(index) =
            self.slots.iter().position(|slot| slot.finishing && slot.reader.available() == 0 && slot.ear.n_due() == 0)
        {
            if self.slots[index].ear.settle() == Settling::More {
                // The rest of its silence comes with the next step.
                return;
            }
            self.end_events(index, EndReason::Decay);
            let slot = self.slots.remove(index);
            slot.stats.enter(SourceState::Ended);
            // A pipeline that is gone needs no outcome.
            let _ = self.analysis.outcomes.send(Outcome::Finished { source: slot.source });
        }
    }

    fn end_events(&mut self, index: usize, reason: EndReason) {
        self.found.clear();
        self.slots[index].ear.close(reason, &mut self.found);
        self.slots[index].store_peaks(&mut self.peaks, self.wall.offset_ns());
        self.report_found(index);
    }

    fn replace_rules(&mut self, rules: Vec<Rule>) {
        for index in 0..self.slots.len() {
            self.found.clear();
            // The ends of the events that the change closes are told under the old rules.
            self.slots[index].ear.replace_rules(rules.clone(), &mut self.found);
            self.report_found(index);
        }
        self.analysis.rules = rules;
    }

    fn replace_model(&mut self, (model, inference, rules): (Model, Inference, Vec<Rule>)) {
        for index in 0..self.slots.len() {
            self.end_events(index, EndReason::Paused);
        }
        // The peaks of the old model's labels are not the new one's.
        self.peaks.clear();
        self.analysis.rules = rules;
        self.shape = Arc::new(view::shape(&model));
        self.analysis.model = model;
        self.analysis.inference = inference;
        self.tell_load();
        for slot in std::mem::take(&mut self.slots) {
            let finishing = slot.finishing;
            self.attach(slot.into_attachment());
            if let Some(slot) = self.slots.last_mut() {
                slot.finishing = finishing;
            }
        }
    }

    fn shut_down(&mut self) -> Result<(), ModelError> {
        // What is in the rings was heard before the order came: it still counts.
        // Only so much of it, though: standard input may go on for ever.
        for _ in 0..LAST_STEPS {
            self.step()?;
        }
        for index in 0..self.slots.len() {
            self.end_events(index, EndReason::Shutdown);
        }
        let deadline = Instant::now() + Duration::from_millis(500);
        while let Some(report) = self.backlog.pop_front() {
            if self.analysis.reports.send_deadline(report, deadline).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Publishes what a slot's ear found.
    fn report_found(&mut self, index: usize) {
        let (mut found, rules) = (std::mem::take(&mut self.found), std::mem::take(&mut self.analysis.rules));
        for detection in found.drain(..) {
            if let Some(report) = self.slots[index].report(&detection, &rules, self.wall.offset_ns()) {
                self.publish(report);
            }
        }
        (self.found, self.analysis.rules) = (found, rules);
    }

    /// Hands a report over without ever waiting; order is kept.
    fn publish(&mut self, report: Report) {
        self.flush_backlog();
        let refused = if self.backlog.is_empty() {
            match self.analysis.reports.try_send(report) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(report)) => report,
            }
        } else {
            report
        };
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back(refused);
        } else {
            self.analysis.stats.dropped_reports.fetch_add(1, Relaxed);
        }
    }

    fn flush_backlog(&mut self) {
        while let Some(report) = self.backlog.pop_front() {
            if let Err(TrySendError::Full(report)) = self.analysis.reports.try_send(report) {
                self.backlog.push_front(report);
                return;
            }
        }
    }

    /// How long until the next source has a window due, by its own rate; nothing where one is due already.
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
