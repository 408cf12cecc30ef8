//! `GET /metrics`: the daemon's counters as OpenMetrics text, which Prometheus reads, or in its older format for those who ask for
//! that. Nothing is counted for it: each scrape reads the counters that the daemon keeps anyway.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::UNIX_EPOCH;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::api::Api;
use super::problem::Problem;
use super::tally::Outcome;
use crate::publish::shared::Shared;
use crate::stats::hook::HookStats;
use crate::stats::sink::SinkState;
use crate::stats::{SourceState, SourceStats};

/// The content type that Prometheus asks for, and that other readers of its format understand.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the older format.
const PLAIN_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub async fn metrics(State(api): State<Arc<Api>>, headers: HeaderMap) -> Result<Response, Problem> {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Counters(api)));
    let mut out = String::new();
    match text::encode(&mut out, &registry) {
        Ok(()) if plain::is_wanted(accepted) => {
            Ok(([(header::CONTENT_TYPE, PLAIN_TYPE)], plain::from_open_metrics(&out)).into_response())
        }
        Ok(()) => Ok(([(header::CONTENT_TYPE, TYPE)], out).into_response()),
        Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "the metrics could not be written")),
    }
}

/// The daemon's counters, read at each scrape.
#[derive(Debug)]
struct Counters(Arc<Api>);

impl Collector for Counters {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut to = MetricsWriter(encoder);
        daemon(&mut to, &self.0)?;
        sources(&mut to, &self.0.shared)?;
        sinks(&mut to, &self.0.shared)?;
        hooks(&mut to, &self.0.shared)?;
        clips(&mut to, &self.0.shared)?;
        events(&mut to, &self.0)
    }
}

/// The events that were confirmed or ended, by label, source and outcome. The series of every reported label is there from the
/// beginning, since the increase of a series that begins at 1 is none.
fn events(to: &mut MetricsWriter, api: &Api) -> fmt::Result {
    let directory = api.shared.directory();
    let mut events = api.tally.all();
    for rule in &directory.rules {
        for source in api.shared.stats.all() {
            for outcome in Outcome::ALL {
                events.entry((rule.subject.slug.clone(), source.name.to_string(), outcome)).or_default();
            }
        }
    }
    let labels = |label, source, outcome: Outcome| [("label", label), ("outcome", outcome.word().to_owned()), ("source", source)];
    let events: Vec<_> = events.into_iter().map(|((label, source, outcome), n)| (labels(label, source, outcome), n)).collect();
    to.counters(
        "mimid_events",
        "Events that were confirmed, or ended unconfirmed, since the start of the sink, by the label's slug",
        None,
        &events,
    )
}

fn daemon(to: &mut MetricsWriter, api: &Api) -> fmt::Result {
    let (stats, directory) = (&api.shared.stats, api.shared.directory());
    let build = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("model", &*directory.model.name),
        ("instance_id", &*api.shared.hub.instance.to_string()),
    ];
    to.0.encode_descriptor("mimid_build", "Which daemon this is", None, MetricType::Info)?.encode_info(&build)?;
    let count = |counter: &AtomicU64| counter.load(Relaxed);
    to.counter("mimid_inferences", "Inference runs", None, count(&stats.inferences))?;
    let seconds = count(&stats.inference_us) as f64 / 1e6;
    to.counter("mimid_inference", "Time spent in inference", Some(&Unit::Seconds), seconds)?;
    to.gauge(
        "mimid_busy",
        "The part of the last seconds that the analysis was busy",
        Some(&Unit::Other("ratio".to_owned())),
        count(&stats.busy_percent) as f64 / 100.0,
    )?;
    to.gauge(
        "mimid_hop",
        "The present distance between two scored windows",
        Some(&Unit::Seconds),
        count(&stats.hop_ms) as f64 / 1e3,
    )?;
    to.gauge(
        "mimid_paused",
        "Whether the daemon is paused, by request or by quiet hours",
        None,
        f64::from(u8::from(stats.pause().is_some())),
    )?;
    to.gauge("mimid_clients", "Clients connected to the socket", None, count(&stats.clients) as f64)?;
    to.counter("mimid_dropped_lines", "Lines that slow clients did not take", None, count(&stats.dropped_lines))?;
    to.counter("mimid_dropped_reports", "Reports that could not even be queued", None, count(&stats.dropped_reports))?;
    let began = api.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    to.gauge("process_start_time", "When the daemon started, since 1970", Some(&Unit::Seconds), began)?;
    match resident_bytes() {
        Some(bytes) => to.gauge("process_resident_memory", "Memory that the daemon holds", Some(&Unit::Bytes), bytes as f64),
        None => Ok(()),
    }
}

fn sources(to: &mut MetricsWriter, shared: &Shared) -> fmt::Result {
    let all = shared.stats.all();
    let named = |source: &SourceStats| [("source", source.name.to_string())];
    let counted = |of: fn(&SourceStats) -> &AtomicU64| -> Vec<_> {
        all.iter().map(|source| (named(source), of(source).load(Relaxed))).collect()
    };
    let up = all.iter().map(|source| (named(source), f64::from(u8::from(source.state() == SourceState::Live))));
    to.gauges("mimid_source_up", "Whether the source delivers", None, &up.collect::<Vec<_>>())?;
    let silence = all.iter().map(|source| (named(source), source.silence_ms().unwrap_or(0) as f64 / 1e3)).collect::<Vec<_>>();
    to.gauges("mimid_source_silence", "How long the source has delivered digital silence", Some(&Unit::Seconds), &silence)?;
    to.counters("mimid_windows", "Windows scored", None, &counted(|source| &source.windows))?;
    to.counters("mimid_samples", "Samples heard, at the source's rate", None, &counted(|source| &source.samples))?;
    to.counters("mimid_overrun_samples", "Samples lost to overruns", None, &counted(|source| &source.overrun_samples))?;
    to.counters("mimid_source_losses", "Times the source was lost", None, &counted(|source| &source.losses))?;
    let levels = all.iter().filter_map(|source| Some((named(source), f64::from(source.level_dbfs()?.max(-150.0)))));
    to.gauges("mimid_level", "The level of the newest hop", Some(&Unit::Other("dbfs".to_owned())), &levels.collect::<Vec<_>>())?;
    let mut latency = to.0.encode_descriptor(
        "mimid_latency",
        "The time from a sound to its scores",
        Some(&Unit::Seconds),
        MetricType::Histogram,
    )?;
    for source in &all {
        let ever = source.latency.ever();
        // The encoder takes the count of each bucket alone and adds them up itself.
        let mut before = 0;
        let mut buckets: Vec<(f64, u64)> =
            ever.below.iter().map(|(bound, below)| (*bound, below - std::mem::replace(&mut before, *below))).collect();
        buckets.push((f64::INFINITY, ever.count - before));
        latency.encode_family(&named(source))?.encode_histogram::<NoLabelSet>(ever.sum_s, ever.count, &buckets, None)?;
    }
    Ok(())
}

fn sinks(to: &mut MetricsWriter, shared: &Shared) -> fmt::Result {
    let all = shared.stats.sinks.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let counted = |of: fn(&crate::stats::sink::SinkStats) -> &AtomicU64| -> Vec<_> {
        all.iter().map(|sink| ([("sink", sink.name.to_owned())], of(sink).load(Relaxed))).collect()
    };
    let held = |of| -> Vec<_> { counted(of).into_iter().map(|(labels, value)| (labels, value as f64)).collect() };
    let up = all.iter().map(|sink| ([("sink", sink.name.to_owned())], f64::from(u8::from(sink.state().0 == SinkState::Up))));
    to.gauges("mimid_sink_up", "Whether the sink takes what is sent", None, &up.collect::<Vec<_>>())?;
    to.gauges("mimid_sink_queued", "Messages that wait for the sink", None, &held(|sink| &sink.queued))?;
    to.gauges("mimid_sink_clients", "Clients connected to the sink", None, &held(|sink| &sink.clients))?;
    to.counters("mimid_sink_sent", "Messages sent by the sink", None, &counted(|sink| &sink.sent))?;
    to.counters("mimid_sink_dropped", "Messages that the sink gave up", None, &counted(|sink| &sink.dropped))
}

fn hooks(to: &mut MetricsWriter, shared: &Shared) -> fmt::Result {
    let all = shared.stats.hooks.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    if all.is_empty() {
        return Ok(());
    }
    let named = |hook: &HookStats| [("hook", hook.name.clone())];
    let counted =
        |of: fn(&HookStats) -> &AtomicU64| -> Vec<_> { all.iter().map(|hook| (named(hook), of(hook).load(Relaxed))).collect() };
    let up = all.iter().filter_map(|hook| Some((named(hook), f64::from(u8::from(hook.last()?.is_done)))));
    to.gauges("mimid_hook_up", "Whether the last try of the hook was done", None, &up.collect::<Vec<_>>())?;
    let waiting = counted(|hook| &hook.waiting).into_iter().map(|(labels, value)| (labels, value as f64)).collect::<Vec<_>>();
    to.gauges("mimid_hook_waiting", "Runs of the hook that wait or are being tried", None, &waiting)?;
    to.counters("mimid_hook_done", "Runs of the hook that are done", None, &counted(|hook| &hook.done))?;
    to.counters("mimid_hook_failed", "Tries of the hook that failed", None, &counted(|hook| &hook.failed))?;
    to.counters("mimid_hook_given_up", "Runs of the hook that were refused or given up", None, &counted(|hook| &hook.given_up))?;
    to.counters("mimid_hook_dropped", "Runs of the hook for which there was no room", None, &counted(|hook| &hook.dropped))
}

fn clips(to: &mut MetricsWriter, shared: &Shared) -> fmt::Result {
    let Some(clips) = shared.stats.clips() else { return Ok(()) };
    let outcomes = [("kept", &clips.kept), ("withheld", &clips.withheld), ("dropped", &clips.dropped)];
    let outcomes = outcomes.map(|(outcome, n)| ([("outcome", outcome.to_owned())], n.load(Relaxed)));
    to.counters("mimid_clips", "Events whose clip was to be kept since the clips are on, by what became of it", None, &outcomes)?;
    let held = |of: &AtomicU64| of.load(Relaxed) as f64;
    to.gauge("mimid_clip_files", "Files of clips that are kept", None, held(&clips.files))?;
    to.gauge("mimid_clip_size", "The size of those files", Some(&Unit::Bytes), held(&clips.bytes))?;
    to.gauge("mimid_clip_missing", "Files of clips that are gone though nobody deleted them", None, held(&clips.missing))?;
    to.gauge("mimid_clip_memory", "Memory that holds sound for clips", Some(&Unit::Bytes), held(&clips.memory_bytes))
}

mod plain;

/// Encodes metrics, each with its description.
struct MetricsWriter<'a>(DescriptorEncoder<'a>);

impl MetricsWriter<'_> {
    fn counter<V: prometheus_client::encoding::EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: V,
    ) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Counter)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        all: &[([(&str, String); N], u64)],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Counter)?;
        all.iter().try_for_each(|(labels, value)| family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(value, None))
    }

    fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        all: &[([(&str, String); N], f64)],
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        all.iter().try_for_each(|(labels, value)| family.encode_family(labels)?.encode_gauge(value))
    }
}

/// The resident memory of this process in bytes, as the system counts it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?;
    Some(kibibytes.parse::<u64>().ok()? * 1024)
}
