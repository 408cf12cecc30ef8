//! `mimid top`: what the daemon hears now, and why a label is an event or is not; live in a terminal, or once for scripts.
//!
//! `state`, `source`, `history`, `changes` and `keys` know and decide; `view` and what it draws with turn that into cells; `session`
//! is the only one that waits, `screen` the only one that touches the terminal, `proposal` the only one that touches a file.

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
use state::State;

/// How many labels are asked for where nothing else is said: live, and once.
const LABELS: (usize, usize) = (40, 10);

/// Show live what the daemon hears, and why a label is an event or is not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The source to show first, or only with --once
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// How many labels to ask for [default: 40, and 10 with --once]
    #[arg(short, long = "labels", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    k: Option<u16>,
    /// How often to ask
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(50..=10_000))]
    interval_ms: u64,
    /// Print one table and end
    #[arg(long)]
    once: bool,
    /// Print the daemon's own answer, with all sources
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
    let k = |standard| args.k.map_or(standard, usize::from);
    if args.once {
        return once(daemon, k(LABELS.1), args);
    }
    let interval = Duration::from_millis(args.interval_ms);
    let mut state = State::new(&daemon.hello, k(LABELS.0), interval, TimeZone::system(), Instant::now());
    state.shown = shown.unwrap_or(0);
    session::run(daemon, args.socket.clone(), state, Palette::from_variables(variable))
}

/// Which of the sources has this name.
fn find(name: &str, sources: &[String]) -> Result<usize, Failure> {
    sources.iter().position(|source| source == name).ok_or_else(|| {
        let hint = match nearest(name, sources.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", sources.join(", ")),
        };
        Failure::new(format_args!("the daemon has no source {name:?}; {hint}"), exit::USAGE)
    })
}

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
