//! Where the file is. It opens nothing.

use std::path::{Path, PathBuf};

use crate::systemd;

/// The file's name.
const NAME: &str = "events.db";
/// The folder in which the system's service keeps its state.
const SYSTEM: &str = "/var/lib/mimid";

/// The file of a service, in the folder that the service manager gives it; `None` where there is none.
pub fn of_service() -> Option<PathBuf> {
    Some(systemd::state_directory()?.join(NAME))
}

/// The file of this user: `$XDG_STATE_HOME/mimid/events.db`, or `~/.local/state/mimid/events.db`.
pub fn of_user() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("mimid").join(NAME))
}

/// The file that a command reads: of the service that runs it, of this user where there is one, else of the system.
pub fn to_read() -> PathBuf {
    let system = Path::new(SYSTEM).join(NAME);
    of_service().or_else(|| of_user().filter(|path| path.exists())).unwrap_or(system)
}
