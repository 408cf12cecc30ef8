//! The daemon from the outside: the real binary with its socket, sinks and signals, sound servers, brokers, browsers and
//! terminals.

mod activation;
mod background;
mod clips;
mod clocks;
mod disks;
mod endurance;
mod feeds;
mod hearing;
mod hooks;
mod hostile;
mod http;
mod learn;
mod live;
mod load;
mod mqtt;
mod network;
mod page;
mod pauses;
mod requests;
mod review;
mod security;
mod socket;
mod store;
mod stuck;
mod summary;
#[path = "../support/mod.rs"]
mod support;
mod top;
mod unattended;
mod units;
