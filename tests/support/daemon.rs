//! The running daemon.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Client, mimid, until, voice_and_silence};

/// The source that plays a recording again and again.
pub fn looped(recording: impl AsRef<Path>) -> String {
    format!("file:{}?loop", recording.as_ref().display())
}

/// A running daemon, which is killed when it is dropped.
pub struct Daemon {
    pub child: Child,
    pub folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts `mimid run` with a configuration. Its socket is `s` in a folder of its own.
    pub fn start(config: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Self { child: Self::spawn(folder.path(), config, arguments, environment), folder };
        daemon.wait_until_it_listens();
        daemon
    }

    /// A daemon that hears a recording again and again.
    pub fn looped(config: &str, recording: impl AsRef<Path>) -> Self {
        Self::start(config, &["--source", &looped(recording)], &[])
    }

    /// A daemon that hears a voice again and again, and the folder with the recording.
    pub fn voices() -> (Self, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Self::looped("", voice_and_silence(folder.path())), folder)
    }

    /// The same as [`Daemon::start`], but `change` may change the command or wrap it with [`under`].
    pub fn start_as(config: &str, arguments: &[&str], change: impl FnOnce(Command) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = change(Self::command(folder.path(), config, arguments));
        let daemon = Self { child: command.spawn().unwrap(), folder };
        daemon.wait_until_it_listens();
        daemon
    }

    /// Starts another daemon in the place of this one, which has ended.
    pub fn start_again(&mut self, config: &str, arguments: &[&str], environment: &[(&str, &Path)]) {
        self.child = Self::spawn(self.folder.path(), config, arguments, environment);
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&self) {
        until("the daemon to listen", || UnixStream::connect(self.socket()).is_ok());
    }

    /// Replaces the configuration file. The table `[socket]` stands above `config`, as at the start.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.config_file(), format!("[socket]\npath = {:?}\n{config}", self.socket())).unwrap();
    }

    /// Replaces the configuration file and has it loaded.
    pub fn reload(&self, config: &str) {
        self.configure(config);
        self.connect().ask(r#"{"op":"reload"}"#, "config.reloaded");
    }

    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("mimid.toml")
    }

    fn spawn(folder: &Path, config: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Child {
        Self::command(folder, config, arguments).envs(environment.iter().copied()).spawn().unwrap()
    }

    /// The command `mimid run` with a new configuration file. `config` may begin with more keys of the table `[socket]`.
    fn command(folder: &Path, config: &str, arguments: &[&str]) -> Command {
        let socket = folder.join("s");
        std::fs::write(folder.join("mimid.toml"), format!("[socket]\npath = {socket:?}\n{config}")).unwrap();
        let mut command = mimid();
        command.arg("run").arg("--config").arg(folder.join("mimid.toml")).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    pub fn connect(&self) -> Client {
        Client::connect(&self.socket())
    }

    pub fn signal(&self, signal: &str) {
        // The shell's own kill: a bare system has no other.
        assert!(Command::new("bash").arg("-c").arg(format!("kill {signal} {}", self.child.id())).status().unwrap().success());
    }

    /// Waits for the end, and returns the exit code.
    pub fn wait(&mut self) -> i32 {
        until("the daemon to end", || self.child.try_wait().unwrap()).code().unwrap_or(-1)
    }

    /// The processor time that the daemon has used, in seconds.
    pub fn cpu_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
