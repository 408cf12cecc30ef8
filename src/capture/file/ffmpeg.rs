//! Formats that are not decoded here, through the program ffmpeg where it is installed: it writes WAV into a pipe.
//!
//! ffmpeg gets a local file and nothing else: no network, no standard input, a bound on what it may allocate, and it is killed
//! when it gives nothing for half a minute or when its sound is no longer wanted. Of its words one line is kept.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use symphonia::core::io::{MediaSourceStream, ReadOnlySource};

use super::sound::{Piece, Refusal, Sound};
use super::wav::Wav;
use crate::text::visible;

/// The time without a byte after which ffmpeg is given up, in milliseconds.
const PATIENCE_MS: u16 = 30_000;
/// The most bytes that ffmpeg may allocate at once.
const MOST_BYTES: &str = "268435456";
/// The most bytes of its words that are kept.
const MOST_WORDS: u64 = 4_096;

/// The sound that ffmpeg makes of a file.
pub(super) struct Ffmpeg {
    wav: Box<dyn Sound>,
    process: Process,
}

/// The running program.
struct Process {
    child: Child,
    words: Option<JoinHandle<String>>,
}

/// The reason why ffmpeg gives no sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoFfmpeg {
    /// It is not installed.
    Missing,
    /// It cannot read the file either; its own words.
    Refused(String),
}

impl Ffmpeg {
    /// Starts ffmpeg over the file at `path`.
    pub fn open(path: &Path) -> Result<Self, NoFfmpeg> {
        // The prefix keeps names such as `concat:…` from being anything but a file's.
        let mut input = OsString::from("file:");
        input.push(path);
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-hide_banner", "-v", "error", "-threads", "1", "-max_alloc", MOST_BYTES]);
        command.args(["-protocol_whitelist", "file,pipe", "-i"]).arg(input);
        command.args(["-map", "0:a:0", "-vn", "-sn", "-dn", "-c:a", "pcm_f32le", "-bitexact", "-f", "wav", "pipe:1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => NoFfmpeg::Missing,
            _ => NoFfmpeg::Refused(error.to_string()),
        })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let words = stderr.and_then(|mut stderr| {
            let read = move || {
                let mut words = Vec::new();
                let _ = stderr.by_ref().take(MOST_WORDS).read_to_end(&mut words);
                // Its further words are read and dropped, so that it never waits.
                let _ = io::copy(&mut stderr, &mut io::sink());
                String::from_utf8_lossy(&words).into_owned()
            };
            std::thread::Builder::new().name("ffmpeg".to_owned()).spawn(read).ok()
        });
        let mut process = Process { child, words };
        let Some(stdout) = stdout else { return Err(NoFfmpeg::Refused("it has no output".to_owned())) };
        let bytes = MediaSourceStream::new(Box::new(ReadOnlySource::new(Patient(stdout))), Default::default());
        match Wav::open(bytes) {
            Ok(wav) => Ok(Self { wav, process }),
            Err(Refusal::Broken(sentence)) => Err(NoFfmpeg::Refused(process.fault().unwrap_or(sentence))),
            Err(_) => Err(NoFfmpeg::Refused(process.fault().unwrap_or_else(|| "it gives no sound".to_owned()))),
        }
    }
}

impl Process {
    /// Waits for the end; the first line of its words if it failed.
    fn fault(&mut self) -> Option<String> {
        let status = self.child.wait();
        let words = self.words.take().and_then(|words| words.join().ok()).unwrap_or_default();
        if status.is_ok_and(|status| status.success()) {
            return None;
        }
        // A line begins with the part of ffmpeg that speaks, in brackets, or with the name of the file.
        let line = words.lines().last().unwrap_or("it says nothing");
        let line = line.rsplit(": ").next().unwrap_or(line);
        Some(visible(line.trim().trim_end_matches('.')))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sound for Ffmpeg {
    fn next(&mut self, out: &mut Vec<f32>) -> Result<Option<Piece>, String> {
        let piece = self.wav.next(out)?;
        match piece {
            Some(_) => Ok(piece),
            None => self.process.fault().map_or(Ok(None), |words| Err(format!("ffmpeg could not read it to its end ({words})"))),
        }
    }

    fn n_frames(&self) -> Option<u64> {
        None
    }
}

/// A pipe that is not waited for longer than the patience lasts.
struct Patient(ChildStdout);

impl Read for Patient {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(PATIENCE_MS)) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "ffmpeg gave nothing for half a minute")),
            Ok(_) => self.0.read(out),
            Err(errno) => Err(errno.into()),
        }
    }
}
