//! The settings of the sinks. Files with secrets are read when a sink starts, not here.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::Check;
use crate::config::table::At;
use crate::publish::settings::{Entities, HttpConfig, Listen, MqttConfig, MqttVersion, SinksConfig};
use crate::systemd;

impl Check<'_> {
    /// The sinks, where clips have this folder.
    pub(super) fn sinks(&mut self, clips: Option<&PathBuf>) -> SinksConfig {
        let http = self.http();
        let mqtt = self.mqtt(http.as_ref().and_then(page));
        let hooks = self.hooks(mqtt.as_ref().map(|mqtt| mqtt.node.as_str()), clips);
        SinksConfig { mqtt, http, hooks, summary: self.summary() }
    }

    fn mqtt(&mut self, page: Option<String>) -> Option<MqttConfig> {
        let raw = &self.raw.sinks.mqtt;
        let broker = raw.url.value.as_deref().and_then(broker);
        if raw.url.value.is_some() && broker.is_none() {
            self.fault(
                raw.url.line,
                "sinks.mqtt.url",
                "write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS; user and password have keys of their own".to_owned(),
            );
        }
        let version = self.choice("sinks.mqtt.version", &raw.version, &MqttVersion::NAMES).unwrap_or(MqttVersion::V3_1_1);
        let node = raw.node.value.clone().unwrap_or_else(systemd::machine_name);
        self.topic("sinks.mqtt.node", &At { value: node.clone(), line: raw.node.line }, Levels::One);
        self.topic("sinks.mqtt.prefix", &raw.prefix, Levels::Several);
        self.topic("sinks.mqtt.discovery_prefix", &raw.discovery_prefix, Levels::Several);
        let entities = self.choice("sinks.mqtt.entities", &raw.entities, &Entities::NAMES).unwrap_or(Entities::Few);
        let queue = usize::try_from(raw.queue.value).ok().filter(|queue| (100..=100_000).contains(queue));
        if queue.is_none() {
            let message = format!("{} is out of range; it must be from 100 to 100000", raw.queue.value);
            self.fault(raw.queue.line, "sinks.mqtt.queue", message);
        }
        let (host, port, tls) = broker?;
        if raw.ca_file.value.is_some() && !tls {
            self.warn(raw.ca_file.line, "sinks.mqtt.ca_file", "certificates are used with mqtts:// only".to_owned());
        }
        if raw.password_file.value.is_some() && raw.username.value.is_none() {
            self.fault(raw.password_file.line, "sinks.mqtt.password_file", "a password needs a username beside it".to_owned());
        }
        Some(MqttConfig {
            host,
            port,
            tls,
            version,
            node,
            prefix: raw.prefix.value.clone(),
            username: raw.username.value.clone(),
            password_file: raw.password_file.value.as_ref().map(PathBuf::from),
            ca_file: raw.ca_file.value.as_ref().map(PathBuf::from),
            discovery: raw.discovery.value,
            discovery_prefix: raw.discovery_prefix.value.clone(),
            entities,
            page,
            queue: queue.unwrap_or(10_000),
        })
    }

    /// Checks a name that stands in topics. It must neither divide a topic nor match others.
    fn topic(&mut self, key: &str, name: &At<String>, levels: Levels) {
        let is_bad = |letter: char| matches!(letter, '+' | '#') || letter.is_control();
        let text = name.value.as_str();
        let fits = match levels {
            Levels::One => !text.contains('/'),
            Levels::Several => !text.split('/').any(str::is_empty),
        };
        if text.is_empty() || text.len() > 256 || text.contains(is_bad) || text.starts_with('$') || !fits {
            let what = match levels {
                Levels::One => "one level of a topic: not empty, without /, + or #",
                Levels::Several => "the beginning of a topic: not empty, without +, # or a / at an end",
            };
            self.fault(name.line, key, format!("{text:?} is not {what}"));
        }
    }

    fn http(&mut self) -> Option<HttpConfig> {
        let raw = &self.raw.sinks.http;
        let written = raw.listen.value.as_deref()?;
        let listen = match written.strip_prefix("unix:") {
            Some("") | None => written.parse::<SocketAddr>().ok().map(Listen::Tcp),
            Some(path) => Some(Listen::Unix(PathBuf::from(path))),
        };
        if listen.is_none() {
            let message =
                format!("{written:?} is no address; write one with a port, such as \"127.0.0.1:8787\", or \"unix:PATH\"");
            self.fault(raw.listen.line, "sinks.http.listen", message);
        }
        for host in &raw.hosts.value {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
            if host.is_empty() || !(host.chars().all(is_plain) || host.parse::<IpAddr>().is_ok()) {
                let message = format!("{host:?} is no host name; write it without a scheme, a port or a path");
                self.fault(raw.hosts.line, "sinks.http.hosts", message);
            }
        }
        Some(HttpConfig {
            listen: listen?,
            token_file: raw.token_file.value.as_ref().map(PathBuf::from),
            hosts: raw.hosts.value.iter().map(|host| host.to_ascii_lowercase()).collect(),
            public_health: raw.public_health.value,
        })
    }
}

/// The address of the page as other machines reach it; `None` where only this machine reaches it.
fn page(http: &HttpConfig) -> Option<String> {
    let address = match &http.listen {
        Listen::Tcp(address) if !address.ip().is_loopback() => address,
        // A proxy stands before it, or nothing does.
        Listen::Tcp(_) | Listen::Unix(_) => return http.hosts.first().map(|host| format!("https://{host}/")),
    };
    let ip = address.ip();
    let host = match http.hosts.first() {
        Some(host) => host.clone(),
        None if ip.is_unspecified() => nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok())?,
        None if ip.is_ipv6() => format!("[{ip}]"),
        None => ip.to_string(),
    };
    Some(format!("http://{host}:{}/", address.port()))
}

/// How many levels a part of a topic may have.
enum Levels {
    One,
    Several,
}

/// The host and the port of a broker's URL, and whether it asks for TLS.
fn broker(url: &str) -> Option<(String, u16, bool)> {
    let (scheme, rest) = url.split_once("://")?;
    let tls = match scheme {
        "mqtt" => false,
        "mqtts" => true,
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let standard = if tls { 8883 } else { 1883 };
    let (host, port) = match authority.rsplit_once(':') {
        // An IPv6 address stands in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port > 0)?),
        _ => (authority, standard),
    };
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    let is_plain = |letter: char| letter.is_alphanumeric() || "-._:%".contains(letter);
    let is_host = !bare.is_empty() && bare.chars().all(is_plain) && (host.starts_with('[') || !bare.contains(':'));
    is_host.then(|| (bare.to_owned(), port, tls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Raw;
    use crate::model::Labels;

    fn sinks(text: &str) -> Result<SinksConfig, Vec<String>> {
        let labels = Labels::new([("/m/0".to_owned(), "Dog".to_owned())], Vec::new());
        let text = format!("[report]\nlabels = [\"Dog\"]\n{text}");
        Raw::parse(&text, None).validate(&labels).map(|loaded| loaded.config.sinks).map_err(|faults| faults.sentences())
    }

    #[test]
    fn what_is_not_named_is_off() {
        assert_eq!(sinks(""), Ok(SinksConfig::default()));
        assert_eq!(sinks("[sinks.mqtt]\nprefix = \"a\"\n[sinks.http]\nhosts = []"), Ok(SinksConfig::default()));
    }

    #[test]
    fn a_broker_has_a_host_a_port_and_a_scheme() {
        for (url, expected) in [
            ("mqtt://broker", ("broker", 1883, false)),
            ("mqtts://broker/", ("broker", 8883, true)),
            ("mqtt://10.0.0.1:1884", ("10.0.0.1", 1884, false)),
            ("mqtts://[::1]:8884", ("::1", 8884, true)),
            ("mqtt://[::1]", ("::1", 1883, false)),
        ] {
            let (host, port, tls) = expected;
            assert_eq!(broker(url), Some((host.to_owned(), port, tls)), "{url}");
        }
        for url in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://a:b",
            "mqtt://a:0",
            "mqtt://a:70000",
            "mqtt://u:p@a",
            "mqtt://a/b",
            "mqtt://::1",
            "mqtt://[a]:1",
            "mqtt://a b",
        ] {
            assert_eq!(broker(url), None, "{url}");
        }
    }

    #[test]
    fn every_fault_is_told_with_its_key() {
        let faults = sinks(
            "[sinks.mqtt]\nurl = \"tcp://a\"\nentities = \"many\"\nversion = \"4\"\nnode = \"a/b\"\nprefix = \"a/\"\ndiscovery_prefix = \"#\"\nqueue = 1\n\
             [sinks.http]\nlisten = \"localhost\"\nhosts = [\"http://a\"]\n[sinks.mqt]\n",
        )
        .unwrap_err()
        .join("\n");
        for said in [
            "sinks.mqtt.url: write mqtt://HOST:PORT",
            "sinks.mqtt.version: \"4\" is not one of 3.1.1, 5",
            "sinks.mqtt.entities: \"many\" is not one of few, reported, none",
            "sinks.mqtt.node: \"a/b\" is not one level",
            "sinks.mqtt.prefix: \"a/\" is not the beginning",
            "sinks.mqtt.discovery_prefix: \"#\"",
            "sinks.mqtt.queue: 1 is out of range",
            "sinks.http.listen: \"localhost\" is no address",
            "sinks.http.hosts: \"http://a\" is no host name",
            "sinks.mqt: there is no such sink; did you mean \"mqtt\"",
        ] {
            assert!(faults.contains(said), "{said:?} is missing in:\n{faults}");
        }
    }

    #[test]
    fn the_page_has_an_address_where_other_machines_reach_it() {
        let page = |listen: &str, hosts: &str| {
            let text = format!("[sinks.mqtt]\nurl = \"mqtt://a\"\n[sinks.http]\nlisten = {listen:?}\nhosts = [{hosts}]");
            sinks(&text).unwrap().mqtt.unwrap().page
        };
        assert_eq!(page("127.0.0.1:8787", ""), None);
        assert_eq!(page("10.0.0.2:8787", "").as_deref(), Some("http://10.0.0.2:8787/"));
        assert_eq!(page("[fd00::1]:80", "").as_deref(), Some("http://[fd00::1]:80/"));
        assert_eq!(page("10.0.0.2:8787", "\"ears.lan\"").as_deref(), Some("http://ears.lan:8787/"));
        assert_eq!(page("127.0.0.1:8787", "\"ears.lan\"").as_deref(), Some("https://ears.lan/"));
        assert_eq!(page("unix:/run/a", "\"ears.lan\"").as_deref(), Some("https://ears.lan/"));
        assert!(page("0.0.0.0:8787", "").is_some_and(|page| page.ends_with(":8787/") && !page.contains("0.0.0.0")));
    }

    #[test]
    fn http_is_on_an_address_or_a_unix_socket() {
        let http = |text: &str| sinks(text).unwrap().http.unwrap().listen;
        assert_eq!(http("[sinks.http]\nlisten = \"[::1]:80\""), Listen::Tcp("[::1]:80".parse().unwrap()));
        assert_eq!(http("[sinks.http]\nlisten = \"unix:/run/a\""), Listen::Unix("/run/a".into()));
    }
}
