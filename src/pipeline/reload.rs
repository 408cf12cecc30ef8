//! Reload: loads, validates, compares and applies a changed configuration on a running daemon. Stages that it does not concern go
//! on.

use std::sync::Arc;

use super::directory::directory;
use super::{Daemon, ruleset};
use crate::analysis::{Command, Now};
use crate::config::diff::Change;
use crate::config::stamp::Stamp;
use crate::config::{self, Config, Loaded, Raw, Running};
use crate::control::{InForce, ThresholdChange};
use crate::detect::rule::Thresholds;
use crate::event::{EndReason, Report};
use crate::inference::Inference;
use crate::model::Model;
use crate::systemd;

impl Daemon {
    /// Loads the configuration again and applies the changes. An invalid configuration changes nothing. Returns a sentence for
    /// each change, or for each fault.
    pub(super) fn reload(&mut self) -> Result<Vec<String>, Vec<String>> {
        systemd::reloading();
        self.watch.read(self.raw.path.as_deref().and_then(Stamp::of));
        let result = self.load().and_then(|(raw, new, model)| self.apply(raw, new, model));
        match &result {
            Ok(changes) => {
                self.watch.read(self.raw.stamp);
                tracing::info!(changes = changes.join("; "), "the configuration was loaded again");
                self.report_changes(changes.clone());
            }
            Err(faults) => {
                tracing::error!(faults = faults.join("; "), "the new configuration is invalid; the old one stays effective");
                let _ = self.reports.send(Report::ConfigRejected { faults: faults.clone() });
            }
        }
        // A daemon that is not ready yet reports that later.
        if self.status.is_some() {
            systemd::ready(&self.summary());
        }
        result
    }

    /// The configuration that the file holds now, and the model if its settings have changed. Logs the warnings, like the start.
    fn load(&self) -> Result<(Raw, Config, Option<Model>), Vec<String>> {
        let running = Running { settings: &self.config.model, model: &self.model };
        let loaded = config::load(self.config_file.as_deref(), Some(running)).map_err(|error| error.sentences())?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let Loaded { raw, mut config, model, .. } = loaded;
        if self.fixed_sources {
            config.sources = self.config.sources.clone();
        }
        let is_changed =
            config.model != self.config.model || model.sounds != self.model.sounds || model.corrections != self.model.corrections;
        let model = is_changed.then_some(model);
        Ok((raw, config, model))
    }

    /// Sets thresholds until the configuration is loaded again. Returns the effective thresholds, or a sentence for each fault.
    pub(super) fn set(&mut self, name: &str, change: &ThresholdChange) -> Result<InForce, Vec<String>> {
        let subject = self.subject(name).map_err(|what| vec![what])?;
        let mut raw = self.raw.clone();
        raw.set(&subject, change, &self.model.labels);
        // A fault of these numbers is in no file.
        let path = raw.path.take();
        let mut new = raw.validate(&self.model.labels).map_err(|faults| faults.sentences())?.config;
        new.sources = self.config.sources.clone();
        let unreported = || vec![format!("{:?} is not reported by itself; name it under [report] first", subject.name)];
        let rule = new.rules.iter().find(|rule| rule.subject == subject).ok_or_else(unreported)?;
        let thresholds = Thresholds::from(&rule.gate);
        raw.path = path;
        let kept = raw.keep(&subject.name, change);
        let until = match &kept {
            Some(Ok(_)) => "kept",
            Some(Err(_)) | None => "until the configuration is loaded again",
        };
        if let Some(Err(error)) = kept {
            tracing::warn!(%error, "the thresholds that were set cannot be kept");
        }
        if !self.apply(raw, new, None)?.is_empty() {
            let Thresholds { threshold, start_threshold, release } = thresholds;
            let change = format!(
                "{}: threshold {threshold:.3}, start threshold {start_threshold:.3}, release {release:.3}, {until}",
                subject.name
            );
            tracing::info!(change, "thresholds were set");
            self.report_changes(vec![change]);
        }
        Ok(InForce { subject, thresholds })
    }

    /// Reports the changes once the analysis has made them: every report of the rules from before comes first.
    fn report_changes(&self, changes: Vec<String>) {
        let _ = self.commands.send(Command::Report(Report::ConfigReloaded { changes }));
    }

    fn apply(&mut self, raw: Raw, new: Config, model: Option<Model>) -> Result<Vec<String>, Vec<String>> {
        let changes = self.config.changes(&new);
        let learnt = model.as_ref().map(|model| sounds_changed(&self.model, model)).unwrap_or_default();
        let model_changed = model.is_some();
        if let Some(mut model) = model {
            model.gives_embeddings = self.model.gives_embeddings;
            // A process loads ONNX Runtime once. Only the session is created again.
            let opened = Inference::open(&model, &self.runtime, new.model.n_threads());
            let inference = opened.map_err(|error| vec![error.to_string()])?;
            self.model = model.clone();
            let _ = self.commands.send(Command::Model(Box::new((model, inference, ruleset(&new)))));
        } else if changes.contains(&Change::Rules) || self.config.ignored != new.ignored {
            let _ = self.commands.send(Command::Rules(ruleset(&new)));
        }
        self.change_clips(&new, model_changed);
        self.publisher.set_directory(directory(&self.model, &raw, &new), new.sinks.clone());
        if changes.contains(&Change::QuietHours) {
            self.config.quiet_hours = new.quiet_hours.clone();
            self.pauses.forget_resumption();
            // If quiet hours begin, they do so first, so that a new source is not opened.
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
                | Change::Areas
                | Change::Sinks
                | Change::Hooks
                | Change::Store
                | Change::Clips
                | Change::QuietHours
                | Change::Watch(_) => Ok(()),
            };
            if let Err(error) = started {
                tracing::error!(%error, "a source could not be started");
            }
        }
        (self.raw, self.config) = (raw, new);
        self.keep_quiet();
        Ok(changes.iter().map(Change::describe).chain(learnt).collect())
    }

    fn start_named(&mut self, config: &Config, name: &Arc<str>) -> std::io::Result<()> {
        let Some(source) = config.sources.iter().find(|source| source.name == *name).cloned() else { return Ok(()) };
        self.start_source(source)
    }
}

/// A sentence for each learnt sound by which two models differ.
fn sounds_changed(old: &Model, new: &Model) -> Vec<String> {
    let all = |model: &Model| model.sounds.iter().chain(model.corrections.iter()).cloned().collect::<Vec<_>>();
    let find = |model: &Model, name: &str| all(model).into_iter().find(|sound| sound.name == name);
    let mut told = Vec::new();
    for sound in &all(new) {
        match find(old, &sound.name) {
            None => told.push(format!("the learnt sound {:?} is new", sound.name)),
            Some(before) if before != *sound => told.push(format!("the learnt sound {:?} changed", sound.name)),
            Some(_) => {}
        }
    }
    let gone = all(old).into_iter().filter(|sound| find(new, &sound.name).is_none());
    told.extend(gone.map(|sound| format!("the learnt sound {:?} is gone", sound.name)));
    told
}
