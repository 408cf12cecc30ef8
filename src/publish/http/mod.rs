//! The HTTP sink: an interface for programs, a page for people, and metrics for Prometheus.
//!
//! `server` accepts connections and bounds them (`patient` gives up those that take nothing), `guard` decides who may ask and `sessions`
//! knows the browsers that are logged in, `routes` is the list of what there is, which `openapi` describes. `api` answers what the socket
//! answers, `labels` the thresholds, `events` and `websocket` stream, `live` shows what a source hears, `health` says whether it hears,
//! `metrics` is for Prometheus, with what `tally` has counted, `recent` counts the last day; `page` is for people; `problem` is every refusal.
//!
//! Invariant: nothing is served that the socket would not tell, and nothing is changed but by the requests that the socket takes, and
//! in the configuration file by its editor.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::secret;
use super::shared::down;
use super::sinks::Context;
use crate::publish::settings::HttpConfig;

mod api;
mod events;
mod guard;
mod health;
mod labels;
mod live;
mod metrics;
mod openapi;
mod page;
mod patient;
mod problem;
mod recent;
mod routes;
mod server;
mod sessions;
mod tally;
mod websocket;

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
            tracing::error!(sink = "http", reason, "nothing is served; it is tried again");
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
    let guard = Arc::new(guard::Guard::new(config, token.as_deref(), context.shared.access)?);
    let listener = server::Listener::bind(&config.listen).await?;
    if context.stats.rise() {
        let address = listener.address().unwrap_or_else(|| config.listen.to_string());
        tracing::info!(sink = "http", address, "serving");
    }
    let api = Arc::new(api::Api {
        shared: context.shared.clone(),
        stats: context.stats.clone(),
        stop: context.stop.clone(),
        guard,
        health: health::Health::default(),
        tally: tally::Tally::default(),
        recent: recent::Recent::new(Timestamp::now()),
        lookers: Arc::new(Semaphore::new(live::MAX_LOOKERS)),
        began: SystemTime::now() - context.shared.stats.started.elapsed(),
        saving: tokio::sync::Mutex::default(),
    });
    let app = routes::router(api.clone());
    tokio::select! {
        () = server::serve(listener, app, context.stats.clone(), context.stop.clone()) => {}
        // Neither ends before the daemon does.
        () = health::watch(&api) => {}
        () = tally::count(&api) => {}
    }
    Ok(())
}
