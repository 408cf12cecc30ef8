//! Load, check, compare, apply: a changed configuration on a running daemon. What it does not concern goes on.

use std::sync::Arc;

use super::{Daemon, directory, model_info, ruleset};
use crate::analysis::{Command, Now};
use crate::config::diff::Change;
use crate::config::stamp::Stamp;
use crate::config::{self, Config, Raw};
use crate::control::{InForce, ThresholdChange};
use crate::detect::rule::Thresholds;
use crate::event::{EndReason, Report};
use crate::inference::Inference;
use crate::model::Model;
use crate::systemd;

impl Daemon {
    /// Loads the configuration again and applies what changed; a bad one changes nothing. Says what changed, or what is wrong.
    pub(super) fn reload(&mut self) -> Result<Vec<String>, Vec<String>> {
        systemd::reloading();
        self.watch.read(self.raw.path.as_deref().and_then(Stamp::of));
        let result = self.load().and_then(|(raw, new, model)| self.apply(raw, new, model));
        let report = match &result {
            Ok(changes) => {
                self.watch.read(self.raw.stamp);
                tracing::info!(changes = changes.join("; "), "the configuration was loaded again");
                Report::ConfigReloaded { changes: changes.clone() }
            }
            Err(faults) => {
                tracing::error!(faults = faults.join("; "), "the new configuration is refused; the old one stays in force");
                Report::ConfigRejected { faults: faults.clone() }
            }
        };
        let _ = self.reports.send(report);
        // A daemon that was not ready before the reload says so when it is.
        if self.told.is_some() {
            systemd::ready(&self.summary());
        }
        result
    }

    /// The configuration as it is in the file now, and the model that it asks for, where that is another one or is used otherwise.
    fn load(&self) -> Result<(Raw, Config, Option<Model>), Vec<String>> {
        let raw = config::read(self.config_file.as_deref()).map_err(|faults| faults.sentences())?;
        // Another model has other labels, so it is opened before the rules are checked.
        let open = || Model::open(&raw.model.dir.value).map_err(|error| vec![error.to_string()]);
        let mut model = if raw.model.dir.value == self.config.model.dir { None } else { Some(open()?) };
        let labels = model.as_ref().map_or(&self.labels, |model| &model.labels);
        let loaded = raw.validate(labels).map_err(|faults| faults.sentences())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let mut config = loaded.config;
        if model.is_none() && config.model != self.config.model {
            model = Some(open()?);
        }
        if let Some(model) = &mut model {
            let unfit = |what| vec![raw.detection_fault(what).to_string()];
            model.override_detection(&config.model.detection).map_err(unfit)?;
        }
        if self.fixed_sources {
            config.sources = self.config.sources.clone();
        }
        Ok((raw, config, model))
    }

    /// Sets thresholds until the configuration is loaded again. Returns the thresholds in force then, or the sentences that say what is
    /// wrong.
    pub(super) fn set(&mut self, name: &str, change: &ThresholdChange) -> Result<InForce, Vec<String>> {
        let subject = self.subject(name).map_err(|what| vec![what])?;
        let mut raw = self.raw.clone();
        raw.set(&subject, change, &self.labels);
        // What is wrong with these numbers stands in no file.
        let path = raw.path.take();
        let mut new = raw.validate(&self.labels).map_err(|faults| faults.sentences())?.config;
        new.sources = self.config.sources.clone();
        let unreported = || vec![format!("{:?} is not reported by itself; name it under [report] first", subject.name)];
        let rule = new.rules.iter().find(|rule| rule.subject == subject).ok_or_else(unreported)?;
        let thresholds = Thresholds::from(&rule.gate);
        raw.path = path;
        if !self.apply(raw, new, None)?.is_empty() {
            let Thresholds { threshold, start_threshold, release } = thresholds;
            let change = format!(
                "{}: threshold {threshold:.3}, start threshold {start_threshold:.3}, release {release:.3}, until the configuration is loaded again",
                subject.name
            );
            tracing::info!(change, "thresholds were set");
            let _ = self.reports.send(Report::ConfigReloaded { changes: vec![change] });
        }
        Ok(InForce { subject, thresholds })
    }

    fn apply(&mut self, raw: Raw, new: Config, model: Option<Model>) -> Result<Vec<String>, Vec<String>> {
        let changes = self.config.changes(&new);
        if let Some(model) = model {
            // The process has one ONNX Runtime for life; only the session is made anew.
            let opened = Inference::open(&model, &self.runtime, new.model.n_threads());
            let inference = opened.map_err(|error| vec![error.to_string()])?;
            self.labels = model.labels.clone();
            self.model = model_info(&model);
            let _ = self.commands.send(Command::Model(Box::new((model, inference, ruleset(&new)))));
        } else if changes.contains(&Change::Rules) || self.config.ignored != new.ignored {
            let _ = self.commands.send(Command::Rules(ruleset(&new)));
        }
        self.publisher.set_directory(directory(&self.model, &self.labels, &raw, &new));
        if changes.contains(&Change::QuietHours) {
            self.config.quiet_hours = new.quiet_hours.clone();
            self.pauses.forget_resumption();
            // Where they begin, they come first: a source that is new in them is not opened.
            if self.quiet(Now::read()).is_some() {
                self.keep_quiet();
            }
        }
        for change in &changes {
            let started = match change {
                Change::SourceRemoved(name) => {
                    self.stop_source(name, EndReason::Paused);
                    Ok(())
                }
                Change::SourceChanged(name) => {
                    self.stop_source(name, EndReason::Paused);
                    self.start_named(&new, name)
                }
                Change::SourceAdded(name) => self.start_named(&new, name),
                Change::SilentAfter(name) => {
                    let source = new.sources.iter().find(|source| source.name == *name);
                    if let (Some(thread), Some(source)) = (self.sources.get(name), source) {
                        thread.set_silent_after_ms(source.silent_after_ms);
                    }
                    Ok(())
                }
                Change::Socket
                | Change::Model
                | Change::Log
                | Change::Rules
                | Change::Sinks
                | Change::QuietHours
                | Change::Watch(_) => Ok(()),
            };
            if let Err(error) = started {
                tracing::error!(%error, "a source could not be started");
            }
        }
        (self.raw, self.config) = (raw, new);
        self.keep_quiet();
        Ok(changes.iter().map(Change::describe).collect())
    }

    fn start_named(&mut self, config: &Config, name: &Arc<str>) -> std::io::Result<()> {
        let Some(source) = config.sources.iter().find(|source| source.name == *name).cloned() else { return Ok(()) };
        self.start_source(source)
    }
}
