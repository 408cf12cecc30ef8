//! `mimid listen`: a subscriber that prints. It knows of the daemon only what the socket says.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::run::style_of;
use super::{Failure, exit, say};
use crate::model::labels::{did_you_mean, nearest};
use crate::publish::pretty::{Style, pretty};
use crate::publish::socket;
use crate::publish::wire::{self, Body, Line, Request};

/// How long a daemon may take to greet.
const GREETING: Duration = Duration::from_secs(5);

/// Subscribe to a running daemon and print its events.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Only events of this label (name, slug, id or group); may be given several times
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Only lines about this source; may be given several times
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// Only lines of this type, such as event.start, or of types that begin so, such as event; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Also what came after the line with this number
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    /// The `instance` of the daemon that gave this number, as `mimid status --json` tells it: after a restart numbers begin anew
    #[arg(long, value_name = "ID", requires = "since")]
    instance: Option<String>,
    /// End after so many lines; those that tell of missing ones don't count
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How to print; pretty on a terminal, json elsewhere
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// The formats of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Pretty,
    /// The daemon's own lines
    Json,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut daemon = Daemon::connect(args.socket.as_deref())?;
    for unknown in daemon.unknown_sources(&args.sources) {
        say(format_args!("warning: {unknown}"));
    }
    let Args { labels, sources, types, since, instance, .. } = args.clone();
    // What is published between the daemon's greeting and our request is replayed, filtered.
    let since = since.or(daemon.hello.seq);
    let replay = daemon.subscribe(&Request::Subscribe { labels, sources, types, min_score: 0.0, since, instance })?;
    if let Replay::AfterRestart = replay {
        say("warning: the daemon was started again; what it said before that is gone");
    }
    let out = io::stdout();
    let standard = if out.is_terminal() { Format::Pretty } else { Format::Json };
    let printer = Printer { format: args.format.unwrap_or(standard), style: style_of(&out), zone: TimeZone::system() };
    printer.print(&mut daemon, args.count, &mut out.lock())?;
    if args.count.is_some() { Ok(()) } else { Err(closed()) }
}

/// Prints the events of the daemon behind `socket` on a thread of its own, until the daemon ends.
pub fn print_from(socket: &Path) -> Result<JoinHandle<()>, Failure> {
    let mut daemon = Daemon::connect(Some(socket))?;
    let work = move || {
        let out = io::stdout();
        let printer = Printer { format: Format::Pretty, style: style_of(&out), zone: TimeZone::system() };
        // Where nobody reads any more, the daemon goes on without a printer.
        if let Err(failure) = printer.print(&mut daemon, None, &mut out.lock())
            && !failure.message.is_empty()
        {
            tracing::warn!("nothing is printed any more, but everything is heard: {}", failure.message);
        }
    };
    std::thread::Builder::new().name("print".to_owned()).spawn(work).map_err(Failure::no_thread)
}

pub(super) fn closed() -> Failure {
    Failure::new("the daemon closed the connection: it has ended; start it again with `mimid run`", exit::FAILED)
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
    pub fn connect(path: Option<&Path>) -> Result<Self, Failure> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => default_place()?,
        };
        let failed = |error: io::Error| {
            let what = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    format!(
                        "no mimid listens on {}; start one with `mimid run`, or name its socket with --socket",
                        path.display()
                    )
                }
                io::ErrorKind::PermissionDenied => {
                    format!("this user may not connect to {}; become a member of the group that owns it", path.display())
                }
                _ => format!("{} cannot be connected to: {error}", path.display()),
            };
            Failure::new(what, exit::FAILED)
        };
        let stream = UnixStream::connect(&path).map_err(failed)?;
        // A mimid speaks at once; something else might never.
        stream.set_read_timeout(Some(GREETING)).map_err(failed)?;
        let mut daemon = Self {
            lines: BufReader::new(stream),
            hello: Line { v: 0, seq: None, ts: None, body: Body::Heartbeat {} },
            text: String::new(),
        };
        let stranger = || Failure::new(format_args!("what listens on {} is not a mimid", path.display()), exit::FAILED);
        match daemon.read() {
            Ok(Some((hello, _))) => daemon.hello = hello,
            Ok(None) => {
                return Err(Failure::new(format_args!("{} was closed at once; try again", path.display()), exit::FAILED));
            }
            Err(_) => return Err(stranger()),
        }
        daemon.lines.get_mut().set_read_timeout(None).map_err(failed)?;
        match &daemon.hello {
            Line { v: wire::VERSION, body: Body::Hello { .. }, .. } => Ok(daemon),
            Line { body: Body::Error { message, .. }, .. } => Err(Failure::new(message, exit::FAILED)),
            Line { v, body: Body::Hello { version, .. }, .. } => Err(Failure::new(
                format_args!("the daemon is mimid {version} and speaks protocol {v}; this one speaks {}", wire::VERSION),
                exit::FAILED,
            )),
            _ => Err(stranger()),
        }
    }

    /// One sentence for each of these sources that the daemon does not have now; it may get it yet.
    fn unknown_sources(&self, wanted: &[String]) -> Vec<String> {
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
    pub fn set_patience(&mut self, patience: Duration) -> Result<(), Failure> {
        let set = self.lines.get_mut().set_read_timeout(Some(patience));
        set.map_err(|error| Failure::new(format_args!("the connection broke: {error}"), exit::FAILED))
    }

    /// Subscribes; what comes before the answer was sent under another filter, and is passed over.
    pub fn subscribe(&mut self, request: &Request) -> Result<Replay, Failure> {
        self.ask(request)?;
        loop {
            match self.read()?.ok_or_else(closed)?.0.body {
                Body::Subscribed { restarted: true, .. } => return Ok(Replay::AfterRestart),
                Body::Subscribed { .. } => return Ok(Replay::Whole),
                Body::Error { message, .. } => return Err(Failure::new(message, exit::FAILED)),
                _ => {}
            }
        }
    }

    /// Sends a request.
    pub fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        let mut json = serde_json::to_string(request).map_err(|error| Failure::new(error, exit::FAILED))?;
        json.push('\n');
        let sent = self.lines.get_mut().write_all(json.as_bytes());
        sent.map_err(|error| Failure::new(format_args!("the daemon does not take the request: {error}"), exit::FAILED))
    }

    /// Another end of the same connection, for requests while this one reads.
    pub fn writer(&self) -> Result<UnixStream, Failure> {
        let cloned = self.lines.get_ref().try_clone();
        cloned.map_err(|error| Failure::new(format_args!("the connection cannot be written to: {error}"), exit::FAILED))
    }

    /// The next line, parsed and as it came; `None` when the daemon has closed the connection.
    pub fn read(&mut self) -> Result<Option<(Line, &str)>, Failure> {
        self.text.clear();
        let read = self.lines.read_line(&mut self.text);
        match read {
            Ok(0) => Ok(None),
            Ok(_) => match serde_json::from_str(&self.text) {
                Ok(line) => Ok(Some((line, self.text.trim_end()))),
                Err(error) => {
                    Err(Failure::new(format_args!("the daemon sent a line that cannot be read: {error}"), exit::FAILED))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(Failure::new(format_args!("the connection broke: {error}"), exit::FAILED)),
        }
    }
}

fn default_place() -> Result<PathBuf, Failure> {
    let system = Path::new("/run/mimid/mimid.sock");
    match socket::default_path() {
        Ok(path) if path.exists() || !system.exists() => Ok(path),
        Err(_) if !system.exists() => Err(Failure::new("no mimid was found; name its socket with --socket", exit::FAILED)),
        // A user's own daemon comes first; without one, the system's is meant.
        Ok(_) | Err(_) => Ok(system.to_owned()),
    }
}

struct Printer {
    format: Format,
    style: Style,
    zone: TimeZone,
}

impl Printer {
    /// Prints lines until there are `count`, or until the daemon ends.
    fn print(&self, daemon: &mut Daemon, count: Option<u64>, out: &mut impl Write) -> Result<(), Failure> {
        let mut printed = 0;
        if self.format == Format::Pretty
            && let Some(text) = pretty(&daemon.hello, self.style, &self.zone)
        {
            writeln!(out, "{text}")?;
            out.flush()?;
        }
        while count.is_none_or(|count| printed < count) {
            let Some((line, json)) = daemon.read()? else {
                return if count.is_some() { Err(closed()) } else { Ok(()) };
            };
            if let Body::Error { message, .. } = &line.body {
                return Err(Failure::new(message, exit::FAILED));
            }
            if matches!(line.body, Body::Heartbeat {}) {
                continue;
            }
            // What tells of missing lines is none of those that were asked for.
            let counts = !matches!(line.body, Body::Dropped { .. });
            let text = match self.format {
                Format::Json => Some(json.to_owned()),
                Format::Pretty => pretty(&line, self.style, &self.zone),
            };
            if let Some(text) = text {
                writeln!(out, "{text}")?;
                out.flush()?;
                printed += u64::from(counts);
            }
        }
        Ok(())
    }
}
