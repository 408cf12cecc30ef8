//! The `mimid` binary: parses the command line, runs the library, and ends with an exit code. Nothing else is decided here.

use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use mimid::cli::{self, Cli, Failure};

fn main() -> ! {
    leave_no_telemetry();
    find_cookie();
    let (failure, code) = match Cli::try_parse() {
        Ok(cli) => match cli::run(cli) {
            Ok(()) => (None, 0),
            Err(failure) => (Some(failure.message), failure.exit_code),
        },
        // Help and version are what the user asked for; every other error is one of usage.
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

/// Turns the telemetry of ONNX Runtime off. It would create a device id in the user's home as soon as it is loaded, before its
/// own API could turn that off, and report to its maker over the network. Sounds in a home concern nobody else.
#[allow(unsafe_code, reason = "ONNX Runtime reads the environment, which only this function can change")]
fn leave_no_telemetry() {
    // SAFETY: this is the first statement of the process, so no other thread can read the environment at the same time.
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// Names the cookie of PulseAudio in `$XDG_CONFIG_HOME`, where PulseAudio itself keeps it and its client here does not look.
#[allow(unsafe_code, reason = "the client reads the environment, which only this function can change")]
fn find_cookie() {
    let folder = std::env::var_os("XDG_CONFIG_HOME").filter(|_| std::env::var_os("PULSE_COOKIE").is_none());
    if let Some(cookie) = folder.map(|folder| Path::new(&folder).join("pulse/cookie")).filter(|cookie| cookie.is_file()) {
        // SAFETY: this is among the first statements of the process, so no other thread can read the environment at the same time.
        unsafe { std::env::set_var("PULSE_COOKIE", cookie) };
    }
}

/// Ends the process at once, without the exit handlers of libraries. A thread may still be inside ONNX Runtime, even in an
/// inference that never returns. The exit handlers would destroy the library under it, which has led to error messages and can
/// lead to a crash instead of this exit code.
#[allow(unsafe_code, reason = "no safe function ends a process with an exit code and without exit handlers")]
fn leave(code: u8) -> ! {
    // Standard output is flushed at each newline; output that is buffered further is flushed where it is printed.
    let _ = std::io::Write::flush(&mut std::io::stdout());
    // SAFETY: the function takes a number, touches no memory, and does not return.
    unsafe { nix::libc::_exit(code.into()) }
}
