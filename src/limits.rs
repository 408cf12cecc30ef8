//! What the system lets this process have: open files, threads, core dumps. It sets the process's own limits once at the start of the
//! daemon, and puts a shortage into words; it never waits for one to end.

use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// So many files the daemon needs for itself: sources, the socket, what its threads wait on, a configuration that is read again.
pub const OWN_FILES: u64 = 64;
/// So many it asks for, where it may: a thousand subscribers need as many, and the usual limit for one process is just that.
const WANTED_FILES: u64 = 8_192;
/// A daemon that could serve fewer clients than this is not worth starting.
const LEAST_CLIENTS: u64 = 16;

/// This process may open so few files that it cannot work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may open {actual} files at a time, but needs {expected} at least; raise the limit (ulimit -n, or LimitNOFILE= of the unit)"
)]
pub struct TooFewFiles {
    /// How many it needs.
    pub expected: u64,
    /// How many it may open.
    pub actual: u64,
}

/// Raises the limit of open files as far as this user may and the daemon needs.
///
/// # Errors
/// Where it stays too low: what would be missing is a descriptor here or there, at any moment, and it is better to know at once.
pub fn raise_files() -> Result<(), TooFewFiles> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let wanted = hard.min(WANTED_FILES).max(soft);
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let (expected, actual) = (OWN_FILES + LEAST_CLIENTS, files());
    if actual < expected { Err(TooFewFiles { expected, actual }) } else { Ok(()) }
}

/// How many files this process may have open at a time.
pub fn files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// Makes the process leave no core dump: it holds the last seconds of what a microphone heard, and that is never stored.
///
/// The limit, and not `PR_SET_DUMPABLE`, because that one would also give the process's own `/proc` entries to root and keep the user's
/// own debugger out. Only the soft limit, so that who hunts a fault can allow a dump: `prlimit --pid PID --core=unlimited`.
pub fn no_core_dumps() {
    let lowered = getrlimit(Resource::RLIMIT_CORE).and_then(|(soft, hard)| match soft {
        // A service that may set no limits has this one from its unit.
        0 => Ok(()),
        _ => setrlimit(Resource::RLIMIT_CORE, 0, hard),
    });
    if let Err(error) = lowered {
        tracing::warn!(%error, "core dumps cannot be turned off");
    }
}

/// What the system said, and where that is a limit, which one and how to raise it.
pub fn explain(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => {
            "the system gives this user no more threads; raise the limit (ulimit -u, or TasksMax= of the unit)".to_owned()
        }
        Some(Errno::EMFILE) => {
            "this process may open no more files; raise the limit (ulimit -n, or LimitNOFILE= of the unit)".to_owned()
        }
        Some(Errno::ENOMEM) => "there is no memory left; raise the limit (ulimit -v, or MemoryMax= of the unit)".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_names_the_limit_and_anything_else_what_the_system_said() {
        for (errno, part) in [(Errno::EAGAIN, "ulimit -u"), (Errno::EMFILE, "ulimit -n"), (Errno::ENOMEM, "ulimit -v")] {
            assert!(explain(&errno.into()).contains(part));
        }
        assert_eq!(explain(&Errno::ENOENT.into()), "No such file or directory (os error 2)");
    }
}
