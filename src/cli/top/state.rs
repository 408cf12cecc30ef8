//! The state of `mimid top`: lines of the daemon (`hear`) and keys change it, and it produces requests.
//!
//! It reads no clock, draws nothing, and opens neither file nor socket.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::changes::{Asked, Changes};
use super::source::{Label, Source};
use crate::config::edit::Plan;
use crate::publish::wire::{Body, Line, Request};
use crate::text::visible;

mod hear;

/// The time between two requests for the daemon's status.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// How long a message is shown.
const MESSAGE: Duration = Duration::from_secs(10);
/// A daemon that takes longer for an answer counts as silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time between two checks whether the daemon is silent.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// The types of lines to subscribe to. Events are not among them, because each answer to `top` has the open events.
const TYPES: [&str; 2] = ["source", "overrun"];

/// The page that is shown, which decides what the keys do.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// The live picture.
    Watch,
    /// The help with the keys.
    Help,
    /// The diff of a plan that is not written yet, from this line on.
    Diff(Box<Plan>, usize),
    /// The question whether to end with changes that are not written.
    Leaving,
}

/// A sentence for the last line of the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The sentence.
    pub text: String,
    /// Whether it reports a fault.
    pub is_bad: bool,
    until: Instant,
}

/// The state of the connection to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// The daemon answers.
    Up,
    /// The daemon has not answered for this many seconds.
    Silent(u64),
    /// There is no connection, for this reason.
    Down(String),
}

/// A request that is not answered yet.
#[derive(Debug, Clone, PartialEq)]
enum Pending {
    Subscribe,
    Top,
    Status,
    Set(Asked),
    Reload,
}

/// The state.
#[derive(Debug, Clone)]
pub struct TopState {
    /// The daemon's version.
    pub version: String,
    /// The model's name.
    pub model: String,
    /// The daemon's sources, in its order.
    pub sources: Vec<Source>,
    /// The index of the one that is shown.
    pub shown: usize,
    /// The page that is shown.
    pub mode: Mode,
    /// The last line of the screen.
    pub message: Option<Message>,
    /// The connection to the daemon.
    pub link: Link,
    /// Whether the picture is paused.
    pub is_paused: bool,
    /// The changed thresholds that are not written.
    pub changes: Changes,
    /// The daemon's clock at its last answer.
    pub clock: Option<Timestamp>,
    /// The time zone for times of day.
    pub zone: TimeZone,
    /// The time between two requests for the strongest labels.
    pub interval: Duration,
    /// Whether the picture has changed since it was drawn last.
    pub is_changed: bool,
    k: usize,
    config: Option<PathBuf>,
    /// The configuration file that was written, while the daemon loads it.
    written: Option<PathBuf>,
    /// The thresholds of the file that the daemon has just loaded, to check whether it was that file.
    expected: Option<(PathBuf, Vec<(String, f64)>)>,
    outbox: Vec<Request>,
    pending: VecDeque<Pending>,
    answered_at: Instant,
    poll_at: Instant,
    status_at: Instant,
    /// The next check whether the daemon is silent.
    check_at: Instant,
}

impl TopState {
    /// The state after the daemon's greeting; `k` labels are asked for every `interval`.
    pub fn new(hello: &Line, k: usize, interval: Duration, zone: TimeZone, now: Instant) -> Self {
        let mut state = Self {
            version: String::new(),
            model: String::new(),
            sources: Vec::new(),
            shown: 0,
            mode: Mode::Watch,
            message: None,
            link: Link::Up,
            is_paused: false,
            changes: Changes::default(),
            clock: None,
            zone,
            interval,
            is_changed: true,
            k,
            config: None,
            written: None,
            expected: None,
            outbox: Vec::new(),
            pending: VecDeque::new(),
            answered_at: now,
            poll_at: now,
            status_at: now,
            check_at: now,
        };
        state.connected(hello, now);
        state
    }

    /// A connection was made; `hello` is its first line.
    pub fn connected(&mut self, hello: &Line, now: Instant) {
        if let Body::Hello { version, model, sources, .. } = &hello.body {
            (self.version, self.model) = (visible(version), visible(&model.name));
            self.name_sources(sources.iter().map(String::as_str));
        }
        self.is_changed = true;
        self.outbox.clear();
        self.pending.clear();
        (self.answered_at, self.poll_at, self.status_at) = (now, now, now);
        if self.link != Link::Up {
            self.link = Link::Up;
            self.say("the daemon is back", now);
        }
        let types = TYPES.map(str::to_owned).to_vec();
        self.ask(Request::of_types(types), Pending::Subscribe);
        // A restarted daemon has none of the thresholds that were set in the one before.
        for (request, asked) in self.changes.again() {
            self.ask(request, Pending::Set(asked));
        }
    }

    /// The connection broke or cannot be made. The picture stays as it was.
    pub fn lost(&mut self, why: &str) {
        self.is_changed |= !matches!(&self.link, Link::Down(known) if known == why);
        self.link = Link::Down(visible(why));
        self.outbox.clear();
        self.pending.clear();
        (self.written, self.expected) = (None, None);
    }

    /// Sets the list of sources; known ones keep their state.
    fn name_sources<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let shown = self.source().map(|source| source.key.clone());
        let mut known = std::mem::take(&mut self.sources);
        self.sources = names
            .map(|name| match known.iter().position(|source| source.key == name) {
                Some(at) => known.swap_remove(at),
                None => Source::new(name),
            })
            .collect();
        self.shown = self.sources.iter().position(|source| Some(&source.key) == shown.as_ref()).unwrap_or(0);
    }

    /// The source that is shown.
    pub fn source(&self) -> Option<&Source> {
        self.sources.get(self.shown)
    }

    /// The source that is shown, to be changed.
    pub fn source_mut(&mut self) -> Option<&mut Source> {
        self.sources.get_mut(self.shown)
    }

    /// The configuration file that the daemon has loaded; `None` where it has none, or before its first status.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Shows a message.
    pub fn say(&mut self, text: impl Into<String>, now: Instant) {
        self.show(text.into(), false, now);
    }

    /// Shows a message about a fault.
    pub fn warn(&mut self, text: impl Into<String>, now: Instant) {
        self.show(text.into(), true, now);
    }

    fn show(&mut self, text: String, is_bad: bool, now: Instant) {
        self.message = Some(Message { text: visible(&text), is_bad, until: now + MESSAGE });
        self.is_changed = true;
    }

    /// Asks the daemon to load the configuration file, which was written.
    pub fn written(&mut self, path: &Path, now: Instant) {
        self.say(format!("{} is written and is being loaded", path.display()), now);
        self.written = Some(path.to_owned());
        self.ask(Request::Reload {}, Pending::Reload);
    }

    /// Changes the chosen label's threshold by a number of steps.
    pub fn step(&mut self, by: i32, now: Instant) {
        let Some(source) = self.source_mut() else { return };
        // A label that is being changed stays chosen when rows move.
        source.choose(0);
        let Some((label, shown)) = source.chosen().map(|label| (label.now.clone(), label.shown.clone())) else { return };
        let request = match label.thresholds() {
            Some(thresholds) => self.changes.step(&label.label, thresholds, by, now),
            None => return self.warn(format!("{shown} has no threshold: {}", label.because), now),
        };
        self.is_changed = true;
        self.set(request);
    }

    /// Undoes the change of the chosen label's threshold.
    pub fn take_back(&mut self, now: Instant) {
        let Some(label) = self.source().and_then(Source::chosen) else { return };
        let (name, shown) = (label.now.label.clone(), label.shown.clone());
        if self.changes.wanted(&name).is_none() {
            return self.say(format!("the threshold of {shown} is not changed"), now);
        }
        let request = self.changes.take_back(&name, now);
        self.is_changed = true;
        self.set(request);
    }

    fn set(&mut self, request: Option<(Request, Asked)>) {
        if let Some((request, asked)) = request {
            self.ask(request, Pending::Set(asked));
        }
    }

    fn ask(&mut self, request: Request, pending: Pending) {
        if !matches!(self.link, Link::Down(_)) {
            self.outbox.push(request);
            self.pending.push_back(pending);
        }
    }

    /// The requests to be sent, in this order.
    pub fn requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.outbox)
    }

    /// Adds the requests that are due, and drops a message that is too old.
    pub fn tick(&mut self, now: Instant) {
        if self.message.take_if(|message| message.until <= now).is_some() {
            self.is_changed = true;
        }
        if matches!(self.link, Link::Down(_)) {
            return;
        }
        let due = self.changes.due(now);
        self.set(due);
        if self.poll_at <= now && self.may_poll() {
            self.poll_at = now + self.interval;
            self.ask(Request::Top { k: self.k }, Pending::Top);
        }
        if self.status_at <= now && !self.pending.contains(&Pending::Status) {
            self.status_at = now + STATUS_EVERY;
            self.ask(Request::Status {}, Pending::Status);
        }
        let waited = now.saturating_duration_since(self.answered_at);
        let link = if self.pending.is_empty() || waited < PATIENCE { Link::Up } else { Link::Silent(waited.as_secs()) };
        self.is_changed |= link != self.link;
        self.link = link;
        self.check_at = now + CHECK_EVERY;
    }

    fn may_poll(&self) -> bool {
        !self.is_paused && !self.pending.contains(&Pending::Top)
    }

    /// The next time at which [`TopState::tick`] has something to do.
    pub fn next(&self) -> Option<Instant> {
        let message = self.message.as_ref().map(|message| message.until);
        if matches!(self.link, Link::Down(_)) {
            return message;
        }
        let poll = self.may_poll().then_some(self.poll_at);
        let status = (!self.pending.contains(&Pending::Status)).then_some(self.status_at);
        let look = (!self.pending.is_empty()).then_some(self.check_at);
        [message, poll, status, look, self.changes.next()].into_iter().flatten().min()
    }

    /// Pauses the picture, or lets it go on.
    pub fn pause(&mut self, now: Instant) {
        self.is_paused = !self.is_paused;
        self.poll_at = now;
        self.is_changed = true;
    }

    /// Removes the oldest request of a kind, which was answered, and the older ones, which will not be answered any more.
    fn answered(&mut self, is: impl Fn(&Pending) -> bool) -> Option<Pending> {
        let at = self.pending.iter().position(is)?;
        self.pending.drain(..=at).next_back()
    }

    /// The threshold to show: the one that the user asks for, else the one in force.
    pub fn threshold(&self, label: &Label) -> Option<f64> {
        self.changes.wanted(&label.now.label).or(label.now.threshold)
    }
}
