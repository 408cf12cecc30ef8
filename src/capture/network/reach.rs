//! Waits until a host that does not answer can be reached again. It connects and closes; it never asks for sound, and never logs in.

use std::future::pending;
use std::time::Duration;

use super::address::Address;
use super::task::{Task, Unfinished};
use super::{manner, tls};
use crate::capture::CaptureError;
use crate::capture::feed::Feed;

/// The time between two attempts.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A feed without sound, which ends when the host of this address can be reached after it could not. A host that can be reached all
/// the time never ends it, because its refusals have other reasons.
pub(in crate::capture) fn watch(name: &str, address: &Address) -> Result<Feed, CaptureError> {
    let (host, port) = (address.host().to_owned(), address.port());
    Feed::start(name, manner(0, false), move |_, stopper| {
        let task = Task::new(stopper)?;
        let _entered = task.enter();
        let is_reached = || match task.ask(tls::dial(&host, port)) {
            Ok(reached) => Ok(reached.is_ok()),
            Err(Unfinished::Late) => Ok(false),
            Err(Unfinished::Closed) => Err(Unfinished::Closed),
        };
        let closed = |unfinished: Unfinished| unfinished.sentence(&host);
        if is_reached().map_err(closed)? {
            return task.run(pending()).map_err(closed);
        }
        loop {
            task.run(tokio::time::sleep(LOOK_EVERY)).map_err(closed)?;
            if is_reached().map_err(closed)? {
                return Ok(());
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_host_that_comes_back_is_told_and_one_that_was_there_all_the_time_is_not() {
        let there = TcpListener::bind("127.0.0.1:0").unwrap();
        let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = |port: u16| Address::parse(&format!("rtsp://127.0.0.1:{port}/x")).unwrap();
        let stays = watch("stays", &address(there.local_addr().unwrap().port())).unwrap();
        let returns = watch("returns", &address(away.port())).unwrap();
        assert!(returns.wake().recv_timeout(Duration::from_millis(300)).is_err());
        let _back = TcpListener::bind(away).unwrap();
        returns.wake().recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(stays.wake().try_recv().is_err());
        // One that is closed in the middle ends at once.
        let since = std::time::Instant::now();
        drop(stays);
        assert!(since.elapsed() < Duration::from_secs(20));
    }
}
