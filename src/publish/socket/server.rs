//! Accepts connections and serves each in a task of its own, until the daemon shuts down.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::Connection;
use crate::limits;
use crate::publish::shared::{Shared, down};
use crate::publish::wire::{Body, Line};

/// The time that clients have at shutdown to take the lines that wait for them.
const FLUSH: Duration = Duration::from_secs(1);
/// The pause after a failure to accept a connection, for want of file descriptors for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves the connections of `listener` until `shutdown` is true. Clients then have the time `FLUSH` to take the lines that wait
/// for them.
pub async fn serve(listener: UnixListener, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let mut clients = JoinSet::new();
    let for_clients = shutdown.clone();
    let mut is_refused = false;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    is_refused = false;
                    welcome(stream, &shared, &mut clients, for_clients.clone());
                }
                Err(error) => {
                    // Accepting is tried again and again, and only the first failure in a row is logged.
                    if !std::mem::replace(&mut is_refused, true) {
                        tracing::warn!("connections cannot be accepted just now: {}", limits::explain(&error));
                    }
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            // The daemon drops the sender only at its end.
            () = down(&mut shutdown) => break,
            Some(_) = clients.join_next() => {}
        }
    }
    drop(listener);
    let all = async { while clients.join_next().await.is_some() {} };
    if tokio::time::timeout(FLUSH, all).await.is_err() {
        clients.shutdown().await;
    }
}

fn welcome(stream: UnixStream, shared: &Arc<Shared>, clients: &mut JoinSet<()>, shutdown: watch::Receiver<bool>) {
    if shared.stats.clients.fetch_add(1, Relaxed) >= shared.max_clients {
        shared.stats.clients.fetch_sub(1, Relaxed);
        clients.spawn(refuse(stream, shared.max_clients));
        return;
    }
    let shared = shared.clone();
    clients.spawn(async move {
        let stats = shared.stats.clone();
        Connection::new(stream, shared).serve(shutdown).await;
        stats.clients.fetch_sub(1, Relaxed);
    });
}

async fn refuse(mut stream: UnixStream, max_clients: u64) {
    let message = format!("{max_clients} clients are connected already");
    let line = Line::new(Timestamp::now(), Body::Error { code: "busy".to_owned(), message }).to_line();
    let _ = tokio::time::timeout(FLUSH, stream.write_all(line.as_bytes())).await;
}
