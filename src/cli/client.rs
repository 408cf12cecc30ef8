//! The client of the daemon's socket, which `listen`, `status`, `top` and `tune` share. It knows the daemon only by its lines,
//! and never connects again by itself.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Failure, exit};
use crate::publish::socket;
use crate::publish::wire::{self, Body, Line, Request};
use crate::text::{did_you_mean, nearest};

/// The longest wait for the daemon's greeting.
const GREETING: Duration = Duration::from_secs(5);

/// Why there is no connection, or why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No default path of a socket is known.
    #[error("no mimid was found; name its socket with --socket")]
    NoPlace,
    /// No daemon accepts connections there.
    #[error("no mimid listens on {}; start one with `mimid run`, or name its socket with --socket", path.display())]
    NoDaemon {
        /// The socket's path.
        path: PathBuf,
    },
    /// This user may not connect.
    #[error("this user may not connect to {}; become a member of the group that owns it", path.display())]
    PermissionDenied {
        /// The socket's path.
        path: PathBuf,
    },
    /// The system refused the connection for another reason.
    #[error("cannot connect to {}: {error}", path.display())]
    Unreachable {
        /// The socket's path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Another program answers, or the greeting does not come.
    #[error("the program that listens on {} is not mimid", path.display())]
    NotMimid {
        /// The socket's path.
        path: PathBuf,
    },
    /// The connection ended before the greeting.
    #[error("{} was closed at once; try again", path.display())]
    ClosedAtOnce {
        /// The socket's path.
        path: PathBuf,
    },
    /// The daemon speaks another version of the protocol.
    #[error(
        "the daemon is mimid {version} and speaks protocol {protocol}, but this mimid speaks {}; use the same version",
        wire::VERSION
    )]
    OtherProtocol {
        /// The daemon's version.
        version: String,
        /// The protocol that it speaks.
        protocol: u32,
    },
    /// The daemon refused a request; the sentence is the daemon's.
    #[error("{0}")]
    Refused(String),
    /// The request could not be written.
    #[error("the request could not be sent: {0}")]
    Unsent(io::Error),
    /// The connection could not be duplicated for writing.
    #[error("the connection cannot be written to: {0}")]
    NoWriter(io::Error),
    /// The connection broke, or the daemon was silent for too long.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// A line is not valid JSON of the protocol.
    #[error("the daemon sent a line that cannot be read: {0}")]
    Unreadable(serde_json::Error),
    /// The daemon closed the connection.
    #[error("the daemon closed the connection: it has ended; start it again with `mimid run`")]
    Closed,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error, exit::FAILED)
    }
}

/// The range of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// The lines of the same daemon after the number that was asked for, as far as it holds them.
    SinceNumber,
    /// All lines that the daemon holds since it was started again.
    AfterRestart,
}

/// A connection to the daemon.
pub struct Daemon {
    lines: BufReader<UnixStream>,
    /// The daemon's greeting, its first line.
    pub hello: Line,
    text: String,
}

impl Daemon {
    /// Connects to the daemon at `path`, or at the default path.
    pub fn connect(path: Option<&Path>) -> Result<Self, ClientError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_path()?,
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoDaemon { path: path.clone() },
            io::ErrorKind::PermissionDenied => ClientError::PermissionDenied { path: path.clone() },
            _ => ClientError::Unreachable { path: path.clone(), error },
        };
        let stream = UnixStream::connect(&path).map_err(failed)?;
        // A mimid speaks at once; another program might never.
        stream.set_read_timeout(Some(GREETING)).map_err(failed)?;
        let mut daemon = Self {
            lines: BufReader::new(stream),
            hello: Line { v: 0, seq: None, ts: None, body: Body::Heartbeat {} },
            text: String::new(),
        };
        let not_mimid = || ClientError::NotMimid { path: path.clone() };
        match daemon.read() {
            Ok(Some((hello, _))) => daemon.hello = hello,
            Ok(None) => return Err(ClientError::ClosedAtOnce { path: path.clone() }),
            Err(_) => return Err(not_mimid()),
        }
        daemon.lines.get_mut().set_read_timeout(None).map_err(failed)?;
        match &daemon.hello {
            Line { v: wire::VERSION, body: Body::Hello { .. }, .. } => Ok(daemon),
            Line { body: Body::Error { message, .. }, .. } => Err(ClientError::Refused(message.clone())),
            Line { v, body: Body::Hello { version, .. }, .. } => {
                Err(ClientError::OtherProtocol { version: version.clone(), protocol: *v })
            }
            _ => Err(not_mimid()),
        }
    }

    /// One sentence for each of the `wanted` sources that the daemon does not have. It may have them later, so this is no error.
    pub fn unknown_sources(&self, wanted: &[String]) -> Vec<String> {
        let Body::Hello { sources, .. } = &self.hello.body else { return Vec::new() };
        // Test events come from a source of this name.
        let is_known = |name: &&String| sources.contains(name) || name.as_str() == "test";
        let sentence = |name: &String| {
            let hint = did_you_mean(nearest(name, sources.iter().map(String::as_str)));
            format!("the daemon has no source {name:?}{hint}")
        };
        wanted.iter().filter(|name| !is_known(name)).map(sentence).collect()
    }

    /// Sets the longest wait for a line. A daemon that is silent for longer counts as a broken connection.
    pub fn set_patience(&mut self, patience: Duration) -> Result<(), ClientError> {
        self.lines.get_mut().set_read_timeout(Some(patience)).map_err(ClientError::Broken)
    }

    /// Subscribes and waits for the answer. Lines before the answer passed the filter before it, and are skipped.
    pub fn subscribe(&mut self, request: &Request) -> Result<Replay, ClientError> {
        self.ask(request)?;
        loop {
            match self.read()?.ok_or(ClientError::Closed)?.0.body {
                Body::Subscribed { restarted: true, .. } => return Ok(Replay::AfterRestart),
                Body::Subscribed { .. } => return Ok(Replay::SinceNumber),
                Body::Error { message, .. } => return Err(ClientError::Refused(message)),
                _ => {}
            }
        }
    }

    /// Sends a request.
    pub fn ask(&mut self, request: &Request) -> Result<(), ClientError> {
        let mut json = serde_json::to_string(request).map_err(|error| ClientError::Unsent(error.into()))?;
        json.push('\n');
        self.lines.get_mut().write_all(json.as_bytes()).map_err(ClientError::Unsent)
    }

    /// A second handle of the connection, to write requests while this one reads.
    pub fn writer(&self) -> Result<UnixStream, ClientError> {
        self.lines.get_ref().try_clone().map_err(ClientError::NoWriter)
    }

    /// The next line, parsed and as text; `None` once the daemon has closed the connection.
    pub fn read(&mut self) -> Result<Option<(Line, &str)>, ClientError> {
        self.text.clear();
        let read = self.lines.read_line(&mut self.text);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => match serde_json::from_str(&self.text) {
                Ok(line) => Ok(Some((line, self.text.trim_end()))),
                Err(error) => Err(ClientError::Unreadable(error)),
            },
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(ClientError::Broken(error)),
        }
    }
}

/// The socket of this user's daemon, or else of the system's.
fn default_path() -> Result<PathBuf, ClientError> {
    let system = Path::new("/run/mimid/mimid.sock");
    match socket::default_path() {
        Ok(path) if path.exists() || !system.exists() => Ok(path),
        Err(_) if !system.exists() => Err(ClientError::NoPlace),
        // A user's own daemon comes before the system's.
        Ok(_) | Err(_) => Ok(system.to_owned()),
    }
}
