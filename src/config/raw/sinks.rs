//! `[sinks.…]`: the sinks, which events are sent to beside the socket. A sink without its one required key is off.

use schemars::JsonSchema;

use super::{At, Table};
use crate::publish::settings::Entities;

section! {
    /// `[sinks.mqtt]`
    RawMqtt {
        /// The URL of the broker: `mqtt://HOST:PORT`, or `mqtts://HOST:PORT` for TLS. The port may be left out and is then 1883,
        /// or 8883 with TLS. Without it: no MQTT.
        #[schemars(regex(pattern = r"^mqtts?://[^/@]+/?$"))]
        url: Option<String> = None,
        /// The version of MQTT, `3.1.1` or `5`.
        #[schemars(extend("enum" = ["3.1.1", "5"]))]
        version: String = "3.1.1".to_owned(),
        /// The name of this machine in the topics, a single level of them. Without it: the host name and
        /// four digits that are this machine's own, such as `raspberrypi-3f2a`.
        #[schemars(length(min = 1))]
        node: Option<String> = None,
        /// The first level, or levels, of every topic.
        #[schemars(length(min = 1))]
        prefix: String = "mimid".to_owned(),
        /// The user name for the broker.
        username: Option<String> = None,
        /// A file that holds the password for the broker. Without it: `$MIMID_MQTT_PASSWORD`, or systemd's credential
        /// `mqtt_password`.
        #[schemars(length(min = 1))]
        password_file: Option<String> = None,
        /// A file with certificates in PEM. With TLS, the broker's certificate must be signed by one of them. Without it: by one
        /// of the system's.
        #[schemars(length(min = 1))]
        ca_file: Option<String> = None,
        /// Whether the entities are announced to Home Assistant (MQTT discovery).
        discovery: bool = true,
        /// The first level, or levels, of Home Assistant's own topics.
        #[schemars(length(min = 1))]
        discovery_prefix: String = "homeassistant".to_owned(),
        /// The labels that have a sensor in Home Assistant: `few`, every reported label, but only the groups and the labels that
        /// most people use are enabled from the beginning, at most 32 of them; `reported`, every reported label, enabled; or
        /// `none`.
        #[schemars(extend("enum" = Entities::NAMES.map(|(name, _)| name)))]
        entities: String = "few".to_owned(),
        /// Whether thresholds that clients set, over MQTT, HTTP or the socket, are kept: in the state directory, in force over this
        /// file. `mimid check --print` and `mimid labels` show them.
        keep_thresholds: bool = false,
        /// The number of messages that are held while the broker is away, from 100 to 100000.
        #[schemars(range(min = 100, max = 100_000))]
        queue: i64 = 10_000,
    }
}

section! {
    /// `[sinks.http]`
    RawHttp {
        /// The address and port to listen on, such as `127.0.0.1:8787`, or `unix:PATH` for a Unix socket. Without it: no HTTP.
        #[schemars(length(min = 1))]
        listen: Option<String> = None,
        /// A file that holds the access token, at least 16 characters. Without it: `$MIMID_HTTP_TOKEN`, or systemd's credential
        /// `http_token`. An address that other machines can reach requires a token.
        #[schemars(length(min = 1))]
        token_file: Option<String> = None,
        /// Host names under which browsers may reach it beside `localhost`, the machine's own names and the address itself, such
        /// as that of a proxy before it.
        hosts: Vec<String> = Vec::new(),
        /// Whether `/healthz` answers without the access token: whether every source is heard, but not which sources there are.
        public_health: bool = false,
    }
}

/// `[sinks]`
#[derive(Debug, Clone, PartialEq, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default)]
pub struct RawSinks {
    /// Events and states over MQTT, with discovery by Home Assistant.
    pub mqtt: RawMqtt,
    /// A page for people, an interface for programs and metrics, over HTTP.
    pub http: RawHttp,
}
