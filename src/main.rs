//! The `mimid` binary: command line, then the library, then an exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use mimid::cli::{self, Cli};

fn main() -> ExitCode {
    leave_no_telemetry();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version were asked for; everything else is a usage error.
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let printed = error.print().map_err(cli::Failure::from);
            return match printed {
                Err(failure) if asked && failure.exit_code != 0 => {
                    cli::say(format_args!("mimid: {}", failure.message));
                    ExitCode::from(failure.exit_code)
                }
                Ok(()) | Err(_) if asked => ExitCode::SUCCESS,
                Ok(()) | Err(_) => ExitCode::from(cli::exit::USAGE),
            };
        }
    };
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                cli::say(format_args!("mimid: {}", failure.message));
            }
            ExitCode::from(failure.exit_code)
        }
    }
}

/// Tells ONNX Runtime not to count its use. Otherwise it makes a device id in the user's home as soon as it is loaded, before its own
/// API can be told not to, and reports to its maker where it has a network. Nothing that is heard here concerns anybody else.
#[allow(unsafe_code, reason = "the library asks the environment, and the environment can be changed in no other way")]
fn leave_no_telemetry() {
    // SAFETY: this is the process's first statement, so no other thread can be reading the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}
