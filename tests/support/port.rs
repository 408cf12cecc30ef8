//! Ports for the tests, each for one process at a time.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

/// The first of the tests' ports. All lie below the ports that the system assigns to outgoing connections and to programs that
/// ask for any port.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port on which no process listens. No other test gets it while this process lives.
pub fn free_port() -> u16 {
    // Each process begins elsewhere.
    let start = (std::process::id().wrapping_mul(31) % u32::from(COUNT)) as u16;
    let mut ports = (0..COUNT).map(|at| FIRST + (start + at) % COUNT);
    ports.find(|port| reserve(*port)).expect("one of the ports is free")
}

/// Reserves the port for this process among the tests, unless another has reserved it.
fn reserve(port: u16) -> bool {
    // An abstract socket is bound by one process at a time, and is gone with it, however it ends.
    let name = SocketAddr::from_abstract_name(format!("mimid-tests-port-{port}")).unwrap();
    let Ok(reservation) = UnixListener::bind_addr(&name) else { return false };
    // It is held until the process ends.
    std::mem::forget(reservation);
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
