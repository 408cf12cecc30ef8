//! The `mimid` binary: command line, then the library, then an exit code.

use clap::Parser;
use clap::error::ErrorKind;
use mimid::cli::{self, Cli, Failure};

fn main() -> ! {
    leave_no_telemetry();
    let (failure, code) = match Cli::try_parse() {
        Ok(cli) => match cli::run(cli) {
            Ok(()) => (None, 0),
            Err(failure) => (Some(failure.message), failure.exit_code),
        },
        // Help and version were asked for; everything else is a usage error.
        Err(error) => match (error.kind(), error.print().map_err(Failure::from)) {
            (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Ok(())) => (None, 0),
            (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(failure)) => (Some(failure.message), failure.exit_code),
            _ => (None, cli::exit::USAGE),
        },
    };
    if let Some(message) = failure.filter(|message| !message.is_empty()) {
        cli::say(format_args!("mimid: {message}"));
    }
    leave(code)
}

/// Tells ONNX Runtime not to count its use. Otherwise it makes a device id in the user's home as soon as it is loaded, before its own
/// API can be told not to, and reports to its maker where it has a network. Nothing that is heard here concerns anybody else.
#[allow(unsafe_code, reason = "the library asks the environment, and the environment can be changed in no other way")]
fn leave_no_telemetry() {
    // SAFETY: this is the process's first statement, so no other thread can be reading the environment.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// Ends the process at once, without the handlers that libraries left for its end. A thread may still be in ONNX Runtime, an inference
/// that never returns among them, and those handlers take the library apart under it: that has ended in its error messages, and can
/// end in a crash instead of this exit code.
#[allow(unsafe_code, reason = "no safe function ends a process without those handlers and with an exit code")]
fn leave(code: u8) -> ! {
    // What was written in lines has gone out with each line's end; whatever else was printed was flushed by who printed it.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    // SAFETY: it takes a number, touches no memory, and does not return.
    unsafe { nix::libc::_exit(code.into()) }
}
