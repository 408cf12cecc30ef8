//! `subscribe`, from a client of the socket or of HTTP: a new filter, and the beginning of the stream under it.

use jiff::Timestamp;

use super::answer::Refusal;
use super::filter::Filter;
use super::hub::{Delivery, Subscription};
use super::shared::Shared;
use super::wire::{Body, Line, Request};

/// The beginning of a client's stream under a new filter, in the order in which it is sent.
#[derive(Debug)]
pub struct StreamStart {
    /// The deliveries that waited under the old filter.
    pub before: Vec<Delivery>,
    /// The `subscribed` line: the filter as it was understood.
    pub subscribed: Line,
    /// The count of the reports that are no longer held, and the replay of those that are.
    pub replay: Vec<Delivery>,
}

impl Shared {
    /// Puts the filter of a `subscribe` in force.
    ///
    /// # Errors
    /// Why the filter cannot be taken. Then the old one stays in force.
    pub fn subscribe(&self, subscription: &mut Subscription, request: &Request) -> Result<StreamStart, Refusal> {
        let directory = self.directory();
        let filter = Filter::new(request, &directory.labels, &directory.groups());
        let filter = filter.map_err(|bad| Refusal(bad.code, bad.message))?;
        let (since, instance) = match request {
            Request::Subscribe { since, instance, .. } => (*since, instance.as_deref()),
            _ => (None, None),
        };
        let Filter { labels, sources, types, min_score } = filter.clone();
        let start = subscription.subscribe(filter, since, instance);
        let subscribed = Body::Subscribed { labels, sources, types, min_score, restarted: start.restarted };
        let gone = (start.gone > 0).then_some(Delivery::Dropped(start.gone));
        Ok(StreamStart {
            before: start.before,
            subscribed: Line { seq: Some(start.seq), ..Line::new(Timestamp::now(), subscribed) },
            replay: gone.into_iter().chain(start.reports.into_iter().map(Delivery::Published)).collect(),
        })
    }
}
