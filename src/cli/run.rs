//! `mimid run`: starts the daemon in the foreground and waits for its end. The stages themselves are the pipeline's.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::{Failure, exit, listen, load, logging};
use crate::capture::parse_input;
use crate::capture::source::{Coding, Input, SourceConfig};
use crate::config::Loaded;
use crate::config::raw::RawSource;
use crate::limits;
use crate::pipeline::{Daemon, Setup, Signal, WithoutSource};
use crate::text::{visible, without_passwords};

/// Run the daemon in the foreground.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A source to hear instead of the configured ones: default, an id from `mimid devices`, file:PATH, file:PATH?loop, -, exec:COMMAND, or an address (rtsp://, http://, https://)
    #[arg(long = "source", value_name = "SOURCE")]
    sources: Vec<String>,
    /// The sample rate of the source "-" in Hz
    #[arg(long, value_name = "HZ", default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(1_000..=768_000))]
    rate: u32,
    /// Also print the events, as `mimid listen` does
    #[arg(long)]
    print: bool,
    /// Keep trying when no source can be opened at the start, instead of ending
    #[arg(long, conflicts_with = "fallback")]
    wait: bool,
    /// A source to play when there is no capture device at the start
    #[arg(long, value_name = "SOURCE")]
    fallback: Vec<String>,
    #[command(flatten)]
    config: super::ConfigArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Loaded { raw, mut config, warnings, model, .. } = load(&args.config)?;
    logging::start(&config.log);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    limits::no_core_dumps();
    limits::share_heaps();
    limits::raise_files().map_err(|error| Failure::new(error, exit::FAILED))?;
    end_with_any_thread();
    let fixed_sources = !args.sources.is_empty();
    if fixed_sources {
        config.sources = sources(&args.sources, args.rate)?;
    }
    let fallback: Vec<String> = args.fallback.iter().filter(|source| is_there(source)).cloned().collect();
    let without_source = match (args.wait, fallback.is_empty()) {
        (true, _) => WithoutSource::Wait,
        (false, true) => WithoutSource::Fail,
        (false, false) => WithoutSource::Play(sources(&fallback, args.rate)?),
    };
    let setup = Setup { raw, config, config_file: args.config.config.clone(), fixed_sources, model, without_source };
    let daemon = Daemon::start(setup).map_err(|error| Failure::new(&error, error.exit_code()))?;
    tracing::info!(socket = %daemon.socket().display(), "ready");
    let printer = args.print.then(|| listen::print_from(daemon.socket())).transpose()?;
    let end = daemon.run().map_err(|error| Failure::new(&error, error.exit_code()))?;
    if let Some(printer) = printer {
        // The daemon has closed the connection, so the printer ends too.
        let _ = printer.join();
    }
    match end {
        Signal::Interrupt => Err(Failure { message: String::new(), exit_code: exit::INTERRUPTED }),
        Signal::Terminate | Signal::Finished | Signal::Reload => Ok(()),
    }
}

/// Whether a fallback can be tried; only a recording that does not exist cannot.
fn is_there(source: &str) -> bool {
    match parse_input(source, Coding::auto(16_000)) {
        Ok(Input::File { path, .. }) => path.exists(),
        _ => true,
    }
}

/// The sources of the command line; a name that occurs again gets a number.
fn sources(texts: &[String], rate_hz: u32) -> Result<Vec<SourceConfig>, Failure> {
    let silent_after_ms = (RawSource::default().silent_after_s.value * 1e3) as u64;
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut sources = Vec::new();
    for text in texts {
        let input = parse_input(text, Coding::auto(rate_hz))
            .map_err(|wrong| Failure::new(format!("--source {}: {wrong}", without_passwords(text)), exit::USAGE))?;
        let name = match &input {
            Input::Default => "default".to_owned(),
            Input::Device(id) if id.is_empty() => {
                return Err(Failure::new("--source is empty; write --source default", exit::USAGE));
            }
            Input::Device(id) => id.clone(),
            Input::File { path, .. } => path.file_stem().map_or_else(|| text.clone(), |stem| stem.to_string_lossy().into_owned()),
            Input::Stdin { .. } if seen.contains_key("stdin") => {
                return Err(Failure::new("standard input can be read by one source only", exit::USAGE));
            }
            Input::Stdin { .. } => "stdin".to_owned(),
            Input::Exec { command, .. } => {
                let program = command.first().map(std::path::Path::new).and_then(std::path::Path::file_name);
                program.map_or_else(|| "program".to_owned(), |program| program.to_string_lossy().into_owned())
            }
            Input::Http { address } | Input::Rtsp { address } => address.host().to_owned(),
            Input::Push { .. } => {
                return Err(Failure::new("tcp:// and udp:// need the key allow, which the configuration file has", exit::USAGE));
            }
        };
        // The name of a file becomes the name of a source, which is printed.
        let name = visible(&name);
        let count = seen.entry(name.clone()).or_insert(0);
        *count += 1;
        let name: Arc<str> = if *count == 1 { name.into() } else { format!("{name} {count}").into() };
        sources.push(SourceConfig { silent_after_ms, ..SourceConfig::new(name, input) });
    }
    Ok(sources)
}

/// Lets a panic of any thread end the process, with one sentence. A daemon with a dead thread would look healthy and hear
/// nothing, while the service manager restarts one that has ended.
fn end_with_any_thread() {
    std::panic::set_hook(Box::new(|panic| {
        let what = panic.payload_as_str().unwrap_or("no reason given");
        let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
        tracing::error!("mimid hit a bug{place}: {what}; it ends so that it can be restarted, please report this");
        std::process::abort();
    }));
}

/// The style of output to `out`: coloured on a terminal, unless `NO_COLOR` is set.
pub(super) fn style_of(out: &impl io::IsTerminal) -> crate::cli::pretty::Style {
    use crate::cli::pretty::Style;
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if out.is_terminal() && !plain { Style::Colour } else { Style::Plain }
}
