//! The local socket: its place, its clients, and what they ask.
//!
//! `bind` finds and takes the socket's path, `activation` takes one of a service manager, `server` accepts connections, and `connection`
//! serves one client. Nothing here decides what is published; that is the hub's part.

pub mod activation;
pub mod bind;
pub mod connection;
pub mod server;

pub use bind::{BindError, Bound, bind, default_path, open};

#[cfg(test)]
mod tests;
