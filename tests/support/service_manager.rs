//! The service manager's end of the notification socket.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// The service manager's end of the notification socket. It takes every message at once, as systemd does: a daemon waits while
/// ten messages lie in the socket.
pub struct ServiceManager {
    messages: Receiver<String>,
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

impl ServiceManager {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let (taken, messages) = channel();
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            let mut message = [0; 4_096];
            while let Ok(length) = socket.recv(&mut message) {
                if taken.send(String::from_utf8(message[..length].to_vec()).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { messages, path, _folder: folder }
    }

    /// The next message.
    pub fn told(&self) -> String {
        self.messages.recv_timeout(PATIENCE).expect("the service manager is told nothing")
    }

    /// The next message, if it comes within this time.
    pub fn told_within(&self, time: Duration) -> Option<String> {
        self.messages.recv_timeout(time).ok()
    }

    /// The next message that holds `what`.
    pub fn told_of(&self, what: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.told();
            if told.contains(what) {
                return told;
            }
            assert!(Instant::now() < deadline, "the service manager is not told of {what}");
        }
    }
}
