//! The topics that this daemon had brokers retain, in a file of the state directory. By them it removes what it announced under a
//! name, a prefix or a broker that the configuration no longer has, also where that changed while it was stopped.
//!
//! Without a state directory nothing is remembered. No password is written.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::files::write_whole;
use crate::publish::settings::{MqttConfig, MqttVersion};
use crate::systemd;

/// The file's name.
const NAME: &str = "mqtt.json";
/// A longer file is not ours.
const LONGEST: u64 = 16 << 20;

/// One reads and writes the file at a time.
static FILE: Mutex<()> = Mutex::new(());

/// What is retained at all brokers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Kept {
    brokers: Vec<KeptBroker>,
}

/// The topics that are retained at one broker, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBroker {
    host: String,
    port: u16,
    tls: bool,
    is_v5: bool,
    username: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    /// The topics.
    pub topics: BTreeSet<String>,
}

impl KeptBroker {
    fn new(config: &MqttConfig, topics: BTreeSet<String>) -> Self {
        Self {
            host: config.host.clone(),
            port: config.port,
            tls: config.tls,
            is_v5: config.version == MqttVersion::V5,
            username: config.username.clone(),
            password_file: config.password_file.clone(),
            ca_file: config.ca_file.clone(),
            topics,
        }
    }

    /// Whether it is the broker of this configuration.
    pub fn is_of(&self, config: &MqttConfig) -> bool {
        self.host == config.host && self.port == config.port
    }

    /// A configuration of this broker alone.
    pub fn config(&self) -> MqttConfig {
        MqttConfig {
            tls: self.tls,
            version: if self.is_v5 { MqttVersion::V5 } else { MqttVersion::V3_1_1 },
            username: self.username.clone(),
            password_file: self.password_file.clone(),
            ca_file: self.ca_file.clone(),
            ..MqttConfig::plain(self.host.clone(), self.port)
        }
    }
}

/// The brokers that still retain something.
pub async fn all() -> Vec<KeptBroker> {
    let Some(path) = path() else { return Vec::new() };
    let _guard = FILE.lock().unwrap_or_else(PoisonError::into_inner);
    read(&path).brokers
}

/// The topics that are retained at the broker of this configuration.
pub async fn of(config: &MqttConfig) -> BTreeSet<String> {
    all().await.into_iter().find(|broker| broker.is_of(config)).map(|broker| broker.topics).unwrap_or_default()
}

/// Remembers that exactly these topics are retained at the broker of this configuration. A failure is told in the log.
pub async fn remember(config: &MqttConfig, topics: BTreeSet<String>) {
    let Some(path) = path() else { return };
    let broker = KeptBroker::new(config, topics);
    // The disk may be slow.
    let written = tokio::task::spawn_blocking(move || {
        let _guard = FILE.lock().unwrap_or_else(PoisonError::into_inner);
        replace(&path, broker).map_err(|error| (path, error))
    });
    if let Ok(Err((path, error))) = written.await {
        tracing::warn!(file = %path.display(), %error, "what was announced over MQTT cannot be remembered");
    }
}

fn path() -> Option<PathBuf> {
    Some(systemd::state_directory()?.join(NAME))
}

/// The contents of the file; nothing where there is none or where it cannot be read.
fn read(path: &Path) -> Kept {
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    if !length.is_ok_and(|length| length <= LONGEST) {
        return Kept::default();
    }
    let read = std::fs::read(path).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
    read.unwrap_or_else(|error| {
        tracing::warn!(file = %path.display(), %error, "what was announced over MQTT cannot be read and is forgotten");
        Kept::default()
    })
}

/// Puts the broker in the place of what is known of it.
fn replace(path: &Path, broker: KeptBroker) -> io::Result<()> {
    let before = read(path);
    let mut brokers = before.brokers.clone();
    brokers.retain(|other| (&other.host, other.port) != (&broker.host, broker.port));
    if !broker.topics.is_empty() {
        brokers.push(broker);
    }
    let after = Kept { brokers };
    if after == before { Ok(()) } else { write_whole(path, &serde_json::to_vec(&after).map_err(io::Error::other)?) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::mqtt::discovery::tests::config;

    #[test]
    fn each_broker_has_its_topics_until_they_are_gone_and_no_password_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let topics = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let (host, username) = ("other".to_owned(), Some("me".to_owned()));
        let other = MqttConfig { host, username, version: MqttVersion::V5, ..config() };
        replace(&path, KeptBroker::new(&config(), topics(&["a"]))).unwrap();
        replace(&path, KeptBroker::new(&other, topics(&["b"]))).unwrap();
        replace(&path, KeptBroker::new(&config(), topics(&["a", "c"]))).unwrap();
        let kept = read(&path).brokers;
        let of = |config: &MqttConfig| kept.iter().find(|broker| broker.is_of(config)).unwrap().clone();
        assert_eq!((of(&config()).topics, of(&other).topics), (topics(&["a", "c"]), topics(&["b"])));
        let reached = of(&other).config();
        assert_eq!((reached.host.as_str(), reached.username.as_deref(), reached.version), ("other", Some("me"), MqttVersion::V5));
        replace(&path, KeptBroker::new(&config(), topics(&[]))).unwrap();
        assert_eq!(read(&path).brokers.len(), 1);
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path), Kept::default());
    }
}
