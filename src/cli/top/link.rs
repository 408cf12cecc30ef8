//! The connection to the daemon, on a thread of its own: it reads, and where the daemon goes away it tries again and again.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::session::Happening;
use crate::cli::client::{ClientError, Daemon};
use crate::publish::wire::Line;

/// How long to wait before the first new try, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What comes from the daemon's side.
#[derive(Debug)]
pub enum FromDaemon {
    /// A connection stands: its greeting, and where to write requests.
    Connected(Box<Line>, UnixStream),
    /// A line.
    Line(Box<Line>),
    /// The connection broke, or could not be made, and why.
    Lost(String),
}

/// Reads from `daemon`, and from those that come after it, until nobody takes what is read.
pub fn read(daemon: Daemon, socket: Option<PathBuf>, happenings: &Sender<Happening>) {
    let tell = |what| happenings.send(Happening::Daemon(what)).is_ok();
    let mut next: Result<Daemon, ClientError> = Ok(daemon);
    let mut wait = WAIT.0;
    loop {
        let why = match next {
            Ok(daemon) => match converse(daemon, &tell, &mut wait) {
                Some(why) => why,
                None => return,
            },
            Err(error) => error.to_string(),
        };
        if !tell(FromDaemon::Lost(why)) {
            return;
        }
        std::thread::sleep(wait);
        wait = (wait * 2).min(WAIT.1);
        next = Daemon::connect(socket.as_deref());
    }
}

/// Passes lines on until the connection ends, and says why it did; `None` where nobody takes them.
fn converse(mut daemon: Daemon, tell: &impl Fn(FromDaemon) -> bool, wait: &mut Duration) -> Option<String> {
    let writer = match daemon.writer() {
        Ok(writer) => writer,
        Err(error) => return Some(error.to_string()),
    };
    if !tell(FromDaemon::Connected(Box::new(daemon.hello.clone()), writer)) {
        return None;
    }
    loop {
        match daemon.read() {
            Ok(Some((line, _))) => {
                *wait = WAIT.0;
                if !tell(FromDaemon::Line(Box::new(line))) {
                    return None;
                }
            }
            Ok(None) => return Some("it closed the connection".to_owned()),
            Err(error) => return Some(error.to_string()),
        }
    }
}
