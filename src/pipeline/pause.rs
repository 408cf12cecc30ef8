//! Pauses: decides from requests and quiet hours whether sound is heard. It reads no clock and closes no device: the pipeline
//! gives the time and carries out the decision.
//!
//! A request to pause lasts for its time, on a clock that is never set, or until a request to resume. Quiet hours last by the
//! wall clock. If both last, the pause that ends later counts. A request to resume ends both: the present quiet hours no longer
//! count, and the next ones do.

use std::time::Duration;

use jiff::SignedDuration;

use crate::analysis::Now;
use crate::event::{Pause, PauseReason};

/// The largest difference of two ends that count as the same, because no two clocks run alike.
const SAME_END: SignedDuration = SignedDuration::from_secs(1);

/// The requests and the present pause.
#[derive(Debug, Default)]
pub struct Pauses {
    asked: Option<Asked>,
    /// The quiet hours that a request to resume has ended.
    resumed: Option<Pause>,
    /// The present pause, as it was reported.
    current: Option<Pause>,
}

/// A request to pause.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// Its end on the steady clock; `None` is until a request to resume.
    until_ns: Option<i64>,
}

/// A change to be carried out and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseChange {
    /// A pause begins, or the present one has another reason or another end.
    Paused(Pause),
    /// The pause ends, for this reason.
    Resumed(PauseReason),
}

impl Pauses {
    /// Takes a request to pause for some seconds, or until a request to resume.
    pub fn ask(&mut self, seconds: Option<f64>, now: Now) {
        let until_ns = seconds.map(|seconds| now.steady_ns.saturating_add((seconds * 1e9) as i64));
        self.asked = Some(Asked { until_ns });
    }

    /// Takes a request to resume; `quiet` are the present quiet hours.
    pub fn resume(&mut self, quiet: Option<Pause>) {
        self.asked = None;
        self.resumed = quiet;
    }

    /// Forgets the request to resume, because other quiet hours were configured.
    pub fn forget_resumption(&mut self) {
        self.resumed = None;
    }

    /// The present pause, as it was reported.
    pub fn current(&self) -> Option<Pause> {
        self.current
    }

    /// The time until the end of the requested pause.
    pub fn left(&self, now: Now) -> Option<Duration> {
        let left_ns = self.asked?.until_ns?.saturating_sub(now.steady_ns);
        Some(Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0)))
    }

    /// The change at this moment, if any; `quiet` are the present quiet hours. To be called after each request, and about once a
    /// second.
    pub fn look(&mut self, now: Now, quiet: Option<Pause>) -> Option<PauseChange> {
        self.asked = self.asked.filter(|asked| asked.until_ns.is_none_or(|until_ns| now.steady_ns < until_ns));
        let is_same_night = |resumed: &Pause| resumed.until.is_none_or(|until| now.wall() < until);
        self.resumed = self.resumed.filter(|resumed| quiet.is_some() && is_same_night(resumed));
        let asked = self.asked.map(|Asked { until_ns }| {
            let left = until_ns.map(|until_ns| SignedDuration::from_nanos(until_ns - now.steady_ns));
            Pause { reason: PauseReason::Request, until: left.and_then(|left| now.wall().checked_add(left).ok()) }
        });
        let next = match (asked, quiet.filter(|_| self.resumed.is_none())) {
            (Some(asked), Some(quiet)) => Some(if ends_before(quiet, asked) { asked } else { quiet }),
            (asked, quiet) => asked.or(quiet),
        };
        match (self.current, next) {
            (None, None) => None,
            (Some(before), None) => {
                self.current = None;
                Some(PauseChange::Resumed(if self.resumed.is_some() { PauseReason::Request } else { before.reason }))
            }
            (Some(before), Some(next)) if is_same(before, next) => None,
            (_, Some(next)) => {
                self.current = Some(next);
                Some(PauseChange::Paused(next))
            }
        }
    }
}

fn ends_before(one: Pause, other: Pause) -> bool {
    one.until.is_some_and(|one| other.until.is_none_or(|other| one < other))
}

fn is_same(one: Pause, other: Pause) -> bool {
    let is_same_end = match (one.until, other.until) {
        (Some(one), Some(other)) => one.duration_since(other).abs() < SAME_END,
        (one, other) => one == other,
    };
    one.reason == other.reason && is_same_end
}

#[cfg(test)]
mod tests;
