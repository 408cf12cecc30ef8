//! Does what clients ask of the running daemon, and answers.
//!
//! The publishing stage has checked who asks. The analysis answers queries by itself.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Daemon;
use super::directory::file;
use super::editor::Edit;
use crate::analysis::{Command, Now};
use crate::config::edit::{Assignment, Key};
use crate::control::{Control, Reporting, ThresholdChange};
use crate::detect::rule::{self, Rule};
use crate::event::{EndReason, Report, SoundEvent, Subject};
use crate::model::hierarchy::LabelHierarchy;

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
            Control::Choose { label, wanted, reply } => self.choose(&label, wanted, reply),
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
            // A queue that is full is told by what is dropped.
            Control::Publish { report } => drop(self.reports.try_send(report)),
            Control::Test { label, reply } => {
                let _ = reply.send(self.test(&label));
            }
        }
    }

    /// Has the editor write thresholds into the configuration file, and answer.
    fn save(&mut self, label: &str, change: &ThresholdChange, reply: oneshot::Sender<Result<(), String>>) {
        let ThresholdChange { threshold, start_threshold, release } = *change;
        let numbers = [(Key::Threshold, threshold), (Key::StartThreshold, start_threshold), (Key::Release, release)];
        let set = numbers.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let assignments =
            self.subject(label).map(|subject| set.map(|(key, value)| Assignment::number(&subject, key, value)).collect());
        self.edit(assignments, reply);
    }

    /// Has the editor write into the configuration file that a label is reported, or is not, and answer.
    fn choose(&mut self, label: &str, wanted: Reporting, reply: oneshot::Sender<Result<(), String>>) {
        let assignments = self.subject(label).and_then(|subject| {
            let label = subject.name.clone();
            let in_group = |rule: &&Rule| {
                rule.subject.is_group() && rule.members.iter().any(|member| self.model.labels.subjects()[*member] == subject)
            };
            if subject.is_group() {
                return Err(format!("{label:?} is a group, which is reported always; take it out of the configuration"));
            }
            if let Some(group) = self.config.rules.iter().find(in_group) {
                return Err(format!("{label:?} is reported as {:?}; take it out of that group first", group.subject.name));
            }
            Ok(vec![match wanted {
                Reporting::Reported => Assignment::Report { label },
                Reporting::LeftOut => Assignment::LeaveOut { label },
            }])
        });
        self.edit(assignments, reply);
    }

    /// Has the editor make assignments in the configuration file, and answer.
    fn edit(&mut self, assignments: Result<Vec<Assignment>, String>, reply: oneshot::Sender<Result<(), String>>) {
        let no_file = || "the daemon has no configuration file; make one, and start it with that".to_owned();
        match assignments.and_then(|assignments| Ok((assignments, file(&self.raw).ok_or_else(no_file)?))) {
            Ok((assignments, path)) => self.editor.edit(Edit { path, assignments, labels: self.model.labels.clone(), reply }),
            Err(sentence) => {
                let _ = reply.send(Err(sentence));
            }
        }
    }

    /// Publishes a made-up event, so that a user can see an automation work. Returns a remark where no sound makes such an event.
    fn test(&mut self, label: &str) -> Result<Option<String>, String> {
        let subject = self.subject(label)?;
        let rule = self.config.rules.iter().find(|rule| rule.subject == subject);
        let note =
            rule.is_none().then(|| format!("[report] leaves {:?} out, so that no sound is told under this name", subject.name));
        let event = SoundEvent {
            id: Uuid::now_v7(),
            also: self.reported_above(&subject),
            subject,
            source: "test".into(),
            onset: Timestamp::now(),
            offset: None,
            score: 1.0,
            peak_score: 1.0,
            threshold: rule.map_or(1.0, |rule| rule.gate.threshold),
            level_dbfs: 0.0,
            onset_uncertainty_ms: 0,
            offset_uncertainty_ms: None,
            // An automation that waits for the confirmation is tried as well.
            is_confirmed: true,
            embedding: None,
        };
        let full = |_| "the daemon has too much to publish just now; try again".to_owned();
        self.reports.try_send(Report::EventStart(event.clone())).map_err(full)?;
        if let Some(early) = self.made_up.begin(event, Instant::now()) {
            let _ = self.reports.send(Report::EventEnd(early, EndReason::Decay));
        }
        Ok(note)
    }

    /// Ends the made-up events whose time is over, or all.
    pub(super) fn end_made_up(&mut self, reason: EndReason, all: bool) {
        while let Some(event) = self.made_up.end(Instant::now(), all) {
            let _ = self.reports.send(Report::EventEnd(event, reason));
        }
    }

    /// The labels above a label, and the groups with it, that are reported: a sound of it is heard as them, too.
    fn reported_above(&self, subject: &Arc<Subject>) -> Vec<Arc<Subject>> {
        let labels = &self.model.labels;
        let Some(index) = labels.subjects().iter().position(|label| label == subject) else { return Vec::new() };
        let hierarchy = LabelHierarchy::new(labels);
        let is_above = |rule: &&Rule| rule.merge && rule.subject != *subject && hierarchy.covers(&rule.members, &[index]);
        self.config.rules.iter().filter(is_above).map(|rule| rule.subject.clone()).collect()
    }

    /// The group or the label of this name; a group comes first.
    pub(super) fn subject(&self, name: &str) -> Result<Arc<Subject>, String> {
        rule::find_subject(&self.config.rules, &self.model.labels, name)
    }
}
