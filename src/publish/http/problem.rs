//! Refusals: `{"code":"unknown_label","message":"…"}` with a fitting HTTP status. The codes are those of the socket and a few
//! more.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::publish::answer::Refusal;
use crate::publish::wire::BadRequest;

/// A refused request: the HTTP status and the body of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    body: Refused,
}

/// The body of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refused {
    /// For programs.
    code: &'static str,
    /// For people.
    message: String,
}

impl Problem {
    /// A refusal with this status, code and sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, body: Refused { code, message: message.into() } }
    }

    /// The refusal of a request that cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The same refusal as a conflict with the present state, where the request itself is right.
    pub fn or_conflict(self) -> Self {
        match self.body.code {
            "bad_request" => Self::new(StatusCode::CONFLICT, "conflict", self.body.message),
            _ => self,
        }
    }

    /// The code for programs.
    pub fn code(&self) -> &'static str {
        self.body.code
    }

    /// The sentence for people.
    #[cfg(test)]
    pub fn message(&self) -> &str {
        &self.body.message
    }

    /// The HTTP status.
    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// A refusal of the socket, with the HTTP status that fits its code.
impl From<Refusal> for Problem {
    fn from(Refusal(code, message): Refusal) -> Self {
        let status = match code {
            "unknown_label" | "unknown_name" | "no_store" => StatusCode::NOT_FOUND,
            "conflict" => StatusCode::CONFLICT,
            "forbidden" => StatusCode::FORBIDDEN,
            "too_long" => StatusCode::PAYLOAD_TOO_LARGE,
            "busy" | "store_unwritable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, code, message)
    }
}

impl From<BadRequest> for Problem {
    fn from(bad: BadRequest) -> Self {
        Self::bad_request(bad.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
