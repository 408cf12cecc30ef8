//! The faults and warnings of a configuration: each has a place in the file and one sentence.

use std::fmt;
use std::path::PathBuf;

/// One fault, or one warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The path of the file; `None` for a fault in no file.
    pub path: Option<PathBuf>,
    /// The line, counted from 1; `None` for a fault of the file as a whole.
    pub line: Option<usize>,
    /// The key, such as `labels."Dog".threshold`; empty for a fault in no key.
    pub key: String,
    /// The sentence: the fault, and the remedy where it is not plain.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}", path.display())?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", on_one_line(&self.key))?;
        }
        f.write_str(&on_one_line(&self.message))
    }
}

/// The text with its control characters escaped: a name in the file may hold any, and must neither break a line nor control a
/// terminal.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// All faults of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One sentence for each fault, by line.
    pub fn sentences(&self) -> Vec<String> {
        let mut sorted: Vec<&Fault> = self.0.iter().collect();
        sorted.sort_by_key(|fault| fault.line);
        sorted.iter().map(|fault| fault.to_string()).collect()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences().join("\n"))?;
        match self.0.len() {
            0 | 1 => Ok(()),
            count => write!(f, "\nthe configuration has {count} faults"),
        }
    }
}

impl std::error::Error for Faults {}
