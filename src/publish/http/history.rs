//! `GET /api/v1/history`: what the store has, page by page or as numbers; one event by its id; and when nothing was heard. The file is read on threads of their own, a few at a time, so
//! that no client of anything else waits.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::api::Api;
use super::events::pairs;
use super::problem::Problem;
use crate::publish::store::NO_STORE;
use crate::publish::store::db::{DbError, Kind};
use crate::publish::store::history::{By, Cursor, History, Order, Wanted, WantedOutcome};
use crate::publish::store::marks::WantedMark;
use crate::publish::store::moment::moment;
use crate::publish::wire::{EventMark, HistoryCount, HistoryCounts, HistoryGap, HistoryGaps, HistoryPage, KeptEvent};

/// The most requests that read the file at a time.
pub const MAX_READERS: usize = 4;
/// The events of a page, where the request does not say.
const LIMIT: usize = 100;
/// The most events of a page.
const MAX_LIMIT: usize = 1_000;

/// What a query asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    wanted: Wanted,
    by: Vec<By>,
    zone: TimeZone,
    before: Option<Cursor>,
    limit: usize,
}

fn asked(query: Option<&str>, now: Timestamp) -> Result<Asked, Problem> {
    let mut asked = Asked { wanted: Wanted::default(), by: Vec::new(), zone: TimeZone::system(), before: None, limit: LIMIT };
    let pairs = pairs(query)?;
    // Days without a zone are those of the zone that is named, wherever it stands in the query.
    if let Some((_, name)) = pairs.iter().find(|(key, _)| key == "zone") {
        asked.zone = TimeZone::get(name)
            .map_err(|_| Problem::bad_request(format!("there is no time zone {name:?}; write one like Europe/Berlin")))?;
    }
    let bad =
        |key: &str, expected: &str, value: &str| Problem::bad_request(format!("{key} must be {expected}, but it is {value:?}"));
    let time =
        |key: &str, value: &str| moment(value, now, &asked.zone).map_err(|wrong| Problem::bad_request(format!("{key}: {wrong}")));
    for (key, value) in pairs {
        match key.as_str() {
            "since" => asked.wanted.from = Some(time(&key, &value)?),
            "until" => asked.wanted.until = Some(time(&key, &value)?),
            "label" => asked.wanted.labels.push(value),
            "source" => asked.wanted.sources.push(value),
            "confirmed" => {
                let confirmed = value.parse().map_err(|_| bad(&key, "true or false", &value))?;
                asked.wanted.outcome = if confirmed { WantedOutcome::Confirmed } else { WantedOutcome::Any };
            }
            "marked" => {
                let found = WantedMark::NAMES.iter().find(|(name, _)| *name == value).map(|(_, marked)| *marked);
                asked.wanted.marked = found.ok_or_else(|| bad(&key, "any, none, right, wrong or other", &value))?;
            }
            "by" => {
                let found = By::NAMES.iter().find(|(name, _)| *name == value).map(|(_, by)| *by);
                asked.by.push(found.ok_or_else(|| bad(&key, "hour, day, weekday or label", &value))?);
            }
            "before" => asked.before = Some(cursor(&value).ok_or_else(|| bad(&key, "the `next` of a page", &value))?),
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                asked.limit = limit.ok_or_else(|| bad(&key, "a number from 1 to 1000", &value))?;
            }
            "zone" => {}
            _ => {
                let message = format!(
                    "there is no parameter {key:?}; there are since, until, label, source, confirmed, marked, by, zone, before, limit"
                );
                return Err(Problem::bad_request(message));
            }
        }
    }
    Ok(asked)
}

/// A place in the history, as `next` spells it.
fn cursor(text: &str) -> Option<Cursor> {
    let (onset, key) = text.split_once('.')?;
    Some(Cursor(onset.parse().ok()?, key.parse().ok()?))
}

/// `GET /api/v1/history`
pub async fn history(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let Asked { wanted, by, zone, before, limit } = asked(query.as_deref(), Timestamp::now())?;
    let labels = wanted.labels.clone();
    let is_counted = !by.is_empty();
    let answer = read(&api, move |history| {
        if is_counted {
            let groups = history.count(&wanted, &by, &zone)?;
            return Ok(Json(HistoryCounts { counts: HistoryCount::all(&by, groups) }).into_response());
        }
        let page = history.page(&wanted, Order::Newest, before, limit)?;
        let next = page.last().filter(|_| page.len() == limit).map(|kept| format!("{}.{}", kept.cursor.0, kept.cursor.1));
        Ok(Json(HistoryPage { events: page.iter().map(KeptEvent::from).collect(), next }).into_response())
    });
    match answer.await {
        // A label of the model of which nothing was heard yet is no fault.
        Err(Unread::Db(error)) if error.kind == Kind::Unknown && labels.iter().all(|label| api.shared.subject(label).is_ok()) => {
            Ok(if is_counted {
                Json(HistoryCounts { counts: Vec::new() }).into_response()
            } else {
                Json(HistoryPage { events: Vec::new(), next: None }).into_response()
            })
        }
        answer => Ok(answer?),
    }
}

/// `GET /api/v1/history/{id}`
pub async fn event(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<KeptEvent>, Problem> {
    event_of(&api, &id).await.map(Json)
}

/// The event of this id, with its marks so far.
pub async fn event_of(api: &Api, id: &str) -> Result<KeptEvent, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "unknown_name", "the store has no event of this id");
    let id = id.parse().map_err(|_| none())?;
    let found = read(api, move |history| {
        let Some(kept) = history.event_of(id)? else { return Ok(None) };
        let earlier_marks = history.earlier_marks(&kept)?.iter().map(EventMark::from).collect();
        Ok(Some(KeptEvent { earlier_marks, ..KeptEvent::from(&kept) }))
    });
    found.await?.ok_or_else(none)
}

/// `GET /api/v1/history/gaps`
pub async fn gaps(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Json<HistoryGaps>, Problem> {
    let now = Timestamp::now();
    let (from, until) = stretch(query.as_deref(), now)?;
    let answer = read(&api, move |history| Ok((history.began()?, history.gaps(from, until)?))).await?;
    let (began, gaps) = answer;
    Ok(Json(HistoryGaps { began: began.map(|began| began.to_string()), gaps: gaps.iter().map(HistoryGap::from).collect() }))
}

/// The stretch of time that a query asks for; the last day where it says nothing.
fn stretch(query: Option<&str>, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let (mut from, mut until) = (now - jiff::SignedDuration::from_hours(24), now);
    for (key, value) in pairs(query)? {
        let time = || moment(&value, now, &TimeZone::system()).map_err(|wrong| Problem::bad_request(format!("{key}: {wrong}")));
        match key.as_str() {
            "since" => from = time()?,
            "until" => until = time()?,
            _ => return Err(Problem::bad_request(format!("there is no parameter {key:?}; there are since and until"))),
        }
    }
    Ok((from, until))
}

/// Why the store gives no answer.
#[derive(Debug)]
pub enum Unread {
    /// There is none, or it is too busy.
    Problem(Problem),
    /// Its file says so.
    Db(DbError),
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Problem(problem) => problem,
            Unread::Db(error) if error.kind == Kind::Unknown => {
                Problem::new(StatusCode::NOT_FOUND, "unknown_name", error.message)
            }
            Unread::Db(error) => {
                let message = format!("the store cannot be read: {error}");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unreadable", message)
            }
        }
    }
}

/// Asks the store's file, on a thread that may wait for the disk.
pub async fn read<T: Send + 'static>(
    api: &Api,
    ask: impl FnOnce(&History) -> Result<T, DbError> + Send + 'static,
) -> Result<T, Unread> {
    let Some(path) = path(api) else {
        return Err(Unread::Problem(Problem::new(StatusCode::NOT_FOUND, "no_store", NO_STORE)));
    };
    let busy =
        || Unread::Problem(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many ask the store just now; ask again"));
    // The semaphore is never closed.
    let _reader = api.readers.acquire().await.map_err(|_| busy())?;
    let asked = tokio::task::spawn_blocking(move || ask(&History::open(&path)?));
    asked.await.map_err(|_| busy())?.map_err(Unread::Db)
}

/// The store's file; `None` where nothing is kept.
pub fn path(api: &Api) -> Option<PathBuf> {
    api.shared.hub.store.as_ref().map(|store| store.path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_read() {
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let time = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert_eq!(stretch(None, now), Ok((time("2026-11-28T12:00:00Z"), now)));
        assert_eq!(stretch(Some("since=2h&until=1h"), now), Ok((time("2026-11-29T10:00:00Z"), time("2026-11-29T11:00:00Z"))));
        let problem = stretch(Some("label=Dog"), now).unwrap_err();
        assert!(problem.message().contains("there are since and until"), "{}", problem.message());
    }

    #[test]
    fn a_query_is_read() {
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let query = "label=Dog&source=a&source=b&since=7d&zone=Asia%2FTokyo&until=2026-11-29&confirmed=true&marked=none&by=day&by=hour&before=12.-3&limit=7";
        let expected = Asked {
            wanted: Wanted {
                from: Some("2026-11-22T12:00:00Z".parse().unwrap()),
                until: Some("2026-11-28T15:00:00Z".parse().unwrap()),
                labels: vec!["Dog".to_owned()],
                sources: vec!["a".to_owned(), "b".to_owned()],
                outcome: WantedOutcome::Confirmed,
                marked: WantedMark::None,
            },
            by: vec![By::Day, By::Hour],
            zone: TimeZone::get("Asia/Tokyo").unwrap(),
            before: Some(Cursor(12, -3)),
            limit: 7,
        };
        assert_eq!(asked(Some(query), now), Ok(expected));
        for (query, said) in [
            ("lable=Dog", "there is no parameter \"lable\""),
            ("since=yesterday", "since: \"yesterday\" is no time"),
            ("confirmed=1", "confirmed must be true or false"),
            ("marked=good", "marked must be any, none, right, wrong or other"),
            ("by=month", "by must be hour, day, weekday or label"),
            ("before=12", "before must be the `next` of a page"),
            ("limit=1001", "limit must be a number from 1 to 1000"),
            ("zone=Mars", "there is no time zone \"Mars\""),
        ] {
            let problem = asked(Some(query), now).unwrap_err();
            assert!(problem.message().contains(said), "{}", problem.message());
        }
    }
}
