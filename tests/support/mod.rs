//! What the tests of the real binary share: running it, a sound server of their own, recordings, an ONNX file written by hand.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of this")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

pub mod browser;
pub mod formats;
pub mod home_assistant;
pub mod http;
pub mod mqtt;
pub mod onnx;
pub mod runtime;
mod sound;

pub use sound::SoundServer;

pub const VOICE: &str = "/usr/share/sounds/alsa/Front_Center.wav";
pub const RINGTONE: &str = "/usr/share/sounds/freedesktop/stereo/phone-incoming-call.oga";

/// Waits until something has come true; a test for which it never does fails here.
pub fn wait_until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came to that");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port on which nobody listens just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

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

/// A command that runs `inner` with what `wrapper` changes for it: limits, another user, other mounts. Its streams are those of a new
/// command.
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

/// Runs a command to its end; whatever happens it must not panic.
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

/// The same of a command that has its standard input already.
pub fn failure_with_input(command: &mut Command) -> (i32, String) {
    let output = ended(command);
    (output.status.code().unwrap_or(-1), String::from_utf8(output.stderr).unwrap().trim_end().to_owned())
}

/// A running daemon, which is killed when it is dropped.
pub struct Daemon {
    pub child: Child,
    pub folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts `mimid run` with a configuration; its socket is `s` in a folder of its own.
    pub fn start(config: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Self { child: Self::spawn(folder.path(), config, arguments, environment), folder };
        daemon.wait_until_it_listens();
        daemon
    }

    /// The same, but of a command that `change` has changed, or wrapped in another by [`under`].
    pub fn start_as(config: &str, arguments: &[&str], change: impl FnOnce(Command) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = change(Self::command(folder.path(), config, arguments));
        let daemon = Self { child: command.spawn().unwrap(), folder };
        daemon.wait_until_it_listens();
        daemon
    }

    /// Starts another one in the place of one that has ended.
    pub fn start_again(&mut self, config: &str, arguments: &[&str], environment: &[(&str, &Path)]) {
        self.child = Self::spawn(self.folder.path(), config, arguments, environment);
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&self) {
        wait_until(|| UnixStream::connect(self.socket()).is_ok());
    }

    fn spawn(folder: &Path, config: &str, arguments: &[&str], environment: &[(&str, &Path)]) -> Child {
        Self::command(folder, config, arguments).envs(environment.iter().copied()).spawn().unwrap()
    }

    /// `config` may begin with more keys of the table [socket].
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

    /// Waits for the end and gives the exit code and how long it took.
    pub fn wait(&mut self, most: Duration) -> (i32, Duration) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code().unwrap_or(-1), began.elapsed());
            }
            assert!(began.elapsed() < most, "the daemon does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A subscriber.
pub struct Client {
    lines: BufReader<UnixStream>,
    pub hello: Value,
}

impl Client {
    pub fn connect(socket: &Path) -> Self {
        Self::of(UnixStream::connect(socket).unwrap())
    }

    /// The client at the end of a connection.
    pub fn of(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let mut client = Self { lines: BufReader::new(stream), hello: Value::Null };
        client.hello = client.next();
        client
    }

    pub fn send(&mut self, request: &str) {
        self.send_bytes(format!("{request}\n").as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.lines.get_mut().write_all(bytes).unwrap();
    }

    /// The next line; a test that waits for one that never comes fails here.
    pub fn next(&mut self) -> Value {
        self.try_next().expect("the daemon closed the connection")
    }

    /// The next line, or `None` when the daemon has closed the connection.
    pub fn try_next(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.lines.read_line(&mut line).expect("no line came in time") {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    /// The next line of this type; others are passed over.
    pub fn wait_for(&mut self, kind: &str) -> Value {
        loop {
            let line = self.next();
            if line["type"] == kind {
                return line;
            }
        }
    }

    /// The next event line of this type and one of these labels.
    pub fn wait_for_event(&mut self, kind: &str, labels: &[&str]) -> Value {
        loop {
            let line = self.wait_for(kind);
            if labels.iter().any(|label| line["event"]["label"] == *label) {
                return line;
            }
        }
    }

    pub fn ask(&mut self, request: &str, answer: &str) -> Value {
        self.send(request);
        self.wait_for(answer)
    }
}

/// The service manager's end of the notification socket.
pub struct ServiceManager {
    socket: UnixDatagram,
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

impl ServiceManager {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, path, _folder: folder }
    }

    /// The next message.
    pub fn told(&self) -> String {
        let mut message = [0; 4_096];
        let length = self.socket.recv(&mut message).expect("the service manager is told nothing");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// The next message, if one comes in this time.
    pub fn told_within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut message = [0; 4_096];
        let length = self.socket.recv(&mut message).ok();
        self.socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        length.map(|length| String::from_utf8(message[..length].to_vec()).unwrap())
    }

    /// The next message that holds `what`.
    pub fn told_of(&self, what: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let told = self.told();
            if told.contains(what) {
                return told;
            }
            assert!(Instant::now() < deadline, "the service manager is not told of {what}");
        }
    }
}

/// A wall clock that is set by hand and that a daemon believes; the clock that no one can set goes on beside it.
pub struct WallClock {
    library: PathBuf,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl WallClock {
    /// A clock that goes right.
    pub fn new() -> Self {
        // Where Debian puts the library that shows it to a process.
        let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|folder| Some(folder.ok()?.path()));
        let library = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists());
        let library = library.expect("faketime is needed; `make test` installs it");
        let folder = tempfile::tempdir().unwrap();
        let clock = Self { library, file: folder.path().join("clock"), _folder: folder };
        clock.set("+0");
        clock
    }

    /// Sets it so many seconds ahead of the right time, written with its sign.
    pub fn set(&self, ahead_s: &str) {
        // Put in its place whole: whoever reads it meanwhile reads either.
        let new = self.file.with_extension("new");
        std::fs::write(&new, ahead_s).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    /// What a daemon needs to see it.
    pub fn environment(&self) -> [(&'static str, &Path); 4] {
        [
            ("LD_PRELOAD", &self.library),
            ("FAKETIME_TIMESTAMP_FILE", &self.file),
            ("FAKETIME_NO_CACHE", Path::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
        ]
    }
}

/// Writes the voice with silence after it: played again and again it is one event after the other. Lasts about 4.4 s.
pub fn voice_and_silence(folder: &Path) -> PathBuf {
    voice_and_seconds_of_silence(folder, 3)
}

/// The same with so long a silence. After 8 s of it no window holds two voices, and nothing is open any more.
pub fn voice_and_seconds_of_silence(folder: &Path, seconds: usize) -> PathBuf {
    let bytes = std::fs::read(VOICE).expect("`make test` installs it");
    // Its samples stand behind a header of 44 bytes: 16-bit mono at 48 kHz.
    let mut samples: Vec<i16> = bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    samples.extend(std::iter::repeat_n(0, seconds * 48_000));
    let path = folder.join("voice.wav");
    std::fs::write(&path, wav(&samples, 48_000, 1)).unwrap();
    path
}

/// A 16-bit WAV file of these samples, interleaved.
pub fn wav(samples: &[i16], rate_hz: u32, channels: u16) -> Vec<u8> {
    let data = samples.len() as u32 * 2;
    let mut bytes = Vec::with_capacity(44 + samples.len() * 2);
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend(1u16.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * u32::from(channels) * 2).to_le_bytes());
    bytes.extend((channels * 2).to_le_bytes());
    bytes.extend(16u16.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

/// A recording whose header makes its decoder panic where overflows are checked, as in a build for tests, and what is said of it there.
pub fn wav_that_makes_its_decoder_panic() -> (Vec<u8>, &'static str) {
    let mut bytes = wav(&[0; 100], 16_000, 1);
    // So many channels of two bytes each are a frame longer than 16 bits can say.
    bytes[22..24].copy_from_slice(&64_512u16.to_le_bytes());
    let what =
        if cfg!(debug_assertions) { "its decoder gave up (attempt to multiply with overflow)" } else { "this is no recording" };
    (bytes, what)
}
