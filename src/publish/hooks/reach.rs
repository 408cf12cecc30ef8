//! The addresses that a hook may reach: those of the machine itself and of private networks only where the configuration names them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::capture::network::Network;

/// The endings of names that are only known at home.
const LOCAL: [&str; 7] = ["localhost", "local", "lan", "home", "internal", "intranet", "home.arpa"];

/// Whether the configuration has named a private place by this address: with its number, or with a name that no public server can have.
pub fn is_named(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let is_local = |ending: &&str| name.strip_suffix(*ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
            !name.contains('.') || LOCAL.iter().any(is_local)
        }
        None => false,
    }
}

/// Whether a connection to this address may be made: it is public, or the configuration allows it.
pub fn may_reach(address: IpAddr, allow: &[Network]) -> bool {
    !is_private(address) || allow.iter().any(|network| network.has(address))
}

/// Whether an address is of this machine, of a private network, or of nobody.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_private_v4(v4),
        IpAddr::V6(v6) => is_private_v6(v6),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && (b & 0b1100_0000) == 64;
    let is_special = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a == 198 && (b & 0xfe) == 18);
    address.is_private() || address.is_loopback() || address.is_link_local() || address.is_multicast() || is_shared || is_special
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    // The address of the older protocol that one of the newer stands for: 64:ff9b::/96, 2002::/16, and ::/96.
    let v4 = |high: u16, low: u16| is_private_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    let stands_for_private = match parts {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] | [0, 0, 0, 0, 0, 0, high, low] => v4(high, low),
        _ => false,
    };
    let [first, ..] = parts;
    let is_own = (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80 || (first & 0xffc0) == 0xfec0;
    let is_local_translation = parts[..3] == [0x64, 0xff9b, 1];
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || is_own
        || stands_for_private
        || is_local_translation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known_in_every_form() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.1",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
        ] {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.1.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:808:808::",
        ] {
            assert!(!is_private(public.parse().unwrap()), "{public}");
        }
        let lan = ["192.168.1.0/24".parse().unwrap()];
        assert!(may_reach("192.168.1.7".parse().unwrap(), &lan) && !may_reach("192.168.2.7".parse().unwrap(), &lan));
    }

    #[test]
    fn names_that_no_public_server_has_name_a_private_place() {
        let named = |url: &str| is_named(&Url::parse(url).unwrap());
        for url in [
            "http://127.0.0.1/",
            "http://[::1]:80/",
            "http://homeassistant:8123/",
            "http://ha.local/",
            "https://a.b.lan./",
            "http://localhost",
        ] {
            assert!(named(url), "{url}");
        }
        for url in ["https://ntfy.sh/", "https://example.com/", "https://notlocal.com", "https://local.com"] {
            assert!(!named(url), "{url}");
        }
    }
}
