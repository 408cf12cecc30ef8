//! Messages to the service manager: ready, reloading, stopping, the watchdog, and a line of status.
//!
//! They do nothing where no service manager listens. The folder that it gives the daemon for its state, and the machine's id, are
//! known here as well.

use std::path::PathBuf;

use sd_notify::NotifyState;
use sha2::{Digest, Sha256};

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

/// The host name and four digits that are this machine's own, such as `raspberrypi-3f2a`: host names are not unique, for every
/// Raspberry Pi begins with the same.
pub fn machine_name() -> String {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "mimid".to_owned());
    machine_part().map_or_else(|| host.clone(), |part| format!("{host}-{part}"))
}

/// Four hexadecimal digits that are this machine's own; `None` where the system has no `machine-id`, which is a secret and thus
/// hashed.
fn machine_part() -> Option<String> {
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|path| std::fs::read_to_string(path).ok());
    part_of(id?.trim())
}

fn part_of(machine_id: &str) -> Option<String> {
    let is_id = machine_id.len() == 32 && machine_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| {
        let hash = Sha256::digest(format!("mimid {machine_id}"));
        format!("{:02x}{:02x}", hash[0], hash[1])
    })
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not reached");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_four_digits_that_do_not_show_its_id() {
        let id = "0123456789abcdef0123456789abcdef";
        let part = part_of(id).unwrap();
        assert!(part.len() == 4 && !id.contains(&part), "{part}");
        assert_ne!(part_of("0123456789abcdef0123456789abcdee").unwrap(), part);
        assert_eq!(part_of("uninitialized"), None);
    }
}
