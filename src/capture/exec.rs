//! `exec:COMMAND`: any program that writes raw PCM or a recording on its standard output.
//!
//! The program is started without a shell, in a process group of its own. When its sound is no longer wanted, the group is asked
//! to end, then killed, and no zombie stays. Its standard error goes into the log, a few lines of each start, without passwords.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollTimeout;

use super::feed::hear::{self, Wanted};
use super::feed::{Feed, Manner, Stopper, Woken, closed};
use super::source::{Coding, SourceConfig};
use super::{CaptureError, Pace};
use crate::program::{self, Program};
use crate::text::{visible, without_passwords};

/// The length of sound by which the program may be ahead of real time.
const AHEAD: Duration = Duration::from_secs(1);
/// The interval at which a program that writes nothing is looked after, in milliseconds.
const LOOK_EVERY_MS: u16 = 250;
/// The most lines of a start that are logged, and the most characters of one.
const MOST_LINES: usize = 8;
const LONGEST_LINE: usize = 300;

/// Starts the program and hears it.
pub(super) fn open(config: &SourceConfig, command: &[String], coding: Coding) -> Result<Feed, CaptureError> {
    let manner = Manner { pace: Pace::RealTime, ahead: Some(AHEAD), settle: Duration::ZERO, waiting_s: 2, goes_on: false };
    let wanted = Wanted::from(config);
    let (name, command) = (config.name.clone(), command.to_vec());
    Feed::start(&config.name, manner, move |inlet, stopper| {
        let program = command.first().map_or("", String::as_str);
        let process = Process::start(&name, &command).map_err(|error| program::not_started(program, &error))?;
        let program = visible(program);
        let process = Arc::new(Mutex::new(process));
        let output = Output { process: process.clone(), stopper };
        let heard = hear::bytes(&program, output, coding, wanted, inlet);
        let ended = process.lock().unwrap_or_else(PoisonError::into_inner).end();
        Err(match heard {
            Err(reason) if !ended.has_failed() => reason,
            _ => format!("{program:?} {ended}"),
        })
    })
}

/// The running program.
struct Process {
    program: Program,
    stdout: Option<ChildStdout>,
    words: Words,
}

/// How a program ended.
struct Ended {
    status: Option<ExitStatus>,
    /// Its last line on standard error.
    last: String,
}

impl Ended {
    fn has_failed(&self) -> bool {
        self.status.is_some_and(|status| status.code().is_some_and(|code| code != 0))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status.and_then(|status| status.code()) {
            Some(0) => write!(f, "ended")?,
            Some(code) => write!(f, "ended with the exit code {code}")?,
            None => write!(f, "was ended")?,
        }
        if self.last.is_empty() { Ok(()) } else { write!(f, " and said: {}", self.last) }
    }
}

impl Process {
    fn start(source: &str, command: &[String]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut started = Program::start(&mut command)?;
        tracing::debug!(source, program, pid = started.child.id(), "the program of the source is started");
        let (stdout, stderr) = (started.child.stdout.take(), started.child.stderr.take());
        Ok(Self { program: started, stdout, words: Words::new(source, stderr) })
    }

    /// Ends the program and all that it started, and waits for it.
    fn end(&mut self) -> Ended {
        // A program that waits to write learns that nobody reads.
        self.stdout = None;
        let status = self.program.end();
        self.words.read_all();
        Ended { status, last: std::mem::take(&mut self.words.last) }
    }
}

/// The program's output, while its words go to the log.
struct Output {
    process: Arc<Mutex<Process>>,
    stopper: Stopper,
}

impl Read for Output {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Process { program, stdout: Some(stdout), words } = &mut *process else { return Ok(0) };
            let mut fds = vec![stdout.as_fd()];
            fds.extend(words.stderr.as_ref().map(AsFd::as_fd));
            match self.stopper.wait(&fds, PollTimeout::from(LOOK_EVERY_MS))? {
                Woken::Readable(0) => return stdout.read(out),
                Woken::Readable(_) => words.read(),
                Woken::Stopped => return Err(closed()),
                // A child that it left behind holds its output open.
                Woken::Timeout if program.ended().is_some() => return Ok(0),
                Woken::Timeout => {}
            }
        }
    }
}

/// The lines of the program's standard error.
struct Words {
    source: String,
    stderr: Option<ChildStderr>,
    line: Vec<u8>,
    n_lines: usize,
    last: String,
}

impl Words {
    fn new(source: &str, stderr: Option<ChildStderr>) -> Self {
        Self { source: source.to_owned(), stderr, line: Vec::new(), n_lines: 0, last: String::new() }
    }

    /// Reads once what is there.
    fn read(&mut self) {
        let mut bytes = [0; 1_024];
        match self.stderr.as_mut().map(|stderr| stderr.read(&mut bytes)) {
            Some(Ok(n)) if n > 0 => self.take(&bytes[..n]),
            Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => self.stderr = None,
        }
    }

    /// Reads what a program that has ended left. Another process may hold the other end for ever.
    fn read_all(&mut self) {
        use nix::poll::{PollFd, PollFlags, poll};
        for _ in 0..64 {
            let Some(stderr) = &self.stderr else { break };
            match poll(&mut [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO) {
                Ok(0) => break,
                Ok(_) | Err(Errno::EINTR) => self.read(),
                Err(_) => break,
            }
        }
        self.end_line();
        if self.n_lines > MOST_LINES {
            tracing::info!(source = self.source, "the program said {} more lines", self.n_lines - MOST_LINES);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' | b'\r' => self.end_line(),
                // A longer line is cut off; four bytes are the longest character.
                byte if self.line.len() < LONGEST_LINE * 4 => self.line.push(*byte),
                _ => {}
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = without_passwords(&visible(String::from_utf8_lossy(&line).trim()));
        if text.is_empty() {
            return;
        }
        let text: String = text.chars().take(LONGEST_LINE).collect();
        self.n_lines += 1;
        if self.n_lines <= MOST_LINES {
            tracing::info!(source = self.source, "the program says: {text}");
        }
        self.last = text;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::capture::Notice;
    use crate::capture::feed::{Opener, Opening};
    use crate::capture::source::Input;

    fn opener(command: &[&str]) -> Opener {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let input = Input::Exec { command, coding: Coding::auto(16_000) };
        Opener::new(SourceConfig { ..SourceConfig::new("x".into(), input) })
    }

    /// Opens until there is sound or a reason.
    fn open(opener: &mut Opener) -> Result<crate::capture::Capture, String> {
        loop {
            match opener.open().map_err(|error| error.to_string())? {
                Opening::Open(capture) => return Ok(capture),
                Opening::Later(later) => later.wake.recv_timeout(Duration::from_secs(20)).expect("a program that does something"),
            }
        }
    }

    /// The children of this process that have ended and were not waited for.
    fn n_zombies() -> usize {
        let of_this = |stat: &String| {
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            fields.first() == Some(&"Z") && fields.get(1) == Some(&std::process::id().to_string().as_str())
        };
        let stats =
            std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
        stats.filter(of_this).count()
    }

    #[test]
    fn a_program_is_heard_and_its_end_is_told_with_its_last_words() {
        let mut opener = opener(&["bash", "-c", "head -c 3200 /dev/zero; echo rtsp://a:geheim@b failed >&2; exit 3"]);
        let mut capture = open(&mut opener).unwrap();
        let lost = capture.notices.recv_timeout(Duration::from_secs(20)).unwrap();
        let reason = "\"bash\" ended with the exit code 3 and said: rtsp://a:***@b failed";
        assert_eq!(lost, Notice::Lost(reason.to_owned()));
        let mut heard = [1.0; 4_000];
        assert_eq!((capture.rate_hz, capture.reader.pop(&mut heard).count), (16_000, 1_600));
    }

    #[test]
    fn a_program_that_cannot_be_started_is_told() {
        assert_eq!(open(&mut opener(&["no-such-program"])).err().unwrap(), "there is no program \"no-such-program\"");
        assert_eq!(open(&mut opener(&["/etc/passwd"])).err().unwrap(), "this user may not run \"/etc/passwd\"");
    }

    #[test]
    fn nothing_is_left_of_a_thousand_programs() {
        let files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let before = files();
        for round in 0..1_000 {
            // Some end by themselves, others are closed while they write.
            let mut opener = opener(if round % 2 == 0 { &["true"] } else { &["cat", "/dev/zero"] });
            assert_eq!(open(&mut opener).is_ok(), round % 2 == 1);
        }
        assert_eq!(n_zombies(), 0);
        // Other tests of this process open some too.
        assert!(files() < before + 100, "{before} files became {}", files());
    }

    #[test]
    fn the_children_of_a_program_end_with_it() {
        let marker = format!("86400.{}", std::process::id());
        let script = format!("trap '' TERM; sleep {marker} & head -c 3200 /dev/zero; wait");
        let mut opener = opener(&["bash", "-c", &script]);
        let is_there = || {
            let lines =
                std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
            lines
                .filter(|line| line.starts_with(b"sleep\0") && line.windows(marker.len()).any(|part| part == marker.as_bytes()))
                .count()
        };
        let capture = open(&mut opener).unwrap();
        assert_eq!(is_there(), 1);
        drop((capture, opener));
        // A process that was killed is there until the kernel comes to it.
        let deadline = Instant::now() + Duration::from_secs(20);
        while is_there() > 0 {
            assert!(Instant::now() < deadline, "the child of the program is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
