//! Programs that are started without a shell, and ended with all that they started. It reads and writes nothing of theirs.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::text::visible;

/// The time that a program has to end by itself before it is killed.
const GRACE: Duration = Duration::from_millis(500);
/// The time in which a program that has closed its output ends by itself.
const ENDING: Duration = Duration::from_millis(50);

/// A running program, in a process group of its own. Dropping it ends the group.
#[derive(Debug)]
pub struct Program {
    /// The process.
    pub child: Child,
}

impl Program {
    /// Starts a program in a process group of its own.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self { child: command.process_group(0).spawn()? })
    }

    /// Ends the program and all that it started, and waits for it. Returns how it ended, if it did so by itself.
    pub fn end(&mut self) -> Option<ExitStatus> {
        let group = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        // A program that ended by itself has closed its output a moment before.
        let by_itself = self.wait_until(Instant::now() + ENDING);
        let _ = killpg(group, Signal::SIGTERM);
        if by_itself.is_none() {
            self.wait_until(Instant::now() + GRACE);
        }
        // Its children may be left, or it may not listen.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        // A process whose parents are gone may have become a child of this one.
        while waitpid(Pid::from_raw(-group.as_raw()), Some(WaitPidFlag::WNOHANG))
            .is_ok_and(|status| status != WaitStatus::StillAlive)
        {}
        by_itself
    }

    /// How the program has ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.end();
        }
    }
}

/// Why a program could not be started, as a sentence.
pub fn not_started(program: &str, error: &io::Error) -> String {
    let program = visible(program);
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no program {program:?}"),
        io::ErrorKind::PermissionDenied => format!("this user may not run {program:?}"),
        _ => format!("{program:?} could not be started: {error}"),
    }
}
