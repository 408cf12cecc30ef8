//! The system's limits for this process: open files, threads, core dumps, heaps. The daemon sets its own limits once at its start; a
//! shortage is put into words, and never waited for.

use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The number of files that the daemon needs for itself: sources, the socket, the files its threads wait on, a configuration that
/// is read again.
pub const OWN_FILES: u64 = 64;
/// The number of files that it asks for, where it may: a thousand subscribers take as many, and the usual limit for one process
/// is just that.
const WANTED_FILES: u64 = 8_192;
/// The least number of clients for which a daemon is worth starting.
const LEAST_CLIENTS: u64 = 16;

/// The limit of open files is too low for the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this process may open {actual} files at a time, but needs {expected} at least; raise the limit (ulimit -n, or LimitNOFILE= of the unit)"
)]
pub struct TooFewFiles {
    /// The number of files that the daemon needs.
    pub expected: u64,
    /// The number of files that this process may open.
    pub actual: u64,
}

/// Raises the limit of open files as far as the daemon needs and this user may.
///
/// # Errors `TooFewFiles` where the limit stays too low: a missing descriptor would show at any moment and anywhere, so it is
/// better to fail at once.
pub fn raise_files() -> Result<(), TooFewFiles> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    let wanted = hard.min(WANTED_FILES).max(soft);
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    let (expected, actual) = (OWN_FILES + LEAST_CLIENTS, files());
    if actual < expected { Err(TooFewFiles { expected, actual }) } else { Ok(()) }
}

/// The number of files that this process may have open at a time.
pub fn files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// Lets all threads allocate from two heaps. glibc would make one for every thread that allocates beside another, up to eight a core,
/// and none of them gives back what it has once needed: sources that come and go would let the memory grow for an hour.
///
/// The audio path allocates nothing, so that no thread of it ever waits for a heap. Other C libraries have no such heaps.
pub fn share_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "the C library's heaps have no safe interface")]
    // SAFETY: the call changes a number of the allocator, under a lock of its own.
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 2);
    }
}

/// Turns core dumps off: one would hold the last seconds of a microphone's sound, which must never be stored.
///
/// The limit is used and not `PR_SET_DUMPABLE`, which would also give the process's own `/proc` entries to root and keep the
/// user's own debugger out. Only the soft limit is lowered, so that anybody who hunts a fault can allow a dump: `prlimit --pid
/// PID --core=unlimited`.
pub fn no_core_dumps() {
    let lowered = getrlimit(Resource::RLIMIT_CORE).and_then(|(soft, hard)| match soft {
        // A service that may not set limits has this one from its unit.
        0 => Ok(()),
        _ => setrlimit(Resource::RLIMIT_CORE, 0, hard),
    });
    if let Err(error) = lowered {
        tracing::warn!(%error, "core dumps cannot be turned off");
    }
}

/// The system's error as a sentence; for a limit, which one it is and how to raise it.
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
