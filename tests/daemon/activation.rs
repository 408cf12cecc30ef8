//! Socket activation of the real binary: it serves the socket that it is handed, and leaves its file in place. If it is handed
//! anything else, it names that.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Client, Daemon, VOICE, failure, failure_with_input, mimid};

/// Starts `mimid run` as a service manager does, with `handed` as descriptor 3 and the environment variables that announce it.
fn hand(handed: impl Into<OwnedFd>, config: &Path, path: &Path) -> Command {
    std::fs::write(config, format!("[socket]\npath = {path:?}\n")).unwrap();
    let run = mimid();
    let mut command = Command::new("sh");
    command.args(["-c", r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&0 </dev/null"#]).arg(run.get_program());
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.arg("run").arg("--config").arg(config).args(["--source", &format!("file:{VOICE}?loop")]);
    command.stdin(handed.into());
    command
}

#[test]
fn a_socket_that_is_handed_over_is_served_and_outlives_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("s"), folder.path().join("mimid.toml"));
    let listener = UnixListener::bind(&path).unwrap();
    let inode = std::fs::symlink_metadata(&path).unwrap().ino();
    // A client that comes before the daemon waits in the socket.
    let early = UnixStream::connect(&path).unwrap();
    let mut command = hand(listener.try_clone().unwrap(), &config, &path);
    let mut daemon = Daemon { child: command.stdout(Stdio::piped()).spawn().unwrap(), folder };
    let mut early = Client::of(early);
    assert_eq!(early.hello["type"], "hello");
    early.ask(r#"{"op":"test","label":"Speech"}"#, "event.end");
    daemon.signal("-TERM");
    assert_eq!(daemon.wait(), 0);
    assert_eq!(std::fs::symlink_metadata(&path).unwrap().ino(), inode, "the socket was taken away or replaced");
    let left = std::fs::read_dir(daemon.folder.path()).unwrap().count();
    assert_eq!(left, 2, "there is something beside the socket and the configuration");

    // Who connects while the daemon is away is served by the next one.
    let between = UnixStream::connect(&path).unwrap();
    daemon.child = hand(listener, &config, &path).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(Client::of(between).hello["type"], "hello");
}

#[test]
fn a_path_in_the_configuration_does_not_move_a_socket_that_is_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("s"), folder.path().join("other"));
    let listener = UnixListener::bind(&path).unwrap();
    let mut command = hand(listener, &folder.path().join("mimid.toml"), &other);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut daemon = Daemon { child, folder };
    assert_eq!(daemon.connect().hello["type"], "hello");
    assert!(!other.exists());
    daemon.signal("-TERM");
    daemon.wait();
    let said = std::io::read_to_string(daemon.child.stderr.take().unwrap()).unwrap();
    let expected = format!("path under [socket] says {} and is not used", other.display());
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn what_cannot_be_served_is_said_and_ends_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (path, config) = (folder.path().join("s"), folder.path().join("mimid.toml"));
    let file = File::create(folder.path().join("file")).unwrap();
    let connection = UnixStream::pair().unwrap().0;
    let cases: [(OwnedFd, &str); 2] =
        [(file.into(), "a file that is no socket"), (connection.into(), "a connection instead of a socket that listens")];
    for (handed, what) in cases {
        let (code, message) = failure_with_input(&mut hand(handed, &config, &path));
        let expected = format!(
            "mimid: the service manager handed {what} over, but mimid serves one listening Unix stream socket; mend the socket unit: \
             one ListenStream= with a path"
        );
        assert_eq!((code, message.as_str()), (2, expected.as_str()));
    }
    assert!(!path.exists());
}

#[test]
fn what_was_handed_to_another_process_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none/s");
    let config = folder.path().join("mimid.toml");
    std::fs::write(&config, format!("[socket]\npath = {socket:?}\n")).unwrap();
    let mut command = mimid();
    command.arg("run").arg("--config").arg(&config).env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    let (code, message) = failure(&mut command);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("for the socket does not exist"), "{message}");
}
