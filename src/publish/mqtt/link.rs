//! The way to the broker: a connection, or the time of the next attempt. A daemon that gives way to another one of its name waits here
//! until that is gone.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::composer::Composer;
use super::connection::{BrokerConnection, LinkEvent, Received};
use super::outbox::{BrokerMessage, Retention};
use crate::publish::settings::MqttConfig;
use crate::secret;

/// The pause after the first failure to connect. It doubles with each further one in a row, up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// The longest pause between two attempts to connect: however long the broker was away, its states are true soon after it is
/// back.
const LAST_RETRY: Duration = Duration::from_secs(3);
/// The least duration of a connection after which the pauses begin anew.
const STEADY: Duration = Duration::from_secs(2);
/// The time after connecting in which the broker's retained messages are looked through.
const FINDING: Duration = Duration::from_secs(3);
/// The time in which a daemon that gave way looks whether the other one is there, before it takes the name back.
const LOOKING: Duration = Duration::from_secs(5);

/// The way to the broker.
pub struct BrokerLink {
    /// The configuration.
    pub config: MqttConfig,
    /// The connection, open or being opened.
    pub connection: Option<BrokerConnection>,
    client_id: String,
    will: BrokerMessage,
    connected_at: Option<Instant>,
    /// The time until which the broker's retained messages are looked through.
    finding: Option<Instant>,
    retry_at: Instant,
    retry: Duration,
    waiting: Option<Waiting>,
}

/// A wait for another daemon of the same name to go.
struct Waiting {
    client_id: String,
    availability: String,
    is_other_online: bool,
}

impl BrokerLink {
    /// The way to the broker of a configuration. The first attempt is made at once.
    pub fn new(config: MqttConfig, composer: &Composer) -> Self {
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
            waiting: None,
        }
    }

    /// The next change; waits for it. Opens a connection when there is none and the time for an attempt has come.
    pub async fn next(&mut self) -> LinkEvent {
        loop {
            match &mut self.connection {
                Some(connection) => return connection.next().await,
                None => {
                    sleep_until(self.retry_at).await;
                    // One that waits only reads, and has nothing to leave behind.
                    let (id, will) = match &self.waiting {
                        Some(waiting) => (&waiting.client_id, None),
                        None => (&self.client_id, Some(&self.will)),
                    };
                    // The password may have been corrected meanwhile.
                    let opened = secret::read(self.config.password_file.as_deref(), "MIMID_MQTT_PASSWORD", "mqtt_password")
                        .and_then(|password| BrokerConnection::open(&self.config, id, password, will));
                    match opened {
                        Ok(connection) => self.connection = Some(connection),
                        Err(why) => return LinkEvent::Lost(why),
                    }
                }
            }
        }
    }

    /// Takes that the broker has accepted the connection.
    pub fn is_up(&mut self, composer: &Composer) {
        let now = Instant::now();
        (self.connected_at, self.finding) = (Some(now), Some(now + FINDING));
        if let Some(connection) = &self.connection {
            for filter in composer.topics.command_filters().into_iter().chain(composer.topics.own_filters()) {
                connection.subscribe(filter);
            }
        }
    }

    /// Takes that the connection has ended.
    pub fn is_down(&mut self) {
        if self.connected_at.take().is_some_and(|at| at.elapsed() >= STEADY) {
            self.retry = FIRST_RETRY;
        }
        (self.connection, self.finding) = (None, None);
        self.retry_at = Instant::now() + self.retry;
        self.retry = (self.retry * 2).min(LAST_RETRY);
    }

    /// Unsubscribes from the daemon's own topics once the retained messages have been looked through. Returns whether that is just
    /// so.
    pub fn end_finding(&mut self, composer: &Composer) -> bool {
        if self.finding.is_none_or(|until| Instant::now() < until) {
            return false;
        }
        self.finding = None;
        if let Some(connection) = &self.connection {
            for filter in composer.topics.own_filters() {
                connection.unsubscribe(filter);
            }
        }
        true
    }

    /// Gives way to another daemon of the same name: disconnects without the last will, and waits until the other one is offline.
    pub fn give_way(&mut self, instance: &str) {
        let availability = self.will.topic.clone();
        let client_id = format!("{}_{}", self.client_id, instance.rsplit('-').next().unwrap_or_default());
        self.waiting = Some(Waiting { client_id, availability, is_other_online: false });
        self.leave();
    }

    /// Whether it waits for another daemon of the same name to go.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Takes a change while it waits.
    pub fn take_waiting(&mut self, event: LinkEvent) {
        let Some(waiting) = &mut self.waiting else { return };
        match event {
            LinkEvent::Connected(_) => {
                self.connected_at = Some(Instant::now());
                if let Some(connection) = &self.connection {
                    connection.subscribe(waiting.availability.clone());
                }
            }
            LinkEvent::Received(Received { topic, payload, .. }) if topic == waiting.availability => {
                waiting.is_other_online = payload == "online";
                // When it goes, it may only be connecting anew.
                self.connected_at = Some(Instant::now());
            }
            LinkEvent::Lost(_) => self.is_down(),
            _ => {}
        }
    }

    /// Takes the name back once the other daemon has been away for a while.
    pub fn end_waiting(&mut self) {
        let is_free = self.waiting.as_ref().is_some_and(|waiting| !waiting.is_other_online);
        if is_free && self.connected_at.is_some_and(|at| at.elapsed() >= LOOKING) {
            self.waiting = None;
            self.leave();
        }
    }

    /// Disconnects as one does who has nothing to fear.
    fn leave(&mut self) {
        if let Some(connection) = self.connection.take() {
            tokio::spawn(connection.close());
        }
        (self.connected_at, self.finding) = (None, None);
        self.retry_at = Instant::now() + LAST_RETRY;
    }
}
