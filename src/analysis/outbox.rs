//! Reports on their way to the publishing stage.
//!
//! Invariant: the analysis never waits here but at the very end. Reports that the channel does not take wait in a bounded
//! backlog, in their order, and those that the backlog does not take are counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crossbeam_channel::{Sender, TrySendError};

use crate::event::Report;
use crate::stats::Stats;

/// The most reports that wait while the publishing stage takes none.
const BACKLOG: usize = 8_192;

/// The reports that the publishing stage has not taken yet.
pub(super) struct Outbox {
    channel: Sender<Report>,
    backlog: VecDeque<Report>,
    stats: Arc<Stats>,
}

impl Outbox {
    /// An empty outbox before `channel`.
    pub fn new(channel: Sender<Report>, stats: Arc<Stats>) -> Self {
        Self { channel, backlog: VecDeque::with_capacity(64), stats }
    }

    /// Hands a report over, after those that wait.
    pub fn publish(&mut self, report: Report) {
        self.flush();
        let refused = if self.backlog.is_empty() {
            match self.channel.try_send(report) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(report)) => report,
            }
        } else {
            report
        };
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back(refused);
        } else {
            self.stats.dropped_reports.fetch_add(1, Relaxed);
        }
    }

    /// Hands over what waits, as far as the channel takes it.
    pub fn flush(&mut self) {
        while let Some(report) = self.backlog.pop_front() {
            if let Err(TrySendError::Full(report)) = self.channel.try_send(report) {
                self.backlog.push_front(report);
                return;
            }
        }
    }

    /// Hands over what waits, and waits for the publishing stage until `deadline`.
    pub fn drain(&mut self, deadline: Instant) {
        while let Some(report) = self.backlog.pop_front() {
            if self.channel.send_deadline(report, deadline).is_err() {
                return;
            }
        }
    }
}
