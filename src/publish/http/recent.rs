//! `GET /api/v1/counts`: the events of the last day by label and source, in half hours. They are in memory alone, and counted where their
//! lines come by; an event that is not borne out is taken back, and one that gets a better name is counted under that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::api::Api;
use crate::event::{EndReason, Report, SoundEvent};
use crate::publish::wire::time;

/// How long the events of a bucket are, in seconds.
const BUCKET_S: i64 = 1_800;
/// So many buckets are a day.
const BUCKETS: i64 = 48;
/// The most open events that are remembered; the oldest is forgotten then, and stays counted as it is.
const MOST_OPEN: usize = 4_096;
/// The most labels of all sources that are counted: more than the largest model and many sources have.
const MOST_SERIES: usize = 16_384;

/// The events of the last day.
#[derive(Debug)]
pub struct Recent {
    began: Timestamp,
    day: Mutex<Day>,
}

#[derive(Debug, Default)]
struct Day {
    series: BTreeMap<Key, Series>,
    /// The open events by their ids, which sort by the time they were made at.
    open: BTreeMap<Uuid, CountedIn>,
    /// The half hour up to which the buckets have slid.
    slid_to: Option<i64>,
}

/// A label's slug and a source.
type Key = (String, String);

/// The events of a label in a source.
#[derive(Debug, Default)]
struct Series {
    label: String,
    /// How many, by the number of the half hour since 1970; those without any are not there.
    events: BTreeMap<i64, u64>,
}

/// Where an open event is counted.
#[derive(Debug)]
struct CountedIn {
    key: Key,
    bucket: i64,
}

/// The answer.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// When the answer was made.
    now: String,
    /// When counting began.
    began: String,
    /// How long a bucket is, in seconds.
    bucket_s: i64,
    /// Every label of a source that was heard in it.
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
    /// How many began in each half hour of UTC, 48 of them, the oldest first; the last is the one that runs now.
    events: Vec<u64>,
}

impl Recent {
    /// Nothing is counted before `began`.
    pub fn new(began: Timestamp) -> Self {
        Self { began, day: Mutex::default() }
    }

    /// Counts by a report, at the time `now`.
    pub fn hear(&self, report: &Report, now: Timestamp) {
        // What a user made up to see an automation work was never heard.
        if report.source().is_some_and(|source| **source != *"test") {
            self.day.lock().unwrap_or_else(PoisonError::into_inner).hear(report, bucket(now));
        }
    }

    /// What there is to tell.
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

/// The number of the half hour that a moment lies in.
fn bucket(at: Timestamp) -> i64 {
    at.as_second().div_euclid(BUCKET_S)
}

fn key(event: &SoundEvent) -> Key {
    (event.subject.slug.clone(), event.source.to_string())
}

impl Day {
    fn hear(&mut self, report: &Report, now: i64) {
        self.slide(now);
        match report {
            Report::EventStart(event) => {
                // A clock that was set back makes what was just heard lie ahead.
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

    /// Lets go of what is older than a day. What lies ahead, after the clock was set back, belongs to the half hour that runs now.
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
        // What is counted nowhere any more cannot be taken back, not even when the clock is set back to that day.
        self.open.retain(|_, open| {
            open.bucket = open.bucket.min(now);
            open.bucket > now - BUCKETS
        });
    }

    /// Counts an event, and says whether there was room.
    fn add(&mut self, key: &Key, label: &str, bucket: i64) -> bool {
        if self.series.len() >= MOST_SERIES && !self.series.contains_key(key) {
            return false;
        }
        let series = self.series.entry(key.clone()).or_default();
        label.clone_into(&mut series.label);
        *series.events.entry(bucket).or_default() += 1;
        true
    }

    /// Counts an open event under the name that it has now.
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

    /// Counts an event no longer.
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

/// `GET /api/v1/counts`
pub async fn counts(State(api): State<Arc<Api>>) -> Json<Counts> {
    Json(api.recent.answer(Timestamp::now()))
}

#[cfg(test)]
mod tests;
