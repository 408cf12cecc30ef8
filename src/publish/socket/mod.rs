//! The local socket: its path, its clients and their requests.
//!
//! `bind` finds the path and binds the socket, `activation` takes over a socket of the service manager, and `error` has the
//! reasons why there is no socket. `server` accepts connections, and `connection` serves one client. The hub decides which
//! reports a client gets.

pub mod activation;
pub mod bind;
pub mod connection;
mod error;
pub mod server;

pub use bind::{Bound, bind, default_path, open};
pub use error::BindError;

#[cfg(test)]
mod tests;
