//! `/api/v1/clips`: the clips as a list, the sound of one with ranges, and how one is locked or deleted. All of it, hearing too, takes the
//! rights of a change. An id from a request is looked up in the store, and only the name that stands there becomes a path.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tower_http::services::ServeFile;
use uuid::Uuid;

use super::api::{Api, done, fields};
use super::events::pairs;
use super::history;
use super::problem::Problem;
use crate::publish::clips::name::ClipName;
use crate::publish::clips::shelf::{Shelf, ShelfError, open_file};
use crate::publish::settings::ClipFormat;
use crate::publish::wire::{ClipList, ListedClip};

/// The clips of a list, where the request does not say, and at most.
const LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;

/// The beginning of all paths here, whose requests need the rights of a change whatever their method is.
pub const PREFIX: &str = "/api/v1/clips";

impl From<ShelfError> for Problem {
    fn from(error: ShelfError) -> Self {
        match error {
            ShelfError::None(_) => Problem::new(StatusCode::NOT_FOUND, "no_clip", error.to_string()),
            ShelfError::Store(_) | ShelfError::Folder { .. } => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unreadable", error.to_string())
            }
        }
    }
}

/// Does something with the folder of the clips, on a thread that may wait for the disk.
async fn with_shelf<T: Send + 'static>(
    api: &Api,
    work: impl FnOnce(&Shelf) -> Result<T, ShelfError> + Send + 'static,
) -> Result<T, Problem> {
    let folder: Option<PathBuf> = api.shared.stats.clips().map(|clips| clips.folder.clone());
    let (Some(folder), Some(store)) = (folder, history::path(api)) else {
        let message = "this daemon keeps no clips; [clips] enabled = true in its configuration turns that on";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_clips", message));
    };
    let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many ask the store just now; ask again");
    // The semaphore is never closed.
    let _reader = api.readers.acquire().await.map_err(|_| busy())?;
    let done = tokio::task::spawn_blocking(move || work(&Shelf::open(&folder, &store)?)).await;
    Ok(done.map_err(|_| busy())??)
}

fn event(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| Problem::new(StatusCode::NOT_FOUND, "no_clip", "this is the id of no event"))
}

/// `GET /api/v1/clips?limit=`
pub async fn list(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Json<ClipList>, Problem> {
    let mut limit = LIMIT;
    for (key, value) in pairs(query.as_deref())? {
        let number = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit = match (key.as_str(), number) {
            ("limit", Some(number)) => number,
            ("limit", None) => {
                return Err(Problem::bad_request(format!("limit must be a number from 1 to 10000, but it is {value:?}")));
            }
            _ => return Err(Problem::bad_request(format!("there is no parameter {key:?}; there is limit"))),
        };
    }
    let rows = history::read(&api, move |history| history.clips(limit)).await?;
    Ok(Json(ClipList { clips: rows.iter().map(ListedClip::from).collect() }))
}

/// `GET /api/v1/clips/{id}`
pub async fn sound(State(api): State<Arc<Api>>, Path(id): Path<String>, request: Request) -> Result<Response, Problem> {
    let event = event(&id)?;
    let found = with_shelf(&api, move |shelf| shelf.find(event).map(|(_, file, path)| (file, open_file(&path)))).await?;
    let gone = || Problem::new(StatusCode::NOT_FOUND, "no_clip", "the file of this clip is gone");
    let (file, Ok(opened)) = found else { return Err(gone()) };
    // The name was followed once, by the open file, and may mean another one by now.
    let served = ServeFile::new(format!("/proc/self/fd/{}", opened.as_raw_fd())).try_call(request).await;
    let mut answer = served.map_err(|_| gone())?.map(axum::body::Body::new);
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(gone());
    }
    if answer.status().is_success()
        && let Some(ClipName { format, .. }) = ClipName::read(&file)
    {
        let kind = match format {
            ClipFormat::Flac => "audio/flac",
            ClipFormat::Wav => "audio/wav",
        };
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Ok(named) = HeaderValue::from_str(&format!("inline; filename=\"{file}\"")) {
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, named);
    }
    Ok(answer.into_response())
}

/// `PATCH /api/v1/clips/{id}`
pub async fn change(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<ListedClip>, Problem> {
    let event = event(&id)?;
    let mut fields = fields(&headers, &body)?;
    let (Some(Value::Bool(is_locked)), true) = (fields.remove("locked"), fields.is_empty()) else {
        return Err(Problem::bad_request("a change of a clip has the field \"locked\", true or false, and no other"));
    };
    let row = with_shelf(&api, move |shelf| shelf.lock(event, is_locked)).await?;
    Ok(Json(ListedClip::from(&row)))
}

/// `DELETE /api/v1/clips/{id}`
pub async fn delete(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let event = event(&id)?;
    with_shelf(&api, move |shelf| shelf.delete(event)).await?;
    Ok(done("delete"))
}
