//! The values that subscribers get: a numbered report with its line, or the count of those that are missing.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use crate::event::{Report, SoundEvent};
use crate::publish::wire::{self, Body, Line};

/// The size of a report without its sentences, in bytes: rather more than the line of an event has.
const REPORT_BYTES: usize = 512;

/// A report as the hub hands it out: numbered, dated, and shared by all who get it.
#[derive(Debug)]
pub struct Published {
    /// The number, one higher than that of the report before.
    pub seq: u64,
    /// When the hub took the report.
    pub at: Timestamp,
    /// The report itself.
    pub report: Report,
    line: OnceLock<Box<str>>,
    start: OnceLock<Arc<Published>>,
}

impl Published {
    /// A numbered report whose line is not yet made.
    pub(in crate::publish) fn new(seq: u64, at: Timestamp, report: Report) -> Self {
        Self { seq, at, report, line: OnceLock::new(), start: OnceLock::new() }
    }

    /// The same event as its start, with the same number, for subscribers whom it reaches only now. They share it.
    pub(super) fn as_start(&self) -> Arc<Self> {
        let start = || match &self.report {
            Report::EventStart(event) | Report::EventUpdate(event) | Report::EventEnd(event, _) => {
                // An event that has ended had no offset when it began.
                let event = SoundEvent { offset: None, offset_uncertainty_ms: None, ..event.clone() };
                Report::EventStart(event)
            }
            other => other.clone(),
        };
        self.start.get_or_init(|| Arc::new(Self::new(self.seq, self.at, start()))).clone()
    }

    /// The report's line of the protocol with its newline. The first caller makes it, and all others share it.
    pub fn line(&self) -> &str {
        self.line.get_or_init(|| self.to_wire().to_line().into())
    }

    /// The report's line as a value of the protocol's own type.
    pub fn to_wire(&self) -> Line {
        Line::report(self.seq, self.at, &self.report)
    }

    /// About how many bytes the report and its line take, without making the line: only sentences vary much.
    pub(super) fn size_bytes(&self) -> usize {
        let sentences = match &self.report {
            Report::SourceLost { reason, .. } => reason.len(),
            Report::ConfigReloaded { changes: all } | Report::ConfigRejected { faults: all } => all.iter().map(String::len).sum(),
            _ => 0,
        };
        REPORT_BYTES + sentences
    }
}

/// One item of a subscription.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// A report that passes the filter.
    Published(Arc<Published>),
    /// So many reports are missing here, because the subscriber's queue was full.
    Dropped(u64),
}

impl Delivery {
    /// The report's number; `None` where reports are missing.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Delivery::Published(published) => Some(published.seq),
            Delivery::Dropped(_) => None,
        }
    }

    /// The `type` of the line.
    pub fn kind(&self) -> &'static str {
        match self {
            Delivery::Published(published) => wire::kind(&published.report),
            Delivery::Dropped(_) => "dropped",
        }
    }

    /// The line of the protocol with its newline.
    pub fn line(&self) -> Cow<'_, str> {
        match self {
            Delivery::Published(published) => published.line().into(),
            Delivery::Dropped(count) => Line::new(Timestamp::now(), Body::Dropped { count: *count }).to_line().into(),
        }
    }

    /// How much of a queue's bound it takes, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Delivery::Published(published) => published.size_bytes(),
            Delivery::Dropped(_) => 0,
        }
    }
}
