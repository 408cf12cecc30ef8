//! One connection to the broker, MQTT 3.1.1 or 5. No file but this and `reasons` names the client
//! library.
//!
//! A connection is never opened again, so the library cannot send a message twice without the outbox. The library's loop runs in
//! a task of its own, because it must not be interrupted in the middle of a packet.

use std::time::Duration;

use rumqttc::v5;
use rumqttc::{AsyncClient, MqttOptions, Outgoing, QoS, TlsConfiguration, Transport};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::outbox::{BrokerMessage, Retention};
use super::reasons::{refusal, why_v3, why_v5};
use crate::publish::settings::{MqttConfig, MqttVersion};
use crate::tls;

/// The interval of keep-alive packets. After one and a half times this, the broker takes a silent daemon for gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The time in which the broker must accept a connection, in seconds.
const ANSWER_S: u64 = 5;
/// The largest packet in both directions, in bytes: many times the size of a device with all labels of a model.
const LARGEST: u32 = 16 * 1024 * 1024;
/// The queue to the library's loop, in requests: longer than the number that is ever handed over at a time.
const REQUESTS: usize = 64;

/// A change on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The broker has accepted the connection. It takes packets of so many bytes, where it says that.
    Connected(Option<u32>),
    /// The next message was sent with this packet number.
    Sent(u16),
    /// The broker has acknowledged the message with this packet number.
    Acknowledged(u16),
    /// The broker has refused the message with this packet number, for the reason in the words.
    Refused(u16, &'static str),
    /// A message of a subscription.
    Received(Received),
    /// The connection has ended, for the reason in the sentence.
    Lost(String),
}

/// A message from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The topic.
    pub topic: String,
    /// The payload, in which bytes that are no UTF-8 are replaced.
    pub payload: String,
    /// Whether the broker had retained it from earlier.
    pub is_retained: bool,
}

/// A connection that is being opened, or is open.
#[derive(Debug)]
pub struct BrokerConnection {
    client: LibraryClient,
    events: mpsc::Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum LibraryClient {
    V3(AsyncClient),
    V5(v5::AsyncClient),
}

impl BrokerConnection {
    /// Begins to open a connection. If it breaks, the broker publishes `will`, where there is one.
    ///
    /// # Errors
    /// One sentence, where certificates cannot be read.
    pub fn open(
        config: &MqttConfig,
        client_id: &str,
        password: Option<String>,
        will: Option<&BrokerMessage>,
    ) -> Result<Self, String> {
        let transport = if config.tls {
            Transport::tls_with_config(TlsConfiguration::Rustls(tls::client(config.ca_file.as_deref())?))
        } else {
            Transport::Tcp
        };
        let credentials = config.username.clone().map(|user| (user, password.unwrap_or_default()));
        let (sender, events) = mpsc::channel(REQUESTS);
        let place = format!("{}:{}", config.host, config.port);
        let (client, task) = match config.version {
            MqttVersion::V3_1_1 => {
                let mut options = MqttOptions::new(client_id, &config.host, config.port);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_session(true);
                if let Some(will) = will {
                    let last = rumqttc::LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, true);
                    options.set_last_will(last);
                }
                options.set_max_packet_size(LARGEST as usize, LARGEST as usize);
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, mut eventloop) = AsyncClient::new(options, REQUESTS);
                eventloop.network_options.set_connection_timeout(ANSWER_S);
                (LibraryClient::V3(client), tokio::spawn(follow_v3(eventloop, sender, place)))
            }
            MqttVersion::V5 => {
                let mut options = v5::MqttOptions::new(client_id, &config.host, config.port);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_start(true);
                if let Some(will) = will {
                    let (payload, qos) = (will.payload.clone(), v5::mqttbytes::QoS::AtLeastOnce);
                    options.set_last_will(v5::mqttbytes::v5::LastWill::new(&will.topic, payload, qos, true, None));
                }
                options.set_max_packet_size(Some(LARGEST)).set_connection_timeout(ANSWER_S);
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, eventloop) = v5::AsyncClient::new(options, REQUESTS);
                (LibraryClient::V5(client), tokio::spawn(follow_v5(eventloop, sender, place)))
            }
        };
        Ok(Self { client, events, task })
    }

    /// The next change; waits for it. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> LinkEvent {
        self.events.recv().await.unwrap_or_else(|| LinkEvent::Lost("the connection to the broker has ended".to_owned()))
    }

    /// Hands a message over. A failure means that the connection has ended, which [`Self::next`] reports.
    pub fn send(&self, message: BrokerMessage) {
        let (retain, BrokerMessage { topic, payload, .. }) = (message.retention == Retention::Retained, message);
        let _ = match &self.client {
            LibraryClient::V3(client) => client.try_publish(topic, QoS::AtLeastOnce, retain, payload).is_ok(),
            LibraryClient::V5(client) => client.try_publish(topic, v5::mqttbytes::QoS::AtLeastOnce, retain, payload).is_ok(),
        };
    }

    /// Subscribes to a filter.
    pub fn subscribe(&self, filter: String) {
        let _ = match &self.client {
            LibraryClient::V3(client) => client.try_subscribe(filter, QoS::AtLeastOnce).is_ok(),
            LibraryClient::V5(client) => client.try_subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce).is_ok(),
        };
    }

    /// Unsubscribes from a filter.
    pub fn unsubscribe(&self, filter: String) {
        let _ = match &self.client {
            LibraryClient::V3(client) => client.try_unsubscribe(filter).is_ok(),
            LibraryClient::V5(client) => client.try_unsubscribe(filter).is_ok(),
        };
    }

    /// Disconnects, and waits until the broker has closed the connection: one that finds the next connection of the same client
    /// before it has read the farewell publishes the will.
    pub async fn close(mut self) {
        let _ = match &self.client {
            LibraryClient::V3(client) => client.try_disconnect().is_ok(),
            LibraryClient::V5(client) => client.try_disconnect().is_ok(),
        };
        while !matches!(self.next().await, LinkEvent::Lost(_)) {}
    }
}

impl Drop for BrokerConnection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs the library's loop and passes its events on, until the connection ends or the receiver is gone.
async fn follow_v3(mut eventloop: rumqttc::EventLoop, events: mpsc::Sender<LinkEvent>, place: String) {
    use rumqttc::{Event, Packet};
    let (mut was_up, mut is_closing) = (false, false);
    loop {
        let event = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                was_up = true;
                LinkEvent::Connected(None)
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => LinkEvent::Acknowledged(ack.pkid),
            Ok(Event::Incoming(Packet::Publish(publish))) => LinkEvent::Received(Received {
                topic: publish.topic,
                payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                is_retained: publish.retain,
            }),
            Ok(Event::Outgoing(Outgoing::Publish(number))) => LinkEvent::Sent(number),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => {
                is_closing = true;
                continue;
            }
            Ok(_) => continue,
            Err(_) if is_closing => LinkEvent::Lost("the connection was closed".to_owned()),
            Err(error) => LinkEvent::Lost(why_v3(error, was_up, &place)),
        };
        let is_over = matches!(event, LinkEvent::Lost(_));
        if events.send(event).await.is_err() || is_over {
            return;
        }
    }
}

/// Does the same for version 5, whose types differ.
async fn follow_v5(mut eventloop: v5::EventLoop, events: mpsc::Sender<LinkEvent>, place: String) {
    use v5::Event;
    let (mut was_up, mut is_closing) = (false, false);
    loop {
        match eventloop.poll().await {
            Ok(Event::Outgoing(Outgoing::Disconnect)) => is_closing = true,
            Ok(event) => {
                let Some(event) = of_v5(event) else { continue };
                was_up |= matches!(event, LinkEvent::Connected(_));
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Packets that came with the end: a broker may refuse a message and hang up.
                for event in eventloop.state.events.drain(..).filter_map(of_v5) {
                    let _ = events.send(event).await;
                }
                let why = if is_closing { "the connection was closed".to_owned() } else { why_v5(error, was_up, &place) };
                let _ = events.send(LinkEvent::Lost(why)).await;
                return;
            }
        }
    }
}

/// The change that an event of the library means, where it means one.
fn of_v5(event: v5::Event) -> Option<LinkEvent> {
    use v5::Event;
    use v5::mqttbytes::v5::Packet;
    Some(match event {
        Event::Incoming(Packet::ConnAck(accepted)) => {
            LinkEvent::Connected(accepted.properties.and_then(|properties| properties.max_packet_size))
        }
        Event::Incoming(Packet::PubAck(ack)) => match refusal(ack.reason) {
            Some(why) => LinkEvent::Refused(ack.pkid, why),
            None => LinkEvent::Acknowledged(ack.pkid),
        },
        Event::Incoming(Packet::Publish(publish)) => LinkEvent::Received(Received {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: String::from_utf8_lossy(&publish.payload).into_owned(),
            is_retained: publish.retain,
        }),
        Event::Outgoing(Outgoing::Publish(number)) => LinkEvent::Sent(number),
        _ => return None,
    })
}
