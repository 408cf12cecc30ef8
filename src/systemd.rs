//! What the service manager is told: ready, reloading, stopping, that the daemon hears, and what it is at.
//!
//! Does nothing where no service manager listens.

use sd_notify::NotifyState;

/// The daemon hears, or knows that it cannot.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being loaded again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// What the daemon is at.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// The daemon hears. A service manager that waits for this longer than its `WatchdogSec` starts the daemon anew.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// The daemon shuts down.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
