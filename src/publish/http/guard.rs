//! Who may ask: the host that a request names must be this one (against DNS rebinding), its page must be ours (against cross-site
//! requests), and where there is an access token the request must bring it.
//!
//! Nothing behind this looks at who asks; nothing here looks at what is asked.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::api::problem;
use crate::config::sinks::{HttpConfig, Listen};

/// The shortest token that is one.
const MIN_TOKEN: usize = 16;

/// The rule, made once from the configuration.
pub struct Guard {
    /// Names under which this server may be asked; `None` where a file's permissions decide who asks.
    hosts: Option<Vec<String>>,
    /// The token's hash: comparing hashes takes the same time wherever a guess goes wrong.
    token: Option<[u8; 32]>,
}

impl Guard {
    /// The rule of a configuration with its token.
    ///
    /// # Errors
    /// One sentence where anybody could ask.
    pub fn new(config: &HttpConfig, token: Option<String>) -> Result<Self, String> {
        if token.as_ref().is_some_and(|token| token.chars().count() < MIN_TOKEN) {
            return Err(format!("the access token is too short to be one; it must have at least {MIN_TOKEN} characters"));
        }
        let hosts = match &config.listen {
            Listen::Tcp(address) => {
                if !address.ip().is_loopback() && token.is_none() {
                    return Err(format!(
                        "{address} can be reached from other machines, and there is no access token; set token_file under [sinks.http], or listen on 127.0.0.1"
                    ));
                }
                let own = if address.ip().is_unspecified() { None } else { Some(address.ip().to_string()) };
                Some(["localhost".to_owned()].into_iter().chain(own).chain(config.hosts.iter().cloned()).collect())
            }
            Listen::Unix(_) => None,
        };
        Ok(Self { hosts, token: token.map(|token| Sha256::digest(token.as_bytes()).into()) })
    }

    /// What is wrong with who asks, if anything is.
    fn refuse(&self, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let host = text(header::HOST);
        if let Some(hosts) = &self.hosts
            && !host.is_some_and(|host| is_own(hosts, host, self.token.is_some()))
        {
            return Some((
                StatusCode::MISDIRECTED_REQUEST,
                "this host's name is not served here; name it in hosts under [sinks.http]",
            ));
        }
        // A page of another site may neither read nor change anything.
        if let Some(origin) = text(header::ORIGIN) {
            let own = origin.split_once("://").map(|(_, authority)| authority);
            if own.is_none() || own != host {
                return Some((StatusCode::FORBIDDEN, "a page of another site may not ask"));
            }
        }
        let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
        if matches!(site, Some("cross-site" | "same-site")) && *method != Method::GET {
            return Some((StatusCode::FORBIDDEN, "a page of another site may not ask"));
        }
        if let Some(token) = &self.token
            && !brought(headers).is_some_and(|brought| Sha256::digest(brought.as_bytes())[..] == token[..])
        {
            return Some((StatusCode::UNAUTHORIZED, "an access token is needed: Authorization: Bearer TOKEN"));
        }
        None
    }
}

/// Whether a `Host` header names one of these hosts. Behind a token any address will do: who rebinds a name has no token.
fn is_own(hosts: &[String], header: &str, with_token: bool) -> bool {
    let name = match header.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => header,
    };
    let name = name.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(name).to_ascii_lowercase();
    let is_address = || name.parse::<IpAddr>().is_ok_and(|address| with_token || address.is_loopback());
    hosts.contains(&name) || is_address()
}

/// The token that a request brings.
fn brought(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets a request through, or says why not.
pub async fn check(State((guard, _)): State<(Arc<Guard>, bool)>, request: Request, next: Next) -> Response {
    match guard.refuse(request.method(), request.headers()) {
        Some((status, message)) => problem(status, message),
        None => next.run(request).await,
    }
}
