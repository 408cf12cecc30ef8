//! `mimid mqtt clean`: removes what a daemon that is gone has left at the MQTT broker. It asks no running daemon.

use std::io::Write;

use super::{ConfigArg, Failure, exit, load};
use crate::limits;
use crate::publish::mqtt::clean;
use crate::publish::settings::MqttConfig;

/// Clear up after a daemon at the MQTT broker.
#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// Remove all messages that a node has the broker retain, and its entities in Home Assistant.
    Clean(CleanArgs),
}

/// Remove all messages that a node has the broker retain, and its entities in Home Assistant.
#[derive(Debug, clap::Args)]
pub struct CleanArgs {
    /// The node: the name of the machine in the topics, as `node` under [sinks.mqtt]
    node: String,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    let Command::Clean(CleanArgs { node, config }) = command;
    if node.is_empty() || node.contains(['/', '+', '#']) {
        return Err(Failure::new(
            format_args!("{node:?} is no node; it is one level of a topic, without /, + or #"),
            exit::USAGE,
        ));
    }
    let Some(broker) = load(config)?.config.sinks.mqtt else {
        return Err(Failure::new(
            "the configuration names no broker; set url under [sinks.mqtt], or name a --config",
            exit::USAGE,
        ));
    };
    let broker = MqttConfig { node: node.clone(), ..broker };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(limits::explain(&error), exit::FAILED))?;
    let removed = runtime.block_on(clean::node(&broker)).map_err(|why| Failure::new(why, exit::FAILED))?;
    let mut out = std::io::stdout().lock();
    match removed {
        0 => writeln!(out, "the broker has retained nothing of {node}")?,
        1 => writeln!(out, "1 message of {node} is removed")?,
        n => writeln!(out, "{n} messages of {node} are removed")?,
    }
    Ok(())
}
