//! Asks the server of a hook. It reaches no private address that the configuration does not name, wherever a server redirects to.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::Url;

use super::fields::Fields;
use super::queue::Tried;
use super::reach::{is_named, may_reach};
use super::template::Around;
use super::{Answered, LONGEST_SHOWN};
use crate::capture::network::{self, tls::encrypt_by};
use crate::publish::clips::shelf::open_file;
use crate::publish::settings::WebHook;
use crate::text::visible;
use crate::{limits, tls};

/// The most redirects that are followed.
const MOST_STEPS: usize = 3;
/// The longest time for which a server may put a run off.
const LONGEST_PUT_OFF: Duration = Duration::from_secs(3_600);

/// Whom a hook trusts; read once, when it is first needed.
pub type Trust = Arc<OnceLock<Result<Arc<ClientConfig>, String>>>;

/// What a server is asked, with all values filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The address.
    pub url: Url,
    /// The method.
    pub method: Method,
    /// Names and values; the first is the type of the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// A file that is the body in the place of that.
    pub attached: Option<PathBuf>,
    /// Whether a secret is in it, which no other server may get.
    pub has_secret: bool,
}

/// A step on the way to an answer.
enum Step {
    Next(Url),
    Answer(Answered),
}

impl WebHook {
    /// Whether a secret is in what it asks.
    pub fn has_secret(&self) -> bool {
        let mut templates = self.headers.iter().map(|(_, value)| value).chain(&self.body).chain([&self.url]);
        templates.any(|template| template.has("secret"))
    }

    /// The request for a line.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without the secret.
    pub fn asked(&self, fields: &Fields, line: &str) -> Result<Asked, String> {
        let value = |field: &str| fields.value(field);
        let url =
            Url::parse(&self.url.fill(Around::Address, value)).map_err(|error| format!("its url is no address ({error})"))?;
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| "its method is none of HTTP".to_owned())?;
        let has_type = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let is_empty = self.body.is_none() && matches!(method, Method::GET | Method::HEAD);
        let attached = if self.attach {
            let path = Some(fields.value("clip")).filter(|path| !path.is_empty()).map(PathBuf::from);
            Some(path.ok_or("there is no clip to attach; clips come from `when = \"clip\"`")?)
        } else {
            None
        };
        let content_type = match &attached {
            Some(path) if path.extension().is_some_and(|end| end == "wav") => "audio/wav",
            Some(_) => "audio/flac",
            None => self.content_type,
        };
        let own = (!has_type && !is_empty).then(|| (CONTENT_TYPE.to_string(), content_type.to_owned()));
        let named = self.headers.iter().map(|(name, value_of)| (name.clone(), value_of.fill(Around::Plain, value)));
        let body = match &self.body {
            _ if attached.is_some() => String::new(),
            Some(body) => body.fill(self.around, value),
            None if is_empty => String::new(),
            None => line.trim_end().to_owned(),
        };
        let headers = own.into_iter().chain(named).collect();
        Ok(Asked { url, method, headers, body, attached, has_secret: self.has_secret() })
    }

    /// Asks the server, for as long as `limit` at most.
    pub async fn ask(&self, asked: Asked, trust: Trust, limit: Duration) -> Answered {
        match tokio::time::timeout(limit, self.follow(asked, trust)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(said)) => failed(said),
            Err(_) => failed(format!("the server did not answer within {} s", limit.as_secs_f64())),
        }
    }

    async fn follow(&self, asked: Asked, trust: Trust) -> Result<Answered, String> {
        let mut url = asked.url.clone();
        let body = match asked.attached.clone() {
            // A clip may be cleared before its turn.
            Some(path) => match tokio::task::spawn_blocking(move || read(&path)).await.map_err(|error| error.to_string())? {
                Ok(bytes) => Bytes::from(bytes),
                Err(error) => return Ok(refused(format!("the clip cannot be attached: {error}"))),
            },
            None => Bytes::from(asked.body.clone()),
        };
        for _ in 0..=MOST_STEPS {
            // The configuration names one place, and no server can name another.
            let may_be_private = is_named(&asked.url) && url.origin() == asked.url.origin();
            let answer = self.send(&url, (&asked, &body), may_be_private, &trust).await?;
            match judge(&url, &asked, answer).await {
                Step::Answer(answered) => return Ok(answered),
                Step::Next(next) => url = next,
            }
        }
        Ok(refused(format!("the server redirects more than {MOST_STEPS} times")))
    }

    async fn send(
        &self,
        url: &Url,
        asked: (&Asked, &Bytes),
        may_be_private: bool,
        trust: &Trust,
    ) -> Result<Response<Incoming>, String> {
        let host = url.host_str().ok_or("its address names no host")?.to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        let stream = self.dial(host.trim_matches(['[', ']']), port, may_be_private).await?;
        if url.scheme() != "https" {
            return exchange(stream, url, asked).await;
        }
        let (trust, ca_file) = (trust.clone(), self.ca_file.clone());
        // The system's certificates are many, and a file may be on a slow disk.
        let read = tokio::task::spawn_blocking(move || trust.get_or_init(|| tls::client(ca_file.as_deref())).clone());
        let config = read.await.map_err(|error| error.to_string())??;
        exchange(encrypt_by(config, stream, &host).await?, url, asked).await
    }

    /// Connects to the first of the host's addresses that may be reached and answers.
    async fn dial(&self, host: &str, port: u16, may_be_private: bool) -> Result<TcpStream, String> {
        let found: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let found = tokio::net::lookup_host((host, port)).await;
                found.map_err(|error| format!("the name {host} is not found: {error}"))?.collect()
            }
        };
        let mut why = format!(
            "{host} has only private addresses, which its name does not say; allow = [\"192.168.1.0/24\"] would let the hook reach those"
        );
        for address in found.into_iter().filter(|address| may_be_private || may_reach(address.ip(), &self.allow)) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => why = format!("no connection to {host}:{port}: {}", limits::explain(&error)),
            }
        }
        Err(why)
    }
}

fn failed(said: String) -> Answered {
    Answered { tried: Tried::Failed(None), said, shown: String::new() }
}

fn refused(said: String) -> Answered {
    Answered { tried: Tried::Refused, said, shown: String::new() }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Url,
    (asked, body): (&Asked, &Bytes),
) -> Result<Response<Incoming>, String> {
    let broken = |error: hyper::Error| format!("the server's answer is not HTTP ({error})");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Its error is told by what is read of it, and it ends with the answer.
    tokio::spawn(async move { drop(connection.await) });
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::builder().method(&asked.method).uri(target).header(HOST, host).header(CONNECTION, "close");
    request = request.header(USER_AGENT, network::USER_AGENT);
    let mut request =
        request.body(Full::new(body.clone())).map_err(|error| format!("its address cannot be asked for ({error})"))?;
    for (name, value) in &asked.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))?;
        // Letters beyond ASCII go as UTF-8, which most servers take.
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the header {name} has a value that HTTP cannot carry"))?;
        request.headers_mut().insert(name, value);
    }
    if body.is_empty() && matches!(asked.method, Method::POST | Method::PUT | Method::PATCH) {
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    sender.send_request(request).await.map_err(broken)
}

/// What comes of an answer.
async fn judge(url: &Url, asked: &Asked, answer: Response<Incoming>) -> Step {
    let status = answer.status();
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return match redirect(url, asked, &answer) {
            Ok(next) => Step::Next(next),
            Err(why) => Step::Answer(refused(why)),
        };
    }
    let put_off = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let put_off = put_off.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PUT_OFF));
    let body = Limited::new(answer.into_body(), LONGEST_SHOWN).collect().await;
    let shown = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    let first: String =
        shown.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(200).collect();
    let words = if first.is_empty() || status.is_success() { String::new() } else { format!(": {}", visible(&first)) };
    let said = format!("the server answered {}{words}", visible(&status.to_string()));
    let is_worth_it = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS);
    let tried = match (status.is_success(), is_worth_it) {
        (true, _) => Tried::Done,
        (false, true) => Tried::Failed(put_off),
        (false, false) => Tried::Refused,
    };
    Step::Answer(Answered { tried, said, shown })
}

/// Where an answer redirects to, if that is followed: the same request to another address. A secret stays with the server that it is for.
fn redirect(url: &Url, asked: &Asked, answer: &Response<Incoming>) -> Result<Url, String> {
    let location =
        answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).ok_or("the server redirects to nowhere")?;
    let next = url.join(location).map_err(|_| "the server redirects to what is no address")?;
    let shown = visible(next.host_str().unwrap_or_default());
    let status = answer.status();
    let keeps_method = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if !keeps_method && !matches!(asked.method, Method::GET | Method::HEAD) {
        return Err(format!(
            "the server redirects with {status} to {shown}, by which the message would be lost; correct the url"
        ));
    }
    if next.scheme() != url.scheme() && next.scheme() != "https" {
        return Err(format!("the server redirects to {}:, which is not followed", visible(next.scheme())));
    }
    if asked.has_secret && next.origin() != url.origin() {
        return Err(format!("the server redirects to {shown}, which must not get the secret; correct the url if it is right"));
    }
    Ok(next)
}
/// The bytes of a clip.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_file(path)?.read_to_end(&mut bytes).map(|_| bytes)
}
