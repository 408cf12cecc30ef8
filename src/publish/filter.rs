//! A subscriber's filter: the reports that it gets, by label, source, type, score and confirmation. `follow` applies it to events.

use crate::event::{ClipReport, Report, SoundEvent};
use crate::model::Labels;
use crate::model::labels::slug;
use crate::text::{did_you_mean, nearest, shown};

use super::wire::{self, Request};

/// The reports that a subscriber gets. An empty list lets every report pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// The display names of labels or groups.
    pub labels: Vec<String>,
    /// The names of sources.
    pub sources: Vec<String>,
    /// Types of reports, or the first parts of types: `event` stands for `event.start` and all others of events.
    pub types: Vec<String>,
    /// The lowest peak score of an event, 0…1.
    pub min_score: f64,
    /// Whether only events pass that are confirmed.
    pub confirmed: bool,
}

/// Every `type` of a report that is about no event.
pub const HEALTH_TYPES: [&str; 11] = [
    "source.lost",
    "source.restored",
    "source.silent",
    "source.gap",
    "source.clipping",
    "overrun",
    "clock.stepped",
    "paused",
    "resumed",
    "config.reloaded",
    "config.rejected",
];

/// The `type` of a summary, which is about no event and no health.
pub const SUMMARY_TYPE: &str = "summary";

/// Every `type` of a report about an event.
const EVENT_TYPES: [&str; 3] = ["event.start", "event.update", "event.end"];

/// The `type` of a report about the clip of an event.
pub const CLIP_TYPE: &str = "clip";

/// Every `type` that a published report can have.
fn all_types() -> impl Iterator<Item = &'static str> {
    EVENT_TYPES.into_iter().chain([CLIP_TYPE]).chain(HEALTH_TYPES).chain([SUMMARY_TYPE])
}

/// The reason why a filter is not valid: a code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFilter {
    /// The code, for programs.
    pub code: &'static str,
    /// The sentence, for people.
    pub message: String,
}

impl Filter {
    /// The filter of a `subscribe`. `groups` are the names of the configured groups.
    pub fn new(request: &Request, labels: &Labels, groups: &[String]) -> Result<Self, BadFilter> {
        let Request::Subscribe { labels: wanted, sources, types, min_score, confirmed, .. } = request else {
            return Ok(Self::default());
        };
        let mut names = Vec::new();
        for key in wanted {
            let group = groups.iter().find(|group| group.eq_ignore_ascii_case(key) || slug(group) == key.to_lowercase());
            let label = labels.find(key).map(|index| &labels.subjects()[index].name);
            if label.is_none() && group.is_none() {
                let message = labels.unknown_beside(groups.iter().map(String::as_str), key);
                return Err(BadFilter { code: "unknown_label", message });
            }
            // A group may have the name of a label. The name then stands for both.
            names.extend(label.cloned());
            names.extend(group.filter(|group| label != Some(group)).cloned());
        }
        for wanted in types {
            if !all_types().any(|kind| is_type(kind, wanted)) {
                let hint = did_you_mean(nearest(wanted, all_types()));
                let message =
                    format!("there is no type {:?}, only {}{hint}", shown(wanted), all_types().collect::<Vec<_>>().join(", "));
                return Err(BadFilter { code: "unknown_type", message });
            }
        }
        if !(0.0..=1.0).contains(min_score) {
            return Err(BadFilter {
                code: "bad_request",
                message: format!("min_score is {min_score}, but it must be from 0 to 1"),
            });
        }
        let (sources, types) = (sources.clone(), types.clone());
        Ok(Self { labels: names, sources, types, min_score: *min_score, confirmed: *confirmed })
    }

    /// Whether the report passes by its type and its source.
    pub fn passes_kind(&self, report: &Report) -> bool {
        self.passes_type(wire::kind(report)) && self.passes_source(report)
    }

    /// Whether reports of this type pass.
    pub fn passes_type(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|wanted| is_type(kind, wanted))
    }

    /// Whether reports about the source of this one pass.
    pub fn passes_source(&self, report: &Report) -> bool {
        self.sources.is_empty() || report.source().is_none_or(|source| self.sources.iter().any(|wanted| **wanted == **source))
    }

    /// Whether the report about a clip passes, by its type, its source, and the name of its event.
    pub fn passes_clip(&self, report: &Report, clip: &ClipReport) -> bool {
        self.passes_kind(report) && (self.labels.is_empty() || self.labels.contains(&clip.subject.name))
    }

    /// Whether some events pass and others do not, for what they are.
    pub fn judges_events(&self) -> bool {
        !self.labels.is_empty() || self.min_score > 0.0 || self.confirmed
    }

    /// Whether an event passes by what it is now. A filter for Dog passes a bark as well.
    pub fn passes_event(&self, event: &SoundEvent) -> bool {
        let mut names = std::iter::once(&event.subject).chain(&event.also).map(|subject| &subject.name);
        let is_named = self.labels.is_empty() || names.any(|name| self.labels.contains(name));
        is_named && f64::from(event.peak_score) >= self.min_score && (event.is_confirmed || !self.confirmed)
    }
}

/// Whether `wanted` is the type `kind` or the first part of it.
pub fn is_type(kind: &str, wanted: &str) -> bool {
    kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
