//! The MQTT sink: publishes events, states and health to a broker, with discovery for Home Assistant.
//!
//! `composer` turns the hub's deliveries into messages: `topics` names their topics, `sounding` knows the open events,
//! `inventory` the sources and labels, `payloads` writes events and `discovery` the documents for Home Assistant, and `levels` says when
//! a level is worth a message. `outbox` holds the messages,
//! `connection` carries them, and `commands` parses messages from the broker. The loop in this file joins them, and reconnects to
//! a broker that was away.
//!
//! Invariant: a broker that is away or slow costs no more than the bound of the outbox, and nothing outside the sink waits for
//! it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::answer::Refusal;
use super::hub::Subscription;
use super::shared::{Shared, down};
use super::sinks::Context;
use super::wire::Request;
use crate::publish::settings::MqttConfig;
use crate::secret;
use crate::stats::sink::SinkStats;
use commands::MqttCommand;
use composer::Composer;
use connection::{BrokerConnection, LinkEvent, Received};
use outbox::{BrokerMessage, Retention};

mod commands;
mod composer;
mod connection;
mod discovery;
mod inventory;
mod levels;
mod outbox;
mod payloads;
mod sounding;
mod topics;

/// The pause after the first failure to connect. It doubles with each further one in a row, up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// The longest pause between two attempts to connect: however long the broker was away, its states are true soon after it is
/// back.
const LAST_RETRY: Duration = Duration::from_secs(3);
/// The least duration of a connection after which the pauses begin anew.
const STEADY: Duration = Duration::from_secs(2);
/// The interval at which the sources, labels and health are checked for changes.
const CHECK: Duration = Duration::from_secs(1);
/// The time after connecting in which the broker's retained messages are looked through.
const FINDING: Duration = Duration::from_secs(3);
/// The time in which the pipeline must answer which events are open.
const ANSWER: Duration = Duration::from_millis(500);
/// The time for the last messages to arrive.
const GOODBYE: Duration = Duration::from_millis(700);
/// The length of the queue of requests to the pipeline.
const REQUESTS: usize = 64;

/// Runs the sink until it is to stop. `former` is the configuration that was in force before.
pub async fn run(config: MqttConfig, former: Option<MqttConfig>, context: Context) {
    let Context { shared, stats, stop } = context;
    // From here on no report is missed. The first check asks the analysis for the events that are open already.
    let (subscription, _) = shared.hub.connect();
    let (asked, requests) = mpsc::channel(REQUESTS);
    let (refuse, refused) = mpsc::channel(REQUESTS);
    let mut obeying = JoinSet::new();
    obeying.spawn(obey(shared.clone(), requests, refuse));
    let composer = Composer::new(&config, former.as_ref(), shared.clone());
    let link = BrokerLink::new(config, &composer);
    MqttSink { shared, stats, subscription, composer, link, asked, refused }.run(stop).await;
}

/// Has requests done, one after the other. After a refusal, the unchanged state is sent again to its topic. After a success, the
/// reports of the hub bring the new state.
async fn obey(shared: Arc<Shared>, mut requests: mpsc::Receiver<(Request, String)>, refused: mpsc::Sender<String>) {
    while let Some((request, topic)) = requests.recv().await {
        if let Err(Refusal(_, why)) = shared.answer(request).await {
            tracing::warn!(state = topic, why, "a request over MQTT is refused");
            if refused.send(topic).await.is_err() {
                return;
            }
        }
    }
}

struct MqttSink {
    shared: Arc<Shared>,
    stats: Arc<SinkStats>,
    subscription: Subscription,
    composer: Composer,
    link: BrokerLink,
    asked: mpsc::Sender<(Request, String)>,
    refused: mpsc::Receiver<String>,
}

impl MqttSink {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(delivery) = self.subscription.next() => self.composer.take(&delivery),
                event = self.link.next() => self.take(event),
                Some(topic) = self.refused.recv() => self.composer.outbox.repeat(&topic),
                _ = checks.tick() => self.check().await,
                () = down(&mut stop) => break,
            }
            self.hand_over();
        }
        self.end().await;
    }

    /// Takes a change on the way to the broker.
    fn take(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Connected(largest) => {
                if self.stats.rise() {
                    tracing::info!(broker = self.link.config.host, "connected to the MQTT broker");
                }
                self.link.is_up(&self.composer);
                self.composer.connected(largest);
            }
            LinkEvent::Sent(number) => self.composer.outbox.sent(number),
            LinkEvent::Acknowledged(number) => {
                self.stats.sent.fetch_add(u64::from(self.composer.outbox.acknowledged(number)), Relaxed);
            }
            // A retained message is no command, even at a topic of commands: it may be long out of date.
            LinkEvent::Received(Received { topic, payload, is_retained: true }) => self.composer.take_retained(&topic, &payload),
            LinkEvent::Received(Received { topic, payload, .. }) => match self.composer.command(&topic, &payload) {
                Some(MqttCommand::Announce) => self.composer.announce(),
                Some(MqttCommand::Ask(request, topic)) => self.ask(request, topic),
                None => {}
                Some(MqttCommand::Refuse(why, topic)) => {
                    tracing::warn!(why, "a request over MQTT is refused");
                    self.composer.outbox.repeat(&topic);
                }
            },
            LinkEvent::Lost(why) => {
                self.composer.outbox.lost();
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

    /// Takes changes into account that no report announces.
    async fn check(&mut self) {
        if let Some(missed) = self.subscription.missed() {
            self.composer.take(&missed);
        }
        if self.composer.is_unsure {
            // Reports wait in the queue meanwhile, so that a report newer than the answer is taken after it.
            if let Ok(Ok(tops)) = timeout(ANSWER, self.shared.top(0)).await {
                self.composer.correct(&tops);
            }
        }
        self.composer.refresh();
        self.link.end_finding(&self.composer);
        self.composer.compose_levels();
    }

    fn hand_over(&mut self) {
        let outbox = &mut self.composer.outbox;
        if let Some(connection) = &self.link.connection {
            while let Some(message) = outbox.hand_over() {
                connection.send(message);
            }
        }
        self.stats.set_queued(outbox.len());
        self.stats.dropped.store(outbox.given_up, Relaxed);
    }

    /// Sends the last messages, as far as the broker acknowledges them in time.
    async fn end(mut self) {
        while let Some(delivery) = self.subscription.try_next() {
            self.composer.take(&delivery);
        }
        self.composer.compose_goodbye();
        let deadline = Instant::now() + GOODBYE;
        self.hand_over();
        while self.stats.state().0 == crate::stats::sink::SinkState::Up && !self.composer.outbox.is_empty() {
            tokio::select! {
                event = self.link.next() => self.take(event),
                () = sleep_until(deadline) => break,
            }
            self.hand_over();
        }
        if let Some(connection) = self.link.connection.take() {
            let _ = timeout(GOODBYE / 4, connection.close()).await;
        }
    }
}

/// The way to the broker: a connection, or the time of the next attempt.
struct BrokerLink {
    config: MqttConfig,
    client_id: String,
    will: BrokerMessage,
    connection: Option<BrokerConnection>,
    connected_at: Option<Instant>,
    /// The time until which the broker's retained messages are looked through.
    finding: Option<Instant>,
    retry_at: Instant,
    retry: Duration,
}

impl BrokerLink {
    fn new(config: MqttConfig, composer: &Composer) -> Self {
        let will = BrokerMessage {
            topic: composer.topics.node("availability"),
            payload: "offline".to_owned(),
            retention: Retention::Retained,
        };
        Self {
            client_id: composer.topics.node_id.clone(),
            config,
            will,
            connection: None,
            connected_at: None,
            finding: None,
            retry_at: Instant::now(),
            retry: FIRST_RETRY,
        }
    }

    /// The next change; waits for it. Opens a connection when there is none and the time for an attempt has come.
    async fn next(&mut self) -> LinkEvent {
        loop {
            match &mut self.connection {
                Some(connection) => return connection.next().await,
                None => {
                    sleep_until(self.retry_at).await;
                    // The password may have been corrected meanwhile.
                    let opened = secret::read(self.config.password_file.as_deref(), "MIMID_MQTT_PASSWORD", "mqtt_password")
                        .and_then(|password| BrokerConnection::open(&self.config, &self.client_id, password, &self.will));
                    match opened {
                        Ok(connection) => self.connection = Some(connection),
                        Err(why) => return LinkEvent::Lost(why),
                    }
                }
            }
        }
    }

    fn is_up(&mut self, composer: &Composer) {
        let now = Instant::now();
        (self.connected_at, self.finding) = (Some(now), Some(now + FINDING));
        if let Some(connection) = &self.connection {
            for filter in composer.topics.command_filters().into_iter().chain(composer.own_filters()) {
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

    /// Unsubscribes from the daemon's own topics once the retained messages have been looked through.
    fn end_finding(&mut self, composer: &Composer) {
        if self.finding.is_some_and(|until| Instant::now() >= until) {
            self.finding = None;
            if let Some(connection) = &self.connection {
                for filter in composer.own_filters() {
                    connection.unsubscribe(filter);
                }
            }
        }
    }
}
