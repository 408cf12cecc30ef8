//! Accepts connections and bounds them: how many, how long their headers may take, how much they may send.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::SocketConfig;
use crate::config::sinks::Listen;
use crate::publish::server::down;
use crate::publish::socket::{self, Bound};
use crate::stats::sink::SinkStats;

/// How many connections there may be at a time.
const MAX_CONNECTIONS: usize = 512;
/// How long the headers of a request may take.
const HEADERS: Duration = Duration::from_secs(10);
/// How many bytes the headers of a request may have.
const HEADER_BYTES: usize = 16 * 1024;
/// How many bytes the body of a request may have.
const BODY_BYTES: usize = 64 * 1024;
/// How long connections have at the end to send what they are at.
const CLOSING: Duration = Duration::from_millis(500);
/// How long to wait after the system gave no connection, for want of file descriptors say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// An address or a Unix socket that is listened on.
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A socket with what takes it away at the end.
    Unix(UnixListener, Box<Bound>),
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
                bound.map(Listener::Tcp).map_err(|error| format!("{address} cannot be listened on: {error}"))
            }
            Listen::Unix(path) => unix(path.clone()).map_err(|what| what.replace("[socket]", "[sinks.http]")),
        }
    }

    /// The address that is listened on, with its port where that was left to the system.
    pub fn address(&self) -> Option<String> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(|address| address.to_string()),
            Listener::Unix(..) => None,
        }
    }
}

/// Only the daemon's user and its group get at a socket.
fn unix(path: PathBuf) -> Result<Listener, String> {
    let bound = socket::bind(&SocketConfig { path: Some(path), mode: 0o660, group: None }).map_err(|error| error.to_string())?;
    let listener = bound.listener.try_clone().and_then(UnixListener::from_std).map_err(|error| error.to_string())?;
    Ok(Listener::Unix(listener, Box::new(bound)))
}

/// Serves `app` until `stop` is true.
pub async fn serve(listener: Listener, app: Router, stats: Arc<SinkStats>, mut stop: watch::Receiver<bool>) {
    let app = app.layer(DefaultBodyLimit::max(BODY_BYTES));
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < MAX_CONNECTIONS;
        let refused = tokio::select! {
            accepted = accept_tcp(&listener), if room => match accepted {
                Ok((stream, peer)) => {
                    // Events are small and their time counts.
                    let _ = stream.set_nodelay(true);
                    let app = app.clone().layer(axum::Extension(Peer::Tcp(peer)));
                    connections.spawn(connection(stream, app, stop.clone()));
                    None
                }
                Err(error) => Some(error),
            },
            accepted = accept_unix(&listener), if room => match accepted {
                Ok(stream) => {
                    let peer = Peer::Unix(stream.peer_cred().ok());
                    connections.spawn(connection(stream, app.clone().layer(axum::Extension(peer)), stop.clone()));
                    None
                }
                Err(error) => Some(error),
            },
            () = down(&mut stop) => break,
            Some(_) = connections.join_next() => None,
        };
        if let Some(error) = refused {
            tracing::warn!(sink = "http", %error, "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
        stats.clients.store(connections.len() as u64, Relaxed);
    }
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSING, all).await.is_err() {
        connections.shutdown().await;
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub enum Peer {
    /// Whoever has this address.
    Tcp(std::net::SocketAddr),
    /// A process of this machine, if the system knows whose.
    Unix(Option<tokio::net::unix::UCred>),
}

async fn accept_tcp(listener: &Listener) -> std::io::Result<(tokio::net::TcpStream, std::net::SocketAddr)> {
    match listener {
        Listener::Tcp(listener) => listener.accept().await,
        Listener::Unix(..) => std::future::pending().await,
    }
}

async fn accept_unix(listener: &Listener) -> std::io::Result<tokio::net::UnixStream> {
    match listener {
        Listener::Unix(listener, _) => listener.accept().await.map(|(stream, _)| stream),
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
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app)).with_upgrades();
    let mut serving = pin!(serving);
    // An error here is a client that has gone or speaks no HTTP; hyper has told it, if it could.
    tokio::select! {
        _ = serving.as_mut() => return,
        () = down(&mut stop) => serving.as_mut().graceful_shutdown(),
    }
    let _ = serving.await;
}
