//! `mimid listen`: a subscriber that prints. It knows of the daemon only what the socket says.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use jiff::tz::TimeZone;

use super::run::style_of;
use super::{Failure, exit};
use crate::publish::pretty::{Style, pretty};
use crate::publish::socket;
use crate::publish::wire::{Body, Line, Request};

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
    /// End after so many lines
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
    let Args { labels, sources, types, since, .. } = args.clone();
    daemon.ask(&Request::Subscribe { labels, sources, types, min_score: 0.0, since })?;
    let out = io::stdout();
    let standard = if out.is_terminal() { Format::Pretty } else { Format::Json };
    let printer = Printer { format: args.format.unwrap_or(standard), style: style_of(&out), zone: TimeZone::system() };
    printer.print(&mut daemon, args.count, &mut out.lock())?;
    if args.count.is_some() { Ok(()) } else { Err(Failure::new("the daemon closed the connection", exit::FAILED)) }
}

/// Prints the events of the daemon behind `socket` on a thread of its own, until the daemon ends.
pub fn print_from(socket: &Path) -> Result<JoinHandle<()>, Failure> {
    let mut daemon = Daemon::connect(Some(socket))?;
    let work = move || {
        let out = io::stdout();
        let printer = Printer { format: Format::Pretty, style: style_of(&out), zone: TimeZone::system() };
        // Where nobody reads any more, the daemon goes on without a printer.
        let _ = printer.print(&mut daemon, None, &mut out.lock());
    };
    std::thread::Builder::new().name("print".to_owned()).spawn(work).map_err(|error| Failure::new(error, exit::FAILED))
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
                io::ErrorKind::PermissionDenied => format!("this user may not connect to {}", path.display()),
                _ => format!("{} cannot be connected to: {error}", path.display()),
            };
            Failure::new(what, exit::FAILED)
        };
        let stream = UnixStream::connect(&path).map_err(failed)?;
        let mut daemon = Self {
            lines: BufReader::new(stream),
            hello: Line { v: 0, seq: None, ts: None, body: Body::Heartbeat {} },
            text: String::new(),
        };
        match daemon.read()? {
            Some((hello, _)) => daemon.hello = hello,
            None => return Err(Failure::new(format_args!("{} was closed at once", path.display()), exit::FAILED)),
        }
        match &daemon.hello.body {
            Body::Hello { .. } => Ok(daemon),
            Body::Error { message, .. } => Err(Failure::new(message, exit::FAILED)),
            _ => Err(Failure::new(format_args!("{} is not a mimid", path.display()), exit::FAILED)),
        }
    }

    /// Sends a request.
    pub fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        let mut json = serde_json::to_string(request).map_err(|error| Failure::new(error, exit::FAILED))?;
        json.push('\n');
        let sent = self.lines.get_mut().write_all(json.as_bytes());
        sent.map_err(|error| Failure::new(format_args!("the daemon does not take the request: {error}"), exit::FAILED))
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
                let message = "the daemon closed the connection";
                return if count.is_some() { Err(Failure::new(message, exit::FAILED)) } else { Ok(()) };
            };
            if let Body::Error { message, .. } = &line.body {
                return Err(Failure::new(message, exit::FAILED));
            }
            if matches!(line.body, Body::Subscribed { .. } | Body::Heartbeat {}) {
                // A heartbeat that cannot be printed finds out that the reader of our output has gone.
                out.flush()?;
                continue;
            }
            let text = match self.format {
                Format::Json => Some(json.to_owned()),
                Format::Pretty => pretty(&line, self.style, &self.zone),
            };
            if let Some(text) = text {
                writeln!(out, "{text}")?;
                out.flush()?;
                printed += 1;
            }
        }
        Ok(())
    }
}
