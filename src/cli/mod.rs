//! The command line: arguments, output for people and scripts, and exit codes.
//!
//! A command with more than a page of code is a folder, the others are a file each:
//!
//! | module | command |
//! | --- | --- |
//! | `run` | starts the daemon, and its log (`logging`, `journal`) |
//! | `listen`, `status`, `top` | clients of the running daemon, over its socket (`client`); `pretty` makes lines for people |
//! | `history`, `review` | what the store has, read from its file; what people say of it |
//! | `clips` | lists, exports, locks and deletes the sound that is kept |
//! | `hooks` | lists the hooks, and runs one to try it |
//! | `scan`, `explain`, `tune` | the engine over recordings: events, reasons, thresholds; `progress` shows the bar |
//! | `evaluate` | how well it hears labelled recordings, or another program does |
//! | `labels`, `devices`, `check` | the model's labels, the capture devices, the configuration |
//! | `model` | makes a model of a foreign graph, lists, checks, chooses and removes models |
//! | `mqtt` | clears up at the broker after a daemon that is gone |
//! | `schema`, `man` | the JSON Schemas, for editors and other programs; the manual pages, for packagers |
//!
//! A failure is one plain sentence and an exit code; a command never prints a backtrace. Sounds are judged in the layers below,
//! never here.

use std::fmt;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::capture::source::Channel;
use crate::config::{self, LoadError, Loaded};
use crate::limits;
use crate::recording::{Listening, RecordingError};
use crate::text::visible;

mod check;
mod client;
mod clips;
mod devices;
mod evaluate;
mod explain;
mod history;
mod hooks;
mod journal;
mod labels;
mod learn;
mod listen;
mod logging;
mod man;
mod model;
mod mqtt;
pub mod pretty;
mod progress;
mod review;
mod run;
mod scan;
mod schema;
mod status;
mod top;
mod tune;

/// The largest gain or loss of `--gain`, in dB; that of `gain_db` in a configuration.
const MAX_GAIN_DB: f32 = 60.0;

/// The exit codes, which scripts may rely on.
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

/// The failure of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One plain sentence, or several, one a line, with the fault and the remedy; empty where nothing is left to say.
    pub message: String,
    /// The process's exit code.
    pub exit_code: u8,
}

impl Failure {
    /// A failure with this message and exit code.
    pub(crate) fn new(message: impl fmt::Display, exit_code: u8) -> Self {
        Self { message: message.to_string(), exit_code }
    }

    /// The failure to start a thread.
    pub(crate) fn no_thread(error: std::io::Error) -> Self {
        Self::new(format_args!("no thread could be started: {}", limits::explain(&error)), exit::FAILED)
    }

    /// The reader of standard output has closed it, which is no fault and needs no message.
    pub(crate) fn broken_pipe() -> Self {
        Self { message: String::new(), exit_code: 0 }
    }
}

impl From<std::io::Error> for Failure {
    /// An error of standard output.
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
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground.
    Run(run::Args),
    /// Subscribe to the running daemon and print its events.
    Listen(listen::Args),
    /// Find the sound events in recordings, faster than real time.
    Scan(scan::Args),
    /// Find thresholds from labelled recordings, from marks, or from hours of ordinary background.
    Tune(tune::Args),
    /// Judge what is heard in labelled recordings, by the measures of the field.
    Evaluate(evaluate::Args),
    /// Learn a sound of your own from a few recordings.
    Learn(learn::Args),
    /// Explain the events of a recording, and why other labels are none.
    Explain(explain::Args),
    /// Show what was heard, from the store.
    History(history::Args),
    /// Say which events were right, and what the others were.
    Review(review::Args),
    /// List, export, lock and delete the sound that is kept of events.
    Clips(clips::Args),
    /// List the hooks, or run one now to see what it does.
    Hooks(hooks::Args),
    /// Show the health of the running daemon.
    Status(status::Args),
    /// Show live what the daemon hears, and why a label is or is not an event.
    Top(top::Args),
    /// List the capture devices with their stable ids.
    Devices(devices::Args),
    /// List the labels that can be detected.
    Labels(labels::Args),
    /// Check a configuration and report all its faults at once.
    Check(check::Args),
    /// Add another model from a graph, choose one, and list, check or remove them.
    #[command(subcommand)]
    Model(model::Command),
    /// Clear up after a daemon at the MQTT broker.
    #[command(subcommand)]
    Mqtt(mqtt::Command),
    /// Print the JSON Schema of the configuration or of the protocol.
    Schema(schema::Args),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the manual pages.
    #[command(hide = true)]
    Man(man::Args),
}

/// Writes sentences, one a line, to standard error. Control characters are replaced, so that a name in a sentence cannot control
/// the terminal. An error is ignored, because only the exit code can report it.
pub fn say(sentence: impl fmt::Display) {
    let lines = sentence.to_string().lines().map(|line| visible(line) + "\n").collect::<String>();
    let _ = std::io::Write::write_all(&mut std::io::stderr(), lines.as_bytes());
}

/// The option that all commands with a configuration share.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigArg {
    /// The configuration file [default: /etc/mimid/config.toml, then $XDG_CONFIG_HOME/mimid/config.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// The options of how recordings are heard, which the commands over recordings share.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct ListeningArgs {
    /// The channel that is heard: mix for the mean of all, or a number from 1
    #[arg(long, value_name = "CHANNEL", default_value = "mix", value_parser = channel)]
    channel: Channel,
    /// The gain that is applied first, in dB
    #[arg(long, value_name = "DB", default_value_t = 0.0, value_parser = gain, allow_negative_numbers = true)]
    gain: f32,
}

impl ListeningArgs {
    /// The options as the recordings take them.
    pub fn listening(self) -> Listening {
        Listening { channel: self.channel, gain_db: self.gain }
    }
}

fn channel(text: &str) -> Result<Channel, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(Channel::Pick(number)),
        _ if text == "mix" => Ok(Channel::Mix),
        _ => Err("it must be mix or a number from 1".to_owned()),
    }
}

fn gain(text: &str) -> Result<f32, String> {
    let gain = text.parse().ok().filter(|gain: &f32| gain.abs() <= MAX_GAIN_DB);
    gain.ok_or_else(|| format!("it must be a number of dB from -{MAX_GAIN_DB} to {MAX_GAIN_DB}"))
}

/// Loads the configuration with its model.
fn load(arg: &ConfigArg) -> Result<Loaded, Failure> {
    Ok(config::load(arg.config.as_deref(), None)?)
}

/// Runs the subcommand.
pub fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Listen(args) => listen::run(&args),
        Command::Scan(args) => scan::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Learn(args) => learn::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::History(args) => history::run(&args),
        Command::Review(args) => review::run(&args),
        Command::Clips(args) => clips::run(&args),
        Command::Hooks(args) => hooks::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Labels(args) => labels::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Model(command) => model::run(&command),
        Command::Mqtt(command) => mqtt::run(&command),
        Command::Schema(args) => schema::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mimid", &mut script);
            std::io::Write::write_all(&mut std::io::stdout(), &script)?;
            Ok(())
        }
        Command::Man(args) => man::run(&args),
    }
}
