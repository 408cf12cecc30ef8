//! The settings of the socket and the sinks: where each listens or sends. Plain data; the configuration fills it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where and for whom the socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketConfig {
    /// The socket's path; `None` means the place that `publish::socket::default_path` finds.
    pub path: Option<PathBuf>,
    /// The socket's permission bits, such as 0o660.
    pub mode: u32,
    /// The group that the socket belongs to and whose members may change the daemon.
    pub group: Option<String>,
}

/// The sinks that are on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinksConfig {
    /// Events, states and Home Assistant over MQTT.
    pub mqtt: Option<MqttConfig>,
    /// An interface and metrics over HTTP.
    pub http: Option<HttpConfig>,
}

/// The broker, and what this machine is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttConfig {
    /// The broker's name or address.
    pub host: String,
    /// The broker's port.
    pub port: u16,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// Which version of MQTT is spoken.
    pub version: MqttVersion,
    /// The name of this machine in topics: one level.
    pub node: String,
    /// The first part of all topics.
    pub prefix: String,
    /// The user that the broker knows.
    pub username: Option<String>,
    /// A file that holds the password; `None` means the environment, or systemd's credential.
    pub password_file: Option<PathBuf>,
    /// Certificates in PEM that alone may have signed the broker's; `None` means the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether Home Assistant is told what there is.
    pub discovery: bool,
    /// The first part of Home Assistant's own topics.
    pub discovery_prefix: String,
    /// How many messages are held while the broker is away.
    pub queue: usize,
}

/// Which version of MQTT is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the version's number has a point in it")]
pub enum MqttVersion {
    /// 3.1.1.
    V3_1_1,
    /// 5.
    V5,
}

impl MqttVersion {
    /// Every version with its name in the file.
    pub const NAMES: [(&str, Self); 2] = [("3.1.1", Self::V3_1_1), ("5", Self::V5)];
}

/// Where browsers and programs may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// The address or the Unix socket.
    pub listen: Listen,
    /// A file that holds the access token; `None` means the environment, or systemd's credential, or none.
    pub token_file: Option<PathBuf>,
    /// Names of hosts, in lower case, under which it may be reached beside its own.
    pub hosts: Vec<String>,
}

/// Where connections are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

/// As it is written in the file.
impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(formatter),
            Listen::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}
