//! The request `subscribe` of a client of the socket or of HTTP: it sets a new filter and begins the stream of lines that pass
//! it.

use jiff::Timestamp;

use super::answer::Refusal;
use super::filter::Filter;
use super::hub::{Delivery, Subscription};
use super::shared::Shared;
use super::wire::{Body, Line, Request};

/// The beginning of a client's stream with a new filter. The fields are in the order in which they are sent.
#[derive(Debug)]
pub struct StreamStart {
    /// The deliveries that passed the old filter and wait.
    pub before: Vec<Delivery>,
    /// The `subscribed` line: the filter as it was understood.
    pub subscribed: Line,
    /// The replay of earlier reports. It begins with the number of those that the hub no longer holds, if there are any.
    pub replay: Vec<Delivery>,
}

impl Shared {
    /// Sets the filter of a `subscribe`.
    ///
    /// # Errors
    /// The reason why the filter is not valid. The old filter stays.
    pub fn subscribe(&self, subscription: &mut Subscription, request: &Request) -> Result<StreamStart, Refusal> {
        let directory = self.directory();
        let filter = Filter::new(request, &directory.labels, &directory.groups());
        let filter = filter.map_err(|bad| Refusal(bad.code, bad.message))?;
        let (since, instance) = match request {
            Request::Subscribe { since, instance, .. } => (*since, instance.as_deref()),
            _ => (None, None),
        };
        let Filter { labels, sources, types, min_score, confirmed } = filter.clone();
        let start = subscription.subscribe(filter, since, instance);
        let subscribed = Body::Subscribed { labels, sources, types, min_score, confirmed, restarted: start.restarted };
        let gone = (start.gone > 0).then_some(Delivery::Dropped(start.gone));
        Ok(StreamStart {
            before: start.before,
            subscribed: Line { seq: Some(start.seq), ..Line::new(Timestamp::now(), subscribed) },
            replay: gone.into_iter().chain(start.reports.into_iter().map(Delivery::Published)).collect(),
        })
    }
}
