//! Ports that no neighbour takes.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// The first of the ports that tests are given. All lie below those that the system gives to outgoing connections, and to programs that
/// ask for any port.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port on which nobody listens, and which no other test is given while this process lives.
pub fn free_port() -> u16 {
    // Each process begins elsewhere.
    let start = (std::process::id().wrapping_mul(31) % u32::from(COUNT)) as u16;
    let mut ports = (0..COUNT).map(|at| FIRST + (start + at) % COUNT);
    ports.find(|port| reserve(*port)).expect("one of the ports is free")
}

/// Takes the port for this process, as far as tests are concerned, unless it is taken already.
fn reserve(port: u16) -> bool {
    // An abstract socket is bound by one process at a time, and is gone with it, however it ends.
    let name = SocketAddr::from_abstract_name(format!("mimid-tests-port-{port}")).unwrap();
    let Ok(reservation) = UnixListener::bind_addr(&name) else { return false };
    // It is held until the process ends.
    std::mem::forget(reservation);
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
