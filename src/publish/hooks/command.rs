//! Runs the program of a hook: without a shell, with its input, for a limited time, and ends it with its children.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::queue::Tried;
use super::{Answered, LONGEST_SHOWN};
use crate::program::{Program, not_started};
use crate::text::{visible, without_passwords};

/// The exit code of a program that asks to be run again later, as that of `sendmail` does.
const TRY_AGAIN: i32 = 75;
/// The interval at which the program is looked after, in milliseconds.
const LOOK_EVERY_MS: u16 = 20;
/// The most bytes that a pipe with any room takes at once.
const PIECE: usize = 4_096;
/// Variables of the daemon that are no business of a hook, by their beginnings.
const OWN: [&str; 7] = ["MIMID_", "CREDENTIALS_", "NOTIFY_", "WATCHDOG_", "LISTEN_", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"];

/// Runs a program to its end, or to `limit`, or until `stop` is true.
pub fn run(command: &[String], input: &str, environment: Vec<(String, String)>, limit: Duration, stop: &AtomicBool) -> Answered {
    let Some((name, arguments)) = command.split_first() else {
        return Answered { tried: Tried::Refused, said: "there is no program".to_owned(), shown: String::new() };
    };
    let mut command = Command::new(name);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|variable| OWN.iter().any(|own| variable.starts_with(own))) {
            command.env_remove(&variable);
        }
    }
    command.args(arguments).envs(environment);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match Program::start(&mut command) {
        Ok(program) => watch(program, &visible(name), input, limit, stop),
        Err(error) => Answered { tried: Tried::Refused, said: not_started(name, &error), shown: String::new() },
    }
}

fn watch(mut program: Program, name: &str, input: &str, limit: Duration, stop: &AtomicBool) -> Answered {
    let child = &mut program.child;
    let mut pipes =
        Pipes { stdin: child.stdin.take(), stdout: child.stdout.take(), stderr: child.stderr.take(), shown: Vec::new() };
    let (mut rest, deadline) = (input.as_bytes(), Instant::now() + limit);
    let status = loop {
        pipes.exchange(&mut rest);
        if let Some(status) = program.ended() {
            // What it wrote last.
            (0..16).for_each(|_| pipes.read_what_is_there());
            break Some(status);
        }
        if Instant::now() >= deadline || stop.load(Relaxed) {
            break None;
        }
    };
    program.end();
    let shown = without_passwords(&String::from_utf8_lossy(&pipes.shown));
    let last = shown
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .map(|line| format!(" and said: {}", visible(line)))
        .unwrap_or_default();
    let (tried, said) = match status.map(|status| status.code()) {
        Some(Some(0)) => (Tried::Done, format!("{name:?} ran")),
        Some(Some(TRY_AGAIN)) => (Tried::Failed(None), format!("{name:?} asks to be run again later{last}")),
        Some(Some(code)) => (Tried::Refused, format!("{name:?} ended with the exit code {code}{last}")),
        Some(None) => (Tried::Refused, format!("{name:?} was killed{last}")),
        None if stop.load(Relaxed) => (Tried::BrokenOff, format!("{name:?} was broken off")),
        None => (Tried::Refused, format!("{name:?} took longer than {} s and was ended{last}", limit.as_secs_f64())),
    };
    Answered { tried, said, shown }
}

/// The ends of the program's pipes.
struct Pipes {
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    shown: Vec<u8>,
}

impl Pipes {
    /// Waits a moment until there is something to read or room to write, and does so once.
    fn exchange(&mut self, rest: &mut &[u8]) {
        if rest.is_empty() {
            self.stdin = None;
        }
        let mut fds = Vec::new();
        fds.extend(self.stdout.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.stderr.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        let n_outputs = fds.len();
        fds.extend(self.stdin.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)));
        if fds.is_empty() {
            return std::thread::sleep(Duration::from_millis(LOOK_EVERY_MS.into()));
        }
        let _ = poll(&mut fds, PollTimeout::from(LOOK_EVERY_MS));
        let can_write = fds.get(n_outputs).is_some_and(|fd| fd.any().unwrap_or(false));
        drop(fds);
        self.read_what_is_there();
        if can_write && let Some(stdin) = &mut self.stdin {
            match stdin.write(&rest[..rest.len().min(PIECE)]) {
                Ok(n) => *rest = &rest[n..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It does not read its input.
                Err(_) => *rest = &[],
            }
        }
    }

    /// Reads once what each pipe has.
    fn read_what_is_there(&mut self) {
        read(&mut self.stdout, &mut self.shown);
        read(&mut self.stderr, &mut self.shown);
    }
}

/// Reads once from a pipe that has something. Beyond a bound it is not remembered.
fn read<P: Read + AsFd>(pipe: &mut Option<P>, shown: &mut Vec<u8>) {
    let Some(open) = pipe.as_mut() else { return };
    let mut fds = [PollFd::new(open.as_fd(), PollFlags::POLLIN)];
    if !poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0) {
        return;
    }
    let mut bytes = [0; PIECE];
    match open.read(&mut bytes) {
        Ok(0) => *pipe = None,
        Ok(n) => shown.extend(&bytes[..n.min(LONGEST_SHOWN.saturating_sub(shown.len()))]),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(_) => *pipe = None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bash(script: &str, input: &str, limit_ms: u64) -> Answered {
        let command = ["bash", "-c", script].map(str::to_owned);
        let environment = vec![("MIMID_LABEL".to_owned(), "Glass".to_owned())];
        run(&command, input, environment, Duration::from_millis(limit_ms), &AtomicBool::new(false))
    }

    #[test]
    fn a_program_has_its_input_and_its_environment() {
        let answered = bash("read -r line; echo \"$line $MIMID_LABEL\"", "hello\n", 20_000);
        assert_eq!(answered, Answered { tried: Tried::Done, said: "\"bash\" ran".to_owned(), shown: "hello Glass\n".to_owned() });
        // More than a pipe holds, and a program that reads nothing of it.
        let long = "x".repeat(1 << 20);
        assert_eq!(bash("wc -c", &long, 20_000).shown.trim(), "1048576");
        assert_eq!(bash("exec <&-; true", &long, 20_000).tried, Tried::Done);
    }

    #[test]
    fn how_a_program_ends_is_told() {
        let said = |script: &str| {
            let answered = bash(script, "", 20_000);
            (answered.tried, answered.said)
        };
        assert_eq!(said("echo no >&2; exit 3"), (Tried::Refused, "\"bash\" ended with the exit code 3 and said: no".to_owned()));
        assert_eq!(said("exit 75"), (Tried::Failed(None), "\"bash\" asks to be run again later".to_owned()));
        assert_eq!(said("kill -9 $$"), (Tried::Refused, "\"bash\" was killed".to_owned()));
        let none = run(&["no-such-program".to_owned()], "", Vec::new(), Duration::from_secs(1), &AtomicBool::new(false));
        assert_eq!((none.tried, none.said.as_str()), (Tried::Refused, "there is no program \"no-such-program\""));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_its_children() {
        let marker = format!("86401.{}", std::process::id());
        let answered = bash(&format!("trap '' TERM; sleep {marker} & wait"), "", 300);
        assert_eq!((answered.tried, answered.said.as_str()), (Tried::Refused, "\"bash\" took longer than 0.3 s and was ended"));
        let is_there = || {
            let lines =
                std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
            lines
                .into_iter()
                .any(|line| line.starts_with(b"sleep\0") && line.windows(marker.len()).any(|part| part == marker.as_bytes()))
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while is_there() {
            assert!(Instant::now() < deadline, "the child of the program is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_run_is_broken_off_when_the_daemon_ends() {
        let command = ["sleep", "86402"].map(str::to_owned);
        let answered = run(&command, "", Vec::new(), Duration::from_secs(600), &AtomicBool::new(true));
        assert_eq!(answered.tried, Tried::BrokenOff);
    }
}
