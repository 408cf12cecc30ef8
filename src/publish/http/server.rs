//! Accepts connections and limits them: their number, the size and the time of a request's headers and body, and the time in
//! which a client takes nothing of an answer.

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

use super::problem::Problem;
use super::write_timeout::WriteTimeout;
use crate::publish::settings::{Listen, SocketConfig};
use crate::publish::shared::{down, max_clients};
use crate::publish::socket::{self, Bound};
use crate::stats::sink::SinkStats;

/// The most connections at a time, where the process may open as many files; never more than half of those that clients of the
/// socket may have.
const MAX_CONNECTIONS: u64 = 512;
/// The longest time for the headers of a request.
const HEADERS: Duration = Duration::from_secs(10);
/// The largest headers of a request, in bytes.
const HEADER_BYTES: usize = 16 * 1024;
/// The largest body of a request, in bytes.
const BODY_BYTES: usize = 64 * 1024;
/// The longest time for the body of a request.
const BODY: Duration = Duration::from_secs(10);
/// The longest time in which a client may take nothing. A browser whose machine sleeps connects again and asks for the events it
/// missed.
const STALLED: Duration = Duration::from_secs(60);
/// The size of the system's send buffer of a connection, in bytes. The hub's queue, which is bounded and counted, holds the rest.
const SEND_BYTES: usize = 128 * 1024;
/// The time that connections have at shutdown to finish their answers.
pub const CLOSING: Duration = Duration::from_millis(500);
/// The pause after a failure to accept a connection, for want of file descriptors for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A TCP or a Unix socket that accepts connections.
pub enum HttpListener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix {
        /// The socket.
        listener: UnixListener,
        /// Removes the socket's file when it is dropped.
        _bound: Box<Bound>,
    },
}

impl HttpListener {
    /// Begins to listen.
    ///
    /// # Errors
    /// The reason, as one sentence.
    pub async fn bind(listen: &Listen) -> Result<Self, String> {
        match listen {
            Listen::Tcp(address) => {
                let bound = TcpListener::bind(address).await;
                bound.map(HttpListener::Tcp).map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EAFNOSUPPORT) => format!(
                        "{address} cannot be listened on: this process may use no network; allow it in the service's unit, or listen on unix:PATH"
                    ),
                    _ => format!("{address} cannot be listened on: {error}"),
                })
            }
            Listen::Unix(path) => unix(path.clone()).map_err(|what| what.replace("[socket]", "[sinks.http]")),
        }
    }

    /// The address with its port, which the system may have chosen; `None` for a Unix socket.
    pub fn address(&self) -> Option<String> {
        match self {
            HttpListener::Tcp(listener) => listener.local_addr().ok().map(|address| address.to_string()),
            HttpListener::Unix { .. } => None,
        }
    }
}

/// Binds a Unix socket that only the daemon's user and its group can connect to.
fn unix(path: PathBuf) -> Result<HttpListener, String> {
    let bound = socket::bind(&SocketConfig { path: Some(path), mode: 0o660, group: None }).map_err(|error| error.to_string())?;
    let listener = bound.listener.try_clone().and_then(UnixListener::from_std).map_err(|error| error.to_string())?;
    Ok(HttpListener::Unix { listener, _bound: Box::new(bound) })
}

/// Serves `app` until `stop` is true.
pub async fn serve(listener: HttpListener, app: Router, stats: Arc<SinkStats>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS.min(max_clients() / 2).max(1) as usize));
    let mut connections = JoinSet::new();
    loop {
        let place = tokio::select! {
            // The semaphore is never closed.
            Ok(place) = places.clone().acquire_owned() => ConnectionPlace::new(place, stats.clone()),
            () = down(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
        };
        let accepted = tokio::select! {
            accepted = accept_tcp(&listener) => accepted.map(|stream| {
                // Events are small and must not wait for each other.
                let _ = stream.set_nodelay(true);
                // Where the system refuses, its default stays.
                let _ = setsockopt(&stream, sockopt::SndBuf, &SEND_BYTES);
                connections.spawn(connection(stream, for_connection(&app, Peer::Tcp, place), stop.clone()));
            }),
            accepted = accept_unix(&listener) => accepted.map(|stream| {
                let peer = Peer::Unix(stream.peer_cred().ok());
                connections.spawn(connection(stream, for_connection(&app, peer, place), stop.clone()));
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

/// The app for one connection, whose requests carry the peer and the connection's place.
fn for_connection(app: &Router, peer: Peer, place: ConnectionPlace) -> Router {
    app.clone().layer(axum::Extension(peer)).layer(axum::Extension(Arc::new(place)))
}

/// Reads the whole body before a request is handled. A body that is too large or too slow is refused.
pub async fn bound_body(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        // The body of such a request has no meaning, so nothing waits for it; hyper closes the connection if one comes.
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

/// The place of one connection among those that may be open at a time. Dropping it makes room for another. A WebSocket keeps the
/// place of the connection it came over.
#[derive(Debug)]
pub struct ConnectionPlace {
    stats: Arc<SinkStats>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionPlace {
    fn new(permit: OwnedSemaphorePermit, stats: Arc<SinkStats>) -> Self {
        stats.clients.fetch_add(1, Relaxed);
        Self { stats, _permit: permit }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.stats.clients.fetch_sub(1, Relaxed);
    }
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Anybody who can reach the address.
    Tcp,
    /// A process of this machine, with its user where the system knows it.
    Unix(Option<tokio::net::unix::UCred>),
}

async fn accept_tcp(listener: &HttpListener) -> std::io::Result<tokio::net::TcpStream> {
    match listener {
        HttpListener::Tcp(listener) => listener.accept().await.map(|(stream, _)| stream),
        HttpListener::Unix { .. } => std::future::pending().await,
    }
}

async fn accept_unix(listener: &HttpListener) -> std::io::Result<tokio::net::UnixStream> {
    match listener {
        HttpListener::Unix { listener, .. } => listener.accept().await.map(|(stream, _)| stream),
        HttpListener::Tcp(_) => std::future::pending().await,
    }
}

/// Serves one connection until it is closed, or until `stop` is true and the answer that was begun is finished.
async fn connection<S>(stream: S, app: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(HEADER_BYTES);
    let serving =
        http.serve_connection(TokioIo::new(WriteTimeout::new(stream, STALLED)), TowerToHyperService::new(app)).with_upgrades();
    let mut serving = pin!(serving);
    // An error here is a client that has gone or does not speak HTTP; hyper has answered it, if it could.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = down(&mut stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}
