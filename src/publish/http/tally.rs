//! Counts started events by label and source, as a subscriber of the hub. The counts only grow, as Prometheus requires. The same
//! subscription feeds `recent`. Nothing is counted while the sink is off.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::api::Api;
use crate::event::{Report, SoundEvent};
use crate::publish::filter::Filter;
use crate::publish::hub::Delivery;

/// The number of events since the sink's start, by label slug and source. Its size is bounded by the labels of the model and the
/// configuration.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<(String, String), u64>>);

impl Tally {
    /// The counts so far.
    pub fn all(&self) -> BTreeMap<(String, String), u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a started event.
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
