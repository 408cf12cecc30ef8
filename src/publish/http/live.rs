//! `GET /api/v1/live`: a source's newest spectrogram columns and scores over a WebSocket, for a moving picture.
//!
//! Nothing is pushed by the analysis. Each connection asks it ten times a second, and not again before the client has taken the
//! last answer, so a slow browser delays only its own picture, and without viewers nothing is computed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, MissedTickBehavior};

use super::api::Api;
use super::events::pairs;
use super::problem::Problem;
use super::server::ConnectionPlace;
use super::websocket::{REST, hold};
use crate::analysis::query::{View, ViewCursor, ViewShape};
use crate::publish::shared::down;
use crate::publish::wire::{Live, LiveStart};

/// The most viewers at a time: each costs the analysis a little.
pub const MAX_VIEWERS: usize = 16;
/// The interval at which a viewer gets news.
const INTERVAL: Duration = Duration::from_millis(100);
/// The longest time without a message, so that a dead connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The largest message of a client, in bytes. Messages of clients are ignored.
const MAX_MESSAGE: usize = 1_024;

/// `GET /api/v1/live`
pub async fn live(
    State(api): State<Arc<Api>>,
    Extension(place): Extension<Arc<ConnectionPlace>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let source = wanted(&api, query.as_deref())?;
    if !headers.contains_key(header::UPGRADE) {
        let message = "this is a WebSocket; ask with Upgrade: websocket";
        let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_needed", message);
        return Ok(([(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")], problem).into_response());
    }
    let upgrade = upgrade.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let viewer = api.viewers.clone().try_acquire_owned().map_err(|_| {
        let message = format!("{MAX_VIEWERS} live views are open already; close one of them");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    })?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(async move |socket| {
        hold(&api, place, show(&api, socket, &source)).await;
        drop(viewer);
    }))
}

/// The source that a query names, or the first one.
fn wanted(api: &Api, query: Option<&str>) -> Result<Arc<str>, Problem> {
    let mut name = None;
    for (key, value) in pairs(query)? {
        if key != "source" || name.replace(value).is_some() {
            return Err(Problem::bad_request("live takes one source and no other parameter: ?source=NAME"));
        }
    }
    let known: Vec<Arc<str>> = api.shared.stats.all().iter().map(|source| source.name.clone()).collect();
    let found = match &name {
        Some(name) => known.iter().find(|known| ***known == **name),
        None => {
            let directory = api.shared.directory();
            let configured = directory.sources.iter().find_map(|source| known.iter().find(|name| *name == source));
            // Recordings that play in the place of a missing device are in no configuration.
            configured.or(known.first())
        }
    };
    found.cloned().ok_or_else(|| {
        let message = match name {
            Some(name) => format!("there is no source {name:?}, only {}", known.join(", ")),
            None => "there is no source".to_owned(),
        };
        Problem::new(StatusCode::NOT_FOUND, "unknown_source", message)
    })
}

/// How much of a source a client has been sent.
#[derive(Default)]
struct ViewProgress {
    shape: Option<Arc<ViewShape>>,
    next: Option<ViewCursor>,
}

impl ViewProgress {
    /// The messages that bring the client up to date with a view.
    fn messages(&mut self, source: &str, view: View) -> Vec<Live> {
        let mut messages = Vec::new();
        if self.shape.as_ref().is_none_or(|shape| *shape != view.shape) {
            messages.push(Live::Start(LiveStart::new(source, &view.shape)));
            self.shape = Some(view.shape);
        }
        if let Some(snapshot) = view.snapshot {
            self.next = Some(snapshot.next);
            messages.push(Live::Columns(snapshot.into()));
        }
        messages
    }
}

/// Sends a client the news of a source, until the client goes, the source leaves the configuration, or the sink is to stop.
async fn show(api: &Api, mut socket: WebSocket, source: &Arc<str>) -> Result<(), axum::Error> {
    let mut stop = api.stop.clone();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut progress = ViewProgress::default();
    let (mut sent_at, mut may_speak_at) = (Instant::now(), Instant::now());
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                // A daemon that is too busy to answer this time is asked again at the next tick.
                let view = tokio::select! {
                    view = with_heartbeats(&mut socket, api.shared.view(source.clone(), progress.next)) => view?.ok(),
                    // A daemon that shuts down does not answer any more.
                    () = down(&mut stop) => break,
                };
                if view.as_ref().is_some_and(|view| view.snapshot.is_none()) && !is_known(api, source) {
                    break;
                }
                let mut messages = view.map(|view| progress.messages(source, view)).unwrap_or_default();
                if messages.is_empty() && sent_at.elapsed() >= HEARTBEAT {
                    messages.push(Live::Heartbeat {});
                }
                for message in messages {
                    send(&mut socket, &message).await?;
                    sent_at = Instant::now();
                }
            }
            message = async {
                tokio::time::sleep_until(may_speak_at).await;
                socket.recv().await
            } => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => may_speak_at = Instant::now() + REST,
            },
            () = down(&mut stop) => break,
        }
    }
    socket.send(Message::Close(None)).await
}

/// Waits for an answer, and sends the client heartbeats meanwhile.
async fn with_heartbeats<T>(socket: &mut WebSocket, answer: impl Future<Output = T>) -> Result<T, axum::Error> {
    let mut answer = pin!(answer);
    loop {
        match tokio::time::timeout(HEARTBEAT, answer.as_mut()).await {
            Ok(answer) => return Ok(answer),
            Err(_) => send(socket, &Live::Heartbeat {}).await?,
        }
    }
}

fn is_known(api: &Api, source: &Arc<str>) -> bool {
    api.shared.stats.all().iter().any(|known| known.name == *source)
}

async fn send(socket: &mut WebSocket, message: &Live) -> Result<(), axum::Error> {
    // Strings, numbers and lists of them cannot fail to be written.
    socket.send(Message::text(serde_json::to_string(message).unwrap_or_default())).await
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::analysis::query::{TopLabel, ViewSnapshot};
    use crate::detect::why::Why;
    use crate::event::Subject;

    fn snapshot(column: u64, n: u64) -> Option<ViewSnapshot> {
        Some(ViewSnapshot {
            next: ViewCursor { attachment: 3, column: column + n },
            column,
            at: Timestamp::UNIX_EPOCH,
            columns: vec![7; 2 * n as usize],
            level_dbfs: -43.1234,
            noise_floor_dbfs: f32::NEG_INFINITY,
            clipped_samples: 0,
            scored_at: None,
            labels: vec![TopLabel {
                subject: Arc::new(Subject { name: "Dog".into(), slug: "dog".into(), id: "/m/0".into() }),
                score: 0.532_13,
                confirmed: None,
                background: None,
                thresholds: None,
                why: Why::NotReported,
            }],
        })
    }

    fn shape(bands: usize) -> Arc<ViewShape> {
        Arc::new(ViewShape { column_ms: 20.0, bands_hz: vec![99.96; bands], confirmed_lag_ms: 1_900 })
    }

    #[test]
    fn the_shape_comes_first_and_again_only_where_it_changes() {
        let mut progress = ViewProgress::default();
        let mut types = |view| {
            let messages = progress.messages("kitchen", view);
            messages.iter().map(|message| serde_json::to_value(message).unwrap()["type"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(types(View { shape: shape(2), snapshot: None }), ["live.start"]);
        assert_eq!(types(View { shape: shape(2), snapshot: snapshot(0, 5) }), ["live"]);
        assert_eq!(types(View { shape: shape(2), snapshot: None }), Vec::<&str>::new());
        assert_eq!(types(View { shape: shape(3), snapshot: snapshot(5, 5) }), ["live.start", "live"]);
        assert_eq!(progress.next, Some(ViewCursor { attachment: 3, column: 10 }));
    }

    #[test]
    fn the_messages_are_as_they_are_described() {
        let messages = ViewProgress::default().messages("kitchen", View { shape: shape(2), snapshot: snapshot(12, 2) });
        let json: Vec<String> = messages.iter().map(|message| serde_json::to_string(message).unwrap()).collect();
        assert_eq!(
            json,
            [
                r#"{"type":"live.start","source":"kitchen","column_ms":20.0,"bands_hz":[100.0,100.0],"two_sided_lag_ms":1900}"#,
                r#"{"type":"live","column":12,"at":"1970-01-01T00:00:00.000Z","columns":"BwcHBw==","level_dbfs":-43.1,"noise_floor_dbfs":-150.0,"clipped_samples":0,"scored_at":null,"labels":[{"slug":"dog","score":0.5321,"two_sided":null,"why":"not_reported"}]}"#
            ]
        );
    }
}
