//! The lines of the socket as text messages of a WebSocket. A client's message may be a `subscribe` as on the socket, which replaces the
//! filter; everything else has a path of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use jiff::Timestamp;

use super::api::Api;
use super::events::{record, subscribe};
use super::problem::Problem;
use super::server::{CLOSING, Place};
use crate::publish::client::MAX_LINE;
use crate::publish::hub::{Subscription, with_newline};
use crate::publish::server::down;
use crate::publish::wire::{Body, Line, Request};

/// Something is sent at least so often.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a client waits after each message before its next is read: nobody needs another filter more often.
pub const REST: Duration = Duration::from_millis(20);

/// Takes a request over that wants to be a WebSocket, subscribed as its query asks.
pub fn accept(api: Arc<Api>, place: Arc<Place>, request: &Request, upgrade: WebSocketUpgrade) -> Result<Response, Problem> {
    let (mut subscription, _) = api.shared.hub.connect();
    let first = subscribe(&api, &mut subscription, request)?;
    let upgrade = upgrade.max_message_size(MAX_LINE).max_frame_size(MAX_LINE);
    Ok(upgrade.on_upgrade(async move |socket| {
        hold(&api, place, talk(&api, socket, subscription, first)).await;
    }))
}

/// Lets a conversation go on until it ends, and no longer than a moment after the daemon is to stop. The connection keeps its place among
/// those that may be until then.
pub async fn hold(api: &Api, place: Arc<Place>, talk: impl Future<Output = Result<(), axum::Error>>) {
    let mut stop = api.stop.clone();
    let ended = async {
        down(&mut stop).await;
        tokio::time::sleep(CLOSING).await;
    };
    tokio::select! {
        // An error here is a client that has gone; there is nobody to tell.
        _ = talk => {}
        () = ended => {}
    }
    drop(place);
}

async fn talk(api: &Api, mut socket: WebSocket, mut subscription: Subscription, first: Vec<Arc<str>>) -> Result<(), axum::Error> {
    let mut stop = api.stop.clone();
    for line in first {
        send(api, &mut socket, &line).await?;
    }
    let mut may_ask_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            Some(line) = subscription.next() => {
                send(api, &mut socket, &line).await?;
                if let Some(line) = subscription.missed(Timestamp::now()) {
                    send(api, &mut socket, &line).await?;
                }
            }
            message = async {
                tokio::time::sleep_until(may_ask_at).await;
                socket.recv().await
            } => {
                may_ask_at = tokio::time::Instant::now() + REST;
                match message {
                    Some(Ok(Message::Text(text))) => {
                        for line in asked(api, &mut subscription, text.as_bytes()) {
                            send(api, &mut socket, &line).await?;
                        }
                    }
                    Some(Ok(Message::Binary(_))) => send(api, &mut socket, &refused("bad_request", "a request is text")).await?,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                }
            }
            () = tokio::time::sleep(HEARTBEAT) => {
                send(api, &mut socket, &with_newline(&Line::new(Timestamp::now(), Body::Heartbeat {}))).await?;
            }
            () = down(&mut stop) => break,
        }
    }
    while let Some(line) = subscription.try_next() {
        send(api, &mut socket, &line).await?;
    }
    socket.send(Message::Close(None)).await
}

/// What a client's message is answered with.
fn asked(api: &Api, subscription: &mut Subscription, text: &[u8]) -> Vec<Arc<str>> {
    match Request::parse(text) {
        Ok(request @ Request::Subscribe { .. }) => {
            subscribe(api, subscription, &request).unwrap_or_else(|problem| vec![refused(problem.code(), problem.message())])
        }
        Ok(_) => vec![refused("bad_request", "only subscribe is asked for here; everything else has a path of its own")],
        Err(bad) => vec![refused("bad_request", &bad.to_string())],
    }
}

fn refused(code: &str, message: &str) -> Arc<str> {
    with_newline(&Line::new(Timestamp::now(), Body::Error { code: code.to_owned(), message: message.to_owned() }))
}

async fn send(api: &Api, socket: &mut WebSocket, line: &str) -> Result<(), axum::Error> {
    let line = line.trim_end();
    record(api, line);
    socket.send(Message::text(line)).await
}
