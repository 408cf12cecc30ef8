//! Publishing: reports in, lines on a local socket out; requests in, answers out.
//!
//! `hub` numbers the reports, remembers the newest, and hands them to its subscribers. `wire` holds the only types that are serialised.
//! `subscribe` puts a client's `filter` in force, `follow` keeps to the events that it has passed, `answer` has requests done, `access` decides who may change the daemon. `shared` is the
//! state that all of them share.
//!
//! `socket` serves the clients of the socket. `sinks` runs `mqtt`, `http` and `hooks` where the configuration turns them on: `settings` are their
//! sections of it, and `secret` finds their passwords and tokens.
//!
//! `clips` keeps the sound of chosen events in a folder, where they are on.
//!
//! `store` keeps what was heard in a file, where it is on, before anybody is told, and answers from it.
//!
//! Invariant: no client ever waits for another, and the engine waits for none of them.

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod clips;
pub mod filter;
pub(crate) mod follow;
pub(crate) mod hooks;
pub(crate) mod http;
pub(crate) mod hub;
pub(crate) mod mqtt;
pub mod settings;
pub(crate) mod shared;
pub(crate) mod sinks;
pub(crate) mod socket;
pub(crate) mod store;
pub(crate) mod subscribe;
mod summary;
pub mod wire;
