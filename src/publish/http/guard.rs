//! Decides who may make requests. The `Host` of a request must name this server (against DNS rebinding), its page must be of this
//! server (against cross-site requests), and where there is an access token, the request must bring the token or the cookie of a
//! browser that is logged in.
//!
//! The handlers behind the guard do not check again who makes a request. The guard knows of a request only whether it changes
//! anything.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::clips;
use super::problem::Problem;
use super::server::Peer;
use super::sessions::{self, COOKIE, Hash, Sessions, hash};
use crate::publish::access::Access;
use crate::publish::settings::{HttpConfig, Listen};

mod host;

/// Marks a request for the health that brought no access token: it may know whether all is well, and no names.
#[derive(Debug, Clone, Copy)]
pub struct Nameless;

/// The least length of an access token, in characters.
const MIN_TOKEN: usize = 16;

/// The rules, made once from the configuration.
#[derive(Debug)]
pub struct Guard {
    /// The host names of this server; `None` on a Unix socket, where the file's permissions decide who connects.
    hosts: Option<Vec<String>>,
    /// The hash of the access token, where there is one.
    token: Option<Hash>,
    /// Which peers of a Unix socket may change the daemon where there is no token.
    access: Access,
    /// Whether `/healthz` needs no token.
    is_health_public: bool,
    sessions: Sessions,
}

/// Judges an access token for the address of a configuration.
///
/// # Errors
/// One sentence, where the token is too short or its lack would let other machines in.
pub fn judge(config: &HttpConfig, token: Option<&str>) -> Result<(), String> {
    if token.is_some_and(|token| token.chars().count() < MIN_TOKEN) {
        return Err(format!("the access token is too short; it must have at least {MIN_TOKEN} characters"));
    }
    match &config.listen {
        Listen::Tcp(address) if !address.ip().is_loopback() && token.is_none() => Err(format!(
            "{address} can be reached from other machines, and there is no access token; set token_file under [sinks.http], or listen on 127.0.0.1"
        )),
        Listen::Tcp(_) | Listen::Unix(_) => Ok(()),
    }
}

impl Guard {
    /// The rules of a configuration with its access token.
    ///
    /// # Errors
    /// Those of [`judge`].
    pub fn new(config: &HttpConfig, token: Option<&str>, access: Access) -> Result<Self, String> {
        judge(config, token)?;
        let hosts = match &config.listen {
            Listen::Tcp(address) => {
                let own = if address.ip().is_unspecified() { None } else { Some(address.ip().to_string()) };
                let all = ["localhost".to_owned()].into_iter().chain(own).chain(host::machine_names());
                Some(all.chain(config.hosts.iter().cloned()).collect())
            }
            Listen::Unix(_) => None,
        };
        let (token, is_health_public) = (token.map(hash), config.public_health);
        Ok(Self { hosts, token, access, is_health_public, sessions: Sessions::default() })
    }

    /// The refusal of a request by its host and its origin; `None` where it may go on.
    fn refuse_site(&self, method: &Method, headers: &HeaderMap) -> Option<Problem> {
        let (Ok(host), Ok(origin)) = (single(headers, header::HOST), single(headers, header::ORIGIN)) else {
            return Some(Problem::bad_request("a request has one Host and at most one Origin, in plain ASCII"));
        };
        if let Some(hosts) = &self.hosts
            && !host.is_some_and(|host| is_own(hosts, host, self.token.is_some()))
        {
            return Some(host::unknown(host));
        }
        // A page of another site may neither read nor change anything. It may open no WebSocket either, which browsers allow any
        // page to do.
        let foreign = || Some(Problem::new(StatusCode::FORBIDDEN, "cross_site", "a page of another site may not ask"));
        if let Some(origin) = origin {
            let own = origin.split_once("://").map(|(_, authority)| authority);
            if !own.zip(host).is_some_and(|(own, host)| own.eq_ignore_ascii_case(host)) {
                return foreign();
            }
        }
        let value = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        // For browsers, a server on another port of this machine is of the same site, but its pages may make no requests either.
        // Only a link from elsewhere may lead to the page.
        let is_link =
            *method == Method::GET && value("sec-fetch-mode") == Some("navigate") && value("sec-fetch-dest") == Some("document");
        if matches!(value("sec-fetch-site"), Some("cross-site" | "same-site")) && !is_link {
            return foreign();
        }
        None
    }

    /// Whether a request brings the access token, or the cookie of a browser that is logged in. Without a token every request
    /// passes.
    ///
    /// Wrong tokens are not counted here. A limit would have to refuse right tokens as well, so anybody could lock everybody out
    /// by sending wrong ones. The length of the token makes guessing hopeless.
    fn is_authorized(&self, headers: &HeaderMap, now: Instant) -> bool {
        let Some(token) = &self.token else { return true };
        bearer(headers).is_some_and(|brought| hash(brought) == *token)
            || cookie(headers).is_some_and(|value| self.sessions.is_open(value, now))
    }

    /// Whether a peer whose requests are let through may change the daemon.
    async fn may_change(&self, peer: &Peer) -> bool {
        match peer {
            Peer::Unix(peer) if self.token.is_none() => self.access.allows_peer(*peer).await,
            Peer::Unix(_) | Peer::Tcp => true,
        }
    }

    /// Logs a browser in, and returns the `Set-Cookie` header.
    ///
    /// # Errors
    /// Where the token is wrong, too many wrong ones were tried, or the server has no token.
    pub fn log_in(&self, token: &str, headers: &HeaderMap, now: Instant) -> Result<String, Problem> {
        let Some(own) = &self.token else {
            return Err(Problem::new(StatusCode::CONFLICT, "no_token", "there is no access token here, so nobody has to log in"));
        };
        if !self.sessions.may_try(now) {
            let message = "too many wrong access tokens were tried; try again in a minute";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message));
        }
        if hash(token) != *own {
            self.sessions.was_wrong(now);
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "this is not the access token"));
        }
        let value = self.sessions.open(now).map_err(|error| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", format!("the system gives no random numbers: {error}"))
        })?;
        Ok(set_cookie(&value, sessions::LASTING.as_secs(), headers))
    }

    /// Logs a browser out, and returns the `Set-Cookie` header.
    pub fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(value) = cookie(headers) {
            self.sessions.close(value);
        }
        set_cookie("", 0, headers)
    }
}

/// The value of a header that may occur once at most; an error where it occurs again or is not ASCII.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(drop),
        (Some(_), Some(_)) => Err(()),
    }
}

/// Whether a `Host` header names one of these hosts. With a token any IP address passes, because DNS rebinding does not bring the
/// token.
fn is_own(hosts: &[String], header: &str, with_token: bool) -> bool {
    let name = host::name_in(header);
    let is_address = || name.parse::<IpAddr>().is_ok_and(|address| with_token || address.is_loopback());
    hosts.contains(&name) || is_address()
}

/// The bearer token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The session cookie of a request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value).next()
}

fn set_cookie(value: &str, seconds: u64, headers: &HeaderMap) -> String {
    // If the page came over TLS, the browser must never send the cookie in the clear.
    let is_tls = headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if is_tls { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Middleware that refuses requests to other hosts and from other sites. It also adds the headers that forbid a browser to guess
/// the type of the answer, to frame it, to cache it, or to load anything for it.
pub async fn check_site(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let mut response = match guard.refuse_site(request.method(), request.headers()) {
        Some(problem) if problem.code() == host::UNKNOWN && host::wants_page(request.headers()) => {
            host::page(single(request.headers(), header::HOST).ok().flatten())
        }
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Middleware that refuses requests without the access token, and changes by peers that may not make them.
pub async fn check_token(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    if !guard.is_authorized(request.headers(), Instant::now()) {
        if guard.is_health_public && request.uri().path() == "/healthz" {
            request.extensions_mut().insert(Nameless);
            return next.run(request).await;
        }
        let message = "an access token is needed: Authorization: Bearer TOKEN";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
        return ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response();
    }
    // Sound that is kept is heard by those alone who may change the daemon.
    let is_of_clips = request.uri().path().starts_with(clips::PREFIX);
    let changes = is_of_clips || !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let peer = request.extensions().get::<Peer>();
    let may_change = match peer {
        _ if !changes => true,
        Some(peer) => guard.may_change(peer).await,
        None => false,
    };
    if !may_change {
        let message = "only the daemon's own user, root and the members of the configured group may do this";
        return Problem::new(StatusCode::FORBIDDEN, "forbidden", message).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests;
