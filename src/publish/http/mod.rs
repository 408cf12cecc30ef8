//! The HTTP sink.

use super::sinks::Context;
use crate::config::sinks::HttpConfig;

/// Runs the sink until it is told to stop.
pub async fn run(_config: HttpConfig, _context: Context) {}
