//! Log records on standard error: text for people or one JSON object a line, from the level that the configuration names.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Starts to log. `MIMID_LOG` may say more finely what is wanted, such as `mimid::capture=debug`.
pub fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Other crates have to be in trouble to be heard. ONNX Runtime's chatter is no user's concern, and what the PulseAudio client
    // calls an error is a stream that was closed; a source that is lost is told by us.
    let standard = format!("warn,ort=error,pulseaudio=off,mimid={level}");
    let filter = std::env::var("MIMID_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(standard));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A second start, in a test say, leaves the first in force.
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
