//! The hooks: programs and servers that the configuration has told of some reports. No client can add or change one.
//!
//! `trigger` decides which reports a hook runs for, `queue` holds its runs and says when each is tried, and `run` tries one: `command` runs a
//! program, and `web` asks a server, as far as `reach` lets it. `template` has texts with fields, `fields` their values, `file` the runs
//! that outlive a restart. The loop in this file joins them.
//!
//! Invariant: a hook that is slow, fails or hangs costs no more than the bound of its queue, and nothing outside waits for it.
//! Invariant: a run that was done is never tried again, and none that the queue holds is lost. A kill can repeat the runs that were done just then.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::hub::{Delivery, Published};
use super::shared::down;
use super::sinks::Context;
use crate::publish::settings::{HookConfig, HooksConfig};
use crate::stats::hook::{HookStats, LastTry};
use crate::stats::sink::SinkStats;

mod command;
pub(crate) mod fields;
mod file;
pub mod queue;
mod reach;
pub(crate) mod run;
pub mod template;
mod trigger;
mod web;

use file::WaitingFile;
use queue::{Queue, Run, Tried};
use run::Runner;
use trigger::Trigger;

/// The time for the tries of the last moment.
const GOODBYE: Duration = Duration::from_millis(400);
/// The most bytes of an answer, or of a program's output, that are read.
const LONGEST_SHOWN: usize = 4_096;

/// The runs of hooks that were not over when the hooks last changed, by the hooks' names.
pub type Left = Arc<Mutex<Vec<(String, Run)>>>;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// How it ended.
    pub tried: Tried,
    /// The same as a sentence.
    pub said: String,
    /// The beginning of the answer or of the output.
    pub shown: String,
}

/// A hook at work.
struct Hook {
    runner: Arc<Runner>,
    trigger: Trigger,
    queue: Queue,
    stats: Arc<HookStats>,
}

struct Hooks {
    hooks: Vec<Hook>,
    file: Option<WaitingFile>,
    trying: JoinSet<Answered>,
    /// The hook and the run of each task of `trying`.
    tried: HashMap<task::Id, (usize, u64)>,
    sink: Arc<SinkStats>,
    zone: TimeZone,
}

/// Runs the hooks until they are to stop.
pub async fn run(config: HooksConfig, context: Context, left: Left) {
    let Context { shared, stats: sink, mut stop, .. } = context;
    let (mut subscription, _) = shared.hub.connect();
    let stats: Vec<_> = config.hooks.iter().map(|hook| Arc::new(HookStats::new(&hook.name))).collect();
    shared.stats.hooks.write().unwrap_or_else(PoisonError::into_inner).clone_from(&stats);
    let mut waiting: Vec<(String, Run)> = std::mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner));
    let file = match &config.file {
        Some(path) => {
            let (file, kept) = WaitingFile::open(path.clone()).await;
            // The file has those of the hooks before as well.
            let known: HashSet<_> = waiting.iter().map(|(hook, run)| (hook.clone(), run.number)).collect();
            waiting.extend(kept.into_iter().filter(|(hook, run)| !known.contains(&(hook.clone(), run.number))));
            file
        }
        None => None,
    };
    let node: Arc<str> = config.node.into();
    let make = |(hook, stats): (HookConfig, Arc<HookStats>)| Hook {
        queue: Queue::new(hook.bounds),
        runner: Arc::new(Runner::new(hook, node.clone())),
        trigger: Trigger::default(),
        stats,
    };
    let hooks = config.hooks.into_iter().zip(stats).map(make).collect();
    let mut hooks = Hooks { hooks, file, trying: JoinSet::new(), tried: HashMap::new(), sink, zone: TimeZone::system() };
    hooks.restore(waiting);
    hooks.sink.rise();
    loop {
        hooks.start();
        let wake_at = hooks.hooks.iter().filter_map(|hook| hook.queue.wake_at()).min();
        let wake = async {
            match wake_at {
                Some(at) => sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(delivery) = subscription.next() => hooks.take(&delivery),
            Some(ended) = hooks.trying.join_next_with_id() => hooks.ended(ended),
            () = wake => {}
            () = down(&mut stop) => break,
        }
    }
    while let Some(delivery) = subscription.try_next() {
        hooks.take(&delivery);
    }
    hooks.end(&left).await;
    shared.stats.hooks.write().unwrap_or_else(PoisonError::into_inner).clear();
}

impl Hooks {
    /// Takes over what waited before.
    fn restore(&mut self, waiting: Vec<(String, Run)>) {
        for (name, run) in waiting {
            let Some(hook) = self.hooks.iter_mut().find(|hook| hook.stats.name == name) else {
                tracing::warn!(hook = name, "there is no such hook any more, so that a run of it is given up");
                if let Some(file) = &self.file {
                    file.over(&name, run.number);
                }
                continue;
            };
            let number = run.number;
            if hook.queue.restore(run).is_none() {
                hook.stats.dropped.fetch_add(1, Relaxed);
                if let Some(file) = &self.file {
                    file.over(&name, number);
                }
            }
        }
        self.count();
    }

    /// Takes a report.
    fn take(&mut self, delivery: &Delivery) {
        let published = match delivery {
            Delivery::Published(published) => published,
            Delivery::Dropped(count) => {
                tracing::warn!(count, "the hooks were not told of some reports, because too many came at once");
                self.sink.dropped.fetch_add(*count, Relaxed);
                return;
            }
        };
        let (now, wall) = (std::time::Instant::now(), Timestamp::now());
        for hook in &mut self.hooks {
            let config = &hook.runner.config;
            let is_hour = config.hours.is_empty() || config.hours.has(wall, &self.zone);
            if hook.trigger.takes(config, &published.report, now, is_hour) {
                hook.push(published, self.file.as_ref(), &self.sink);
            }
        }
        self.count();
    }

    /// Tries what may be tried now.
    fn start(&mut self) {
        let now = std::time::Instant::now();
        for (index, hook) in self.hooks.iter_mut().enumerate() {
            while let Some(run) = hook.queue.take(now) {
                let runner = hook.runner.clone();
                let number = run.number;
                let trying = self.trying.spawn(async move { runner.run(&run.line).await });
                self.tried.insert(trying.id(), (index, number));
            }
        }
    }

    /// Takes what came of a try. A try that panicked is one that failed, so that its run neither stays under way nor is lost.
    fn ended(&mut self, ended: Result<(task::Id, Answered), JoinError>) {
        let (id, answered) = ended.unwrap_or_else(|error| {
            let said = format!("mimid failed while it ran the hook, which is a fault of mimid: {error}");
            (error.id(), Answered { tried: Tried::Failed(None), said, shown: String::new() })
        });
        let Some((index, number)) = self.tried.remove(&id) else { return };
        let hook = &mut self.hooks[index];
        let Some((is_over, tries)) = hook.queue.ended(number, answered.tried, std::time::Instant::now()) else { return };
        let name = &hook.stats.name;
        if let Some(file) = &self.file {
            if is_over {
                file.over(name, number);
            } else if let Some(run) = hook.queue.waiting(tries, number) {
                file.waits(name, run);
            }
        }
        let is_done = answered.tried == Tried::Done;
        match answered.tried {
            Tried::Done => {
                hook.stats.done.fetch_add(1, Relaxed);
                self.sink.sent.fetch_add(1, Relaxed);
            }
            Tried::BrokenOff => return,
            Tried::Failed(_) | Tried::Refused => {
                hook.stats.failed.fetch_add(1, Relaxed);
                hook.stats.given_up.fetch_add(u64::from(is_over), Relaxed);
            }
        }
        let said = answered.said;
        if hook.stats.tried(LastTry { at: Timestamp::now(), is_done, said: said.clone() }) {
            match (is_done, is_over) {
                (true, _) => tracing::info!(hook = name, "the hook runs again"),
                (false, true) => tracing::warn!(hook = name, why = said, "the hook failed"),
                (false, false) => tracing::warn!(hook = name, why = said, "the hook failed, and is tried again"),
            }
        }
        self.count();
    }

    fn count(&self) {
        let counts = self.hooks.iter().map(|hook| {
            hook.stats.waiting.store(hook.queue.len() as u64, Relaxed);
            hook.queue.len()
        });
        self.sink.set_queued(counts.sum());
    }

    /// Gives the tries that go on a moment, breaks them off, and leaves what is not over to whoever comes next.
    async fn end(mut self, left: &Left) {
        self.start();
        let deadline = Instant::now() + GOODBYE;
        while let Ok(Some(ended)) = timeout_at(deadline, self.trying.join_next_with_id()).await {
            self.ended(ended);
        }
        self.hooks.iter().for_each(|hook| hook.runner.break_off());
        self.trying.shutdown().await;
        let rest = self.hooks.into_iter().flat_map(|hook| {
            let name = hook.stats.name.clone();
            hook.queue.into_rest().into_iter().map(move |run| (name.clone(), run))
        });
        let rest: Vec<_> = rest.collect();
        match (self.file, rest.len()) {
            (Some(file), _) => file.finish().await,
            (None, 0) => {}
            (None, waiting) => tracing::info!(waiting, "runs of hooks wait, and are lost if the daemon ends without a store"),
        }
        *left.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}

impl Hook {
    /// Takes a new run in.
    fn push(&mut self, published: &Published, file: Option<&WaitingFile>, sink: &SinkStats) {
        let name = &self.stats.name;
        match self.queue.push(published.line().to_owned()) {
            Some(run) => {
                if let Some(file) = file {
                    file.waits(name, run);
                }
            }
            None => {
                sink.dropped.fetch_add(1, Relaxed);
                if self.stats.dropped.fetch_add(1, Relaxed) == 0 {
                    tracing::warn!(
                        hook = name,
                        "too many runs of the hook wait; those that find no room are left out, which status counts"
                    );
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
