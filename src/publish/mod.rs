//! Publishing: reports in, lines on a local socket out; requests in, answers out.
//!
//! `wire` holds the only types that are serialised, `hub` numbers, remembers and fans out, `socket` binds the path,
//! `activation` takes the socket of a service manager, `client` serves one connection, `filter` says who gets what, `subscribe` puts a filter in force, `access` says who
//! may change the daemon, `answer` has requests done, `pretty` prints lines for people. `sinks` runs those that the configuration turns
//! on, `mqtt` and `http`, with what `secret` finds for them.
//!
//! Invariant: no client ever waits for another, and the engine waits for none of them.

pub mod access;
pub mod answer;
pub mod filter;
pub mod http;
pub mod hub;
pub mod mqtt;
pub mod secret;
pub mod settings;
pub mod shared;
pub mod sinks;
pub mod socket;
pub mod subscribe;
pub mod wire;
