//! `mimid listen`: a subscriber that prints. It knows of the daemon only what the socket says.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use jiff::tz::TimeZone;

use super::client::{ClientError, Daemon, Replay};
use super::run::style_of;
use super::{Failure, exit, say};
use crate::cli::pretty::{Style, pretty};
use crate::publish::wire::{Body, Request};

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
    if args.count.is_some() { Ok(()) } else { Err(ClientError::Closed.into()) }
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
                return if count.is_some() { Err(ClientError::Closed.into()) } else { Ok(()) };
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
