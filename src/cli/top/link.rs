//! The connection to the daemon, on a thread of its own: reads its lines, and connects again when the daemon has gone. It never
//! writes.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::Sender;

use super::session::Happening;
use crate::cli::client::{ClientError, Daemon};
use crate::publish::wire::Line;

/// The waits between two attempts to connect: the first and the longest.
const WAIT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// An event of the connection.
#[derive(Debug)]
pub enum FromDaemon {
    /// A connection was made: the daemon's greeting, and the stream for requests.
    Connected(Box<Line>, UnixStream),
    /// A line of the daemon.
    Line(Box<Line>),
    /// The connection broke or could not be made, with the reason.
    Lost(String),
}

/// Reads from `daemon`, and from the daemons after it, until the receiver has gone.
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

/// Passes lines on until the connection ends, and returns the reason; `None` where the receiver has gone.
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
            Ok(None) => return Some("the daemon closed the connection".to_owned()),
            Err(error) => return Some(error.to_string()),
        }
    }
}
