//! `GET /api/v1/events`: the lines of the socket as Server-Sent Events, with its filters, and with what was missed since the last one.
//!
//! A stream is a client of the hub like one of the socket: a bounded queue, and an honest `dropped` in the place of what did not fit. The
//! id of an event is its number with the daemon's instance, `57@0190…`, so that a browser that comes back after a restart is told so.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, Query, RawQuery, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::api::Api;
use super::problem::Problem;
use super::server::Place;
use super::websocket;
use crate::publish::filter::Filter;
use crate::publish::hub::{Subscription, with_newline};
use crate::publish::server::down;
use crate::publish::wire::{Body as LineBody, Line, Request};

/// Something is sent at least so often, so that whoever is between does not take the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// So many bytes of lines that wait already go out together.
const TOGETHER: usize = 8 * 1024;

/// The parts of a query in their order, decoded.
pub fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    let uri = Uri::builder().path_and_query(format!("/?{}", query.unwrap_or_default())).build();
    let uri = uri.map_err(|error| Problem::bad_request(format!("the query cannot be read: {error}")))?;
    let read = Query::<Vec<(String, String)>>::try_from_uri(&uri);
    read.map(|Query(pairs)| pairs).map_err(|error| Problem::bad_request(error.body_text()))
}

/// The subscription that a query and the browser's `Last-Event-ID` ask for. The header, which is newer, goes before the query.
fn wanted(query: Option<&str>, headers: &HeaderMap) -> Result<Request, Problem> {
    let (mut labels, mut sources, mut types) = (Vec::new(), Vec::new(), Vec::new());
    let (mut min_score, mut since, mut instance) = (0.0, None, None);
    let bad =
        |key: &str, expected: &str, value: &str| Problem::bad_request(format!("{key} must be {expected}, but it is {value:?}"));
    for (key, value) in pairs(query)? {
        match key.as_str() {
            "label" => labels.push(value),
            "source" => sources.push(value),
            "type" => types.push(value),
            "min_score" => min_score = value.parse().map_err(|_| bad("min_score", "a number from 0 to 1", &value))?,
            "since" => since = Some(value.parse().map_err(|_| bad("since", "a whole number", &value))?),
            "instance" => instance = Some(value),
            _ => {
                let message = format!("there is no parameter {key:?}; there are label, source, type, min_score, since, instance");
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
    Ok(Request::Subscribe { labels, sources, types, min_score, since, instance })
}

/// `GET /api/v1/events`
pub async fn events(
    State(api): State<Arc<Api>>,
    Extension(place): Extension<Arc<Place>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let request = wanted(query.as_deref(), &headers)?;
    if headers.contains_key(header::UPGRADE) {
        let upgrade = upgrade.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
        return websocket::accept(api, place, &request, upgrade);
    }
    let (mut subscription, _) = api.shared.hub.connect();
    let first = subscribe(&api, &mut subscription, &request)?;
    let (lines, body) = mpsc::channel(1);
    tokio::spawn(feed(api, subscription, first, lines));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        // A proxy that gathers an answer before it passes it on would keep events back.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::new(Lines(body))).into_response())
}

/// Has the hub filter as `request` asks, and gives the lines that begin the stream: those of the old filter, `subscribed`, what is no longer
/// held, and what is.
pub fn subscribe(api: &Api, subscription: &mut Subscription, request: &Request) -> Result<Vec<Arc<str>>, Problem> {
    let directory = api.shared.directory();
    let filter = Filter::new(request, &directory.labels, &directory.groups())
        .map_err(|bad| Problem::from(crate::publish::answer::Refusal(bad.code, bad.message)))?;
    let Request::Subscribe { since, instance, .. } = request else { return Ok(Vec::new()) };
    let Filter { labels, sources, types, min_score } = filter.clone();
    let replay = subscription.subscribe(filter, *since, instance.as_deref());
    let now = Timestamp::now();
    let subscribed = LineBody::Subscribed { labels, sources, types, min_score, restarted: replay.restarted };
    let mut lines = replay.before;
    lines.push(with_newline(&Line { seq: Some(replay.seq), ..Line::new(now, subscribed) }));
    lines.extend((replay.gone > 0).then(|| crate::publish::hub::dropped(replay.gone, now)));
    lines.extend(replay.lines);
    Ok(lines)
}

/// Hands one stream its lines, until the client goes, or until it is told to stop and what waits has been handed over.
async fn feed(api: Arc<Api>, mut subscription: Subscription, first: Vec<Arc<str>>, lines: mpsc::Sender<Bytes>) {
    let instance = api.shared.hub.instance.to_string();
    let mut stop = api.stop.clone();
    // A client that asks for what came since a number must not take the newest for the one it had, were it cut off in the midst.
    let has_past = first.len() > 1;
    let mut start = String::from("retry: 2000\n\n");
    for line in &first {
        let is_newest = line.contains("\"type\":\"subscribed\"");
        start.push_str(&event(&api, line, (!is_newest || !has_past).then_some(&*instance)));
    }
    if lines.send(start.into()).await.is_err() {
        return;
    }
    loop {
        let chunk = tokio::select! {
            Some(line) = subscription.next() => {
                let mut chunk = event(&api, &line, Some(&instance));
                while chunk.len() < TOGETHER && let Some(line) = subscription.try_next() {
                    chunk.push_str(&event(&api, &line, Some(&instance)));
                }
                if let Some(line) = subscription.missed(Timestamp::now()) {
                    chunk.push_str(&event(&api, &line, None));
                }
                chunk
            }
            () = tokio::time::sleep(HEARTBEAT) => ":\n\n".to_owned(),
            () = lines.closed() => return,
            () = down(&mut stop) => break,
        };
        if lines.send(chunk.into()).await.is_err() {
            return;
        }
    }
    let mut rest = String::new();
    while let Some(line) = subscription.try_next() {
        rest.push_str(&event(&api, &line, Some(&instance)));
    }
    let _ = lines.send(rest.into()).await;
}

/// What a line says of itself.
#[derive(Deserialize)]
struct Head<'a> {
    seq: Option<u64>,
    #[serde(rename = "type")]
    kind: &'a str,
    count: Option<u64>,
}

/// Counts a line among those sent, or what it tells to be missing.
pub fn record(api: &Api, line: &str) {
    head(api, line);
}

fn head<'a>(api: &Api, line: &'a str) -> Option<Head<'a>> {
    let head: Head = serde_json::from_str(line).ok()?;
    api.stats.sent.fetch_add(1, Relaxed);
    if head.kind == "dropped" {
        api.stats.dropped.fetch_add(head.count.unwrap_or(0), Relaxed);
    }
    Some(head)
}

/// A line as an event, with its id where it has a number and is to have an id.
fn event(api: &Api, line: &str, instance: Option<&str>) -> String {
    let line = line.trim_end();
    let Some(head) = head(api, line) else { return String::new() };
    let id = head.seq.zip(instance).map(|(seq, instance)| format!("id: {seq}@{instance}\n")).unwrap_or_default();
    format!("{id}event: {}\ndata: {line}\n\n", head.kind)
}

/// A body that comes in pieces from a channel, and ends with it.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
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
        let request =
            of("label=Dog&label=Smoke+detector%2C%20smoke%20alarm&type=event&source=a&min_score=0.5&since=7&instance=i", None);
        let expected = Request::Subscribe {
            labels: vec!["Dog".into(), "Smoke detector, smoke alarm".into()],
            sources: vec!["a".into()],
            types: vec!["event".into()],
            min_score: 0.5,
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
            ("since=-1", None, "since must be a whole number"),
            ("", Some("x@y"), "Last-Event-ID must be the id of an event"),
        ] {
            let problem = of(query, last).unwrap_err();
            assert!(problem.message().contains(said), "{}", problem.message());
        }
    }
}
