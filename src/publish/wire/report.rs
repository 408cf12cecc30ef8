//! The lines of the engine's reports.

use std::sync::Arc;

use jiff::Timestamp;

use super::format::{level, milliseconds, round, score, time};
use super::{Body, Event, Line, PauseStatus, VERSION};
use crate::event::{ClipReport, EndReason, Pause, Report, SoundEvent, Subject};

impl Line {
    /// The line of a report.
    pub fn report(seq: u64, now: Timestamp, report: &Report) -> Self {
        Self { v: VERSION, seq: Some(seq), ts: Some(time(now)), body: body(report, now) }
    }
}

/// The `type` of a report's line.
pub fn kind(report: &Report) -> &'static str {
    match report {
        Report::EventStart(_) => "event.start",
        Report::EventUpdate(_) => "event.update",
        Report::EventEnd(..) => "event.end",
        Report::Clip(_) => "clip",
        Report::SourceLost { .. } => "source.lost",
        Report::SourceRestored { .. } => "source.restored",
        Report::SourceSilent { .. } => "source.silent",
        Report::SourceGap { .. } => "source.gap",
        Report::SourceClipping { .. } => "source.clipping",
        Report::Overrun { .. } => "overrun",
        Report::ClockStepped { .. } => "clock.stepped",
        Report::Paused(_) => "paused",
        Report::Resumed { .. } => "resumed",
        Report::ConfigReloaded { .. } => "config.reloaded",
        Report::ConfigRejected { .. } => "config.rejected",
        Report::Summary(_) => "summary",
    }
}

/// The report of a line about health, as it was kept; the lines of events are kept as their numbers.
impl TryFrom<Body> for Report {
    type Error = ();

    fn try_from(body: Body) -> Result<Self, ()> {
        Ok(match body {
            Body::Clip { event, label, slug, source, state, reason, file, from, to, bytes } => {
                let parsed = |time: String| time.parse::<Timestamp>().map_err(drop);
                Report::Clip(Box::new(ClipReport {
                    event: event.parse().map_err(drop)?,
                    subject: Arc::new(Subject { name: label, slug, id: String::new() }),
                    source: source.into(),
                    state: state.known().ok_or(())?,
                    reason,
                    file,
                    from: parsed(from)?,
                    to: parsed(to)?,
                    bytes,
                }))
            }
            Body::SourceLost { source, reason } => Report::SourceLost { source: source.into(), reason },
            Body::SourceRestored { source } => Report::SourceRestored { source: source.into() },
            Body::SourceSilent { source, seconds } => Report::SourceSilent { source: source.into(), seconds },
            Body::SourceGap { source, gap_ms } => Report::SourceGap { source: source.into(), gap_ms },
            Body::SourceClipping { source, samples } => Report::SourceClipping { source: source.into(), samples },
            Body::Overrun { source, samples, gap_ms, hop_ms } => {
                Report::Overrun { source: source.into(), samples, gap_ms, hop_ms }
            }
            Body::ClockStepped { by_ms } => Report::ClockStepped { by_ms },
            Body::Paused { reason, until } => {
                Report::Paused(Pause { reason: reason.known().ok_or(())?, until: until.and_then(|until| until.parse().ok()) })
            }
            Body::Resumed { reason } => Report::Resumed { reason: reason.known().ok_or(())? },
            Body::ConfigReloaded { changes } => Report::ConfigReloaded { changes },
            Body::ConfigRejected { faults } => Report::ConfigRejected { faults },
            Body::Summary(summary) => Report::Summary(Arc::new(summary.try_into()?)),
            _ => return Err(()),
        })
    }
}

fn body(report: &Report, now: Timestamp) -> Body {
    let since = |time| milliseconds(time, now);
    match report {
        Report::EventStart(event) => Body::EventStart { event: wire_event(event, None), latency_ms: since(event.onset) },
        Report::EventUpdate(event) => Body::EventUpdate { event: wire_event(event, None), latency_ms: since(event.onset) },
        Report::EventEnd(event, reason) => {
            Body::EventEnd { event: wire_event(event, Some(*reason)), latency_ms: since(event.offset.unwrap_or(event.onset)) }
        }
        Report::Clip(clip) => {
            let ClipReport { event, subject, source, state, reason, file, from, to, bytes } = &**clip;
            Body::Clip {
                event: event.to_string(),
                label: subject.name.clone(),
                slug: subject.slug.clone(),
                source: source.to_string(),
                state: (*state).into(),
                reason: reason.clone(),
                file: file.clone(),
                from: time(*from),
                to: time(*to),
                bytes: *bytes,
            }
        }
        Report::SourceLost { source, reason } => Body::SourceLost { source: source.to_string(), reason: reason.clone() },
        Report::SourceRestored { source } => Body::SourceRestored { source: source.to_string() },
        Report::SourceSilent { source, seconds } => {
            Body::SourceSilent { source: source.to_string(), seconds: round(*seconds, 1) }
        }
        Report::SourceGap { source, gap_ms } => Body::SourceGap { source: source.to_string(), gap_ms: *gap_ms },
        Report::SourceClipping { source, samples } => Body::SourceClipping { source: source.to_string(), samples: *samples },
        Report::Overrun { source, samples, gap_ms, hop_ms } => {
            Body::Overrun { source: source.to_string(), samples: *samples, gap_ms: *gap_ms, hop_ms: *hop_ms }
        }
        Report::ClockStepped { by_ms } => Body::ClockStepped { by_ms: *by_ms },
        Report::Paused(pause) => {
            let PauseStatus { reason, until } = pause.into();
            Body::Paused { reason, until }
        }
        Report::Resumed { reason } => Body::Resumed { reason: (*reason).into() },
        Report::ConfigReloaded { changes } => Body::ConfigReloaded { changes: changes.clone() },
        Report::ConfigRejected { faults } => Body::ConfigRejected { faults: faults.clone() },
        Report::Summary(summary) => Body::Summary((&**summary).into()),
    }
}

/// An event as it stands on the wire.
pub(super) fn wire_event(event: &SoundEvent, reason: Option<EndReason>) -> Event {
    Event {
        id: event.id.to_string(),
        label: event.subject.name.clone(),
        slug: event.subject.slug.clone(),
        mid: Some(event.subject.id.clone()).filter(|id| !id.is_empty()),
        source: event.source.to_string(),
        onset: time(event.onset),
        offset: event.offset.map(time),
        duration_ms: event.offset.map(|offset| milliseconds(event.onset, offset)),
        score: score(event.score),
        peak_score: score(event.peak_score),
        threshold: score(event.threshold),
        level_dbfs: level(event.level_dbfs),
        onset_uncertainty_ms: event.onset_uncertainty_ms,
        offset_uncertainty_ms: event.offset_uncertainty_ms,
        also: event.also.iter().map(|subject| subject.name.clone()).collect(),
        confirmed: event.is_confirmed,
        reason: reason.map(Into::into),
    }
}
