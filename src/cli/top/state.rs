//! What `mimid top` knows and what it is about to ask: lines of the daemon in (`hear`), requests out. It reads no clock, draws nothing,
//! and opens neither file nor socket.

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

/// How often the daemon's health is asked for.
const STATUS_EVERY: Duration = Duration::from_secs(2);
/// How long a message stays.
const MESSAGE: Duration = Duration::from_secs(10);
/// A daemon that takes longer for an answer is said to be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether a daemon is silent.
const LOOK: Duration = Duration::from_millis(500);
/// What is heard of over the same connection: what is shown, and not each event.
const TYPES: [&str; 2] = ["source", "overrun"];

/// What is shown, and what the keys mean just now.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// The picture.
    Watch,
    /// The keys.
    Help,
    /// The diff of a plan that is not written yet, from this line on.
    Diff(Box<Plan>, usize),
    /// The question whether changes are left behind.
    Leaving,
}

/// A sentence for the last line of the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The sentence.
    pub text: String,
    /// Whether something is wrong.
    pub is_bad: bool,
    until: Instant,
}

/// Whether there is a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It answers.
    Up,
    /// It has been silent for so many seconds.
    Silent(u64),
    /// It is gone, and why.
    Down(String),
}

/// A request whose answer has not come.
#[derive(Debug, Clone, PartialEq)]
enum Asking {
    Subscribe,
    Top,
    Status,
    Set(Asked),
    Reload,
}

/// What is known.
#[derive(Debug, Clone)]
pub struct State {
    /// The daemon's version.
    pub version: String,
    /// The model's name.
    pub model: String,
    /// The daemon's sources, in its order.
    pub sources: Vec<Source>,
    /// Which of them is shown.
    pub shown: usize,
    /// What the keys mean.
    pub mode: Mode,
    /// The last line of the screen.
    pub message: Option<Message>,
    /// Whether there is a daemon.
    pub link: Link,
    /// Whether the picture stands still.
    pub is_paused: bool,
    /// The thresholds that are not written.
    pub changes: Changes,
    /// The daemon's clock at its last answer.
    pub clock: Option<Timestamp>,
    /// The zone that times of day are shown in.
    pub zone: TimeZone,
    /// How often the strongest labels are asked for.
    pub interval: Duration,
    /// Whether the picture is another than when it was drawn last.
    pub is_changed: bool,
    k: usize,
    config: Option<PathBuf>,
    /// The file that has been written and is being loaded.
    written: Option<PathBuf>,
    /// The thresholds that a file has just put in force, if the daemon reads that file.
    expected: Option<(PathBuf, Vec<(String, f64)>)>,
    outbox: Vec<Request>,
    asked: VecDeque<Asking>,
    answered_at: Instant,
    poll_at: Instant,
    status_at: Instant,
    /// When to look again how long an answer has been waited for.
    look_at: Instant,
}

impl State {
    /// Knows what the daemon's greeting says.
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
            asked: VecDeque::new(),
            answered_at: now,
            poll_at: now,
            status_at: now,
            look_at: now,
        };
        state.connected(hello, now);
        state
    }

    /// A connection stands; `hello` is its first line.
    pub fn connected(&mut self, hello: &Line, now: Instant) {
        if let Body::Hello { version, model, sources, .. } = &hello.body {
            (self.version, self.model) = (visible(version), visible(&model.name));
            self.name_sources(sources.iter().map(String::as_str));
        }
        self.is_changed = true;
        self.outbox.clear();
        self.asked.clear();
        (self.answered_at, self.poll_at, self.status_at) = (now, now, now);
        if self.link != Link::Up {
            self.link = Link::Up;
            self.say("the daemon is back", now);
        }
        let types = TYPES.map(str::to_owned).to_vec();
        let subscribe =
            Request::Subscribe { labels: vec![], sources: vec![], types, min_score: 0.0, since: None, instance: None };
        self.ask(subscribe, Asking::Subscribe);
        // Another daemon knows nothing of what was set in the one before.
        for (request, asked) in self.changes.again() {
            self.ask(request, Asking::Set(asked));
        }
    }

    /// The connection broke, or cannot be made; the picture stays.
    pub fn lost(&mut self, why: &str) {
        self.is_changed |= !matches!(&self.link, Link::Down(known) if known == why);
        self.link = Link::Down(visible(why));
        self.outbox.clear();
        self.asked.clear();
        (self.written, self.expected) = (None, None);
    }

    /// Keeps the sources that are named, and takes up the others.
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

    /// The same.
    pub fn source_mut(&mut self) -> Option<&mut Source> {
        self.sources.get_mut(self.shown)
    }

    /// The configuration file that the daemon has loaded; `None` where it has loaded none, or has not said.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Shows a sentence.
    pub fn say(&mut self, text: impl Into<String>, now: Instant) {
        self.show(text.into(), false, now);
    }

    /// Shows a sentence that says what is wrong.
    pub fn warn(&mut self, text: impl Into<String>, now: Instant) {
        self.show(text.into(), true, now);
    }

    fn show(&mut self, text: String, is_bad: bool, now: Instant) {
        self.message = Some(Message { text: visible(&text), is_bad, until: now + MESSAGE });
        self.is_changed = true;
    }

    /// The configuration file has been written: the daemon is asked to load it.
    pub fn written(&mut self, path: &Path, now: Instant) {
        self.say(format!("{} is written and is being loaded", path.display()), now);
        self.written = Some(path.to_owned());
        self.ask(Request::Reload {}, Asking::Reload);
    }

    /// Changes the chosen label's threshold by so many steps.
    pub fn step(&mut self, by: i32, now: Instant) {
        let Some(source) = self.source_mut() else { return };
        // What is being changed stays chosen.
        source.choose(0);
        let Some((label, shown)) = source.chosen().map(|label| (label.now.clone(), label.shown.clone())) else { return };
        let request = match label.thresholds() {
            Some(thresholds) => self.changes.step(&label.label, thresholds, by, now),
            None => return self.warn(format!("{shown} has no threshold: {}", label.because), now),
        };
        self.is_changed = true;
        self.set(request);
    }

    /// Takes the chosen label's change back.
    pub fn take_back(&mut self, now: Instant) {
        let Some(label) = self.source().and_then(Source::chosen) else { return };
        let (name, shown) = (label.now.label.clone(), label.shown.clone());
        if self.changes.wanted(&name).is_none() {
            return self.say(format!("{shown} is not changed"), now);
        }
        let request = self.changes.take_back(&name, now);
        self.is_changed = true;
        self.set(request);
    }

    fn set(&mut self, request: Option<(Request, Asked)>) {
        if let Some((request, asked)) = request {
            self.ask(request, Asking::Set(asked));
        }
    }

    fn ask(&mut self, request: Request, asking: Asking) {
        if !matches!(self.link, Link::Down(_)) {
            self.outbox.push(request);
            self.asked.push_back(asking);
        }
    }

    /// What is to be sent, in this order.
    pub fn requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.outbox)
    }

    /// Takes note of the time: asks what is due, forgets what is old.
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
            self.ask(Request::Top { k: self.k }, Asking::Top);
        }
        if self.status_at <= now && !self.asked.contains(&Asking::Status) {
            self.status_at = now + STATUS_EVERY;
            self.ask(Request::Status {}, Asking::Status);
        }
        let waited = now.saturating_duration_since(self.answered_at);
        let link = if self.asked.is_empty() || waited < PATIENCE { Link::Up } else { Link::Silent(waited.as_secs()) };
        self.is_changed |= link != self.link;
        self.link = link;
        self.look_at = now + LOOK;
    }

    fn may_poll(&self) -> bool {
        !self.is_paused && !self.asked.contains(&Asking::Top)
    }

    /// When [`State::tick`] has something to do again.
    pub fn next(&self) -> Option<Instant> {
        let message = self.message.as_ref().map(|message| message.until);
        if matches!(self.link, Link::Down(_)) {
            return message;
        }
        let poll = self.may_poll().then_some(self.poll_at);
        let status = (!self.asked.contains(&Asking::Status)).then_some(self.status_at);
        let look = (!self.asked.is_empty()).then_some(self.look_at);
        [message, poll, status, look, self.changes.next()].into_iter().flatten().min()
    }

    /// Lets the picture go on, or stand still.
    pub fn pause(&mut self, now: Instant) {
        self.is_paused = !self.is_paused;
        self.poll_at = now;
        self.is_changed = true;
    }

    /// The oldest request of this kind has been answered; older ones of other kinds never will be.
    fn answered(&mut self, is: impl Fn(&Asking) -> bool) -> Option<Asking> {
        let at = self.asked.iter().position(is)?;
        self.asked.drain(..=at).next_back()
    }

    /// The threshold that the user sees: what is asked for, else what is in force.
    pub fn threshold(&self, label: &Label) -> Option<f64> {
        self.changes.wanted(&label.now.label).or(label.now.threshold)
    }
}
