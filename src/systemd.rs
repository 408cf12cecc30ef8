//! Messages to the service manager: ready, reloading, stopping, the watchdog, and a line of status.
//!
//! They do nothing where no service manager listens. The folder that it gives the daemon for its state is known here as well.

use std::path::PathBuf;

use sd_notify::NotifyState;

/// Says that the start is complete: the daemon hears, or knows that it cannot.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the configuration is being loaded again; [`ready`] ends that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// Sets the line of status.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// Says that the daemon hears. A service manager that gets no such message for its `WatchdogSec` starts the daemon anew.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// Says that the daemon shuts down.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The folder in which the service manager lets the daemon keep what outlives it; `None` where there is none.
pub fn state_directory() -> Option<PathBuf> {
    // Several folders are joined by colons, and the first one is ours.
    let folders = std::env::var_os("STATE_DIRECTORY")?;
    std::env::split_paths(&folders).next().filter(|folder| folder.is_absolute())
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not reached");
    }
}
