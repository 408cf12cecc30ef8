//! Log records on standard error: text for people, fields for systemd's journal where that is what standard error leads to, or one JSON
//! object a line; from the level that the configuration names.

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
    let standard = Targets::new().with_default(LevelFilter::WARN).with_target("ort", LevelFilter::ERROR);
    let standard = standard.with_target("pulseaudio", LevelFilter::OFF).with_target("mimid", level);
    let asked = std::env::var("MIMID_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let records = tracing_subscriber::registry().with(asked.unwrap_or(standard));
    // Where a record cannot be written, its layer would say so on standard error, which is just what cannot be written.
    let lines = fmt::layer().with_writer(io::stderr).with_target(false).log_internal_errors(false);
    // A file's or a device's name in a record is no second record, and rules no terminal. Text in quotes has its escapes already.
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(writer, "{}", visible(&format!("{value:?}"))),
        name => write!(writer, "{name}={}", visible(&format!("{value:?}"))),
    });
    // A second start, in a test say, leaves the first in force.
    let _ = match (config.format, to_journal()) {
        (LogFormat::Json, _) => records.with(lines.json().flatten_event(true)).try_init(),
        (LogFormat::Text, Some(journal)) => records.with(journal).try_init(),
        (LogFormat::Text, None) => {
            let lines = lines.fmt_fields(fields.delimited(" "));
            records.with(lines.with_ansi(io::stderr().is_terminal())).try_init()
        }
    };
}

/// The journal, if standard error leads to it. Where it cannot be reached, its own stream still takes text.
fn to_journal() -> Option<Journal> {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let leads_there = journal::leads_to_journal(stream.as_deref(), io::stderr());
    leads_there.then(|| Journal::connect(Path::new(journal::SOCKET)).ok()).flatten()
}
