//! `mimid top`: what the daemon hears now, and why a label is or is not an event; live in a terminal, or once for scripts.
//!
//! `state`, `source`, `history`, `changes` and `keys` hold the state and decide. `view`, with the modules it draws with, turns
//! the state into cells. Only `session` waits, only `screen` touches the terminal, only `link` reads the socket, only `proposal`
//! touches a file.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use super::client::{ClientError, Daemon};
use super::{Failure, exit};
use crate::publish::wire::{Body, Request};
use crate::text::nearest;

mod ansi16;
mod changes;
mod detail;
mod dots;
mod events;
mod header;
mod history;
mod keys;
mod link;
mod meter;
mod odds;
mod once;
mod pages;
mod palette;
mod pen;
mod proposal;
mod rows;
mod screen;
mod session;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod view;

use palette::Palette;
use state::TopState;

/// The default number of labels in the live picture.
const LIVE_LABELS: usize = 40;
/// The default number of labels with `--once`.
const ONCE_LABELS: usize = 10;

/// Show live what the daemon hears, and why a label is or is not an event.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The source to show first; with --once, the only one
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// The number of labels, the strongest first [default: 40, with --once 10]
    #[arg(short, long = "labels", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    k: Option<u16>,
    /// The time between two requests to the daemon, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(50..=10_000))]
    interval_ms: u64,
    /// Print one table a source and end
    #[arg(long)]
    once: bool,
    /// Print the daemon's answer as JSON, with all sources
    #[arg(long, requires = "once", conflicts_with = "source")]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    let is_terminal =
        io::stdin().is_terminal() && io::stdout().is_terminal() && variable("TERM").is_none_or(|term| term != "dumb");
    if !args.once && !is_terminal {
        return Err(Failure::new("top draws on a terminal, and there is none; use --once, or --once --json", exit::USAGE));
    }
    let daemon = Daemon::connect(args.socket.as_deref())?;
    let sources = match &daemon.hello.body {
        Body::Hello { sources, .. } => sources.clone(),
        _ => Vec::new(),
    };
    let shown = args.source.as_deref().map(|name| find(name, &sources)).transpose()?;
    let k = |default| args.k.map_or(default, usize::from);
    if args.once {
        return once(daemon, k(ONCE_LABELS), args);
    }
    let interval = Duration::from_millis(args.interval_ms);
    let mut state = TopState::new(&daemon.hello, k(LIVE_LABELS), interval, TimeZone::system(), Instant::now());
    state.shown = shown.unwrap_or(0);
    session::run(daemon, args.socket.clone(), state, Palette::from_variables(variable))
}

/// The index of the source with this name.
fn find(name: &str, sources: &[String]) -> Result<usize, Failure> {
    sources.iter().position(|source| source == name).ok_or_else(|| {
        let hint = match nearest(name, sources.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", sources.join(", ")),
        };
        Failure::new(format_args!("the daemon has no source {name:?}; {hint}"), exit::USAGE)
    })
}

/// Asks once and prints the answer.
fn once(mut daemon: Daemon, k: usize, args: &Args) -> Result<(), Failure> {
    daemon.ask(&Request::Top { k })?;
    loop {
        let Some((line, json)) = daemon.read()? else { return Err(ClientError::Closed.into()) };
        let mut out = io::stdout().lock();
        match &line.body {
            Body::Top { .. } if args.json => writeln!(out, "{json}")?,
            Body::Top { sources } => {
                let wanted = |name: &str| args.source.as_deref().is_none_or(|source| source == name);
                for (at, top) in sources.iter().filter(|top| wanted(&top.source)).enumerate() {
                    if at > 0 {
                        writeln!(out)?;
                    }
                    once::table(top, &mut out)?;
                }
            }
            Body::Error { message, .. } => return Err(Failure::new(message, exit::FAILED)),
            _ => continue,
        }
        return Ok(());
    }
}
