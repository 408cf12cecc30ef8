//! One connection to the broker, MQTT 3.1.1 or 5: the only file that names the client library.
//!
//! It is opened once and ends once; who wants another opens another, so nothing is sent twice behind the back of the queue. The library's
//! loop runs in a task of its own, because it must not be interrupted in the middle of a packet.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5;
use rumqttc::{AsyncClient, MqttOptions, Outgoing, QoS, TlsConfiguration, Transport};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::queue::{Kind, Message};
use crate::publish::settings::{MqttConfig, MqttVersion};

/// The broker takes a silent daemon for gone after one and a half times this.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the broker has to answer a connection.
const ANSWER_S: u64 = 5;
/// The largest packet that is taken and sent, in bytes: many times what a device with all labels of a model has.
const LARGEST: u32 = 16 * 1024 * 1024;
/// Requests on their way to the library's loop: more than are ever handed over at a time.
const REQUESTS: usize = 64;

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The broker has accepted it.
    Connected,
    /// The next message was sent under this number.
    Sent(u16),
    /// The message of this number has arrived.
    Acknowledged(u16),
    /// Something that was subscribed to.
    Heard(Heard),
    /// It is over, and why, as one sentence.
    Lost(String),
}

/// A message from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Where it was sent.
    pub topic: String,
    /// What it says; what is no UTF-8 is replaced.
    pub payload: String,
    /// Whether it was kept from earlier.
    pub is_retained: bool,
}

/// A connection that is being opened, or is open.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    happenings: mpsc::Receiver<Happening>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Client {
    V3(AsyncClient),
    V5(v5::AsyncClient),
}

impl Connection {
    /// Begins to open one. Where it breaks, the broker says `will` to everybody.
    ///
    /// # Errors
    /// One sentence, where certificates cannot be read.
    pub fn open(config: &MqttConfig, client_id: &str, password: Option<String>, will: &Message) -> Result<Self, String> {
        let transport = if config.tls {
            let tls = tls(config.ca_file.as_deref())?;
            Transport::tls_with_config(TlsConfiguration::Rustls(tls))
        } else {
            Transport::Tcp
        };
        let credentials = config.username.clone().map(|user| (user, password.unwrap_or_default()));
        let (sender, happenings) = mpsc::channel(REQUESTS);
        let place = format!("{}:{}", config.host, config.port);
        let (client, task) = match config.version {
            MqttVersion::V3_1_1 => {
                let mut options = MqttOptions::new(client_id, &config.host, config.port);
                let last = rumqttc::LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, true);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_last_will(last);
                options.set_max_packet_size(LARGEST as usize, LARGEST as usize);
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, mut eventloop) = AsyncClient::new(options, REQUESTS);
                eventloop.network_options.set_connection_timeout(ANSWER_S);
                (Client::V3(client), tokio::spawn(follow_v3(eventloop, sender, place)))
            }
            MqttVersion::V5 => {
                let mut options = v5::MqttOptions::new(client_id, &config.host, config.port);
                let payload = will.payload.clone();
                let last = v5::mqttbytes::v5::LastWill::new(&will.topic, payload, v5::mqttbytes::QoS::AtLeastOnce, true, None);
                options.set_transport(transport).set_keep_alive(KEEP_ALIVE).set_clean_start(true).set_last_will(last);
                options.set_max_packet_size(Some(LARGEST)).set_connection_timeout(ANSWER_S);
                if let Some((user, password)) = credentials {
                    options.set_credentials(user, password);
                }
                let (client, eventloop) = v5::AsyncClient::new(options, REQUESTS);
                (Client::V5(client), tokio::spawn(follow_v5(eventloop, sender, place)))
            }
        };
        Ok(Self { client, happenings, task })
    }

    /// What happens next. Nothing is lost when this is cancelled.
    pub async fn next(&mut self) -> Happening {
        self.happenings.recv().await.unwrap_or_else(|| Happening::Lost("the connection to the broker has ended".to_owned()))
    }

    /// Hands a message over. Where that fails, the connection is over.
    pub fn send(&self, message: Message) {
        let (retain, Message { topic, payload, .. }) = (message.kind == Kind::Retained, message);
        let _ = match &self.client {
            Client::V3(client) => client.try_publish(topic, QoS::AtLeastOnce, retain, payload).is_ok(),
            Client::V5(client) => client.try_publish(topic, v5::mqttbytes::QoS::AtLeastOnce, retain, payload).is_ok(),
        };
    }

    /// Subscribes to a filter.
    pub fn subscribe(&self, filter: String) {
        let _ = match &self.client {
            Client::V3(client) => client.try_subscribe(filter, QoS::AtLeastOnce).is_ok(),
            Client::V5(client) => client.try_subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce).is_ok(),
        };
    }

    /// Hears no more of a filter.
    pub fn unsubscribe(&self, filter: String) {
        let _ = match &self.client {
            Client::V3(client) => client.try_unsubscribe(filter).is_ok(),
            Client::V5(client) => client.try_unsubscribe(filter).is_ok(),
        };
    }

    /// Says good-bye, and waits until the broker has taken it: then it does not say the will.
    pub async fn close(mut self) {
        let _ = match &self.client {
            Client::V3(client) => client.try_disconnect().is_ok(),
            Client::V5(client) => client.try_disconnect().is_ok(),
        };
        while !matches!(self.next().await, Happening::Lost(_)) {}
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How the broker's certificate is judged: by those in the file, or by the system's.
fn tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unreadable = |error| format!("the certificates in {} cannot be read: {error}", file.display());
            let certificates = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
            for certificate in certificates {
                let certificate = certificate.map_err(unreadable)?;
                let bad = |error| format!("a certificate in {} is not valid: {error}", file.display());
                roots.add(certificate).map_err(bad)?;
            }
            if roots.is_empty() {
                return Err(format!("there is no certificate in {}", file.display()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("the system has no certificates to judge the broker's by; name a ca_file".to_owned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be used: {error}"))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Tells what the library's loop does until the connection is over, or nobody listens.
async fn follow_v3(mut eventloop: rumqttc::EventLoop, happenings: mpsc::Sender<Happening>, place: String) {
    use rumqttc::{Event, Packet};
    let mut was_up = false;
    loop {
        let happening = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                was_up = true;
                Happening::Connected
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => Happening::Acknowledged(ack.pkid),
            Ok(Event::Incoming(Packet::Publish(publish))) => Happening::Heard(Heard {
                topic: publish.topic,
                payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                is_retained: publish.retain,
            }),
            Ok(Event::Outgoing(Outgoing::Publish(number))) => Happening::Sent(number),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => Happening::Lost("the connection was closed".to_owned()),
            Ok(_) => continue,
            Err(error) => Happening::Lost(why_v3(error, was_up, &place)),
        };
        let is_over = matches!(happening, Happening::Lost(_));
        if happenings.send(happening).await.is_err() || is_over {
            return;
        }
    }
}

/// The same of version 5, whose types are others.
async fn follow_v5(mut eventloop: v5::EventLoop, happenings: mpsc::Sender<Happening>, place: String) {
    use v5::Event;
    use v5::mqttbytes::v5::Packet;
    let mut was_up = false;
    loop {
        let happening = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                was_up = true;
                Happening::Connected
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => Happening::Acknowledged(ack.pkid),
            Ok(Event::Incoming(Packet::Publish(publish))) => Happening::Heard(Heard {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: String::from_utf8_lossy(&publish.payload).into_owned(),
                is_retained: publish.retain,
            }),
            Ok(Event::Outgoing(Outgoing::Publish(number))) => Happening::Sent(number),
            Ok(Event::Outgoing(Outgoing::Disconnect)) => Happening::Lost("the connection was closed".to_owned()),
            Ok(_) => continue,
            Err(error) => Happening::Lost(why_v5(error, was_up, &place)),
        };
        let is_over = matches!(happening, Happening::Lost(_));
        if happenings.send(happening).await.is_err() || is_over {
            return;
        }
    }
}

fn why_v3(error: rumqttc::ConnectionError, was_up: bool, place: &str) -> String {
    use rumqttc::ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    use rumqttc::ConnectionError as Error;
    match error {
        Error::ConnectionRefused(BadUserNamePassword | NotAuthorized) => refused(place),
        Error::ConnectionRefused(code) => format!("the broker {place} refuses the connection: {code:?}"),
        Error::NetworkTimeout | Error::FlushTimeout => silent(place),
        Error::Tls(rumqttc::TlsError::Io(error)) | Error::Io(error) if !was_up => unreachable_because(place, &error),
        error => broken(place, &error.to_string(), was_up),
    }
}

fn why_v5(error: v5::ConnectionError, was_up: bool, place: &str) -> String {
    use v5::ConnectionError as Error;
    use v5::mqttbytes::v5::ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
    match error {
        Error::ConnectionRefused(BadUserNamePassword | NotAuthorized) => refused(place),
        Error::MqttState(v5::StateError::ConnFail { reason: BadUserNamePassword | NotAuthorized }) => refused(place),
        Error::ConnectionRefused(code) => format!("the broker {place} refuses the connection: {code:?}"),
        Error::Timeout(_) => silent(place),
        Error::Tls(rumqttc::TlsError::Io(error)) | Error::Io(error) if !was_up => unreachable_because(place, &error),
        error => broken(place, &error.to_string(), was_up),
    }
}

fn refused(place: &str) -> String {
    format!("the broker {place} refuses the user or the password; set username and password_file under [sinks.mqtt]")
}

fn silent(place: &str) -> String {
    format!("the broker {place} does not answer")
}

fn unreachable_because(place: &str, error: &std::io::Error) -> String {
    let is_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    if is_tls {
        format!("the broker {place} is not who it should be, or speaks no TLS: {error}")
    } else {
        format!("the broker {place} cannot be reached: {error}")
    }
}

fn broken(place: &str, error: &str, was_up: bool) -> String {
    if was_up {
        format!("the connection to the broker {place} broke")
    } else {
        format!("the broker {place} cannot be used: {error}")
    }
}
