//! Counts the events that began, by label and source, where their lines come by: nothing is counted where nobody serves it. What was
//! counted is never taken back, as Prometheus wants it; `recent` is given the same lines.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::api::Api;
use crate::event::{Report, SoundEvent};
use crate::publish::filter::Filter;
use crate::publish::hub::Delivery;

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
    fn add(&self, event: &SoundEvent) {
        let key = (event.subject.slug.clone(), event.source.to_string());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }
}

/// Counts until the hub is gone.
pub async fn count(api: &Api) {
    let (mut subscription, _) = api.shared.hub.connect();
    subscription.subscribe(Filter { types: vec!["event".to_owned()], ..Filter::default() }, None, None);
    while let Some(delivery) = subscription.next().await {
        let Delivery::Published(published) = delivery else { continue };
        if let Report::EventStart(event) = &published.report {
            api.tally.add(event);
        }
        api.recent.hear(&published.report, Timestamp::now());
    }
}
