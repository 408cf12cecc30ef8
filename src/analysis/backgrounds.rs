//! The backgrounds of the sources that are not attached: each source has its own back when it returns.
//!
//! A source that was lost or paused, and a daemon that is started anew, would otherwise announce a sound that is always there until
//! the background is learnt again, which takes half a minute. A background is kept for an hour, for later the place may sound
//! different.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::ear::Ear;

/// How long a background is kept.
const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// The backgrounds of sources by their names.
#[derive(Debug, Default)]
pub struct Backgrounds(pub BTreeMap<Arc<str>, Background>);

/// The background of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Background {
    /// When the source was last heard.
    pub heard: Timestamp,
    /// The log odds of the labels and groups that were always there, by their slugs.
    pub labels: BTreeMap<String, f32>,
}

impl Backgrounds {
    /// Keeps the background that the ear of a source has learnt.
    pub(super) fn keep(&mut self, source: &Arc<str>, ear: &Ear) {
        let learnt = ear.detector().backgrounds();
        let labels = learnt.map(|(rule, background)| (rule.subject.slug.clone(), background)).collect();
        self.0.insert(source.clone(), Background { heard: Timestamp::now(), labels });
    }

    /// Gives a new ear the background of its source, if there is one that is not too old.
    pub(super) fn restore(&self, source: &str, ear: &mut Ear) {
        let Some(background) = self.0.get(source) else { return };
        // A wall clock that was set back makes the age negative, and nobody knows how old the background is.
        let age = Timestamp::now().duration_since(background.heard);
        if !age.is_negative() && age <= LIFETIME {
            ear.set_backgrounds(|rule| background.labels.get(&rule.subject.slug).copied());
        }
    }
}
