//! `mimid schema`: prints the JSON Schema of the configuration file or of the protocol. It reads no file.

use std::io::{self, Write};

use clap::ValueEnum;

use super::Failure;
use crate::config;
use crate::publish::wire;

/// Print the JSON Schema of the configuration or of the protocol.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The format to describe
    #[arg(value_enum)]
    subject: Subject,
}

/// A format that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The configuration file, for editors
    Config,
    /// Every line and every request of the socket, for programs
    Protocol,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<(), Failure> {
    let schema = match args.subject {
        Subject::Config => config::schema::schema(),
        Subject::Protocol => wire::schema::schema(),
    };
    io::stdout().write_all(schema.as_bytes())?;
    Ok(())
}
