//! Starts the log on standard error: text for people, fields where standard error leads to systemd's journal, or one JSON object
//! a line.
//!
//! The configuration sets the level and the format; the log never holds sound.

use std::io::{self, IsTerminal};
use std::path::Path;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::journal::{self, Journal};
use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::text::visible;

/// Starts the log. The variable `MIMID_LOG` may set levels by module, such as `mimid::capture=debug`, and then replaces the
/// level.
pub fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Other crates log from warnings on. ONNX Runtime and the MQTT client log errors only: mimid tells a broker's refusal itself. The PulseAudio client logs nothing: its errors are
    // streams that were closed, and mimid itself reports a source that is lost.
    let standard = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("ort", LevelFilter::ERROR)
        .with_target("rumqttc", LevelFilter::ERROR);
    let standard = standard.with_target("pulseaudio", LevelFilter::OFF).with_target("mimid", level);
    let asked = std::env::var("MIMID_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let records = tracing_subscriber::registry().with(asked.unwrap_or(standard));
    // The layer would report a record that cannot be written on standard error, where nothing can be written then.
    let lines = fmt::layer().with_writer(io::stderr).with_target(false).log_internal_errors(false);
    // Names of files and devices are made visible, so that they neither begin a record of their own nor control the terminal.
    // Text in quotes has been escaped already.
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", visible(&format!("{value:?}"))),
        name => write!(writer, "{name}={}", visible(&format!("{value:?}"))),
    });
    // A second start, as in a test, leaves the first in force.
    let _ = match (config.format, to_journal()) {
        (LogFormat::Json, _) => records.with(lines.json().flatten_event(true)).try_init(),
        (LogFormat::Text, Some(journal)) => records.with(journal).try_init(),
        (LogFormat::Text, None) => {
            let lines = lines.fmt_fields(fields.delimited(" "));
            records.with(lines.with_ansi(io::stderr().is_terminal())).try_init()
        }
    };
}

/// The journal, if standard error leads to it. Where its socket cannot be reached, standard error still takes text.
fn to_journal() -> Option<Journal> {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let leads_there = journal::leads_to_journal(stream.as_deref(), io::stderr());
    leads_there.then(|| Journal::connect(Path::new(journal::SOCKET)).ok()).flatten()
}
