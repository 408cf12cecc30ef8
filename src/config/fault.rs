//! What is wrong with a configuration: where, and in one plain sentence.

use std::fmt;
use std::path::PathBuf;

/// One fault, or one warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file; `None` where the fault is in no file.
    pub path: Option<PathBuf>,
    /// Counted from 1.
    pub line: Option<usize>,
    /// The key, such as `labels."Dog".threshold`; empty where the fault is in no key.
    pub key: String,
    /// What is wrong and what to do.
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

/// A name in the file may hold anything, and must neither break a sentence in two nor rule the terminal.
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
    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them by line, one sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let mut sorted: Vec<&Fault> = self.0.iter().collect();
        sorted.sort_by_key(|fault| fault.line);
        sorted.iter().map(|fault| fault.to_string()).collect()
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
