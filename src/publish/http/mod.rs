//! The HTTP sink: an interface for programs, a page for people, and metrics for Prometheus.
//!
//! `server` accepts connections and limits them, `write_timeout` drops those that take nothing. `guard` decides who may make
//! requests, `sessions` knows the browsers that are logged in. `routes` lists the paths, `openapi` describes them.
//!
//! `api` answers the requests of the socket, `labels` those about thresholds. `events` and `websocket` stream reports, `live`
//! streams the newest spectrogram and scores of a source. `health` judges whether the sources are heard, `metrics` serves
//! Prometheus, `tally` counts events for it and `recent` those of the last day. `history` reads the store, and `clips` serves sound that is kept. `page` serves the page for people, `problem` is
//! the body of every refusal.
//!
//! Invariant: HTTP serves no data that the socket would not serve, and changes the daemon and its configuration file only by
//! requests to the pipeline; only clips are locked and deleted at once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::shared::down;
use super::sinks::Context;
use crate::publish::settings::HttpConfig;
use crate::secret;

mod api;
mod clips;
mod events;
mod guard;
mod health;
mod history;
mod labels;
mod live;
mod marks;
mod metrics;
mod openapi;
mod page;
mod problem;
mod recent;
mod routes;
mod server;
mod sessions;
mod tally;
mod websocket;
mod write_timeout;

/// The environment variable with the access token, and systemd's credential.
const TOKEN_VARIABLE: &str = "MIMID_HTTP_TOKEN";
const TOKEN_CREDENTIAL: &str = "http_token";
/// The pause before the next attempt to listen.
const RETRY: Duration = Duration::from_secs(5);

/// Judges what a start of the sink would: the access token for the address.
///
/// # Errors
/// The reason why nothing would be served, as one sentence.
pub(crate) fn judge(config: &HttpConfig) -> Result<(), String> {
    guard::judge(config, secret::read(config.token_file.as_deref(), TOKEN_VARIABLE, TOKEN_CREDENTIAL)?.as_deref())
}

/// Serves until the sink is to stop. A failure is shown in the log and in `status`, and the next attempt follows after a pause.
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

/// Serves until the sink is to stop.
///
/// # Errors
/// The reason why nothing can be served, as one sentence.
async fn serve(config: &HttpConfig, context: &Context) -> Result<(), String> {
    let token = secret::read(config.token_file.as_deref(), TOKEN_VARIABLE, TOKEN_CREDENTIAL)?;
    let guard = Arc::new(guard::Guard::new(config, token.as_deref(), context.shared.access)?);
    let listener = server::HttpListener::bind(&config.listen).await?;
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
        readers: Semaphore::new(history::MAX_READERS),
        viewers: Arc::new(Semaphore::new(live::MAX_VIEWERS)),
        began: SystemTime::now() - context.shared.stats.started.elapsed(),
    });
    let app = routes::router(api.clone());
    tokio::select! {
        () = server::serve(listener, app, context.stats.clone(), context.stop.clone()) => {}
        // Neither of the two ends before the daemon.
        () = health::watch(&api) => {}
        () = tally::count(&api) => {}
    }
    Ok(())
}
