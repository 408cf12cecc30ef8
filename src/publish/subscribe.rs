//! The request `subscribe` of a client of the socket or of HTTP: it sets a new filter and begins the stream of lines that pass
//! it. Lines that the hub no longer holds are read from the store, a page at a time, while the client takes them.

use jiff::Timestamp;

use super::answer::Refusal;
use super::filter::Filter;
use super::follow::Follower;
use super::hub::{Delivery, REPLAY, Subscription, passing};
use super::shared::Shared;
use super::store::replay::Lines;
use super::wire::{Body, Line, Request};

/// The beginning of a client's stream with a new filter. The fields are in the order in which they are sent.
#[derive(Debug)]
pub struct StreamStart {
    /// The deliveries that passed the old filter and wait.
    pub before: Vec<Delivery>,
    /// The `subscribed` line: the filter as it was understood.
    pub subscribed: Line,
    /// The replay of earlier reports. It says how many of them are gone, in their places.
    pub replay: Replay,
}

/// The replay of earlier reports.
#[derive(Debug)]
pub struct Replay {
    /// Those that the hub holds.
    held: Vec<Delivery>,
    /// Those before.
    stored: Option<Stored>,
}

/// Lines that are read from the store.
#[derive(Debug)]
struct Stored {
    lines: Lines,
    follower: Follower,
    /// The number up to which they are read.
    until: u64,
}

impl Replay {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.stored.is_none()
    }

    /// The next deliveries; `None` at the end, from which on the subscription goes on by itself.
    pub async fn next(&mut self, subscription: &mut Subscription) -> Option<Vec<Delivery>> {
        while let Some(mut stored) = self.stored.take() {
            if let Some(reports) = subscription.go_on(&mut stored.follower, stored.until) {
                return Some(reports.into_iter().map(Delivery::Published).collect());
            }
            let (stored, passed) = stored.read(subscription.oldest()).await?;
            self.stored = Some(stored);
            if !passed.is_empty() {
                return Some(passed);
            }
        }
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then_some(held)
    }
}

impl Stored {
    /// Reads the next page of lines before a number. Those that cannot be read are counted.
    async fn read(mut self, before: u64) -> Option<(Self, Vec<Delivery>)> {
        let reading = tokio::task::spawn_blocking(move || {
            let page = self.lines.page(self.until, before);
            let mut passed = Vec::new();
            match page {
                Ok(page) => {
                    for delivery in page.lines {
                        match delivery {
                            Delivery::Published(published) => {
                                passed.extend(passing(&mut self.follower, &published).map(Delivery::Published));
                            }
                            missing => passed.push(missing),
                        }
                    }
                    self.until = page.until;
                }
                Err(error) => {
                    tracing::warn!(%error, "lines that a client asks for cannot be read from the store");
                    passed.push(Delivery::Dropped(before - 1 - self.until));
                    self.until = before - 1;
                }
            }
            (self, passed)
        });
        reading.await.ok()
    }
}

impl Shared {
    /// Sets the filter of a `subscribe`.
    ///
    /// # Errors
    /// The reason why the filter is not valid. The old filter stays.
    pub async fn subscribe(&self, subscription: &mut Subscription, request: &Request) -> Result<StreamStart, Refusal> {
        let directory = self.directory();
        let filter = Filter::new(request, &directory.labels, &directory.groups());
        let filter = filter.map_err(|bad| Refusal(bad.code, bad.message))?;
        let (since, instance) = match request {
            Request::Subscribe { since, instance, .. } => (*since, instance.clone()),
            _ => (None, None),
        };
        let Filter { labels, sources, types, min_score, confirmed } = filter.clone();
        let subscribed = |seq, restarted| {
            let body = Body::Subscribed { labels, sources, types, min_score, confirmed, restarted };
            Line { seq: Some(seq), ..Line::new(Timestamp::now(), body) }
        };
        let (is_own, stored) = match since {
            Some(since) => self.stored(since, instance.as_deref(), &filter).await,
            None => (false, None),
        };
        if let Some(stored) = stored {
            let (seq, before) = subscription.rest(stored.until);
            let replay = Replay { held: Vec::new(), stored: Some(stored) };
            return Ok(StreamStart { before, subscribed: subscribed(seq, false), replay });
        }
        // The store has the number's start of the daemon, and the hub holds all that came after it.
        let instance = if is_own { None } else { instance };
        let start = subscription.subscribe(filter, since, instance.as_deref());
        let gone = (start.gone > 0).then_some(Delivery::Dropped(start.gone));
        let held = gone.into_iter().chain(start.reports.into_iter().map(Delivery::Published)).collect();
        let subscribed = subscribed(start.seq, start.restarted);
        Ok(StreamStart { before: start.before, subscribed, replay: Replay { held, stored: None } })
    }

    /// Whether a number is one of this daemon or of an earlier one in its store, and the store's lines after it where the hub no longer
    /// holds them.
    async fn stored(&self, since: u64, instance: Option<&str>, filter: &Filter) -> (bool, Option<Stored>) {
        let (Some(store), oldest, own) = (&self.hub.store, self.hub.oldest(), self.hub.instance.to_string()) else {
            return (false, None);
        };
        let is_own = instance.is_none_or(|instance| instance == own);
        if since > self.hub.seq() || (is_own && since + 1 >= oldest) {
            return (is_own, None);
        }
        let (path, filter, instance) = (store.path.clone(), filter.clone(), instance.map(str::to_owned));
        let reading = tokio::task::spawn_blocking(move || {
            let mut lines = match Lines::open(&path) {
                Ok(lines) => lines,
                Err(error) => {
                    tracing::warn!(%error, "lines that a client asks for cannot be read from the store");
                    return (is_own, None);
                }
            };
            if !is_own && !instance.as_deref().is_some_and(|instance| lines.knows(instance)) {
                return (false, None);
            }
            // A number of this start that is lower than those in the file is from before the file could be opened.
            let first = lines.first_of(&own).filter(|_| is_own && instance.is_some()).unwrap_or(0);
            let until = since.max(first.saturating_sub(1));
            if until + 1 >= oldest {
                return (true, None);
            }
            // The starts of the events that the subscriber knows.
            let mut follower = Follower::new(filter);
            let mut known = until.saturating_sub(REPLAY as u64);
            while known < until {
                let Ok(page) = lines.page(known, until + 1) else { break };
                for delivery in page.lines {
                    if let Delivery::Published(published) = delivery {
                        passing(&mut follower, &published).for_each(drop);
                    }
                }
                known = page.until;
            }
            (true, Some(Stored { lines, follower, until }))
        });
        reading.await.unwrap_or((is_own, None))
    }
}
