//! The command line: each subcommand has a file of its own, or a folder where it is more than a page.
//!
//! A subcommand reads its arguments, lets the library do the work, and prints the result. The live view of `top`, the pictures of `explain` and
//! the reports of `tune` are drawn here, because nothing else needs them.
//!
//! A failure is one plain sentence and an exit code; nothing here prints a backtrace.

use std::fmt;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{self, LoadError, Loaded};
use crate::limits;
use crate::recording::RecordingError;
use crate::text::visible;

pub mod check;
mod client;
pub mod devices;
pub mod explain;
mod journal;
pub mod labels;
pub mod listen;
mod logging;
pub mod man;
pub mod pretty;
mod progress;
pub mod run;
pub mod scan;
pub mod status;
pub mod top;
pub mod tune;

/// The exit codes that a user may build on.
pub mod exit {
    /// It failed while running.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// There is no such device.
    pub const DEVICE: u8 = 3;
    /// The model or ONNX Runtime could not be loaded.
    pub const MODEL: u8 = 4;
    /// The socket is in use.
    pub const SOCKET: u8 = 5;
    /// It was interrupted.
    pub const INTERRUPTED: u8 = 130;
}

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One plain sentence, or one a line, that says what was wrong and what to do; empty where all has been said.
    pub message: String,
    /// The process's exit code.
    pub exit_code: u8,
}

impl Failure {
    /// A failure with this message and exit code.
    pub fn new(message: impl fmt::Display, exit_code: u8) -> Self {
        Self { message: message.to_string(), exit_code }
    }

    /// The system gave no thread.
    pub fn no_thread(error: std::io::Error) -> Self {
        Self::new(format_args!("no thread could be started: {}", limits::explain(&error)), exit::FAILED)
    }

    /// The reader of our output has gone: nobody is left to tell, and nothing went wrong.
    pub fn broken_pipe() -> Self {
        Self { message: String::new(), exit_code: 0 }
    }
}

impl From<std::io::Error> for Failure {
    /// An error of our own output.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::broken_pipe(),
            _ => Self::new(format_args!("the output could not be written: {error}"), exit::FAILED),
        }
    }
}

impl From<RecordingError> for Failure {
    fn from(error: RecordingError) -> Self {
        match error {
            RecordingError::Recording(sentence) | RecordingError::File(sentence) => Self::new(sentence, exit::FAILED),
            RecordingError::Model(error) => error.into(),
            RecordingError::Output(error) => error.into(),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Faults(faults) => Self::new(faults, exit::USAGE),
            LoadError::Model(error) => error.into(),
        }
    }
}

impl From<crate::model::ModelError> for Failure {
    fn from(error: crate::model::ModelError) -> Self {
        Self::new(error, exit::MODEL)
    }
}

/// mimid hears: a microphone goes in, labelled sound events with onsets and offsets come out on a local socket.
#[derive(Debug, Parser)]
#[command(name = "mimid", version, about, max_term_width = 100, disable_help_subcommand = false)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground.
    Run(run::Args),
    /// Subscribe to a running daemon and print its events.
    Listen(listen::Args),
    /// Find the sound events in recordings, faster than real time.
    Scan(scan::Args),
    /// Find thresholds from recordings, or from hours of ordinary background.
    Tune(tune::Args),
    /// Say why each event of a recording came, and why others did not.
    Explain(explain::Args),
    /// Show the health of the running daemon.
    Status(status::Args),
    /// Show live what the daemon hears, and why a label is an event or is not.
    Top(top::Args),
    /// List the capture devices with their stable ids.
    Devices(devices::Args),
    /// List what can be detected.
    Labels(labels::Args),
    /// Check a configuration: all faults at once.
    Check(check::Args),
    /// Print a completion script for a shell.
    Completions {
        /// The shell to complete for.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages.
    #[command(hide = true)]
    Man(man::Args),
}

/// Says a sentence, or one a line, on standard error; a file's or a device's name in it does not rule the terminal. That it cannot be
/// said changes nothing: then the exit code has to say it all.
pub fn say(sentence: impl fmt::Display) {
    let lines = sentence.to_string().lines().map(|line| visible(line) + "\n").collect::<String>();
    let _ = std::io::Write::write_all(&mut std::io::stderr(), lines.as_bytes());
}

/// The option that all commands with a configuration share.
#[derive(Debug, Clone, clap::Args)]
pub struct ConfigArg {
    /// The configuration file [default: /etc/mimid/config.toml, then $XDG_CONFIG_HOME/mimid/config.toml]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Loads the configuration with its model.
fn load(arg: &ConfigArg) -> Result<Loaded, Failure> {
    Ok(config::load(arg.config.as_deref(), None)?)
}

/// Does what the command line asks.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Listen(args) => listen::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Labels(args) => labels::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mimid", &mut script);
            std::io::Write::write_all(&mut std::io::stdout(), &script)?;
            Ok(())
        }
        Command::Man(args) => man::run(&args),
    }
}
