//! Addresses: URLs of which the user and the password are shown nowhere, and networks that may push.

use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::capture::source::SourceConfig;
use crate::secret;
use crate::text::without_passwords;

/// The ports of `rtsp://` and `rtsps://` where the address names none.
const RTSP_PORT: u16 = 554;
const ENCRYPTED_RTSP_PORT: u16 = 322;

/// The URL of a source.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The text as it was written.
    text: String,
    url: Url,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub user: String,
    pub password: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// One clause about the text, which does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| {
            format!("this is no address ({error}); write scheme://user:password@host:port/path, and signs of a password as %XX")
        })?;
        match url.host_str() {
            Some(host) if !host.is_empty() => Ok(Self { text: text.to_owned(), url }),
            _ => Err("this address names no host".to_owned()),
        }
    }

    /// The address as it may be shown: a password is `***`, unless it is the name of a variable.
    pub fn shown(&self) -> String {
        let names_variable = self.url.password().is_some_and(|password| password.starts_with('$'));
        if names_variable && self.url.query().is_none() { self.text.clone() } else { without_passwords(&self.text) }
    }

    /// The name of the host.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The port of its server.
    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(if self.is_encrypted() { ENCRYPTED_RTSP_PORT } else { RTSP_PORT })
    }

    /// Whether its connection is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.url.scheme(), "rtsps" | "https")
    }

    /// The URL without its user and password.
    pub(super) fn url(&self) -> Url {
        let mut url = self.url.clone();
        // Refused only by URLs without a host, which were refused before.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }

    /// The user and the password of a source: from the address, a file, a variable or a credential.
    ///
    /// # Errors
    /// One sentence that says which of them cannot be read.
    pub(super) fn login(&self, config: &SourceConfig) -> Result<Option<Login>, String> {
        let user = said(self.url.username())?;
        let password = match self.url.password() {
            Some(password) => said(password)?,
            None => {
                let credential = format!("source_{}", config.name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
                secret::read(config.password_file.as_deref(), "", &credential)?.unwrap_or_default()
            }
        };
        let is_none = user.is_empty() && password.is_empty();
        Ok((!is_none).then_some(Login { user, password }))
    }
}

/// A user or a password as it was meant: `$NAME` is the value of that variable.
fn said(text: &str) -> Result<String, String> {
    if let Some(variable) = text.strip_prefix('$') {
        return std::env::var(variable).map_err(|_| format!("the variable ${variable}, which its address names, is not set"));
    }
    Ok(percent_decode_str(text).decode_utf8_lossy().into_owned())
}

/// The addresses of a network: those whose first bits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address is one of the network's.
    pub fn has(&self, address: IpAddr) -> bool {
        let bits = u32::from(self.bits);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - bits).is_none_or(|differing| differing == 0)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - bits).is_none_or(|differing| differing == 0)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no address, such as 192.168.1.7, and no network, such as 192.168.1.0/24");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.trim().parse()).ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
        Ok(Self { address, bits })
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::capture::source::Input;

    /// A source of this address.
    fn source(address: &Address, password_file: Option<&Path>) -> SourceConfig {
        let password_file = password_file.map(Path::to_owned);
        SourceConfig { password_file, ..SourceConfig::new("cam".into(), Input::Rtsp { address: address.clone() }) }
    }

    fn login(address: &Address) -> Result<Option<Login>, String> {
        address.login(&source(address, None))
    }

    #[test]
    fn networks_have_the_addresses_that_begin_like_them() {
        let has = |network: &str, address: &str| network.parse::<Network>().unwrap().has(address.parse().unwrap());
        assert!(has("192.168.1.0/24", "192.168.1.77") && !has("192.168.1.0/24", "192.168.2.1"));
        assert!(has("10.0.0.7", "10.0.0.7") && !has("10.0.0.7", "10.0.0.8"));
        assert!(has("0.0.0.0/0", "8.8.8.8") && !has("0.0.0.0/0", "::1"));
        assert!(has("fd00::/8", "fd12::1") && !has("fd00::/8", "fe80::1") && has("::/0", "::1"));
        assert!(has("10.0.0.0/8", "::ffff:10.1.2.3"));
        for wrong in ["10.0.0.0/33", "10.0.0", "host", "::/129", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_understood_and_shown_nowhere() {
        let address = Address::parse("rtsp://anna:p%40ss%2Fw@cam.lan:8554/1?x=2").unwrap();
        assert_eq!(
            format!("{address:?} {}", address.shown()),
            "rtsp://anna:***@cam.lan:8554/1?x=2 rtsp://anna:***@cam.lan:8554/1?x=2"
        );
        let known = login(&address).unwrap().unwrap();
        assert_eq!((known.user.as_str(), known.password.as_str()), ("anna", "p@ss/w"));
        assert_eq!(address.url().as_str(), "rtsp://cam.lan:8554/1?x=2");
        assert!(login(&Address::parse("rtsp://cam/").unwrap()).unwrap().is_none());
        assert!(Address::parse("rtsp://a:b/c@cam/").unwrap_err().contains("%XX"));
        let named = Address::parse("rtsp://anna:$MIMID_NO_SUCH@cam/").unwrap();
        assert_eq!(named.shown(), "rtsp://anna:$MIMID_NO_SUCH@cam/");
        assert!(login(&named).err().unwrap().contains("$MIMID_NO_SUCH"));
    }

    #[test]
    fn a_password_file_holds_the_password_of_the_user_in_the_address() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "geheim\n").unwrap();
        let address = Address::parse("http://anna@radio/").unwrap();
        let login = address.login(&source(&address, Some(file.path()))).unwrap().unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("anna", "geheim"));
    }
}
