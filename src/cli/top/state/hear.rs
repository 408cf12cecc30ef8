//! The changes of the state by a line of the daemon.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use super::{Pending, TopState};
use crate::cli::pretty::{clock_stepped, gap, paused, resumed};
use crate::publish::wire::{Body, Line, SourceState, Status, Thresholds, Top};

impl TopState {
    /// Applies a line of the daemon to the state.
    pub fn take(&mut self, line: Line, now: Instant) {
        self.answered_at = now;
        match line.body {
            Body::Top { sources } => {
                self.answered(|pending| *pending == Pending::Top);
                if !self.is_paused {
                    self.clock = line.ts.and_then(|ts| ts.parse().ok());
                    self.hear(sources, now);
                }
            }
            Body::Status(status) => {
                self.answered(|pending| *pending == Pending::Status);
                self.health(*status);
            }
            Body::Set { label, thresholds, .. } => {
                if let Some(Pending::Set(asked)) = self.answered(|pending| matches!(pending, Pending::Set(_))) {
                    self.changes.taken(&asked, thresholds);
                }
                self.in_force(&label, thresholds, now);
            }
            Body::Error { message, .. } => {
                match self.pending.pop_front() {
                    Some(Pending::Set(asked)) => self.changes.refused(&asked),
                    Some(Pending::Reload) => self.written = None,
                    _ => {}
                }
                self.warn(message, now);
            }
            Body::Subscribed { .. } => {
                self.answered(|pending| *pending == Pending::Subscribe);
            }
            Body::ConfigReloaded { .. } if self.answered(|pending| *pending == Pending::Reload).is_some() => self.reloaded(now),
            Body::ConfigRejected { faults } => {
                if self.answered(|pending| *pending == Pending::Reload).is_some() {
                    self.written = None;
                }
                self.warn(format!("the new configuration is refused: {}", faults.join("; ")), now);
            }
            Body::SourceLost { source, reason } => {
                self.source_is(&source, SourceState::Lost);
                self.warn(format!("{source} is lost: {reason}"), now);
            }
            Body::SourceRestored { source } => {
                self.source_is(&source, SourceState::Live);
                self.say(format!("{source} is back"), now);
            }
            Body::SourceSilent { source, seconds } => {
                self.warn(format!("{source} has been digitally silent for {seconds} s"), now);
            }
            Body::SourceGap { source, gap_ms } => self.warn(gap(&source, gap_ms), now),
            Body::Summary(summary) => self.say(summary.sentence(), now),
            Body::ClockStepped { by_ms } => self.warn(clock_stepped(by_ms), now),
            Body::Paused { reason, until } => {
                let sent_at = line.ts.and_then(|ts| ts.parse().ok()).unwrap_or_default();
                let pause = paused(&reason, until.as_deref(), sent_at, &self.zone);
                self.warn(format!("nothing is heard: {pause}"), now);
            }
            Body::Resumed { reason } => self.say(resumed(&reason), now),
            Body::SourceClipping { source, samples } => {
                self.warn(format!("{source} clips ({samples} samples): lower its gain"), now);
            }
            Body::Overrun { source, gap_ms, .. } => {
                self.warn(format!("{source} lost {gap_ms} ms: the machine is too busy"), now);
            }
            _ => {}
        }
    }

    fn hear(&mut self, tops: Vec<Top>, now: Instant) {
        if !tops.iter().map(|top| &top.source).eq(self.sources.iter().map(|source| &source.key)) {
            self.name_sources(tops.iter().map(|top| top.source.as_str()));
        }
        self.check(&tops, now);
        // A label has the same thresholds on every source.
        let labels = tops.iter().flat_map(|top| &top.labels);
        let gone: Vec<String> = labels
            .filter(|label| label.thresholds().is_some_and(|now| self.changes.forget_unless(&label.label, now)))
            .map(|label| label.label.clone())
            .collect();
        if !gone.is_empty() {
            let what =
                "was set by another client, or the configuration was loaded again; the change that was not written is lost";
            self.warn(format!("{} {what}", gone.join(", ")), now);
        }
        let kept: HashSet<&str> = self.changes.names().collect();
        for (source, top) in self.sources.iter_mut().zip(tops) {
            source.take(top, &kept);
        }
        self.is_changed = true;
    }

    fn health(&mut self, status: Status) {
        self.config = status.config.map(PathBuf::from);
        for source in status.sources {
            self.source_is(&source.name, source.state);
        }
    }

    fn source_is(&mut self, name: &str, state: SourceState) {
        let source = self.sources.iter_mut().find(|source| source.key == name);
        if let Some(source) = source
            && source.state.replace(state.clone()) != Some(state)
        {
            self.is_changed = true;
        }
    }

    fn in_force(&mut self, name: &str, thresholds: Thresholds, now: Instant) {
        let Thresholds { threshold, start_threshold, release } = thresholds;
        for label in self.sources.iter_mut().filter_map(|source| source.label_mut(name)) {
            label.now.threshold = Some(threshold);
            label.now.start_threshold = Some(start_threshold);
            label.now.release = Some(release);
        }
        self.say(format!("{name}: threshold {threshold}, start threshold {start_threshold}, release {release}"), now);
    }

    /// The daemon has loaded the configuration file that was written.
    fn reloaded(&mut self, now: Instant) {
        let thresholds = self.changes.all().map(|(label, threshold)| (label.to_owned(), threshold)).collect();
        self.changes.clear();
        self.poll_at = now;
        if let Some(path) = self.written.take() {
            self.say(format!("{} is written and in force", path.display()), now);
            self.expected = Some((path, thresholds));
        }
    }

    /// Checks whether the thresholds that were written are in force. The daemon may read another file than the one that was
    /// written, because it may look for a configuration in other places than this user.
    fn check(&mut self, tops: &[Top], now: Instant) {
        let Some((path, thresholds)) = self.expected.take() else { return };
        let labels = || tops.iter().flat_map(|top| &top.labels);
        let is_other = |name: &str, threshold: f64| {
            labels()
                .filter(|label| label.label == name)
                .filter_map(|label| label.threshold)
                .any(|now| (now - threshold).abs() > 2e-4)
        };
        if thresholds.iter().any(|(label, threshold)| is_other(label, *threshold)) {
            let path = path.display();
            self.warn(format!("{path} is written, but the daemon does not read it; start it with --config {path}"), now);
        }
    }
}
