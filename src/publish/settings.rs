//! The settings of the socket and the sinks, as plain data that the configuration fills.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

mod clips;
mod hooks;

pub use clips::{ClipFormat, ClipKeep, ClipsConfig};
pub use hooks::{HookAct, HookConfig, HookOn, HookWhen, HooksConfig, WebHook};

/// The socket's path and its permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketConfig {
    /// The socket's path; `None` means the path that `publish::socket::default_path` finds.
    pub path: Option<PathBuf>,
    /// The socket's permission bits, such as 0o660.
    pub mode: u32,
    /// The group that the socket belongs to and whose members may change the daemon.
    pub group: Option<String>,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The file.
    pub path: PathBuf,
    /// The days for which events are kept.
    pub keep_days: u32,
    /// The size of the file in MiB beyond which the oldest events go.
    pub max_mb: u64,
    /// Whether an event is kept with the embedding of its sound.
    pub embeddings: bool,
}

/// The sinks that are on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SinksConfig {
    /// MQTT: events, the states of labels, and discovery for Home Assistant.
    pub mqtt: Option<MqttConfig>,
    /// HTTP: an interface for programs, a page for people, and metrics.
    pub http: Option<HttpConfig>,
    /// The hooks of the configuration; `None` where there are none.
    pub hooks: Option<HooksConfig>,
    /// The daily summary.
    pub summary: Option<SummaryConfig>,
}

/// The daily summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryConfig {
    /// The time of day, as clocks show it.
    pub at: jiff::civil::Time,
}

/// The MQTT broker, and this machine's name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttConfig {
    /// The broker's name or address.
    pub host: String,
    /// The broker's port.
    pub port: u16,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// The version of MQTT.
    pub version: MqttVersion,
    /// The name of this machine in topics: one level.
    pub node: String,
    /// The first part of all topics.
    pub prefix: String,
    /// The user that the broker knows.
    pub username: Option<String>,
    /// A file that holds the password; `None` means the environment, or systemd's credential.
    pub password_file: Option<PathBuf>,
    /// A PEM file with the only certificates that may have signed the broker's; `None` means those of the system.
    pub ca_file: Option<PathBuf>,
    /// Whether the sink sends discovery documents to Home Assistant.
    pub discovery: bool,
    /// The first part of Home Assistant's own topics.
    pub discovery_prefix: String,
    /// The entities of Home Assistant that are made, and those of them that are enabled from the beginning.
    pub entities: Entities,
    /// The address of the page for people, as other machines reach it; `None` where there is none.
    pub page: Option<String>,
    /// The most events that wait while the broker is away.
    pub queue: usize,
}

impl MqttConfig {
    /// The settings of a broker of which only the place is known.
    pub fn plain(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            tls: false,
            version: MqttVersion::V3_1_1,
            node: "mimid".to_owned(),
            prefix: "mimid".to_owned(),
            username: None,
            password_file: None,
            ca_file: None,
            discovery: true,
            discovery_prefix: "homeassistant".to_owned(),
            entities: Entities::Few,
            page: None,
            queue: 10_000,
        }
    }

    /// Whether messages that were retained for this configuration are those of `other` as well.
    pub fn has_names_of(&self, other: &Self) -> bool {
        let names = |config: &Self| {
            let Self { host, port, node, prefix, discovery_prefix, .. } = config.clone();
            (host, port, node, prefix, discovery_prefix)
        };
        names(self) == names(other)
    }
}

/// The labels that have entities in Home Assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entities {
    /// Every reported label has one. Those that people use are enabled from the beginning, the others are not.
    Few,
    /// Every reported label has one that is enabled from the beginning.
    Reported,
    /// No label has one; there are those of the source and of the daemon.
    None,
}

impl Entities {
    /// Every choice with its name in the configuration.
    pub const NAMES: [(&str, Self); 3] = [("few", Self::Few), ("reported", Self::Reported), ("none", Self::None)];
}

/// The version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the version's number has a point in it")]
pub enum MqttVersion {
    /// 3.1.1.
    V3_1_1,
    /// 5.
    V5,
}

impl MqttVersion {
    /// Every version with its name in the configuration.
    pub const NAMES: [(&str, Self); 2] = [("3.1.1", Self::V3_1_1), ("5", Self::V5)];
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// The address or the Unix socket.
    pub listen: Listen,
    /// A file that holds the access token; `None` means the environment, or systemd's credential, or none.
    pub token_file: Option<PathBuf>,
    /// Further host names in lower case under which browsers may reach the server.
    pub hosts: Vec<String>,
    /// Whether `/healthz` answers without the access token.
    pub public_health: bool,
}

/// Where connections are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

/// The address as the configuration spells it.
impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(formatter),
            Listen::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}
