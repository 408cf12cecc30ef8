//! `mimid status`: the health of the running daemon.

use std::io::{self, Write};
use std::path::PathBuf;

use super::listen::{Daemon, closed};
use super::{Failure, exit};
use crate::publish::wire::{Body, Request, SourceStatus, Status};

/// Show the health of the running daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print the daemon's own answer
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut daemon = Daemon::connect(args.socket.as_deref())?;
    daemon.ask(&Request::Status {})?;
    loop {
        let Some((line, json)) = daemon.read()? else {
            return Err(closed());
        };
        match &line.body {
            Body::Status(_) if args.json => writeln!(io::stdout(), "{json}")?,
            Body::Status(status) => page(status, &mut io::stdout().lock())?,
            Body::Error { message, .. } => return Err(Failure::new(message, exit::FAILED)),
            _ => continue,
        }
        return Ok(());
    }
}

fn page(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let Status { version, pid, uptime_s, model, inferences, clients, dropped_lines, dropped_reports, .. } = status;
    let mean = status.inference_ms.map(|ms| format!(", {ms:.1} ms each")).unwrap_or_default();
    writeln!(out, "mimid {version}, process {pid}, up {}", duration(*uptime_s))?;
    writeln!(out, "model     {}, {} labels, {inferences} inferences{mean}", model.name, model.labels)?;
    writeln!(out, "clients   {clients}, lines dropped {dropped_lines}, reports dropped {dropped_reports}")?;
    let width = status.sources.iter().map(|source| source.name.chars().count()).max().unwrap_or(0).max(6);
    writeln!(out, "\n{:<width$}  state    level        last sample  overrun    windows  events  losses", "source")?;
    for source in &status.sources {
        let SourceStatus { name, state, windows, events, losses, overrun_samples, .. } = source;
        let level = source.level_dbfs.map(|level| format!("{level:.1} dBFS")).unwrap_or_else(|| "–".to_owned());
        let last = source.last_sample_age_ms.map(|ms| format!("{ms} ms ago")).unwrap_or_else(|| "never".to_owned());
        writeln!(
            out,
            "{name:<width$}  {state:<7}  {level:<11}  {last:<11}  {overrun_samples:<9}  {windows:<7}  {events:<6}  {losses}"
        )?;
    }
    Ok(())
}

fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
