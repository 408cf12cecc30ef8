//! `GET /api/v1/counts`: the events of the last day by label, source and half hour. They come from the store where there is one; the
//! counts of this sink are only in memory.
//!
//! An event that is not confirmed is taken back, and an event that gets a more exact label is counted under that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::api::Api;
use super::history;
use crate::event::{EndReason, Report, SoundEvent};
use crate::publish::store::history::HalfHour;
use crate::publish::wire::time;

/// The length of a bucket, in seconds.
const BUCKET_S: i64 = 1_800;
/// The number of buckets: one day.
const BUCKETS: i64 = 48;
/// The most open events that are remembered. Beyond that the oldest is forgotten, and its count stays.
const MOST_OPEN: usize = 4_096;
/// The most pairs of a label and a source: more than the largest model with many sources has.
const MOST_SERIES: usize = 16_384;

/// The events of the last day.
#[derive(Debug)]
pub struct Recent {
    began: Timestamp,
    day: Mutex<DayCounts>,
}

#[derive(Debug, Default)]
struct DayCounts {
    series: BTreeMap<Key, Series>,
    /// The open events by their ids, which sort by the time they were made at.
    open: BTreeMap<Uuid, CountedIn>,
    /// The newest bucket at the last slide.
    slid_to: Option<i64>,
}

/// A label's slug and a source's name.
type Key = (String, String);

/// The events of a label in a source.
#[derive(Debug, Default)]
struct Series {
    label: String,
    /// The number of events by bucket; empty buckets are left out.
    events: BTreeMap<i64, u64>,
}

/// Where an open event is counted.
#[derive(Debug)]
struct CountedIn {
    key: Key,
    bucket: i64,
}

/// The answer of `counts`.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// When the answer was made.
    now: String,
    /// When counting began.
    began: String,
    /// How long a bucket is, in seconds.
    bucket_s: i64,
    /// The counts of every label and source with any event.
    counts: Vec<Count>,
}

/// The events of one label in one source.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Count {
    /// The label's display name, or the group's name.
    label: String,
    /// The name as an identifier.
    slug: String,
    /// The source's name.
    source: String,
    /// The number of events that began in each half hour of UTC, 48 numbers, the oldest first. The last half hour is the present
    /// one.
    events: Vec<u64>,
}

impl Recent {
    /// No counts, as of `began`.
    pub fn new(began: Timestamp) -> Self {
        Self { began, day: Mutex::default() }
    }

    /// Takes a report into account at the time `now`. Only those of events matter.
    pub fn hear(&self, report: &Report, now: Timestamp) {
        // Test events, with which a user tries an automation, were never heard.
        if report.source().is_some_and(|source| **source != *"test") {
            self.day.lock().unwrap_or_else(PoisonError::into_inner).hear(report, bucket(now));
        }
    }

    /// The counts at the time `now`.
    pub fn answer(&self, now: Timestamp) -> Counts {
        let mut day = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = bucket(now);
        day.slide(newest);
        let counts = day.series.iter().map(|((slug, source), series)| Count {
            label: series.label.clone(),
            slug: slug.clone(),
            source: source.clone(),
            events: (newest - BUCKETS + 1..=newest).map(|bucket| series.events.get(&bucket).copied().unwrap_or(0)).collect(),
        });
        Counts { now: time(now), began: time(self.began.min(now)), bucket_s: BUCKET_S, counts: counts.collect() }
    }
}

/// The bucket of a time: the number of its half hour since 1970.
fn bucket(at: Timestamp) -> i64 {
    at.as_second().div_euclid(BUCKET_S)
}

fn key(event: &SoundEvent) -> Key {
    (event.subject.slug.clone(), event.source.to_string())
}

impl DayCounts {
    fn hear(&mut self, report: &Report, now: i64) {
        self.slide(now);
        match report {
            Report::EventStart(event) => {
                // After the clock was set back, an onset can lie ahead.
                let (key, bucket) = (key(event), bucket(event.onset).min(now));
                if bucket > now - BUCKETS && self.add(&key, &event.subject.name, bucket) {
                    self.open.insert(event.id, CountedIn { key, bucket });
                    if self.open.len() > MOST_OPEN {
                        self.open.pop_first();
                    }
                }
            }
            Report::EventUpdate(event) => self.rename(event),
            Report::EventEnd(event, reason) => {
                self.rename(event);
                if let Some(open) = self.open.remove(&event.id)
                    && *reason == EndReason::Unconfirmed
                {
                    self.take_back(&open.key, open.bucket);
                }
            }
            _ => {}
        }
    }

    /// Forgets events older than a day. Events that lie ahead, after the clock was set back, move to the present half hour.
    fn slide(&mut self, now: i64) {
        if self.slid_to.replace(now) == Some(now) {
            return;
        }
        self.series.retain(|_, series| {
            let ahead: u64 = series.events.split_off(&(now + 1)).into_values().sum();
            series.events = series.events.split_off(&(now - BUCKETS + 1));
            if ahead > 0 {
                *series.events.entry(now).or_default() += ahead;
            }
            !series.events.is_empty()
        });
        // Events that are no longer counted must not be taken back, not even after the clock is set back to their day.
        self.open.retain(|_, open| {
            open.bucket = open.bucket.min(now);
            open.bucket > now - BUCKETS
        });
    }

    /// Counts an event, and returns whether there was room.
    fn add(&mut self, key: &Key, label: &str, bucket: i64) -> bool {
        if self.series.len() >= MOST_SERIES && !self.series.contains_key(key) {
            return false;
        }
        let series = self.series.entry(key.clone()).or_default();
        label.clone_into(&mut series.label);
        *series.events.entry(bucket).or_default() += 1;
        true
    }

    /// Moves the count of an open event to its present label.
    fn rename(&mut self, event: &SoundEvent) {
        let key = key(event);
        if self.open.get(&event.id).is_some_and(|open| open.key != key)
            && let Some(CountedIn { key: old, bucket }) = self.open.remove(&event.id)
        {
            self.take_back(&old, bucket);
            if self.add(&key, &event.subject.name, bucket) {
                self.open.insert(event.id, CountedIn { key, bucket });
            }
        }
    }

    /// Takes the count of an event back.
    fn take_back(&mut self, key: &Key, bucket: i64) {
        let Some(series) = self.series.get_mut(key) else { return };
        if let Some(n) = series.events.get_mut(&bucket) {
            *n -= 1;
            series.events.retain(|_, n| *n > 0);
        }
        if series.events.is_empty() {
            self.series.remove(key);
        }
    }
}

/// The answer of the store's half hours.
fn from_store(kept: Vec<HalfHour>, began: Timestamp, now: Timestamp) -> Counts {
    let newest = bucket(now);
    let mut series: BTreeMap<Key, (String, Vec<u64>)> = BTreeMap::new();
    for HalfHour { bucket, subject, source, events } in kept {
        let (_, counts) = series
            .entry((subject.slug.clone(), source.to_string()))
            .or_insert_with(|| (subject.name.clone(), vec![0; BUCKETS as usize]));
        // After the clock was set back, an onset can lie ahead.
        let at = usize::try_from(bucket.min(newest) - (newest - BUCKETS + 1)).unwrap_or(0);
        counts[at] += events;
    }
    let counts = series.into_iter().map(|((slug, source), (label, events))| Count { label, slug, source, events });
    Counts { now: time(now), began: time(began.min(now)), bucket_s: BUCKET_S, counts: counts.collect() }
}

/// `GET /api/v1/counts`
pub async fn counts(State(api): State<Arc<Api>>) -> Json<Counts> {
    let now = Timestamp::now();
    let newest = bucket(now);
    if history::path(&api).is_some() {
        let kept = history::read(&api, move |history| Ok((history.half_hours(newest - BUCKETS + 1)?, history.began()?)));
        match kept.await {
            Ok((kept, began)) => return Json(from_store(kept, began.unwrap_or(now), now)),
            Err(error) => tracing::debug!(?error, "the counts are those of this start, because the store gives none"),
        }
    }
    Json(api.recent.answer(now))
}

#[cfg(test)]
mod tests;
