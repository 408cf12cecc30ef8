//! The socket's client, which `listen`, `status`, `top` and `tune` share. It knows of the daemon only what the socket says.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Failure, exit};
use crate::publish::socket;
use crate::publish::wire::{self, Body, Line, Request};
use crate::text::{did_you_mean, nearest};

/// How long a daemon may take to greet.
const GREETING: Duration = Duration::from_secs(5);

/// Why the daemon was not reached, or what was asked of it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing says where a socket could be.
    #[error("no mimid was found; name its socket with --socket")]
    NoPlace,
    /// Nobody accepts connections there.
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
    /// The system gave no connection.
    #[error("{} cannot be connected to: {error}", path.display())]
    Unreachable {
        /// The socket's path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Another program answers, or none does.
    #[error("the program that listens on {} is not a mimid", path.display())]
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
    /// The daemon is of another age.
    #[error("the daemon is mimid {version} and speaks protocol {protocol}; this one speaks {}", wire::VERSION)]
    OtherProtocol {
        /// The daemon's version.
        version: String,
        /// The protocol that it speaks.
        protocol: u32,
    },
    /// The daemon refused a request; the sentence is its own.
    #[error("{0}")]
    Refused(String),
    /// The request was not taken.
    #[error("the daemon does not take the request: {0}")]
    Unsent(io::Error),
    /// There is no second end of the connection.
    #[error("the connection cannot be written to: {0}")]
    NoWriter(io::Error),
    /// The connection broke, or the daemon was silent for too long.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// A line is not one of the protocol.
    #[error("the daemon sent a line that cannot be read: {0}")]
    Unreadable(serde_json::Error),
    /// The daemon has ended.
    #[error("the daemon closed the connection: it has ended; start it again with `mimid run`")]
    Closed,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::new(error, exit::FAILED)
    }
}

/// What a replay is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Of what the same daemon said after a number, as far as it is held.
    Whole,
    /// Of all that is held since the daemon was started again.
    AfterRestart,
}

/// A connection to the daemon.
pub struct Daemon {
    lines: BufReader<UnixStream>,
    /// The first line that it sent.
    pub hello: Line,
    text: String,
}

impl Daemon {
    /// Connects to the daemon at `path`, or at the default place.
    pub fn connect(path: Option<&Path>) -> Result<Self, ClientError> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_place()?,
        };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NoDaemon { path: path.clone() },
            io::ErrorKind::PermissionDenied => ClientError::PermissionDenied { path: path.clone() },
            _ => ClientError::Unreachable { path: path.clone(), error },
        };
        let stream = UnixStream::connect(&path).map_err(failed)?;
        // A mimid speaks at once; something else might never.
        stream.set_read_timeout(Some(GREETING)).map_err(failed)?;
        let mut daemon = Self {
            lines: BufReader::new(stream),
            hello: Line { v: 0, seq: None, ts: None, body: Body::Heartbeat {} },
            text: String::new(),
        };
        let stranger = || ClientError::NotMimid { path: path.clone() };
        match daemon.read() {
            Ok(Some((hello, _))) => daemon.hello = hello,
            Ok(None) => return Err(ClientError::ClosedAtOnce { path: path.clone() }),
            Err(_) => return Err(stranger()),
        }
        daemon.lines.get_mut().set_read_timeout(None).map_err(failed)?;
        match &daemon.hello {
            Line { v: wire::VERSION, body: Body::Hello { .. }, .. } => Ok(daemon),
            Line { body: Body::Error { message, .. }, .. } => Err(ClientError::Refused(message.clone())),
            Line { v, body: Body::Hello { version, .. }, .. } => {
                Err(ClientError::OtherProtocol { version: version.clone(), protocol: *v })
            }
            _ => Err(stranger()),
        }
    }

    /// One sentence for each of these sources that the daemon does not have now; it may get it yet.
    pub fn unknown_sources(&self, wanted: &[String]) -> Vec<String> {
        let Body::Hello { sources, .. } = &self.hello.body else { return Vec::new() };
        // What `test` makes up comes from a source of this name.
        let is_known = |name: &&String| sources.contains(name) || name.as_str() == "test";
        let sentence = |name: &String| {
            let hint = did_you_mean(nearest(name, sources.iter().map(String::as_str)));
            format!("the daemon has no source {name:?}{hint}")
        };
        wanted.iter().filter(|name| !is_known(name)).map(sentence).collect()
    }

    /// From now on a line that takes longer than this counts as a broken connection.
    pub fn set_patience(&mut self, patience: Duration) -> Result<(), ClientError> {
        self.lines.get_mut().set_read_timeout(Some(patience)).map_err(ClientError::Broken)
    }

    /// Subscribes; what comes before the answer was sent under another filter, and is passed over.
    pub fn subscribe(&mut self, request: &Request) -> Result<Replay, ClientError> {
        self.ask(request)?;
        loop {
            match self.read()?.ok_or(ClientError::Closed)?.0.body {
                Body::Subscribed { restarted: true, .. } => return Ok(Replay::AfterRestart),
                Body::Subscribed { .. } => return Ok(Replay::Whole),
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

    /// Another end of the same connection, for requests while this one reads.
    pub fn writer(&self) -> Result<UnixStream, ClientError> {
        self.lines.get_ref().try_clone().map_err(ClientError::NoWriter)
    }

    /// The next line, parsed and as it came; `None` when the daemon has closed the connection.
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

fn default_place() -> Result<PathBuf, ClientError> {
    let system = Path::new("/run/mimid/mimid.sock");
    match socket::default_path() {
        Ok(path) if path.exists() || !system.exists() => Ok(path),
        Err(_) if !system.exists() => Err(ClientError::NoPlace),
        // A user's own daemon comes first; without one, the system's is meant.
        Ok(_) | Err(_) => Ok(system.to_owned()),
    }
}
