//! A subscriber's filter: the reports that it gets, by label, source, type and score.

use crate::event::Report;
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
}

/// Every `type` that a published report can have.
const TYPES: [&str; 14] = [
    "event.start",
    "event.update",
    "event.end",
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
        let Request::Subscribe { labels: wanted, sources, types, min_score, .. } = request else { return Ok(Self::default()) };
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
            if !TYPES.iter().any(|kind| is_type(kind, wanted)) {
                let hint = did_you_mean(nearest(wanted, TYPES));
                let message = format!("there is no type {:?}, only {}{hint}", shown(wanted), TYPES.join(", "));
                return Err(BadFilter { code: "unknown_type", message });
            }
        }
        if !(0.0..=1.0).contains(min_score) {
            return Err(BadFilter {
                code: "bad_request",
                message: format!("min_score is {min_score}, but it must be from 0 to 1"),
            });
        }
        Ok(Self { labels: names, sources: sources.clone(), types: types.clone(), min_score: *min_score })
    }

    /// Whether the report passes. Labels and scores filter events only; reports about health pass them.
    pub fn passes(&self, report: &Report) -> bool {
        let kind = wire::kind(report);
        if !self.types.is_empty() && !self.types.iter().any(|wanted| is_type(kind, wanted)) {
            return false;
        }
        if let Some(source) = report.source()
            && !self.sources.is_empty()
            && !self.sources.iter().any(|wanted| **wanted == **source)
        {
            return false;
        }
        match report {
            Report::EventStart(event) | Report::EventUpdate(event) | Report::EventEnd(event, _) => {
                // A filter for Dog passes a bark as well. It also passes the end of an event that began as Dog and is now called
                // Bark.
                let mut names = std::iter::once(&event.subject).chain(&event.also).map(|subject| &subject.name);
                let named = self.labels.is_empty() || names.any(|name| self.labels.contains(name));
                named && f64::from(event.peak_score) >= self.min_score
            }
            _ => true,
        }
    }
}

/// Whether `wanted` is the type `kind` or the first part of it.
fn is_type(kind: &str, wanted: &str) -> bool {
    kind.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
