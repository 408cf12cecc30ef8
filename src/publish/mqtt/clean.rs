//! Removes retained messages from a broker: those that are remembered of a former configuration, or all of a node that is gone, for
//! `mimid mqtt clean`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::connection::{BrokerConnection, LinkEvent, Received};
use super::memory;
use super::outbox::Outbox;
use super::topics::Topics;
use crate::publish::settings::MqttConfig;
use crate::secret;

/// The time for the broker to accept the connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// The time in which all messages have to be acknowledged.
const REMOVING: Duration = Duration::from_secs(30);
/// The time after the last retained message in which another one would have come.
const QUIET: Duration = Duration::from_secs(1);
/// The pause before the next attempt to reach a broker of a former configuration.
const RETRY: Duration = Duration::from_secs(60);

/// Removes what is remembered of brokers that `config` does not have. It goes on until all of it is gone.
pub async fn leftovers(config: Option<MqttConfig>) {
    loop {
        let mut is_all_gone = true;
        for broker in memory::all().await {
            if config.as_ref().is_some_and(|config| broker.is_of(config)) {
                continue;
            }
            let former = broker.config();
            match remove_known(&former, broker.topics).await {
                Ok(n) => {
                    tracing::info!(broker = former.host, messages = n, "what was announced over MQTT is removed");
                    memory::remember(&former, BTreeSet::new()).await;
                }
                Err(why) => {
                    tracing::debug!(why, "what was announced over MQTT cannot be removed yet");
                    is_all_gone = false;
                }
            }
        }
        if is_all_gone {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn remove_known(config: &MqttConfig, topics: BTreeSet<String>) -> Result<usize, String> {
    let mut connection = connect(config, "former").await?;
    let (documents, others): (Vec<_>, Vec<_>) = topics.into_iter().partition(|topic| topic.ends_with("/config"));
    remove(&mut connection, documents.into_iter().chain(others)).await
}

/// Removes all that a node has retained, and returns the number of messages.
///
/// # Errors
/// One sentence: the broker cannot be used, or the node is there.
pub async fn node(config: &MqttConfig) -> Result<usize, String> {
    let topics = Topics::new(config);
    let mut connection = connect(config, "clean").await?;
    for filter in topics.own_filters() {
        connection.subscribe(filter);
    }
    let mut found = BTreeMap::new();
    let deadline = Instant::now() + REMOVING;
    while let Ok(event) = timeout_at(deadline.min(Instant::now() + QUIET), connection.next()).await {
        match event {
            LinkEvent::Received(Received { topic, payload, is_retained: true }) if topics.is_own(&topic) => {
                found.insert(topic, payload);
            }
            LinkEvent::Lost(why) => return Err(why),
            _ => {}
        }
    }
    if found.get(&topics.node("availability")).is_some_and(|payload| payload == "online") {
        return Err(format!("{} is connected to the broker; stop mimid there first, or give it another node", config.node));
    }
    let (documents, others): (Vec<_>, Vec<_>) = found.into_keys().partition(|topic| topics.is_discovery(topic));
    remove(&mut connection, documents.into_iter().chain(others)).await
}

async fn connect(config: &MqttConfig, purpose: &str) -> Result<BrokerConnection, String> {
    let password = secret::read(config.password_file.as_deref(), "MIMID_MQTT_PASSWORD", "mqtt_password")?;
    let id = format!("mimid_{purpose}_{}", std::process::id());
    let mut connection = BrokerConnection::open(config, &id, password, None)?;
    loop {
        match timeout(CONNECTING, connection.next()).await {
            Ok(LinkEvent::Connected(_)) => return Ok(connection),
            Ok(LinkEvent::Lost(why)) => return Err(why),
            Ok(_) => {}
            Err(_) => return Err(format!("the broker {}:{} does not answer", config.host, config.port)),
        }
    }
}

/// Removes the retained messages of these topics, in this order, and disconnects.
async fn remove(connection: &mut BrokerConnection, topics: impl Iterator<Item = String>) -> Result<usize, String> {
    let mut outbox = Outbox::new(usize::MAX);
    outbox.connected("");
    let mut n = 0;
    for topic in topics {
        outbox.clear(&topic);
        n += 1;
    }
    let deadline = Instant::now() + REMOVING;
    while !outbox.is_empty() {
        while let Some(message) = outbox.hand_over() {
            connection.send(message);
        }
        match timeout_at(deadline, connection.next()).await {
            Ok(LinkEvent::Sent(number)) => outbox.sent(number),
            Ok(LinkEvent::Acknowledged(number)) => drop(outbox.acknowledged(number)),
            Ok(LinkEvent::Refused(number, why)) => {
                let topic = outbox.acknowledged(number).map(|message| message.topic).unwrap_or_default();
                return Err(format!("the broker does not let {topic} be removed: {why}"));
            }
            Ok(LinkEvent::Lost(why)) => return Err(why),
            Ok(_) => {}
            Err(_) => return Err("the broker does not acknowledge the removal".to_owned()),
        }
    }
    Ok(n)
}
