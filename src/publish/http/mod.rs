//! The HTTP sink: a page for people, an interface for programs, metrics for Prometheus.
//!
//! `server` accepts connections and bounds them, `guard` decides who may ask, `api` answers. Invariant: nothing is served that the socket
//! would not tell, and nothing is changed but by the requests that the socket takes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;

use super::secret;
use super::server::down;
use super::sinks::Context;
use crate::config::sinks::{HttpConfig, Listen};

mod api;
mod guard;
mod server;

/// How long to wait before the address is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Serves until the context says stop; where that is impossible it says why, in the log and in `status`, and tries again.
pub async fn run(config: HttpConfig, mut context: Context) {
    loop {
        let reason = match serve(&config, &context).await {
            Ok(()) => return,
            Err(reason) => reason,
        };
        if context.stats.fall(reason.clone()) {
            tracing::error!(sink = "http", reason, "the page is not served; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = down(&mut context.stop) => return,
        }
    }
}

/// Serves until the context says stop.
///
/// # Errors
/// One sentence that says why nothing can be served.
async fn serve(config: &HttpConfig, context: &Context) -> Result<(), String> {
    let token = secret::read(config.token_file.as_deref(), "MIMID_HTTP_TOKEN", "http_token")?;
    let guard = Arc::new(guard::Guard::new(config, token)?);
    let listener = server::Listener::bind(&config.listen).await?;
    if context.stats.rise() {
        let address = listener.address().unwrap_or_else(|| config.listen.to_string());
        tracing::info!(sink = "http", address, "serving");
    }
    let app = router(Arc::new(api::Api { shared: context.shared.clone(), stop: context.stop.clone() }));
    let is_local = matches!(&config.listen, Listen::Unix(_));
    let app = app.layer(axum::middleware::from_fn_with_state((guard, is_local), guard::check));
    server::serve(listener, app, context.stats.clone(), context.stop.clone()).await;
    Ok(())
}

fn router(api: Arc<api::Api>) -> Router {
    Router::new().route("/api/v1/status", get(api::status)).fallback(api::nothing).with_state(api)
}
