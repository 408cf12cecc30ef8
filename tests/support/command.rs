//! The binary as a command, and its outcome.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary, with the project's own model and runtime, and nothing of the user's.
pub fn mimid() -> Command {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimid"));
    command
        .env("MIMID_MODELS", project.join("models"))
        .env("MIMID_ONNXRUNTIME", project.join("models/runtime/libonnxruntime.so"));
    for name in [
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
        "RUNTIME_DIRECTORY",
        "PULSE_SERVER",
        "NOTIFY_SOCKET",
        "MIMID_LOG",
        "LISTEN_PID",
        "JOURNAL_STREAM",
    ] {
        command.env_remove(name);
    }
    // A machine on which this is run may have a microphone; no test may listen to it.
    command.env("ALSA_CONFIG_PATH", "/dev/null");
    // Without a home there is no configuration of the user's, and no sound server of the user's either.
    command.env("HOME", "/nonexistent").env("RUST_BACKTRACE", "1");
    command
}

/// A command that runs `inner` under `wrapper`, which changes limits, the user or mounts. Its streams are those of a new command.
pub fn under(wrapper: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs `inner` in a shell after `script`, which may set limits, close streams, or mount.
pub fn after(script: &str, inner: &Command) -> Command {
    under(&["bash", "-c", &format!("{script}\nexec \"$0\" \"$@\"")], inner)
}

/// Runs a command to its end. It may fail, but must not panic.
pub fn run(command: &mut Command) -> Output {
    ended(command.stdin(Stdio::null()))
}

fn ended(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked") && !stderr.contains("stack backtrace"), "{stderr}");
    output
}

/// The exit code and standard error of a command that is meant to fail.
pub fn failure(command: &mut Command) -> (i32, String) {
    failure_with_input(command.stdin(Stdio::null()))
}

/// The same for a command whose standard input is set already.
pub fn failure_with_input(command: &mut Command) -> (i32, String) {
    let output = ended(command);
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap().trim_end().to_owned())
}
