//! `GET /api/v1/events`: the lines of the socket as Server-Sent Events, with the socket's filters and its replay of missed lines.
//!
//! A stream is a subscriber of the hub like a client of the socket: it has a bounded queue, and a `dropped` in the place of lines
//! that did not fit. The id of an event is its number and the daemon's instance, `57@0190…`, so that a browser that reconnects
//! after a restart of the daemon learns of it.

use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, Query, RawQuery, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::api::Api;
use super::problem::Problem;
use super::server::ConnectionPlace;
use super::websocket;
use crate::publish::hub::{Delivery, Subscription};
use crate::publish::shared::down;
use crate::publish::subscribe::StreamStart;
use crate::publish::wire::{Line, Request};

/// The longest time without a message, so that no proxy takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// The size in bytes up to which waiting lines are sent together.
const TOGETHER: usize = 8 * 1024;

/// The keys and values of a query in their order, decoded.
pub fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let uri = Uri::builder().path_and_query(format!("/?{}", query.unwrap_or_default())).build();
    let uri = uri.map_err(|error| Problem::bad_request(format!("the query cannot be read: {error}")))?;
    let read = Query::<Vec<(String, String)>>::try_from_uri(&uri);
    read.map(|Query(pairs)| pairs).map_err(|error| Problem::bad_request(error.body_text()))
}

/// The subscription of a query and of the header `Last-Event-ID`, which a browser sends when it reconnects. The header is newer
/// than the query and overrides its `since`.
fn wanted(query: Option<&str>, headers: &HeaderMap) -> Result<Request, Problem> {
    let (mut labels, mut sources, mut types) = (Vec::new(), Vec::new(), Vec::new());
    let (mut min_score, mut confirmed, mut since, mut instance) = (0.0, false, None, None);
    let bad =
        |key: &str, expected: &str, value: &str| Problem::bad_request(format!("{key} must be {expected}, but it is {value:?}"));
    for (key, value) in pairs(query)? {
        match key.as_str() {
            "label" => labels.push(value),
            "source" => sources.push(value),
            "type" => types.push(value),
            "min_score" => {
                let number = value.parse().ok().filter(|number| (0.0..=1.0).contains(number));
                min_score = number.ok_or_else(|| bad("min_score", "a number from 0 to 1", &value))?;
            }
            "confirmed" => confirmed = value.parse().map_err(|_| bad("confirmed", "true or false", &value))?,
            "since" => since = Some(value.parse().map_err(|_| bad("since", "a whole number", &value))?),
            "instance" => instance = Some(value),
            _ => {
                let message = format!(
                    "there is no parameter {key:?}; there are label, source, type, min_score, confirmed, since, instance"
                );
                return Err(Problem::bad_request(message));
            }
        }
    }
    if let Some(last) = headers.get("last-event-id").filter(|last| !last.is_empty()) {
        let last = last.to_str().unwrap_or_default();
        let (number, of) = last.split_once('@').map_or((last, None), |(number, of)| (number, Some(of.to_owned())));
        since = Some(number.parse().map_err(|_| bad("Last-Event-ID", "the id of an event", last))?);
        instance = of.or(instance);
    }
    Ok(Request::Subscribe { labels, sources, types, min_score, confirmed, since, instance })
}

/// `GET /api/v1/events`
pub async fn events(
    State(api): State<Arc<Api>>,
    Extension(place): Extension<Arc<ConnectionPlace>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let request = wanted(query.as_deref(), &headers)?;
    if headers.contains_key(header::UPGRADE) {
        let upgrade = upgrade.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        return websocket::accept(api, place, &request, upgrade).await;
    }
    let (mut subscription, seq) = api.shared.hub.connect();
    let hello = api.shared.hello(seq);
    let start = api.shared.subscribe(&mut subscription, &request).await?;
    let (chunks, body) = mpsc::channel(1);
    tokio::spawn(feed(api, subscription, (hello, start), chunks));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        // A proxy that buffers the answer would hold events back.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::new(Chunks(body))).into_response())
}

/// Hands one stream its events, until the client goes, or until the sink is to stop and all that waits has been handed over.
async fn feed(api: Arc<Api>, mut subscription: Subscription, start: (Line, StreamStart), chunks: mpsc::Sender<Bytes>) {
    let mut stop = api.stop.clone();
    let mut chunk = String::from("retry: 2000\n\n");
    // Its number is no id: a client that is cut off before the replay must not ask from there on.
    push_event(&mut chunk, &api, None, "hello", &start.0.to_line());
    api.count_sent();
    let StreamStart { before, subscribed, mut replay } = start.1;
    before.iter().for_each(|delivery| push(&mut chunk, &api, delivery));
    // `subscribed` carries the newest number. A client that is cut off in the middle of the replay must not ask from there on.
    let seq = subscribed.seq.filter(|_| before.is_empty() && replay.is_empty());
    push_event(&mut chunk, &api, seq, "subscribed", &subscribed.to_line());
    api.count_sent();
    while let Some(deliveries) = replay.next(&mut subscription).await {
        deliveries.iter().for_each(|delivery| push(&mut chunk, &api, delivery));
        if chunk.len() >= TOGETHER && chunks.send(std::mem::take(&mut chunk).into()).await.is_err() {
            return;
        }
    }
    loop {
        if chunks.send(chunk.into()).await.is_err() {
            return;
        }
        chunk = String::new();
        tokio::select! {
            Some(delivery) = subscription.next() => {
                push(&mut chunk, &api, &delivery);
                while chunk.len() < TOGETHER && let Some(delivery) = subscription.try_next() {
                    push(&mut chunk, &api, &delivery);
                }
                if let Some(missed) = subscription.missed() {
                    push(&mut chunk, &api, &missed);
                }
            }
            () = tokio::time::sleep(HEARTBEAT) => chunk.push_str(":\n\n"),
            () = chunks.closed() => return,
            () = down(&mut stop) => break,
        }
    }
    while let Some(delivery) = subscription.try_next() {
        push(&mut chunk, &api, &delivery);
    }
    let _ = chunks.send(chunk.into()).await;
}

/// Appends a delivery as an event, and counts it.
fn push(chunk: &mut String, api: &Api, delivery: &Delivery) {
    push_event(chunk, api, delivery.seq(), delivery.kind(), &delivery.line());
    api.count(delivery);
}

/// Appends an event, whose id is its number with the daemon's instance. `line` ends with its newline.
fn push_event(chunk: &mut String, api: &Api, seq: Option<u64>, kind: &str, line: &str) {
    // Writing to a string cannot fail.
    if let Some(seq) = seq {
        let _ = writeln!(chunk, "id: {seq}@{}", api.shared.hub.instance);
    }
    let _ = writeln!(chunk, "event: {kind}\ndata: {line}");
}

/// A response body whose chunks come from a channel, and which ends with it.
struct Chunks(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str, last: Option<&str>) -> Result<Request, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(last) = last {
            headers.insert("last-event-id", last.parse().unwrap());
        }
        wanted(Some(query), &headers)
    }

    #[test]
    fn a_query_is_a_subscription() {
        let request = of(
            "label=Dog&label=Smoke+detector%2C%20smoke%20alarm&type=event&source=a&min_score=0.5&confirmed=true&since=7&instance=i",
            None,
        );
        let expected = Request::Subscribe {
            labels: vec!["Dog".into(), "Smoke detector, smoke alarm".into()],
            sources: vec!["a".into()],
            types: vec!["event".into()],
            min_score: 0.5,
            confirmed: true,
            since: Some(7),
            instance: Some("i".into()),
        };
        assert_eq!(request, Ok(expected));
    }

    #[test]
    fn the_id_that_a_browser_had_last_goes_before_the_query() {
        for (last, expected) in [("9@j", (Some(9), Some("j"))), ("9", (Some(9), Some("i"))), ("", (Some(7), Some("i")))] {
            let Ok(Request::Subscribe { since, instance, .. }) = of("since=7&instance=i", Some(last)) else { panic!("{last}") };
            assert_eq!((since, instance.as_deref()), expected, "{last}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_told() {
        for (query, last, said) in [
            ("lable=Dog", None, "there is no parameter \"lable\""),
            ("min_score=high", None, "min_score must be a number from 0 to 1"),
            ("min_score=NaN", None, "min_score must be a number from 0 to 1"),
            ("min_score=1.1", None, "min_score must be a number from 0 to 1"),
            ("since=-1", None, "since must be a whole number"),
            ("", Some("x@y"), "Last-Event-ID must be the id of an event"),
        ] {
            let problem = of(query, last).unwrap_err();
            assert!(problem.message().contains(said), "{}", problem.message());
        }
    }
}
