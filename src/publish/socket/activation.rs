//! Socket activation: takes over a listening socket that the service manager has made and hands over as an open file descriptor.
//!
//! The socket remains the service manager's. The daemon does not bind it, change its mode or remove its file. Clients that
//! connect while the daemon restarts wait in the socket.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::socket::{SockType, getsockopt, sockopt};

use super::BindError;

/// The socket that the service manager handed over, and its path; `None` where it handed nothing over.
pub fn handed() -> Result<Option<(UnixListener, PathBuf)>, BindError> {
    let unfit = |what: String| BindError::Handed { what };
    let mut all = sd_notify::listen_fds().map_err(|error| unfit(format!("nothing that can be read ({error})")))?;
    match all.len() {
        0 => Ok(None),
        1 => all.next().map(|fd| duplicate(fd).and_then(listener).map_err(unfit)).transpose(),
        count => Err(unfit(format!("{count} sockets"))),
    }
}

/// A copy of the descriptor `fd`, which the service manager opened.
#[allow(
    unsafe_code,
    reason = "descriptors come over as bare numbers, and no safe function turns such a number into one that is owned"
)]
fn duplicate(fd: RawFd) -> Result<OwnedFd, String> {
    // SAFETY: `listen_fds` has checked that the descriptor is for this process and is open. It was open before the process began,
    // so no part of the process owns the number and could close it. The borrow ends with the next statement.
    let handed = unsafe { BorrowedFd::borrow_raw(fd) };
    handed.try_clone_to_owned().map_err(|error| error.to_string())
}

/// The listener of a descriptor. The error names the thing that the descriptor is instead.
fn listener(fd: OwnedFd) -> Result<(UnixListener, PathBuf), String> {
    let kind = getsockopt(&fd, sockopt::SockType).map_err(|_| "a file that is no socket")?;
    if kind != SockType::Stream {
        return Err("a socket that carries no stream".to_owned());
    }
    if !getsockopt(&fd, sockopt::AcceptConn).unwrap_or(false) {
        return Err("a connection instead of a socket that listens".to_owned());
    }
    let listener = UnixListener::from(fd);
    // The standard library returns an error for an address that is not of the family of Unix sockets.
    let address = listener.local_addr().map_err(|_| "a socket of a network")?;
    // A socket without a path has no permissions, so every process in the network namespace could connect to it.
    let path = address.as_pathname().ok_or("a socket that has no path")?.to_owned();
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok((listener, path))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpListener;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};

    use super::*;

    #[test]
    fn a_listening_socket_is_taken_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (taken, at) = listener(UnixListener::bind(&path).unwrap().into()).unwrap();
        assert_eq!(at, path);
        let _client = UnixStream::connect(&path).unwrap();
        taken.accept().unwrap();
        assert_eq!(taken.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn anything_else_is_called_by_its_name() {
        let said = |fd: OwnedFd| listener(fd).unwrap_err();
        assert_eq!(said(File::open("/dev/null").unwrap().into()), "a file that is no socket");
        assert_eq!(said(UnixDatagram::unbound().unwrap().into()), "a socket that carries no stream");
        assert_eq!(said(UnixStream::pair().unwrap().0.into()), "a connection instead of a socket that listens");
        assert_eq!(said(TcpListener::bind("127.0.0.1:0").unwrap().into()), "a socket of a network");
        let abstract_name = SocketAddr::from_abstract_name(format!("mimid-test-{}", std::process::id())).unwrap();
        assert_eq!(said(UnixListener::bind_addr(&abstract_name).unwrap().into()), "a socket that has no path");
    }

    #[test]
    fn a_process_that_was_handed_nothing_finds_nothing() {
        assert!(handed().unwrap().is_none());
    }
}
