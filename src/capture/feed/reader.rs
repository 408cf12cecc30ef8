//! Bytes of a file descriptor that are waited for until the feed is closed, so that no thread hangs in a read.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::limits;

/// Stops the reads of a feed when it is dropped.
pub(in crate::capture) struct Stop {
    _end: PipeWriter,
}

/// Tells a read that its feed was closed.
#[derive(Debug)]
pub(in crate::capture) struct Stopper(PipeReader);

impl From<Stopper> for OwnedFd {
    fn from(stopper: Stopper) -> Self {
        stopper.0.into()
    }
}

/// Both ends of a stop.
pub(super) fn stop() -> io::Result<(Stop, Stopper)> {
    let (reader, writer) = io::pipe()?;
    Ok((Stop { _end: writer }, Stopper(reader)))
}

/// The event that ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::capture) enum Woken {
    /// The descriptor with this index can be read.
    Readable(usize),
    /// The time is over.
    Timeout,
    /// The feed was closed.
    Stopped,
}

impl Stopper {
    /// Waits until one of the descriptors can be read, or has ended.
    pub fn wait(&self, fds: &[BorrowedFd], timeout: PollTimeout) -> io::Result<Woken> {
        let mut polled = vec![PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        polled.extend(fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        loop {
            match poll(&mut polled, timeout) {
                Err(Errno::EINTR) => continue,
                Err(errno) => return Err(errno.into()),
                Ok(0) => return Ok(Woken::Timeout),
                Ok(_) => {}
            }
            let mut ready = polled.iter().map(|fd| fd.any().unwrap_or(true));
            return Ok(match ready.position(|is_ready| is_ready) {
                Some(0) | None => Woken::Stopped,
                Some(index) => Woken::Readable(index - 1),
            });
        }
    }

    /// Another one for the same feed.
    pub fn again(&self) -> Result<Self, String> {
        self.0.try_clone().map(Self).map_err(|error| limits::explain(&error))
    }
}

/// The error of a read whose feed was closed.
pub(in crate::capture) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "it was closed")
}

/// Reads a descriptor, and waits for its bytes until the feed is closed.
pub(in crate::capture) struct Patient<F> {
    file: F,
    stopper: Stopper,
}

impl<F: Read + AsFd> Patient<F> {
    pub fn new(file: F, stopper: Stopper) -> Self {
        Self { file, stopper }
    }
}

impl<F: Read + AsFd> Read for Patient<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stopper.wait(&[self.file.as_fd()], PollTimeout::NONE)? {
                Woken::Readable(_) => {}
                Woken::Stopped | Woken::Timeout => return Err(closed()),
            }
            match self.file.read(out) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }
}
