//! Does what clients ask of the running daemon, and answers.
//!
//! The publishing stage has checked who asks. The analysis answers queries by itself.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Daemon;
use super::directory::file;
use super::editor::Edit;
use crate::analysis::{Command, Now};
use crate::config::edit::{Assignment, Key};
use crate::control::{Control, ThresholdChange};
use crate::detect::rule;
use crate::event::{EndReason, Report, SoundEvent, Subject};

/// How long a made-up event lasts.
const TEST_EVENT: Duration = Duration::from_secs(1);

impl Daemon {
    /// Does what a client asks, and answers.
    pub(super) fn obey(&mut self, control: Control) {
        // An asker that has gone meanwhile misses no answer.
        match control {
            Control::Query(query) => {
                let _ = self.commands.send(Command::Query(query));
            }
            Control::Set { label, change, reply } => {
                let _ = reply.send(self.set(&label, &change));
            }
            Control::Save { label, change, reply } => self.save(&label, &change, reply),
            Control::Reload { reply } => {
                let _ = reply.send(self.reload());
            }
            Control::Pause { seconds, reply } => {
                self.pauses.ask(seconds, Now::read());
                self.keep_quiet();
                let _ = reply.send(());
            }
            Control::Resume { reply } => {
                self.pauses.resume(self.quiet(Now::read()));
                self.keep_quiet();
                let _ = reply.send(());
            }
            Control::Test { label, reply } => {
                let _ = reply.send(self.test(&label));
            }
        }
    }

    /// Has the editor write thresholds into the configuration file, and answer.
    fn save(&mut self, label: &str, change: &ThresholdChange, reply: oneshot::Sender<Result<(), String>>) {
        let no_file = || "the daemon has no configuration file; make one, and start it with that".to_owned();
        let target = self.subject(label).and_then(|subject| Ok((subject, file(&self.raw).ok_or_else(no_file)?)));
        match target {
            Ok((subject, path)) => {
                let ThresholdChange { threshold, start_threshold, release } = *change;
                let numbers = [(Key::Threshold, threshold), (Key::StartThreshold, start_threshold), (Key::Release, release)];
                let set = numbers.into_iter().filter_map(|(key, value)| Some((key, value?)));
                let assignments = set.map(|(key, value)| Assignment::number(&subject, key, value)).collect();
                self.editor.edit(Edit { path, assignments, labels: self.model.labels.clone(), reply });
            }
            Err(sentence) => {
                let _ = reply.send(Err(sentence));
            }
        }
    }

    /// Publishes a made-up event, so that a user can see an automation work.
    fn test(&self, label: &str) -> Result<(), String> {
        let subject = self.subject(label)?;
        let rule = self.config.rules.iter().find(|rule| rule.subject == subject);
        let now = Timestamp::now();
        let event = SoundEvent {
            id: Uuid::now_v7(),
            subject,
            source: "test".into(),
            onset: now,
            offset: None,
            score: 1.0,
            peak_score: 1.0,
            threshold: rule.map_or(1.0, |rule| rule.gate.threshold),
            level_dbfs: 0.0,
            onset_uncertainty_ms: 0,
            offset_uncertainty_ms: None,
            also: Vec::new(),
            // An automation that waits for the confirmation is tried as well.
            is_confirmed: true,
        };
        let ended = SoundEvent { offset: now.checked_add(TEST_EVENT).ok(), ..event.clone() };
        let full = |_| "the daemon has too much to publish just now; try again".to_owned();
        self.reports.try_send(Report::EventStart(event)).map_err(full)?;
        self.reports.send(Report::EventEnd(ended, EndReason::Decay)).map_err(|_| "the daemon is shutting down".to_owned())
    }

    /// The group or the label of this name; a group comes first.
    pub(super) fn subject(&self, name: &str) -> Result<Arc<Subject>, String> {
        rule::find_subject(&self.config.rules, &self.model.labels, name)
    }
}
