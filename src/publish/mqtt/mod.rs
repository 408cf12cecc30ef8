//! The MQTT sink: events, states and health to a broker, and Home Assistant told of them by its own discovery.
//!
//! `told` makes messages of the hub's lines, by `topics`, `states`, `inventory` and `discovery`; `queue` holds them; `connection` carries
//! them; `commands` reads what comes back. Here is the loop that joins them, and that comes back to a broker that was away.
//!
//! Invariant: a broker that is away or slow costs no more than the bound of the queue, and is waited for by nobody else.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::answer::Refusal;
use super::hub::Subscription;
use super::secret;
use super::shared::{Shared, down};
use super::sinks::Context;
use super::wire::Request;
use crate::publish::settings::MqttConfig;
use crate::stats::sink::SinkStats;
use commands::Command;
use connection::{Connection, Happening, Heard};
use queue::{Kind, Message};
use told::Told;

pub mod commands;
pub mod connection;
pub mod discovery;
pub mod inventory;
pub mod queue;
pub mod states;
pub mod told;
pub mod topics;

/// After a failure the broker is tried again so soon …
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// … and after more of them in a row, twice as late each time, at last so late: however long it was away, what is shown of it is true soon
/// after it is back.
const LAST_RETRY: Duration = Duration::from_secs(3);
/// A connection that lasted so long was no failure.
const STEADY: Duration = Duration::from_secs(2);
/// How often it is looked whether there is anything new to be told.
const LOOK: Duration = Duration::from_secs(1);
/// How loud it is, is told at every so many looks.
const LEVEL_LOOKS: u64 = 5;
/// For how long the broker is asked what it had retained.
const FINDING: Duration = Duration::from_secs(3);
/// How long the pipeline has to say what is open.
const ANSWER: Duration = Duration::from_millis(500);
/// How long the last messages have to arrive.
const GOODBYE: Duration = Duration::from_millis(700);
/// Requests on their way to the pipeline.
const REQUESTS: usize = 64;

/// Runs the sink until it is told to stop. Until just now it was run as `former` says.
pub async fn run(config: MqttConfig, former: Option<MqttConfig>, context: Context) {
    let Context { shared, stats, stop } = context;
    // From here on no line is missed; what is open already is asked for.
    let (subscription, _) = shared.hub.connect();
    let (asked, requests) = mpsc::channel(REQUESTS);
    let (refuse, refused) = mpsc::channel(REQUESTS);
    let mut obeying = JoinSet::new();
    obeying.spawn(obey(shared.clone(), requests, refuse));
    let told = Told::new(&config, former.as_ref(), shared.clone());
    let link = Link::new(config, &told);
    Sink { shared, stats, subscription, told, link, asked, refused }.run(stop).await;
}

/// Has requests done, one after the other. What is refused is told again as it is, at its topic; what is done is told by the hub's lines.
async fn obey(shared: Arc<Shared>, mut requests: mpsc::Receiver<(Request, String)>, refused: mpsc::Sender<String>) {
    while let Some((request, topic)) = requests.recv().await {
        if let Err(Refusal(_, why)) = shared.answer(request).await {
            tracing::warn!(topic, why, "a request over MQTT is refused");
            if refused.send(topic).await.is_err() {
                return;
            }
        }
    }
}

struct Sink {
    shared: Arc<Shared>,
    stats: Arc<SinkStats>,
    subscription: Subscription,
    told: Told,
    link: Link,
    asked: mpsc::Sender<(Request, String)>,
    refused: mpsc::Receiver<String>,
}

impl Sink {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut n_looks = 0;
        loop {
            tokio::select! {
                Some(delivery) = self.subscription.next() => self.told.hear(&delivery),
                happening = self.link.next() => self.take(happening),
                Some(topic) = self.refused.recv() => self.told.outbox.repeat(&topic),
                _ = looks.tick() => {
                    self.look(n_looks).await;
                    n_looks += 1;
                }
                () = down(&mut stop) => break,
            }
            self.hand_over();
        }
        self.end().await;
    }

    /// What happened on the way to the broker.
    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Connected => {
                if self.stats.rise() {
                    tracing::info!(broker = self.link.config.host, "connected to the MQTT broker");
                }
                self.link.is_up(&self.told);
                self.told.outbox.connected();
            }
            Happening::Sent(number) => self.told.outbox.sent(number),
            Happening::Acknowledged(number) => {
                self.stats.sent.fetch_add(u64::from(self.told.outbox.acknowledged(number)), Relaxed);
            }
            // A command that the broker kept is from another time.
            Happening::Heard(Heard { topic, payload, is_retained: true }) => self.told.find(&topic, &payload),
            Happening::Heard(Heard { topic, payload, .. }) => match self.told.command(&topic, &payload) {
                Some(Command::Announce) => self.told.announce(),
                Some(Command::Ask(request, topic)) => self.ask(request, topic),
                None => {}
                Some(Command::Refuse(why, topic)) => {
                    tracing::warn!(why, "a request over MQTT is refused");
                    self.told.outbox.repeat(&topic);
                }
            },
            Happening::Lost(why) => {
                self.told.outbox.lost();
                self.link.is_down();
                if self.stats.fall(why.clone()) {
                    tracing::warn!(why, "MQTT is down, and is tried again");
                }
            }
        }
    }

    fn ask(&self, request: Request, topic: String) {
        if self.asked.try_send((request, topic)).is_err() {
            tracing::warn!("too many requests come over MQTT; one is left out");
        }
    }

    /// Looks whether there is anything new that no line tells of.
    async fn look(&mut self, n_looks: u64) {
        if let Some(missed) = self.subscription.missed() {
            self.told.hear(&missed);
        }
        if self.told.is_unsure {
            // Lines wait meanwhile, so that none is taken that is older than the answer and not in it.
            if let Ok(Ok(tops)) = timeout(ANSWER, self.shared.top(0)).await {
                self.told.correct(&tops);
            }
        }
        self.told.refresh();
        self.link.forget_finding(&self.told);
        if n_looks.is_multiple_of(LEVEL_LOOKS) {
            self.told.say_levels();
        }
    }

    fn hand_over(&mut self) {
        let outbox = &mut self.told.outbox;
        if let Some(connection) = &self.link.connection {
            while let Some(message) = outbox.hand_over() {
                connection.send(message);
            }
        }
        self.stats.set_queued(outbox.len());
        self.stats.dropped.store(outbox.given_up, Relaxed);
    }

    /// Tells that the daemon goes, as far as the broker takes it in time.
    async fn end(mut self) {
        while let Some(delivery) = self.subscription.try_next() {
            self.told.hear(&delivery);
        }
        self.told.say_goodbye();
        let deadline = Instant::now() + GOODBYE;
        self.hand_over();
        while self.stats.state().0 == crate::stats::sink::SinkState::Up && !self.told.outbox.is_empty() {
            tokio::select! {
                happening = self.link.next() => self.take(happening),
                () = sleep_until(deadline) => break,
            }
            self.hand_over();
        }
        if let Some(connection) = self.link.connection.take() {
            let _ = timeout(GOODBYE / 4, connection.close()).await;
        }
    }
}

/// The way to the broker: a connection, or the time at which it is tried again.
struct Link {
    config: MqttConfig,
    client_id: String,
    will: Message,
    connection: Option<Connection>,
    connected_at: Option<Instant>,
    /// Until when the broker is asked what it had retained.
    finding: Option<Instant>,
    retry_at: Instant,
    retry: Duration,
}

impl Link {
    fn new(config: MqttConfig, told: &Told) -> Self {
        let will = Message { topic: told.topics.node("availability"), payload: "offline".to_owned(), kind: Kind::Retained };
        Self {
            client_id: told.topics.node_id.clone(),
            config,
            will,
            connection: None,
            connected_at: None,
            finding: None,
            retry_at: Instant::now(),
            retry: FIRST_RETRY,
        }
    }

    /// What happens next; opens a connection where there is none and it is time to.
    async fn next(&mut self) -> Happening {
        loop {
            match &mut self.connection {
                Some(connection) => return connection.next().await,
                None => {
                    sleep_until(self.retry_at).await;
                    // The password may have been put right meanwhile.
                    let opened = secret::read(self.config.password_file.as_deref(), "MIMID_MQTT_PASSWORD", "mqtt_password")
                        .and_then(|password| Connection::open(&self.config, &self.client_id, password, &self.will));
                    match opened {
                        Ok(connection) => self.connection = Some(connection),
                        Err(why) => return Happening::Lost(why),
                    }
                }
            }
        }
    }

    fn is_up(&mut self, told: &Told) {
        let now = Instant::now();
        (self.connected_at, self.finding) = (Some(now), Some(now + FINDING));
        if let Some(connection) = &self.connection {
            for filter in told.topics.heard().into_iter().chain(told.own()) {
                connection.subscribe(filter);
            }
        }
    }

    fn is_down(&mut self) {
        if self.connected_at.take().is_some_and(|at| at.elapsed() >= STEADY) {
            self.retry = FIRST_RETRY;
        }
        (self.connection, self.finding) = (None, None);
        self.retry_at = Instant::now() + self.retry;
        self.retry = (self.retry * 2).min(LAST_RETRY);
    }

    /// Asks no longer for what was retained: what comes now is what is sent.
    fn forget_finding(&mut self, told: &Told) {
        if self.finding.is_some_and(|until| Instant::now() >= until) {
            self.finding = None;
            if let Some(connection) = &self.connection {
                for filter in told.own() {
                    connection.unsubscribe(filter);
                }
            }
        }
    }
}
