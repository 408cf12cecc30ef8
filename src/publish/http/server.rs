//! Accepts connections and bounds them: how many, how long their headers and bodies may take, how much they may send, and for how
//! long they may take nothing.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::patient::Patient;
use super::problem::Problem;
use crate::publish::settings::Listen;
use crate::publish::settings::SocketConfig;
use crate::publish::shared::{down, max_clients};
use crate::publish::socket::{self, Bound};
use crate::stats::sink::SinkStats;

/// How many connections there may be at a time, where the process may open as many files; at most half of those that clients may have.
const MAX_CONNECTIONS: u64 = 512;
/// How long the headers of a request may take.
const HEADERS: Duration = Duration::from_secs(10);
/// How many bytes the headers of a request may have.
const HEADER_BYTES: usize = 16 * 1024;
/// How many bytes the body of a request may have.
const BODY_BYTES: usize = 64 * 1024;
/// How long the body of a request may take.
const BODY: Duration = Duration::from_secs(10);
/// How long a client may take nothing of what it is sent. A browser whose machine sleeps comes back and asks for what it has missed.
const STALLED: Duration = Duration::from_secs(60);
/// So many bytes of what a client does not take the system holds for it; the hub's queue, which is bounded and counted, holds the rest.
const SEND_BYTES: usize = 128 * 1024;
/// How long connections have at the end to send what they are at.
pub const CLOSING: Duration = Duration::from_millis(500);
/// How long to wait after the system gave no connection, for want of file descriptors say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// An address or a Unix socket that is listened on.
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A socket with what takes it away at the end.
    Unix {
        /// The socket.
        listener: UnixListener,
        /// Takes it away when it is dropped.
        _bound: Box<Bound>,
    },
}

impl Listener {
    /// Begins to listen.
    ///
    /// # Errors
    /// One sentence that says what keeps it from that.
    pub async fn bind(listen: &Listen) -> Result<Self, String> {
        match listen {
            Listen::Tcp(address) => {
                let bound = TcpListener::bind(address).await;
                bound.map(Listener::Tcp).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAFNOSUPPORT) => format!(
                        "{address} cannot be listened on: this process may use no network; allow it in the service's unit, or listen on unix:PATH"
                    ),
                    _ => format!("{address} cannot be listened on: {error}"),
                })
            }
            Listen::Unix(path) => unix(path.clone()).map_err(|what| what.replace("[socket]", "[sinks.http]")),
        }
    }

    /// The address that is listened on, with its port where that was left to the system.
    pub fn address(&self) -> Option<String> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.to_string()),
            Listener::Unix { .. } => None,
        }
    }
}

/// Only the daemon's user and its group get at a socket.
fn unix(path: PathBuf) -> Result<Listener, String> {
    let bound = socket::bind(&SocketConfig { path: Some(path), mode: 0o660, group: None }).map_err(|error| error.to_string())?;
    let listener = bound.listener.try_clone().and_then(UnixListener::from_std).map_err(|error| error.to_string())?;
    Ok(Listener::Unix { listener, _bound: Box::new(bound) })
}

/// Serves `app` until `stop` is true.
pub async fn serve(listener: Listener, app: Router, stats: Arc<SinkStats>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS.min(max_clients() / 2).max(1) as usize));
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            // It is never closed.
            Ok(place) = places.clone().acquire_owned() => Place::new(place, stats.clone()),
            () = down(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        let accepted = tokio::select! {
            accepted = accept_tcp(&listener) => accepted.map(|stream| {
                // Events are small and their time counts.
                let _ = stream.set_nodelay(true);
                // Where the system refuses, its own bound holds.
                let _ = setsockopt(&stream, sockopt::SndBuf, &SEND_BYTES);
                connections.spawn(connection(stream, told(&app, Peer::Tcp, place), stop.clone()));
            }),
            accepted = accept_unix(&listener) => accepted.map(|stream| {
                let peer = Peer::Unix(stream.peer_cred().ok());
                connections.spawn(connection(stream, told(&app, peer, place), stop.clone()));
            }),
            () = down(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        if let Err(error) = accepted {
            tracing::warn!(sink = "http", %error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSING, all).await.is_err() {
        connections.shutdown().await;
    }
}

/// The app as one connection sees it: with who is at the other end, and with its place.
fn told(app: &Router, peer: Peer, place: Place) -> Router {
    app.clone().layer(axum::Extension(peer)).layer(axum::Extension(Arc::new(place)))
}

/// Takes the whole body of a request before it is looked at, or refuses it: one that is too long, and one that takes too long.
pub async fn bound_body(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        // What has no meaning is not waited for; hyper closes the connection if it comes.
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(BODY, to_bytes(body, BODY_BYTES)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(_)) => {
            let message = format!("a request's body is broken off, or has more than {BODY_BYTES} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message).into_response()
        }
        Err(_) => {
            let message = format!("a request's body took more than {} s", BODY.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message).into_response()
        }
    }
}

/// One of the connections that there may be at a time; dropping it gives it back. A WebSocket takes its connection's along.
#[derive(Debug)]
pub struct Place {
    stats: Arc<SinkStats>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn new(permit: OwnedSemaphorePermit, stats: Arc<SinkStats>) -> Self {
        stats.clients.fetch_add(1, Relaxed);
        Self { stats, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stats.clients.fetch_sub(1, Relaxed);
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Whoever reaches the address.
    Tcp,
    /// A process of this machine, if the system knows whose.
    Unix(Option<tokio::net::unix::UCred>),
}

async fn accept_tcp(listener: &Listener) -> std::io::Result<tokio::net::TcpStream> {
    match listener {
        Listener::Tcp(listener) => listener.accept().await.map(|(stream, _)| stream),
        Listener::Unix { .. } => std::future::pending().await,
    }
}

async fn accept_unix(listener: &Listener) -> std::io::Result<tokio::net::UnixStream> {
    match listener {
        Listener::Unix { listener, .. } => listener.accept().await.map(|(stream, _)| stream),
        Listener::Tcp(_) => std::future::pending().await,
    }
}

/// Serves one connection until it is closed, or until `stop` is true and what it is at has been sent.
async fn connection<S>(stream: S, app: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEADER_BYTES);
    let serving =
        http.serve_connection(TokioIo::new(Patient::new(stream, STALLED)), TowerToHyperService::new(app)).with_upgrades();
    let mut serving = pin!(serving);
    // An error here is a client that has gone or speaks no HTTP; hyper has told it, if it could.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = down(&mut stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}
