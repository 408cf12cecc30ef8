//! Editing a configuration file in place: numbers set and labels left out, while comments, order and formatting stay.
//!
//! An edit is a `Plan`: assignments made on the present text of the file (`Original`), validated, shown as a diff, written in
//! one step. The text is only spliced at places that its parser names, and never printed anew; so everything else stays byte for
//! byte.

use super::print::quoted;
use super::raw::STANDARD_PRESET;
use super::{Raw, preset};
use crate::event::Subject;
use crate::model::Labels;
use crate::text::did_you_mean;

mod plan;
mod replace;
mod splice;

pub(crate) use plan::{EditError, Original, Plan};

/// A number to set, or a label to ignore.
#[derive(Debug, Clone, PartialEq)]
pub enum Assignment {
    /// A number of a label, which is given by its display name.
    Label {
        /// The label's display name.
        label: String,
        /// The key.
        key: Key,
        /// From 0 to 1.
        value: f64,
    },
    /// A number of a group that the file defines.
    Group {
        /// The group's name.
        group: String,
        /// The key.
        key: Key,
        /// From 0 to 1.
        value: f64,
    },
    /// A label to add to `[report] ignore`.
    Ignore {
        /// The label's display name.
        label: String,
    },
    /// A label to report: beside the preset where that does not have it.
    Report {
        /// The label's display name.
        label: String,
    },
    /// A text to set in a table at the root.
    Text {
        /// The table.
        table: &'static str,
        /// The key.
        key: &'static str,
        /// The text.
        value: String,
    },
    /// A label to report no longer.
    LeaveOut {
        /// The label's display name.
        label: String,
    },
}

impl Assignment {
    /// A number of a label or a group.
    pub(crate) fn number(subject: &Subject, key: Key, value: f64) -> Self {
        let name = subject.name.clone();
        match subject.is_group() {
            true => Assignment::Group { group: name, key, value },
            false => Assignment::Label { label: name, key, value },
        }
    }
}

/// The key of a number that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `threshold`
    Threshold,
    /// `release`
    Release,
    /// `start_threshold`
    StartThreshold,
}

impl Key {
    /// The key as the file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Key::Threshold => "threshold",
            Key::Release => "release",
            Key::StartThreshold => "start_threshold",
        }
    }
}

/// Why the assignments do not fit a text.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// The text is not TOML.
    #[error("line {line}: this is not TOML: {what}; `mimid check` names all faults")]
    NotToml {
        /// Counted from 1.
        line: usize,
        /// The parser's message.
        what: String,
    },
    /// Another value stands in place of a table or a list.
    #[error("line {line}: {key} is not {expected}, so nothing can be set in it; `mimid check` names all faults")]
    WrongType {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The type that it must have, as a noun with its article.
        expected: &'static str,
    },
    /// The model has no such label. The sentence names the nearest that it has.
    #[error("{0}")]
    UnknownLabel(String),
    /// The file defines no such group.
    #[error("the configuration has no group {name:?}{}", did_you_mean(.suggestion.as_deref()))]
    UnknownGroup {
        /// The name.
        name: String,
        /// The nearest group that the file defines.
        suggestion: Option<String>,
    },
    /// A number that cannot be a threshold.
    #[error("{0} is out of range; it must be from 0 to 1")]
    OutOfRange(f64),
}

/// `text` with the assignments made.
///
/// A label's table is found in any spelling: by name, slug or id in any case, under its own header, inline or with dotted keys. A
/// label without a table gets one after the last label's table, or at the end.
///
/// # Errors
/// Text that is not TOML, unknown names, and numbers out of range. Whether the result is valid is not checked here; a `Plan`
/// checks it.
pub fn assign(text: &str, assignments: &[Assignment], labels: &Labels) -> Result<String, AssignError> {
    let mut text = text.to_owned();
    for assignment in assignments {
        text = match assignment {
            Assignment::Label { label, key, value } => {
                let index = labels.find(label).ok_or_else(|| AssignError::UnknownLabel(labels.unknown(label)))?;
                splice::set_in_label(&text, label, |name| labels.find(name) == Some(index), key.name(), &number(*value)?)?
            }
            Assignment::Group { group, key, value } => splice::set_in_group(&text, group, key.name(), &number(*value)?)?,
            Assignment::Ignore { label } => {
                let index = labels.find(label).ok_or_else(|| AssignError::UnknownLabel(labels.unknown(label)))?;
                splice::enlist(&text, "ignore", label, |name| labels.find(name) == Some(index))?
            }
            Assignment::Text { table, key, value } => splice::set_in_table(&text, table, key, &quoted(value))?,
            Assignment::Report { label } => choose(&text, label, labels, true)?,
            Assignment::LeaveOut { label } => choose(&text, label, labels, false)?,
        };
    }
    Ok(text)
}

/// `text` with a label reported, or no longer.
fn choose(text: &str, label: &str, labels: &Labels, is_wanted: bool) -> Result<String, AssignError> {
    let index = labels.find(label).ok_or_else(|| AssignError::UnknownLabel(labels.unknown(label)))?;
    let is_it = |name: &str| labels.find(name) == Some(index);
    let report = Raw::parse(text, None).report;
    let preset = report.preset.value.as_deref().unwrap_or(STANDARD_PRESET);
    let is_in_preset = || preset::labels(preset, labels).is_some_and(|labels| labels.contains(&index));
    if is_wanted {
        let text = splice::delist(text, "ignore", is_it)?;
        return match report.labels.value {
            Some(_) => splice::enlist(&text, "labels", label, is_it),
            None if is_in_preset() => Ok(text),
            None => splice::enlist(&text, "include", label, is_it),
        };
    }
    let text = splice::delist(&splice::delist(text, "include", is_it)?, "labels", is_it)?;
    match report.labels.value {
        None if is_in_preset() => splice::enlist(&text, "ignore", label, is_it),
        Some(_) | None => Ok(text),
    }
}

/// The assignments alone as TOML, to be pasted into a file.
pub(crate) fn fragment(assignments: &[Assignment]) -> String {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    let (mut ignored, mut included): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for assignment in assignments {
        let (header, key, value) = match assignment {
            Assignment::Label { label, key, value } => (format!("[labels.{}]\n", quoted(label)), key, value),
            Assignment::Group { group, key, value } => (format!("[groups.{}]\n", quoted(group)), key, value),
            Assignment::Ignore { label } | Assignment::LeaveOut { label } => {
                ignored.push(quoted(label));
                continue;
            }
            Assignment::Report { label } => {
                included.push(quoted(label));
                continue;
            }
            Assignment::Text { table, key, value } => {
                tables.push((format!("[{table}]\n"), vec![format!("{key} = {}\n", quoted(value))]));
                continue;
            }
        };
        let line = format!("{} = {}\n", key.name(), decimal(*value));
        match tables.iter_mut().find(|(known, _)| *known == header) {
            Some((_, lines)) => lines.push(line),
            None => tables.push((header, vec![line])),
        }
    }
    let mut blocks: Vec<String> = tables.into_iter().map(|(header, lines)| header + &lines.concat()).collect();
    let lists = [("ignore", ignored), ("include", included)].into_iter().filter(|(_, list)| !list.is_empty());
    let lists: String = lists.map(|(key, list)| format!("{key} = [{}]\n", list.join(", "))).collect();
    blocks.extend((!lists.is_empty()).then(|| format!("[report]\n{lists}")));
    blocks.join("\n")
}

/// A number from 0 to 1 in the form in which the file holds it.
fn number(value: f64) -> Result<String, AssignError> {
    if (0.0..=1.0).contains(&value) { Ok(decimal(value)) } else { Err(AssignError::OutOfRange(value)) }
}

/// A number with at most 4 decimals, because no threshold is more precise. A number above 0 stays above 0.
fn decimal(value: f64) -> String {
    let least = if value > 0.0 { 1e-4 } else { 0.0 };
    format!("{:?}", (value * 1e4).round().max(least * 1e4) / 1e4)
}

#[cfg(test)]
mod tests;
