//! The thread of a source: opens it, watches it, and opens it again when it is lost. Only this thread holds the open capture, so
//! that a device that hangs while it is opened delays nothing else.
//!
//! The thread never touches a sample: the ring goes straight to the analysis.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, select};

use crate::analysis::{Attachment, Command};
use crate::capture::feed::{Later, Opener, Opening};
use crate::capture::source::SourceConfig;
use crate::capture::{Capture, CaptureError, Notice};
use crate::event::{EndReason, Report};
use crate::stats::{SourceState, SourceStats};

/// The first wait before a lost source is opened again; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// The longest wait before a lost source is opened again.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// The longest wait before a source is opened again that was open and gave no sound: it had its time.
const SILENT_RETRY: Duration = Duration::from_secs(2);
/// The wait from which on it is cut short by the return of a host that does not answer.
const WATCHED_RETRY: Duration = Duration::from_secs(2);
/// The time for which a source must have been heard before the wait after its next loss is a short one again. A source that
/// comes and goes would otherwise do so for ever.
const STEADY: Duration = Duration::from_secs(5);
/// The interval at which a live source is checked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The number of checks in a row without a sample after which a live source counts as lost. Checks are counted instead of time,
/// because a machine that was suspended has lost no source.
const DEAF_LOOKS: u32 = 4;
/// The same number before the first sample: a sound server may deliver its first two seconds at once.
const DEAF_LOOKS_AT_FIRST: u32 = 8;

/// An order of the pipeline to a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Close the capture until the next `Resume`, for this reason in words. A source that is paused already takes over the
    /// reason.
    Pause(String),
    /// Open the capture again.
    Resume,
    /// Close the capture for good. Its open events end for this reason.
    Stop(EndReason),
}

/// The result of the first attempt to open a source.
pub type Opened = Result<(), CaptureError>;

/// A running source.
#[derive(Debug)]
pub struct SourceThread {
    name: Arc<str>,
    silent_after_ms: Arc<AtomicU64>,
    orders: Sender<Order>,
    thread: JoinHandle<()>,
}

impl SourceThread {
    /// Starts a thread for `config` that counts in `stats` and sends the result of the first attempt to `opened`. While the
    /// source is
    /// `paused`, for a reason in words, it is not opened, and the result is a success.
    pub fn spawn(
        config: SourceConfig,
        stats: Arc<SourceStats>,
        analysis: Sender<Command>,
        opened: Sender<Opened>,
        paused: Option<String>,
    ) -> std::io::Result<Self> {
        let (orders, received) = bounded(16);
        let (name, silent_after_ms) = (config.name.clone(), Arc::new(AtomicU64::new(config.silent_after_ms)));
        let opener = Opener::new(config.clone());
        let worker =
            Worker { config, opener, silent_after_ms: silent_after_ms.clone(), stats, analysis, orders: received, lost: None };
        let thread = std::thread::Builder::new().name(format!("source-{name}")).spawn(move || worker.run(&opened, paused))?;
        Ok(Self { name, silent_after_ms, orders, thread })
    }

    /// Sets the time after which a source that delivers nothing but digital zeros is reported as silent, in milliseconds; 0 is
    /// never.
    pub fn set_silent_after_ms(&self, ms: u64) {
        self.silent_after_ms.store(ms, Relaxed);
    }

    /// Gives an order. It has no effect on a source that has ended.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Waits for the thread until the deadline, because a device that hangs must not hang the daemon.
    pub fn join(self, deadline: Instant) {
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.thread.is_finished() && self.thread.join().is_err() {
            tracing::error!(source = %self.name, "the source's thread panicked");
        }
    }
}

struct Worker {
    config: SourceConfig,
    opener: Opener,
    silent_after_ms: Arc<AtomicU64>,
    stats: Arc<SourceStats>,
    analysis: Sender<Command>,
    orders: Receiver<Order>,
    /// The reason for the loss, while the source is lost.
    lost: Option<String>,
}

/// The reason why the worker stops listening to a capture.
enum Over {
    Lost(String),
    Ended,
    Ordered(Order),
    /// It is worth opening it again at once.
    Woken,
}

impl Worker {
    fn run(mut self, opened: &Sender<Opened>, paused: Option<String>) {
        let mut retry = FIRST_RETRY;
        let mut is_first = paused.is_none();
        if let Some(reason) = paused {
            // The start of the daemon does not wait for a paused source.
            let _ = opened.try_send(Ok(()));
            if !self.obey(Order::Pause(reason)) {
                return;
            }
        }
        loop {
            let attempt = self.opener.open();
            // The pipeline judges and logs the first attempt. A source that waits for its writer is one that will be heard.
            let is_decided = !matches!(&attempt, Ok(Opening::Later(later)) if !later.goes_on);
            let first = is_decided && std::mem::take(&mut is_first);
            if first {
                let _ = opened.try_send(attempt.as_ref().map(|_| ()).map_err(Clone::clone));
            }
            let mut judged = first && attempt.is_err();
            let over = match attempt {
                Ok(Opening::Open(capture)) => {
                    let since = Instant::now();
                    let over = self.listen(capture);
                    if since.elapsed() >= STEADY {
                        retry = FIRST_RETRY;
                    }
                    over
                }
                Ok(Opening::Later(later)) => match self.wait_for(&later) {
                    Over::Lost(reason) => {
                        retry = retry.min(SILENT_RETRY);
                        if std::mem::take(&mut is_first) {
                            judged = true;
                            let _ = opened.try_send(Err(CaptureError::Feed { what: reason.clone() }));
                        }
                        Over::Lost(reason)
                    }
                    over => over,
                },
                Err(error) => Over::Lost(error.to_string()),
            };
            let order = match over {
                Over::Woken => continue,
                Over::Lost(reason) => {
                    self.lose(reason, judged);
                    if self.opener.goes_on() {
                        // Its feed tells when there is sound again.
                        continue;
                    }
                    let returned = if retry < WATCHED_RETRY { never() } else { self.opener.watch() };
                    let wait = retry;
                    retry = (retry * 2).min(LAST_RETRY);
                    select! {
                        recv(self.orders) -> order => match order {
                            Ok(order) => order,
                            Err(_) => return,
                        },
                        recv(returned) -> _ => {
                            retry = FIRST_RETRY;
                            continue;
                        }
                        default(wait) => continue,
                    }
                }
                Over::Ended => {
                    self.tell(Command::Finish { source: self.config.name.clone() });
                    // A source that has ended cannot be paused, and does not begin again after a pause.
                    match self.orders.iter().find(|order| matches!(order, Order::Stop(_))) {
                        Some(order) => order,
                        None => return,
                    }
                }
                Over::Ordered(order) => order,
            };
            if !self.obey(order) {
                return;
            }
        }
    }

    /// Waits until a source that has no sound yet has some, or has failed.
    fn wait_for(&mut self, later: &Later) -> Over {
        let mut patience = crossbeam_channel::after(later.patience);
        loop {
            select! {
                recv(later.wake) -> _ => return Over::Woken,
                recv(self.orders) -> order => return Over::Ordered(order.unwrap_or(Order::Stop(EndReason::Shutdown))),
                recv(patience) -> _ => {
                    let seconds = later.patience.as_secs();
                    if !later.goes_on {
                        self.opener.give_up();
                        return Over::Lost(format!("it has delivered nothing within {seconds} s"));
                    }
                    if self.lost.is_none() {
                        self.lose(format!("nothing has come for {seconds} s"), false);
                    }
                    patience = never();
                }
            }
        }
    }

    /// Hands the ring of a capture to the analysis and watches the capture until it ends.
    fn listen(&mut self, capture: Capture) -> Over {
        let Capture { rate_hz, reader, device_latency_ns, is_held_up, notices, pace, guard } = capture;
        let report = self.lost.take().map(|_| Report::SourceRestored { source: self.config.name.clone() });
        if report.is_some() {
            tracing::info!(source = %self.config.name, rate_hz, "the source is back");
        } else {
            tracing::info!(source = %self.config.name, rate_hz, "listening");
        }
        self.stats.rate_hz.store(rate_hz, Relaxed);
        let source = self.config.name.clone();
        let (silent_after_ms, stats) = (self.silent_after_ms.clone(), self.stats.clone());
        let held_up = is_held_up.clone();
        let attachment =
            Attachment { source, rate_hz, pace, reader, device_latency_ns, is_held_up, silent_after_ms, stats, report };
        self.tell(Command::Attach(Box::new(attachment)));
        self.stats.record_reason(None);
        self.stats.record_state(SourceState::Live);
        let mut samples = self.stats.samples.load(Relaxed);
        let (mut deaf_looks, mut patience) = (0, DEAF_LOOKS_AT_FIRST);
        let over = loop {
            select! {
                recv(notices) -> notice => match notice {
                    Ok(Notice::Lost(reason)) => break Over::Lost(reason),
                    Ok(Notice::Ended) => break Over::Ended,
                    Err(_) => break Over::Lost("its capture stopped and gave no reason".to_owned()),
                },
                recv(self.orders) -> order => break Over::Ordered(order.unwrap_or(Order::Stop(EndReason::Shutdown))),
                default(LOOK_EVERY) => {
                    let now = self.stats.samples.load(Relaxed);
                    if now != samples || held_up.load(Relaxed) {
                        if now != samples {
                            patience = DEAF_LOOKS;
                        }
                        samples = now;
                        deaf_looks = 0;
                        continue;
                    }
                    deaf_looks += 1;
                    if deaf_looks == patience {
                        let seconds = (LOOK_EVERY * patience).as_secs();
                        break Over::Lost(format!("it is open but has delivered nothing for {seconds} s"));
                    }
                }
            }
        };
        drop(guard);
        over
    }

    /// Records that the source is lost, and reports it once, however often opening it again fails.
    fn lose(&mut self, reason: String, is_logged: bool) {
        // A reason is logged once, not at each attempt.
        if !is_logged && self.lost.as_ref() != Some(&reason) {
            tracing::warn!(source = %self.config.name, reason, "the source is lost; it will be opened again");
        }
        let report = self.lost.is_none().then(|| Report::SourceLost { source: self.config.name.clone(), reason: reason.clone() });
        if report.is_some() {
            self.stats.losses.fetch_add(1, Relaxed);
            self.stats.record_state(SourceState::Lost);
            self.tell(Command::Detach { source: self.config.name.clone(), reason: EndReason::SourceLost, report });
        }
        self.stats.record_reason(Some(reason.clone()));
        self.lost = Some(reason);
    }

    /// Carries out an order, and returns whether the source goes on.
    fn obey(&mut self, order: Order) -> bool {
        let mut order = order;
        loop {
            match order {
                Order::Resume => {
                    self.opener.resume();
                    self.stats.record_state(SourceState::Opening);
                    self.stats.record_reason(None);
                    return true;
                }
                Order::Stop(reason) => {
                    self.tell(Command::Detach { source: self.config.name.clone(), reason, report: None });
                    return false;
                }
                Order::Pause(reason) => {
                    self.opener.pause();
                    // The state changes before events end: a client that asks after such an end is answered "paused".
                    self.stats.record_reason(Some(reason));
                    self.stats.record_state(SourceState::Paused);
                    self.tell(Command::Detach { source: self.config.name.clone(), reason: EndReason::Paused, report: None });
                    self.lost = None;
                }
            }
            order = self.orders.recv().unwrap_or(Order::Stop(EndReason::Shutdown));
        }
    }

    fn tell(&self, command: Command) {
        // The analysis is gone only while the daemon shuts down.
        let _ = self.analysis.send(command);
    }
}
