//! `mimid status`: prints the health of the running daemon. It changes nothing.

use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::client::{ClientError, Daemon};
use super::{Failure, exit};
use crate::cli::pretty::paused;
use crate::publish::wire::{
    Body, ClipsStatus, HookStatus, PauseStatus, Request, SinkStatus, SourceState, SourceStatus, Status, duration,
};
use crate::text::visible;

/// Show the health of the running daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The daemon's socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print the daemon's answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut daemon = Daemon::connect(args.socket.as_deref())?;
    daemon.ask(&Request::Status {})?;
    loop {
        let Some((line, json)) = daemon.read()? else {
            return Err(ClientError::Closed.into());
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
    if let Some(PauseStatus { reason, until }) = &status.paused {
        writeln!(out, "paused    {}", paused(reason, until.as_deref(), Timestamp::now(), &TimeZone::system()))?;
    }
    let width = status.sources.iter().map(|source| source.name.chars().count()).max().unwrap_or(0).max(6);
    writeln!(
        out,
        "\n{:<width$}  state    level        last sample  last event    windows/s  waits p50/p95/p99   overrun    events  losses",
        "source"
    )?;
    let none = || "–".to_owned();
    for source in &status.sources {
        let SourceStatus { name, state, windows_per_s, events, losses, overrun_samples, .. } = source;
        let level = source.level_dbfs.map_or_else(none, |level| format!("{level:.1} dBFS"));
        let last = source.last_sample_age_ms.map_or_else(|| "never".to_owned(), |ms| format!("{ms} ms ago"));
        let event = source.last_event_age_s.map_or_else(|| "never".to_owned(), |s| format!("{} ago", duration(s)));
        let waits = source.latency_ms.map_or_else(none, |ms| format!("{:.0}/{:.0}/{:.0} ms", ms.p50, ms.p95, ms.p99));
        writeln!(
            out,
            "{:<width$}  {state:<7}  {level:<11}  {last:<11}  {event:<12}  {windows_per_s:<9.1}  {waits:<18}  {overrun_samples:<9}  {events:<6}  {losses}",
            visible(name)
        )?;
    }
    for source in &status.sources {
        // The pause of all sources is printed above.
        if let Some(reason) = source.reason.as_ref().filter(|_| source.state != SourceState::Paused) {
            writeln!(out, "\n{}", visible(&format!("{} is {}: {reason}", source.name, source.state)))?;
        }
    }
    for sink in &status.sinks {
        let SinkStatus { name, state, reason, queued, sent, dropped, clients } = sink;
        let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let line = format!("{name} is {state}{why}; sent {sent}, waiting {queued}, dropped {dropped}, clients {clients}");
        writeln!(out, "\n{}", visible(&line))?;
    }
    if let Some(clips) = &status.clips {
        let ClipsStatus { folder, memory_bytes, memory_locked, kept, withheld, dropped, files, bytes, reason, .. } = clips;
        let (mb, memory_mb) = (*bytes as f64 / 1e6, *memory_bytes as f64 / 1e6);
        let locked = if *memory_locked { "" } else { ", which the system may swap" };
        let why = reason.as_ref().map(|reason| format!("; nothing can be kept: {reason}")).unwrap_or_default();
        let line = format!(
            "clips: {files} files in {folder}, {mb:.1} MB; kept {kept}, withheld {withheld}, dropped {dropped}; \
             sound is remembered in {memory_mb:.1} MB of memory{locked}{why}"
        );
        writeln!(out, "\n{}", visible(&line))?;
    }
    for hook in &status.hooks {
        let HookStatus { name, waiting, done, given_up, dropped, last, .. } = hook;
        let last = last.as_ref().map(|last| format!("; last: {}", last.result)).unwrap_or_default();
        let line = format!("hook {name}: done {done}, waiting {waiting}, given up {given_up}, dropped {dropped}{last}");
        writeln!(out, "\n{}", visible(&line))?;
    }
    Ok(())
}
