//! `http://` and `https://`: stations and recordings. Redirects and playlists are followed; titles between the sound are not asked for.

use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use url::Url;

use super::address::{Address, Login};
use super::task::Task;
use super::{manner, tls};
use crate::capture::CaptureError;
use crate::capture::feed::hear::{self, Wanted};
use crate::capture::feed::{Feed, Inlet, Stopper};
use crate::capture::source::{Coding, SourceConfig};
use crate::text::{visible, without_passwords};

/// The sound in seconds that a server may send at once: stations begin with some to fill the listener's buffer.
const BURST_S: u32 = 10;
/// The most redirects and playlists on the way to the sound.
const MOST_STEPS: usize = 6;
/// The most bytes of a playlist.
const LONGEST_PLAYLIST: usize = 1 << 16;

/// Hears what this address gives.
pub(in crate::capture) fn open(config: &SourceConfig, address: &Address) -> Result<Feed, CaptureError> {
    let (config, address) = (config.clone(), address.clone());
    Feed::start(&config.name.clone(), manner(BURST_S, false), move |inlet, stopper| hear(&config, &address, inlet, stopper))
}

fn hear(config: &SourceConfig, address: &Address, inlet: &mut Inlet, stopper: Stopper) -> Result<(), String> {
    let wanted = Wanted::from(config);
    let login = address.login(config)?;
    let task = Task::new(stopper)?;
    let first = address.url();
    let mut url = first.clone();
    for _ in 0..MOST_STEPS {
        // A password is for the server that it was given for.
        let login = login.as_ref().filter(|_| url.origin() == first.origin());
        let answer =
            task.ask(ask(&url, login, config.ca_file.as_deref(), &task)).map_err(|error| error.sentence("the server"))??;
        match judge(&url, login, answer, &task)? {
            Step::Next(next) => url = next,
            Step::Sound(body) => {
                let shown = without_passwords(url.as_str());
                let stream = Body { task, body, rest: Bytes::new() };
                hear::bytes(&shown, stream, Coding::Container, wanted, inlet)?;
                return Err("the server ended the stream".to_owned());
            }
        }
    }
    Err(format!("its address leads from one to the next more than {MOST_STEPS} times"))
}

/// A step on the way to the sound.
enum Step {
    Next(Url),
    Sound(Incoming),
}

/// Asks for a URL.
async fn ask(url: &Url, login: Option<&Login>, ca_file: Option<&Path>, task: &Task) -> Result<Response<Incoming>, String> {
    let host = url.host_str().ok_or("its address names no host")?;
    let port = url.port_or_known_default().unwrap_or(80);
    match url.scheme() {
        "https" => send(tls::connect(host, port, ca_file).await?, url, login, task).await,
        "http" => send(tls::dial(host, port).await?, url, login, task).await,
        scheme => Err(format!("its address leads to {scheme}:, which is not followed")),
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Url,
    login: Option<&Login>,
    task: &Task,
) -> Result<Response<Incoming>, String> {
    let broken = |error: hyper::Error| format!("the server's answer is not HTTP ({error})");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    task.spawn(async move {
        // Its error is told by what is read of it.
        let _ = connection.await;
    });
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = Request::get(target).header(HOST, host).header(USER_AGENT, super::USER_AGENT).header(ACCEPT, "*/*");
    if let Some(Login { user, password }) = login {
        request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| format!("its address cannot be asked for ({error})"))?;
    sender.send_request(request).await.map_err(broken)
}

/// The next step after an answer.
fn judge(url: &Url, login: Option<&Login>, answer: Response<Incoming>, task: &Task) -> Result<Step, String> {
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let status = answer.status();
    match status {
        StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if login.is_some() => {
            return Err("the server refused the password".to_owned());
        }
        StatusCode::UNAUTHORIZED => return Err("the server asks for a password, which its address does not have".to_owned()),
        StatusCode::NOT_FOUND => return Err("the server has nothing at this address (404)".to_owned()),
        _ if status.is_redirection() => {
            let location = header(LOCATION).ok_or("the server redirects to nowhere")?;
            let next = url.join(location).map_err(|_| "the server redirects to what is no address")?;
            return Ok(Step::Next(next));
        }
        _ => return Err(format!("the server answered {}", visible(&status.to_string()))),
    }
    let kind = header(CONTENT_TYPE).unwrap_or_default().to_lowercase();
    if !["mpegurl", "scpls"].iter().any(|word| kind.contains(word)) {
        return Ok(Step::Sound(answer.into_body()));
    }
    let read = async { http_body_util::Limited::new(answer.into_body(), LONGEST_PLAYLIST).collect().await };
    let list = task.ask(read).map_err(|error| error.sentence("the server"))?;
    let list = list.map_err(|error| format!("the playlist cannot be read ({error})"))?.to_bytes();
    first_of(&String::from_utf8_lossy(&list), url).map(Step::Next)
}

/// The first entry of a playlist.
fn first_of(list: &str, url: &Url) -> Result<Url, String> {
    if list.contains("#EXT-X-") {
        return Err("this is an HLS playlist, which ffmpeg can read: input = \"exec:ffmpeg -v error -i URL -vn -f wav pipe:1\""
            .to_owned());
    }
    let entry = |line: &str| {
        let line = line.trim();
        let entry =
            line.split_once('=').filter(|(key, _)| key.to_lowercase().starts_with("file")).map_or(line, |(_, entry)| entry);
        let is_entry = !entry.is_empty() && !entry.starts_with(['#', '[']) && (entry.contains('/') || entry.contains('.'));
        is_entry.then(|| url.join(entry).ok()).flatten()
    };
    list.lines().find_map(entry).ok_or_else(|| "the playlist has no entry".to_owned())
}

/// The body of an answer, which waits for more until its feed is closed.
struct Body {
    task: Task,
    body: Incoming,
    rest: Bytes,
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let frame = self.task.run(self.body.frame());
            match frame.map_err(|_| crate::capture::feed::closed())? {
                None => return Ok(0),
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(io::Error::other(format!("the connection broke ({error})"))),
            }
        }
        let n = out.len().min(self.rest.len());
        out[..n].copy_from_slice(&self.rest.split_to(n));
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_a_playlist_is_found() {
        let url = Url::parse("http://radio/live/list.m3u").unwrap();
        for (list, found) in [
            ("#EXTM3U\n#EXTINF:-1,X\nhttp://b/x\n", "http://b/x"),
            ("x.mp3\r\n", "http://radio/live/x.mp3"),
            ("[playlist]\nNumberOfEntries=1\nFile1=http://c/y?a=b\nTitle1=Z", "http://c/y?a=b"),
        ] {
            assert_eq!(first_of(list, &url).unwrap().as_str(), found);
        }
        assert!(first_of("#EXTM3U\n#EXT-X-VERSION:3\na.ts", &url).unwrap_err().contains("HLS"));
        assert!(first_of("", &url).is_err());
    }
}
