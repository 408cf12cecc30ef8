//! The routes: each path with its method and handler, and whether it needs the access token.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use super::api::{self, Api};
use super::problem::Problem;
use super::{clips, events, guard, health, history, labels, live, marks, metrics, openapi, page, recent, server};

/// A path, its method as OpenAPI spells it, and its handler.
type Route = (&'static str, &'static str, MethodRouter<Arc<Api>>);

/// The routes without a token: the page, which holds no data, and its log-in.
pub fn open() -> Vec<Route> {
    vec![
        ("/", "get", get(page::page)),
        ("/history", "get", get(page::history)),
        ("/page/{part}", "get", get(page::part)),
        ("/docs/{document}", "get", get(page::document)),
        ("/api/v1/login", "post", post(api::log_in)),
        ("/api/v1/logout", "post", post(api::log_out)),
    ]
}

/// The routes behind the token, where there is one.
pub fn closed() -> Vec<Route> {
    vec![
        ("/api/v1/events", "get", get(events::events)),
        ("/api/v1/live", "get", get(live::live)),
        ("/api/v1/history", "get", get(history::history)),
        ("/api/v1/history/gaps", "get", get(history::gaps)),
        ("/api/v1/history/{id}", "get", get(history::event)),
        ("/api/v1/history/{id}/mark", "post", post(marks::mark)),
        ("/api/v1/history/{id}/mark", "delete", delete(marks::unmark)),
        ("/api/v1/clips", "get", get(clips::list)),
        ("/api/v1/clips/{id}", "get", get(clips::sound)),
        ("/api/v1/clips/{id}", "patch", patch(clips::change)),
        ("/api/v1/clips/{id}", "delete", delete(clips::delete)),
        ("/api/v1/counts", "get", get(recent::counts)),
        ("/api/v1/status", "get", get(api::status)),
        ("/api/v1/top", "get", get(api::top)),
        ("/api/v1/config", "get", get(api::config)),
        ("/api/v1/labels", "get", get(labels::list)),
        ("/api/v1/labels/{slug}", "patch", patch(labels::change)),
        ("/api/v1/labels/{slug}/reported", "put", put(labels::choose)),
        ("/api/v1/pause", "post", post(api::pause)),
        ("/api/v1/resume", "post", post(api::resume)),
        ("/api/v1/reload", "post", post(api::reload)),
        ("/api/v1/test", "post", post(api::test)),
        ("/api/v1/openapi.json", "get", get(openapi::describe)),
        ("/metrics", "get", get(metrics::metrics)),
        ("/healthz", "get", get(health::healthz)),
    ]
}

/// All routes behind the guard.
pub fn router(api: Arc<Api>) -> Router {
    let guard = api.guard.clone();
    let add = |router: Router<Arc<Api>>, (path, _, answer): Route| router.route(path, answer);
    let closed = closed().into_iter().fold(Router::new(), add).fallback(nothing).method_not_allowed_fallback(wrong_method);
    let closed = closed.layer(from_fn_with_state(guard.clone(), guard::check_token));
    let open = open().into_iter().fold(Router::new(), add).method_not_allowed_fallback(wrong_method);
    let all = open.merge(closed).with_state(api);
    all.layer(from_fn(server::bound_body)).layer(from_fn_with_state(guard, guard::check_site))
}

async fn nothing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here; /api/v1/openapi.json says what there is")
}

async fn wrong_method() -> Problem {
    let message = "this path takes another method; /api/v1/openapi.json says which";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message)
}
