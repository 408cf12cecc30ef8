//! `mimid model`: other models as folders. It adds a foreign graph, lists and checks the installed models, and chooses one.
//!
//! `add` makes a folder of a graph and a label map, and `staging` puts it in place in one step. `trial` plays a sound through a
//! model, `licence` says what its licence allows, and `choose` has the installed models.

use std::path::PathBuf;

use super::{ConfigArg, Failure};
use crate::config;
use crate::model::onnx::{self, Runtime};

mod add;
mod choose;
mod licence;
mod staging;
mod trial;

/// Add another model from a graph, choose one, and list, check or remove them.
#[derive(Debug, clap::Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum Command {
    /// Make a model of an ONNX graph and a label map: look at the graph, write the folder, and play a sound through it.
    Add(Box<add::Args>),
    /// List the installed models.
    List(ListArgs),
    /// Check a model: its files, its graph, what it hears and what a window costs.
    Check(CheckArgs),
    /// Write a model into the configuration, and show the difference first.
    Use(ChoiceArgs),
    /// Remove a model's folder.
    Remove(ChoiceArgs),
}

/// List the installed models.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
}

/// Check a model.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The model: the name of an installed one, or a path with a slash in it [default: that of the configuration]
    model: Option<String>,
    /// A recording to play through the model, in any common format, instead of beeps
    #[arg(long, value_name = "RECORDING")]
    sound: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
}

/// Choose a model, or remove it.
#[derive(Debug, clap::Args)]
pub struct ChoiceArgs {
    /// The model: the name of an installed one, or a path with a slash in it
    model: String,
    #[command(flatten)]
    config: ConfigArg,
}

/// Runs the command.
pub fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Add(args) => add::run(args),
        Command::List(args) => choose::list(args),
        Command::Check(args) => choose::check(args),
        Command::Use(args) => choose::choose(args),
        Command::Remove(args) => choose::remove(args),
    }
}

/// The settings of the model in the configuration. The model itself is not opened: it may be the one that is wrong.
fn settings(config: &ConfigArg) -> Result<config::ModelConfig, Failure> {
    let raw = config::load::read(config.config.as_deref()).map_err(config::LoadError::Faults)?;
    Ok(raw.model_settings())
}

fn runtime(settings: &config::ModelConfig) -> Result<Runtime, Failure> {
    Ok(Runtime::load(&onnx::find_runtime(settings.runtime.as_deref())?)?)
}
