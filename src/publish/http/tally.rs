//! Counts the events that began, by label and source, where their lines come by: nothing is counted where nobody serves it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

use super::api::Api;
use crate::publish::filter::Filter;

/// The events that began since the sink did, by their label's slug and source. There are no more labels than the model and the
/// configuration name.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<(String, String), u64>>);

impl Tally {
    /// What was counted so far.
    pub fn all(&self) -> BTreeMap<(String, String), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a line's event.
    pub fn add(&self, line: &str) {
        #[derive(Deserialize)]
        struct Begun {
            event: Named,
        }
        #[derive(Deserialize)]
        struct Named {
            slug: String,
            source: String,
        }
        if let Ok(Begun { event: Named { slug, source } }) = serde_json::from_str(line) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((slug, source)).or_default() += 1;
        }
    }
}

/// Counts until the hub is gone.
pub async fn count(api: &Api) {
    let (mut subscription, _) = api.shared.hub.connect();
    subscription.subscribe(Filter { types: vec!["event.start".to_owned()], ..Filter::default() }, None, None);
    while let Some(line) = subscription.next().await {
        api.tally.add(&line);
    }
}
