//! `POST` and `DELETE /api/v1/history/{id}/mark`: say what an event of the store was, and take that back. Both answer with the event.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;

use super::api::{Api, fields, request};
use super::history::event_of;
use super::problem::Problem;
use crate::publish::wire::{KeptEvent, MarkKind, Request};

/// `POST /api/v1/history/{id}/mark`
pub async fn mark(
    State(api): State<Arc<Api>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<KeptEvent>, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    let mut fields = fields(&headers, &body)?;
    if fields.insert("id".to_owned(), id.into()).is_some() {
        return Err(Problem::bad_request("the path names the event; leave \"id\" out"));
    }
    let Request::Mark { id, mark, label } = request("mark", fields)? else {
        return Err(Problem::bad_request("this marks an event and nothing else"));
    };
    if mark == MarkKind::None {
        return Err(Problem::bad_request("mark must be right, wrong or other; DELETE takes a mark away"));
    }
    api.shared.mark(&id, mark, label.as_deref()).await?;
    event_of(&api, &id).await.map(Json)
}

/// `DELETE /api/v1/history/{id}/mark`
pub async fn unmark(State(api): State<Arc<Api>>, id: Result<Path<String>, PathRejection>) -> Result<Json<KeptEvent>, Problem> {
    let Path(id) = id.map_err(|rejection| Problem::bad_request(rejection.body_text()))?;
    api.shared.mark(&id, MarkKind::None, None).await?;
    event_of(&api, &id).await.map(Json)
}
