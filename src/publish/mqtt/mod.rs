//! The MQTT sink.

use super::sinks::Context;
use crate::config::sinks::MqttConfig;

/// Runs the sink until it is told to stop.
pub async fn run(_config: MqttConfig, _context: Context) {}
