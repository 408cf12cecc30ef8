//! Whether sound is heard, of what requests and quiet hours say. It reads no clock and closes no device: the pipeline tells it the time
//! and does what it says.
//!
//! A request to pause lasts as long as it said, on a clock that is never set, or until a request to resume. The quiet hours last by the
//! wall clock. Of both the one that ends later is in force. A request to resume ends both: the quiet hours that last just then do not
//! count any more, the next ones do.

use std::time::Duration;

use jiff::SignedDuration;

use crate::analysis::Now;
use crate::event::{Pause, PauseReason};

/// An end that has moved by less than this is the same: no two clocks run alike.
const SAME_END: SignedDuration = SignedDuration::from_secs(1);

/// What is asked for, and what was told last.
#[derive(Debug, Default)]
pub struct Pauses {
    asked: Option<Asked>,
    /// The quiet hours in which somebody asked to resume.
    resumed: Option<Pause>,
    in_force: Option<Pause>,
}

/// A request to pause.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// On the steady clock; `None` is until a request to resume.
    until_ns: Option<i64>,
}

/// What is to be done and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing is heard from now on, or it was so before and is now for another reason or until another time.
    Paused(Pause),
    /// Sound is heard again, for this reason.
    Resumed(PauseReason),
}

impl Pauses {
    /// Somebody asks to pause for some seconds, or until he asks to resume.
    pub fn ask(&mut self, seconds: Option<f64>, now: Now) {
        let until_ns = seconds.map(|seconds| now.steady_ns.saturating_add((seconds * 1e9) as i64));
        self.asked = Some(Asked { until_ns });
    }

    /// Somebody asks to resume; `quiet` are the quiet hours that last just now.
    pub fn resume(&mut self, quiet: Option<Pause>) {
        self.asked = None;
        self.resumed = quiet;
    }

    /// Other quiet hours are in force: nobody has asked to resume in these.
    pub fn forget_resumption(&mut self) {
        self.resumed = None;
    }

    /// What is in force, as it was told last.
    pub fn in_force(&self) -> Option<Pause> {
        self.in_force
    }

    /// How long until the pause that was asked for ends.
    pub fn left(&self, now: Now) -> Option<Duration> {
        let left_ns = self.asked?.until_ns?.saturating_sub(now.steady_ns);
        Some(Duration::from_nanos(u64::try_from(left_ns).unwrap_or(0)))
    }

    /// What changes at this moment, at which these quiet hours last. To be asked after each request, and about once a second.
    pub fn look(&mut self, now: Now, quiet: Option<Pause>) -> Option<Change> {
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
        match (self.in_force, next) {
            (None, None) => None,
            (Some(before), None) => {
                self.in_force = None;
                Some(Change::Resumed(if self.resumed.is_some() { PauseReason::Request } else { before.reason }))
            }
            (Some(before), Some(next)) if is_same(before, next) => None,
            (_, Some(next)) => {
                self.in_force = Some(next);
                Some(Change::Paused(next))
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
