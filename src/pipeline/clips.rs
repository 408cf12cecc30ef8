//! The clips: starts, changes and ends their writer, and tells the analysis.

use std::time::Instant;

use super::{CLOSING, Daemon};
use crate::analysis::Command;
use crate::config::Config;
use crate::publish::clips::Clips;

impl Daemon {
    /// Starts the clips of the configuration, where they are on.
    pub(super) fn start_clips(&mut self) {
        let Some(config) = self.config.clips.clone() else { return };
        self.begin_clips(config);
    }

    fn begin_clips(&mut self, config: crate::publish::settings::ClipsConfig) {
        // The store of a running daemon does not change.
        let Some(store) = self.publisher.store_path() else {
            tracing::warn!("clips begin when the daemon is restarted, because the store does");
            return;
        };
        match Clips::start(config, store, &self.model.labels, self.reports.clone(), &self.stats) {
            Ok(clips) => {
                let _ = self.commands.send(Command::Clips(Some(clips.handover())));
                self.clips = Some(clips);
            }
            Err(error) => tracing::error!(%error, "clips cannot be kept"),
        }
    }

    /// Puts the clips of another configuration in force.
    pub(super) fn change_clips(&mut self, new: &Config, model_changed: bool) {
        if self.config.clips == new.clips && !model_changed {
            return;
        }
        let keeps_folder = |clips: &Clips| new.clips.as_ref().is_some_and(|config| config.folder == clips.folder());
        if self.clips.as_ref().is_some_and(|clips| !keeps_folder(clips)) {
            self.end_clips();
        }
        match (&mut self.clips, &new.clips) {
            (Some(clips), Some(config)) => {
                clips.change(config.clone(), &self.model.labels);
                let _ = self.commands.send(Command::Clips(Some(clips.handover())));
            }
            (None, Some(config)) => self.begin_clips(config.clone()),
            (_, None) => {}
        }
    }

    /// Ends the clips: no sound is remembered from here on.
    pub(super) fn end_clips(&mut self) {
        if let Some(clips) = self.clips.take() {
            let _ = self.commands.send(Command::Clips(None));
            clips.end(&self.stats, Instant::now() + CLOSING);
        }
    }
}
