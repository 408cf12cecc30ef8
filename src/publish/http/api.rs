//! The interface for programs: the requests and answers of the socket, with a path in the place of the `op`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, watch};

use super::events::pairs;
use super::guard::Guard;
use super::health::Health;
use super::problem::Problem;
use super::recent::Recent;
use super::tally::Tally;
use crate::publish::hub::Delivery;
use crate::publish::shared::Shared;
use crate::publish::wire::{Body, Line, Request};
use crate::stats::sink::SinkStats;

/// The most labels a source that `top` tells.
const MAX_K: u64 = 10_000;

/// The state that all handlers share.
#[derive(Debug)]
pub struct Api {
    /// The hub, the daemon's health, and the way to the pipeline.
    pub shared: Arc<Shared>,
    /// The sink's own counters.
    pub stats: Arc<SinkStats>,
    /// Becomes true when streams are to end.
    pub stop: watch::Receiver<bool>,
    /// Decides who may make requests.
    pub guard: Arc<Guard>,
    /// Whether the sources are heard.
    pub health: Health,
    /// The events since the sink's start, by label and source.
    pub tally: Tally,
    /// The events of the last day, by half hour.
    pub recent: Recent,
    /// The places for requests that read the store.
    pub readers: Semaphore,
    /// The places for viewers of a source.
    pub viewers: Arc<Semaphore>,
    /// When the daemon started, computed once by the wall clock at the sink's start: it must not move between two scrapes.
    pub began: SystemTime,
}

impl Api {
    /// Has a request done, and answers with the line that the socket would send.
    pub async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let is_status = matches!(request, Request::Status {});
        let body = self.shared.answer(request).await?;
        if let Body::ConfigRejected { faults } = body {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "config_rejected", faults.join("; ")));
        }
        let seq = is_status.then(|| self.shared.hub.seq());
        Ok(Json(Line { seq, ..Line::new(Timestamp::now(), body) }).into_response())
    }

    /// Counts a delivery to a client among the lines sent, and the reports that it says to be missing.
    pub fn count(&self, delivery: &Delivery) {
        self.count_sent();
        if let Delivery::Dropped(count) = delivery {
            self.stats.dropped.fetch_add(*count, Relaxed);
        }
    }

    /// Counts a line that is sent to a client of a stream.
    pub fn count_sent(&self) {
        self.stats.sent.fetch_add(1, Relaxed);
    }
}

/// The request `op` with the fields of a body, parsed as the socket parses it.
pub fn request(op: &str, mut fields: Map<String, Value>) -> Result<Request, Problem> {
    if fields.insert("op".to_owned(), op.into()).is_some() {
        return Err(Problem::bad_request("the path names the request; leave \"op\" out"));
    }
    Ok(Request::parse(Value::Object(fields).to_string().as_bytes())?)
}

/// The fields of a JSON body; an empty body has none. The content type must be JSON, which a form of another site cannot send.
pub fn fields(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let message = "a body is JSON here, and says so: Content-Type: application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Problem::bad_request("the body is not a JSON object such as {\"seconds\":60}")),
        Err(error) => Err(Problem::bad_request(format!("the body is not JSON: {error}"))),
    }
}

/// `GET /api/v1/status`
pub async fn status(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    api.answer(Request::Status {}).await
}

/// `GET /api/v1/top?k=`
pub async fn top(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let mut fields = Map::new();
    for (key, value) in pairs(query.as_deref())? {
        let number = value.parse::<u64>().ok();
        if key == "k" && number.is_none_or(|number| number > MAX_K) {
            return Err(Problem::bad_request(format!("k must be a whole number from 0 to {MAX_K}, but it is {value:?}")));
        }
        if fields.insert(key.clone(), number.map_or(Value::String(value), Value::from)).is_some() {
            return Err(Problem::bad_request(format!("{key} is given twice")));
        }
    }
    api.answer(request("top", fields)?).await
}

/// `GET /api/v1/config`
pub async fn config(State(api): State<Arc<Api>>) -> Response {
    let text = api.shared.directory().effective.clone();
    ([(header::CONTENT_TYPE, "application/toml; charset=utf-8")], text).into_response()
}

/// `POST /api/v1/pause`
pub async fn pause(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    api.answer(request("pause", fields(&headers, &body)?)?).await
}

/// `POST /api/v1/resume`
pub async fn resume(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    api.answer(request("resume", fields(&headers, &body)?)?).await
}

/// `POST /api/v1/reload`
pub async fn reload(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    api.answer(request("reload", fields(&headers, &body)?)?).await
}

/// `POST /api/v1/test`
pub async fn test(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    api.answer(request("test", fields(&headers, &body)?)?).await
}

/// `POST /api/v1/login`
pub async fn log_in(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let mut fields = fields(&headers, &body)?;
    let (Some(Value::String(token)), true) = (fields.remove("token"), fields.is_empty()) else {
        return Err(Problem::bad_request("login needs the field \"token\" and no other"));
    };
    let cookie = api.guard.log_in(&token, &headers, Instant::now())?;
    Ok(([(header::SET_COOKIE, cookie)], done("login")).into_response())
}

/// `POST /api/v1/logout`
pub async fn log_out(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    ([(header::SET_COOKIE, api.guard.log_out(&headers))], done("logout")).into_response()
}

/// The answer to a request that is done.
pub fn done(op: &str) -> Json<Value> {
    Json(json!(Line::new(Timestamp::now(), Body::Done { op: op.to_owned(), note: None })))
}
