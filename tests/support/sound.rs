//! A sound server of the tests' own, with a microphone into which recordings are played.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;

use super::until;

const NEEDED: &str = "pulseaudio is needed; `make test` installs it";

/// The times at which the player was started and had ended. The recording sounded between them; on a busy machine they are
/// farther apart.
#[derive(Debug, Clone, Copy)]
pub struct Played {
    pub after: Timestamp,
    pub before: Timestamp,
}

impl Played {
    /// Requires that `onset` is possible for a sound that lasts `lasts_s` and fills the recording, with tolerance for the
    /// server's delay and the error of an onset.
    pub fn check_onset(&self, onset: Timestamp, lasts_s: f64) {
        let after_s = onset.duration_since(self.after).as_secs_f64();
        let room_s = self.before.duration_since(self.after).as_secs_f64() - lasts_s;
        assert!((-0.5..room_s + 0.5).contains(&after_s), "the onset is {after_s} s after the player, {room_s} s were possible");
    }
}

/// A PulseAudio server with a null sink as its microphone.
pub struct SoundServer {
    server: Child,
    /// The user whose server it is; `None` for the tests' own.
    uid: Option<u32>,
    pub folder: tempfile::TempDir,
}

impl SoundServer {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Self::command(folder.path()).spawn().expect(NEEDED);
        let server = Self { server, folder, uid: None };
        server.wait_until_up();
        server
    }

    /// A server of another user, in whose folder its cookie lies.
    pub fn start_as(uid: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(folder.path(), Some(uid), Some(uid)).unwrap();
        let server = Self::command(folder.path()).uid(uid).gid(uid).spawn().expect(NEEDED);
        let server = Self { server, folder, uid: Some(uid) };
        server.wait_until_up();
        server
    }

    fn command(folder: &Path) -> Command {
        let arguments = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-L", "module-native-protocol-unix"];
        let mut command = Command::new("pulseaudio");
        command.args(arguments).args(["-L", "module-null-sink sink_name=mic rate=48000 channels=2"]);
        command.env("XDG_RUNTIME_DIR", folder).env("HOME", folder).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn wait_until_up(&self) {
        until("the sound server", || self.tool("pactl").args(["set-default-source", "mic.monitor"]).status().unwrap().success());
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.env("XDG_RUNTIME_DIR", self.folder.path()).env("HOME", self.folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(uid) = self.uid {
            command.uid(uid).gid(uid);
        }
        command
    }

    /// The environment variables by which a daemon finds the server.
    pub fn environment(&self) -> [(&'static str, &Path); 2] {
        [("XDG_RUNTIME_DIR", self.folder.path()), ("HOME", self.folder.path())]
    }

    /// Plays a recording into the microphone, to its end.
    pub fn play(&self, recording: &str) -> Played {
        assert!(Path::new(recording).exists(), "{recording} is needed; `make test` installs it");
        let after = Timestamp::now();
        // The server is given enough ahead that a player which has to wait for a processor leaves no hole in the sound.
        assert!(self.tool("paplay").args(["-d", "mic", "--latency-msec=500", recording]).status().unwrap().success());
        Played { after, before: Timestamp::now() }
    }

    /// The number of programs that have the microphone open.
    pub fn listeners(&self) -> usize {
        let listed = self.tool("pactl").args(["list", "short", "source-outputs"]).stdout(Stdio::piped()).output().unwrap();
        assert!(listed.status.success());
        String::from_utf8(listed.stdout).unwrap().lines().count()
    }

    /// Kills the server, which unplugs the microphone.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Starts the server again, with its microphone.
    pub fn restart(&mut self) {
        self.server = Self::command(self.folder.path()).spawn().expect(NEEDED);
        self.wait_until_up();
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
