//! `[sinks.…]`: what events are sent to beside the socket. A sink without its one needed key is off.

use schemars::JsonSchema;

use super::{At, Table};

section! {
    /// `[sinks.mqtt]`
    RawMqtt {
        /// The broker: `mqtt://HOST:PORT` (1883 where it is left out) or `mqtts://HOST:PORT` (8883), which is TLS. Without it: no MQTT.
        #[schemars(regex(pattern = r"^mqtts?://[^/@]+/?$"))]
        url: Option<String> = None,
        /// Which version of MQTT is spoken, `3.1.1` or `5`.
        #[schemars(extend("enum" = ["3.1.1", "5"]))]
        version: String = "3.1.1".to_owned(),
        /// What this machine is called in the topics, a single level of them. Without it: the host's name.
        #[schemars(length(min = 1))]
        node: Option<String> = None,
        /// What all topics begin with.
        #[schemars(length(min = 1))]
        prefix: String = "mimid".to_owned(),
        /// The user that the broker knows.
        username: Option<String> = None,
        /// A file that holds the user's password. Without it: `$MIMID_MQTT_PASSWORD`, or systemd's credential `mqtt_password`.
        #[schemars(length(min = 1))]
        password_file: Option<String> = None,
        /// A file with the certificates, in PEM, that alone may have signed the broker's. Without it: the system's.
        #[schemars(length(min = 1))]
        ca_file: Option<String> = None,
        /// Whether Home Assistant is told what there is (MQTT discovery).
        discovery: bool = true,
        /// What Home Assistant's own topics begin with.
        #[schemars(length(min = 1))]
        discovery_prefix: String = "homeassistant".to_owned(),
        /// How many messages are held while the broker is away, 100 to 100000.
        #[schemars(range(min = 100, max = 100_000))]
        queue: i64 = 10_000,
    }
}

section! {
    /// `[sinks.http]`
    RawHttp {
        /// Where the interface is served: an address with its port, such as `127.0.0.1:8787`, or `unix:PATH`. Without
        /// it: no HTTP.
        #[schemars(length(min = 1))]
        listen: Option<String> = None,
        /// A file that holds the access token, at least 16 characters. Without it: `$MIMID_HTTP_TOKEN`, or systemd's credential
        /// `http_token`. An address that is not this machine's own needs one.
        #[schemars(length(min = 1))]
        token_file: Option<String> = None,
        /// Names under which browsers may reach it beside `localhost` and the address itself, such as that of a proxy before it.
        hosts: Vec<String> = Vec::new(),
    }
}

/// `[sinks]`
#[derive(Debug, Clone, PartialEq, Default, JsonSchema)]
#[schemars(deny_unknown_fields, default)]
pub struct RawSinks {
    /// Events, states and Home Assistant over MQTT.
    pub mqtt: RawMqtt,
    /// An interface and metrics over HTTP.
    pub http: RawHttp,
}
