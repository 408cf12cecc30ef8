//! The differences between two configurations, which a reload applies.

use std::sync::Arc;

use super::Config;
use crate::capture::source::SourceConfig;

/// One difference between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The socket; takes effect at a restart.
    Socket,
    /// The model, or how it is run.
    Model,
    /// The log; takes effect at a restart.
    Log,
    /// The rules.
    Rules,
    /// The places of the sources.
    Areas,
    /// The sinks.
    Sinks,
    /// The hooks.
    Hooks,
    /// The store; takes effect at a restart.
    Store,
    /// The clips.
    Clips,
    /// The quiet hours.
    QuietHours,
    /// Whether the file is watched from now on.
    Watch(bool),
    /// A new source.
    SourceAdded(Arc<str>),
    /// A source that was removed.
    SourceRemoved(Arc<str>),
    /// A source that has to be opened again.
    SourceChanged(Arc<str>),
    /// A source that is reported as silent after another time. It need not be opened again.
    SilentAfter(Arc<str>),
}

impl Change {
    /// One sentence for people.
    pub fn describe(&self) -> String {
        match self {
            Change::Socket => "[socket] changed; it takes effect when the daemon is restarted".to_owned(),
            Change::Model => "[model] changed".to_owned(),
            Change::Store => "[store] changed; it takes effect when the daemon is restarted".to_owned(),
            Change::Log => "[log] changed; it takes effect when the daemon is restarted".to_owned(),
            Change::Rules => "the labels, groups or thresholds changed".to_owned(),
            Change::Areas => "the area of a source changed".to_owned(),
            Change::Sinks => "[sinks] changed".to_owned(),
            Change::Hooks => "[[hooks]] changed".to_owned(),
            Change::Clips => "[clips] changed, or whose sound is kept".to_owned(),
            Change::QuietHours => "quiet_hours changed".to_owned(),
            Change::Watch(true) => "the configuration file is watched from now on".to_owned(),
            Change::Watch(false) => "the configuration file is no longer watched".to_owned(),
            Change::SourceAdded(name) => format!("the source {name:?} is new"),
            Change::SourceRemoved(name) => format!("the source {name:?} is gone"),
            Change::SourceChanged(name) => format!("the source {name:?} changed"),
            Change::SilentAfter(name) => format!("silent_after_s of the source {name:?} changed"),
        }
    }
}

impl Config {
    /// The differences between this configuration and a new one.
    pub fn changes(&self, new: &Config) -> Vec<Change> {
        let mut changes = Vec::new();
        changes.extend((self.socket != new.socket).then_some(Change::Socket));
        changes.extend((self.model != new.model).then_some(Change::Model));
        changes.extend((self.log != new.log).then_some(Change::Log));
        changes.extend((self.rules != new.rules).then_some(Change::Rules));
        changes.extend((self.areas != new.areas).then_some(Change::Areas));
        let same_sinks = (&self.sinks.mqtt, &self.sinks.http) == (&new.sinks.mqtt, &new.sinks.http);
        changes.extend((!same_sinks).then_some(Change::Sinks));
        changes.extend((self.sinks.hooks != new.sinks.hooks).then_some(Change::Hooks));
        changes.extend((self.store != new.store).then_some(Change::Store));
        changes.extend((self.clips != new.clips).then_some(Change::Clips));
        changes.extend((self.quiet_hours != new.quiet_hours).then_some(Change::QuietHours));
        changes.extend((self.watch != new.watch).then_some(Change::Watch(new.watch)));
        for source in &self.sources {
            match new.sources.iter().find(|other| other.name == source.name) {
                None => changes.push(Change::SourceRemoved(source.name.clone())),
                Some(other) if other == source => {}
                Some(other) => {
                    let as_before = SourceConfig { silent_after_ms: source.silent_after_ms, ..other.clone() };
                    let change = if as_before == *source { Change::SilentAfter } else { Change::SourceChanged };
                    changes.push(change(source.name.clone()));
                }
            }
        }
        let is_new = |name: &Arc<str>| !self.sources.iter().any(|source| source.name == *name);
        changes.extend(
            new.sources.iter().filter(|source| is_new(&source.name)).map(|source| Change::SourceAdded(source.name.clone())),
        );
        changes
    }
}
