//! Sound from the network: one way for all protocols.
//!
//! | module | does |
//! | --- | --- |
//! | `address` | a URL with its user and password, which are shown nowhere |
//! | `task` | a connection's futures, which end with their feed and with their deadlines |
//! | `tls` | plain and encrypted connections |
//! | `http` | stations and recordings over HTTP |
//! | `rtsp` | cameras over RTSP; `relay` encrypts, and puts packets into order |
//! | `reach` | waits for a host that does not answer |
//! | `discovery` | asks the local network for cameras |
//! | `push` | satellites that push their sound over TCP or UDP; `satellite` decodes it, and `wyoming` is the framing that some use |
//!
//! A connection is made by the thread of its feed, which decodes as well. The source's thread waits for it and decides when it is
//! made anew. What comes faster than real time, as stations do at first, is heard at once up to a bound, then held back.

use std::time::Duration;

use super::Pace;
use super::feed::Manner;

pub(super) mod address;
pub mod discovery;
pub(super) mod http;
pub(super) mod push;
pub(super) mod reach;
mod relay;
pub(super) mod rtsp;
pub mod satellite;
mod task;
pub(crate) mod tls;
mod wyoming;

pub(crate) use address::{Address, Network};

/// The time that a connection and each answer may take.
const ANSWERING: Duration = Duration::from_secs(5);
/// The name under which mimid asks.
pub(crate) const USER_AGENT: &str = concat!("mimid/", env!("CARGO_PKG_VERSION"));

/// The manner of a connection whose server may send so much sound at once.
fn manner(burst_s: u32, goes_on: bool) -> Manner {
    Manner {
        pace: Pace::RealTime,
        ahead: Some(Duration::from_secs(burst_s.into())),
        settle: if goes_on { Duration::ZERO } else { Duration::from_millis(300) },
        waiting_s: burst_s,
        goes_on,
    }
}
