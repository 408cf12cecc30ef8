//! The service manager's end of the notification socket.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::PATIENCE;

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
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path, _folder: folder }
    }

    /// The next message.
    pub fn told(&self) -> String {
        let mut message = [0; 4_096];
        let length = self.socket.recv(&mut message).expect("the service manager is told nothing");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// The next message, if it comes within this time.
    pub fn told_within(&self, time: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(time)).unwrap();
        let mut message = [0; 4_096];
        let length = self.socket.recv(&mut message).ok();
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        length.map(|length| String::from_utf8(message[..length].to_vec()).unwrap())
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
