//! The interface for programs: the same words as on the socket.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use crate::publish::server::Shared;
use crate::publish::wire::Status;

/// What the answers are made of.
pub struct Api {
    /// The hub, the daemon's health, and the way to the pipeline.
    pub shared: Arc<Shared>,
    /// Becomes true when streams are to end.
    pub stop: watch::Receiver<bool>,
}

/// `GET /api/v1/status`
pub async fn status(State(api): State<Arc<Api>>) -> Json<Status> {
    Json(api.shared.status())
}

/// Whatever else is asked for.
pub async fn nothing() -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing here; /api/v1/openapi.json says what there is")
}

/// A refusal: `{"code":404,"message":"…"}`.
pub fn problem(status: StatusCode, message: &str) -> Response {
    let body = serde_json::json!({ "code": status.as_u16(), "message": message });
    (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
