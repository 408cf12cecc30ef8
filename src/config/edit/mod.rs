//! Editing a configuration file in place: numbers set and labels left out, while comments, order and formatting stay.
//!
//! The text is only ever spliced at places that its parser names, and never written anew from what was understood of it; so what
//! an edit does not concern cannot change. Whether the numbers make sense together is for [`super::Raw::validate`] to say: validate
//! the new text before it is put in place.

use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::print::quoted;
use super::{find, user_file};
use crate::model::Labels;
use crate::text::did_you_mean;

mod replace;
mod splice;

pub use replace::replace;

/// One number to be set, or one label to be left out.
#[derive(Debug, Clone, PartialEq)]
pub enum Assignment {
    /// A number of a label, which is given by its display name.
    Label {
        /// The label's display name.
        label: String,
        /// Which number.
        key: Key,
        /// From 0 to 1.
        value: f64,
    },
    /// A number of a group that the file defines.
    Group {
        /// The group's name.
        group: String,
        /// Which number.
        key: Key,
        /// From 0 to 1.
        value: f64,
    },
    /// A label that the report leaves out.
    Ignore {
        /// The label's display name.
        label: String,
    },
}

/// Which number of a label or a group is set.
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

/// Why a configuration file was not edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The text cannot be understood.
    #[error("line {line}: this is not TOML: {what}; `mimid check` names all faults")]
    NotToml {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// Something else stands where a table or a list is needed.
    #[error("line {line}: {key} is not {expected}, so nothing can be set in it; `mimid check` names all faults")]
    WrongType {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// What it must be, as a noun with its article.
        expected: &'static str,
    },
    /// The model has no such label; the sentence says it, with the nearest that it has.
    #[error("{0}")]
    UnknownLabel(String),
    /// The file defines no such group.
    #[error("the configuration has no group {name:?}{}", did_you_mean(.suggestion.as_deref()))]
    UnknownGroup {
        /// The name.
        name: String,
        /// The nearest that it defines.
        suggestion: Option<String>,
    },
    /// A number that no threshold can be.
    #[error("{0} is out of range; it must be from 0 to 1")]
    OutOfRange(f64),
    /// The file is not what it was when the edit was made.
    #[error("{} was changed by somebody else meanwhile; try again", .0.display())]
    Changed(PathBuf),
    /// The file may not be written.
    #[error("{} is read-only; make it writable, or edit another file with --config", .0.display())]
    ReadOnly(PathBuf),
    /// The new text could not be put in place; the old file is whole.
    #[error("{} cannot be written ({error}); it is as it was", path.display())]
    Unwritable {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// There is no configuration file, and no folder where one would belong.
    #[error("there is no configuration file and no home folder to make one in; name one with --config")]
    NoHome,
}

/// `text` with the assignments made.
///
/// A label's table is found however it is spelt there: by name, slug or id in any case, under its own header, inline or with dotted
/// keys. A label without one gets it after the last label's table, or at the end.
///
/// # Errors
/// Text that is no TOML, names that are not there, and numbers that are out of range; nothing of what is said in it is checked.
pub fn assign(text: &str, assignments: &[Assignment], labels: &Labels) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for assignment in assignments {
        text = match assignment {
            Assignment::Label { label, key, value } => {
                let index = labels.find(label).ok_or_else(|| EditError::UnknownLabel(labels.unknown(label)))?;
                splice::set_in_label(&text, label, |name| labels.find(name) == Some(index), key.name(), &number(*value)?)?
            }
            Assignment::Group { group, key, value } => splice::set_in_group(&text, group, key.name(), &number(*value)?)?,
            Assignment::Ignore { label } => {
                let index = labels.find(label).ok_or_else(|| EditError::UnknownLabel(labels.unknown(label)))?;
                splice::ignore(&text, label, |name| labels.find(name) == Some(index))?
            }
        };
    }
    Ok(text)
}

/// The assignments alone as TOML, for somebody to paste.
pub fn fragment(assignments: &[Assignment]) -> String {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    let mut ignored: Vec<String> = Vec::new();
    for assignment in assignments {
        let (header, key, value) = match assignment {
            Assignment::Label { label, key, value } => (format!("[labels.{}]\n", quoted(label)), key, value),
            Assignment::Group { group, key, value } => (format!("[groups.{}]\n", quoted(group)), key, value),
            Assignment::Ignore { label } => {
                ignored.push(quoted(label));
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
    blocks.extend((!ignored.is_empty()).then(|| format!("[report]\nignore = [{}]\n", ignored.join(", "))));
    blocks.join("\n")
}

/// A unified diff for people, with the file's path in its header; empty where nothing differs.
pub fn diff(path: &Path, old: &str, new: &str) -> String {
    let name = path.display().to_string();
    TextDiff::from_lines(old, new).unified_diff().header(&name, &name).to_string()
}

/// Which file an edit goes to: `explicit`, else the one that [`super::read`] would find, else the user's own, which [`replace()`]
/// then makes.
///
/// # Errors
/// Where no file is there and the user has no home.
pub fn target(explicit: Option<&Path>) -> Result<PathBuf, EditError> {
    explicit.map(PathBuf::from).or_else(find).or_else(user_file).ok_or(EditError::NoHome)
}

/// A number from 0 to 1 as the file writes it.
fn number(value: f64) -> Result<String, EditError> {
    if (0.0..=1.0).contains(&value) { Ok(decimal(value)) } else { Err(EditError::OutOfRange(value)) }
}

/// At most 4 decimals: more would claim a precision that no threshold has. What is above 0 stays above it.
fn decimal(value: f64) -> String {
    let least = if value > 0.0 { 1e-4 } else { 0.0 };
    format!("{:?}", (value * 1e4).round().max(least * 1e4) / 1e4)
}

#[cfg(test)]
mod tests;
