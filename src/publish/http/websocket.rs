//! The lines of the socket as text messages of a WebSocket. A client may send a `subscribe` as on the socket, which replaces its
//! filter. All other requests have paths of their own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use jiff::Timestamp;

use super::api::Api;
use super::problem::Problem;
use super::server::{CLOSING, ConnectionPlace};
use crate::publish::answer::Refusal;
use crate::publish::hub::{Delivery, Subscription};
use crate::publish::shared::down;
use crate::publish::socket::connection::MAX_LINE;
use crate::publish::subscribe::StreamStart;
use crate::publish::wire::{Body, Line, Request};

/// The longest time without a message.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The pause after each message of a client before its next one is read: no client needs another filter more often.
pub const REST: Duration = Duration::from_millis(20);

/// Upgrades a request to a WebSocket with the subscription of its query.
pub async fn accept(
    api: Arc<Api>,
    place: Arc<ConnectionPlace>,
    request: &Request,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let (mut subscription, seq) = api.shared.hub.connect();
    let hello = api.shared.hello(seq);
    let start = api.shared.subscribe(&mut subscription, request).await?;
    let upgrade = upgrade.max_message_size(MAX_LINE).max_frame_size(MAX_LINE);
    Ok(upgrade.on_upgrade(async move |socket| {
        hold(&api, place, talk(&api, socket, subscription, (hello, start))).await;
    }))
}

/// Runs a conversation until it ends, or until shortly after the sink is to stop. The connection keeps its place meanwhile.
pub async fn hold(api: &Api, place: Arc<ConnectionPlace>, talk: impl Future<Output = Result<(), axum::Error>>) {
    let mut stop = api.stop.clone();
    let ended = async {
        down(&mut stop).await;
        tokio::time::sleep(CLOSING).await;
    };
    tokio::select! {
        // An error here is a client that has gone, so nobody can be told.
        _ = talk => {}
        () = ended => {}
    }
    drop(place);
}

async fn talk(
    api: &Api,
    mut socket: WebSocket,
    mut subscription: Subscription,
    (hello, start): (Line, StreamStart),
) -> Result<(), axum::Error> {
    let mut stop = api.stop.clone();
    send_line(api, &mut socket, &hello).await?;
    send_start(api, &mut socket, &mut subscription, start).await?;
    let mut may_ask_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            Some(delivery) = subscription.next() => {
                send(api, &mut socket, &delivery).await?;
                if let Some(missed) = subscription.missed() {
                    send(api, &mut socket, &missed).await?;
                }
            }
            message = async {
                tokio::time::sleep_until(may_ask_at).await;
                socket.recv().await
            } => {
                may_ask_at = tokio::time::Instant::now() + REST;
                match message {
                    Some(Ok(Message::Text(text))) => {
                        match subscribe(api, &mut subscription, text.as_bytes()).await {
                            Ok(start) => send_start(api, &mut socket, &mut subscription, start).await?,
                            Err(refusal) => refuse(api, &mut socket, refusal).await?,
                        }
                    }
                    Some(Ok(Message::Binary(_))) => refuse(api, &mut socket, bad_request("a request is text")).await?,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                }
            }
            () = tokio::time::sleep(HEARTBEAT) => {
                send_line(api, &mut socket, &Line::new(Timestamp::now(), Body::Heartbeat {})).await?;
            }
            () = down(&mut stop) => break,
        }
    }
    while let Some(delivery) = subscription.try_next() {
        send(api, &mut socket, &delivery).await?;
    }
    socket.send(Message::Close(None)).await
}

/// Puts the filter of a client's message in force.
async fn subscribe(api: &Api, subscription: &mut Subscription, text: &[u8]) -> Result<StreamStart, Refusal> {
    match Request::parse(text) {
        Ok(request @ Request::Subscribe { .. }) => api.shared.subscribe(subscription, &request).await,
        Ok(_) => Err(bad_request("a WebSocket takes subscribe only; every other request has a path of its own")),
        Err(bad) => Err(bad_request(bad.to_string())),
    }
}

fn bad_request(message: impl Into<String>) -> Refusal {
    Refusal("bad_request", message.into())
}

async fn send_start(
    api: &Api,
    socket: &mut WebSocket,
    subscription: &mut Subscription,
    start: StreamStart,
) -> Result<(), axum::Error> {
    let StreamStart { before, subscribed, mut replay } = start;
    for delivery in &before {
        send(api, socket, delivery).await?;
    }
    send_line(api, socket, &subscribed).await?;
    while let Some(deliveries) = replay.next(subscription).await {
        for delivery in &deliveries {
            send(api, socket, delivery).await?;
        }
    }
    Ok(())
}

async fn refuse(api: &Api, socket: &mut WebSocket, Refusal(code, message): Refusal) -> Result<(), axum::Error> {
    let refused = Body::Error { code: code.to_owned(), message };
    send_line(api, socket, &Line::new(Timestamp::now(), refused)).await
}

async fn send(api: &Api, socket: &mut WebSocket, delivery: &Delivery) -> Result<(), axum::Error> {
    api.count(delivery);
    socket.send(Message::text(delivery.line().trim_end())).await
}

async fn send_line(api: &Api, socket: &mut WebSocket, line: &Line) -> Result<(), axum::Error> {
    api.count_sent();
    socket.send(Message::text(line.to_json())).await
}
