//! Counts the events that began, by label and source, where their lines come by: nothing is counted where nobody serves it. What was
//! counted is never taken back, as Prometheus wants it; `recent` is given the same lines.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;

use super::api::Api;
use crate::publish::filter::Filter;
use crate::publish::wire::Event;

/// The events that began since the sink did, by their label's slug and source. There are no more labels than the model and the
/// configuration name.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<(String, String), u64>>);

impl Tally {
    /// What was counted so far.
    pub fn all(&self) -> BTreeMap<(String, String), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts an event that began.
    fn add(&self, event: &Event) {
        let key = (event.slug.clone(), event.source.clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }
}

/// What a line tells of an event.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    event: Event,
}

/// Counts until the hub is gone.
pub async fn count(api: &Api) {
    let (mut subscription, _) = api.shared.hub.connect();
    subscription.subscribe(Filter { types: vec!["event".to_owned()], ..Filter::default() }, None, None);
    while let Some(line) = subscription.next().await {
        let Ok(Told { kind, event }) = serde_json::from_str(&line) else { continue };
        if kind == "event.start" {
            api.tally.add(&event);
        }
        api.recent.hear(&kind, &event, Timestamp::now());
    }
}
