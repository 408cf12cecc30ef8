//! `mimid listen`: subscribes to the daemon and prints its lines. It never asks the daemon to change anything.

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
    /// Only lines of this type, such as event.start, or of all types below it, such as event; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only confirmed events; each begins when it is confirmed
    #[arg(long)]
    confirmed: bool,
    /// First replay the lines after the one with this sequence number, as far as the daemon holds them
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    /// The daemon's `instance` that numbered the line of --since, from `mimid status --json`; a restarted daemon numbers its
    /// lines anew
    #[arg(long, value_name = "ID", requires = "since")]
    instance: Option<String>,
    /// End after this many lines, not counting notes about lines that were dropped
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// The output format [default: pretty on a terminal, else json]
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
    let Args { labels, sources, types, confirmed, since, instance, .. } = args.clone();
    // Lines that are published between the greeting and the request are replayed under the filter.
    let since = since.or(daemon.hello.seq);
    let request = Request::Subscribe { labels, sources, types, min_score: 0.0, confirmed, since, instance };
    let replay = daemon.subscribe(&request)?;
    if let Replay::AfterRestart = replay {
        say("warning: the daemon was restarted; the lines before that are lost");
    }
    let out = io::stdout();
    let standard = if out.is_terminal() { Format::Pretty } else { Format::Json };
    let printer = Printer { format: args.format.unwrap_or(standard), style: style_of(&out), zone: TimeZone::system() };
    printer.print(&mut daemon, args.count, &mut out.lock())?;
    if args.count.is_some() { Ok(()) } else { Err(ClientError::Closed.into()) }
}

/// Prints the lines of the daemon at `socket` on a thread of its own, until the daemon ends.
pub fn print_from(socket: &Path) -> Result<JoinHandle<()>, Failure> {
    let mut daemon = Daemon::connect(Some(socket))?;
    let work = move || {
        let out = io::stdout();
        let printer = Printer { format: Format::Pretty, style: style_of(&out), zone: TimeZone::system() };
        // A reader of the output that has gone is no error; the daemon goes on without a printer.
        if let Err(failure) = printer.print(&mut daemon, None, &mut out.lock())
            && !failure.message.is_empty()
        {
            tracing::warn!("events are not printed any more, but still published: {}", failure.message);
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
    /// Prints lines until `count` are printed, or until the daemon ends.
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
            // A note about dropped lines is none of the lines that were asked for.
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
