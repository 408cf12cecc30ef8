//! Reading a TOML table key by key: each value with its line, each fault by itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Faults};
use crate::text::{did_you_mean, nearest};

/// A value with the line that it stands in. A default has no line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The line, counted from 1.
    pub line: Option<usize>,
}

impl<T: Serialize> Serialize for At<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// The schema is that of the value: the line is not part of the file's text.
impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A type of value that a key of the file can hold.
pub(super) trait Leaf: Sized {
    /// The type, as a noun with its article, for a fault.
    const EXPECTED: &'static str;
    /// The value, if it has this type.
    fn read(value: &DeValue) -> Option<Self>;
}

impl Leaf for String {
    const EXPECTED: &'static str = "a string";
    fn read(value: &DeValue) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Leaf for f64 {
    const EXPECTED: &'static str = "a number";
    fn read(value: &DeValue) -> Option<Self> {
        match value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64),
            _ => None,
        }
    }
}

impl Leaf for i64 {
    const EXPECTED: &'static str = "a whole number";
    fn read(value: &DeValue) -> Option<Self> {
        value.as_integer().and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
    }
}

impl Leaf for bool {
    const EXPECTED: &'static str = "true or false";
    fn read(value: &DeValue) -> Option<Self> {
        value.as_bool()
    }
}

impl Leaf for Vec<String> {
    const EXPECTED: &'static str = "a list of strings";
    fn read(value: &DeValue) -> Option<Self> {
        value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
    }
}

impl Leaf for BTreeMap<String, String> {
    const EXPECTED: &'static str = "a table of strings";
    fn read(value: &DeValue) -> Option<Self> {
        value
            .as_table()?
            .iter()
            .map(|(key, item)| Some((key.get_ref().to_string(), item.get_ref().as_str()?.to_owned())))
            .collect()
    }
}

impl Leaf for Vec<i64> {
    const EXPECTED: &'static str = "a list of whole numbers";
    fn read(value: &DeValue) -> Option<Self> {
        value.as_array()?.iter().map(|item| i64::read(item.get_ref())).collect()
    }
}

impl<T: Leaf> Leaf for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    fn read(value: &DeValue) -> Option<Self> {
        T::read(value).map(Some)
    }
}

/// Collects the faults of a text with their lines.
pub(super) struct Reader<'t> {
    pub text: &'t str,
    pub path: Option<PathBuf>,
    pub faults: Faults,
}

impl Reader<'_> {
    pub fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub fn fault(&mut self, line: Option<usize>, key: &str, message: String) {
        self.faults.push(Fault { path: self.path.clone(), line, key: key.to_owned(), message });
    }

    pub fn wrong_type(&mut self, line: Option<usize>, key: &str, value: &DeValue, expected: &str) {
        let kind = match value.type_str() {
            "integer" => "an integer".to_owned(),
            "array" => "a list".to_owned(),
            kind => format!("a {kind}"),
        };
        self.fault(line, key, format!("this is {kind}, but it must be {expected}"));
    }
}

/// A table whose keys are being read.
pub(super) struct Table<'a, 't, 'i> {
    table: &'a DeTable<'i>,
    path: String,
    known: Vec<&'static str>,
    reader: &'a mut Reader<'t>,
}

impl<'a, 't, 'i> Table<'a, 't, 'i> {
    pub fn new(table: &'a DeTable<'i>, path: String, reader: &'a mut Reader<'t>) -> Self {
        Self { table, path, known: Vec::new(), reader }
    }

    /// Reads a key into `place`, which keeps its default if the key is missing or has the wrong type.
    pub fn leaf<T: Leaf>(&mut self, key: &'static str, place: &mut At<T>) {
        self.known.push(key);
        let Some(value) = self.table.get(key) else { return };
        let line = Some(self.reader.line(Spanned::span(value).start));
        match T::read(value.get_ref()) {
            Some(read) => *place = At { value: read, line },
            None => self.reader.wrong_type(line, &format!("{}.{key}", self.path), value.get_ref(), T::EXPECTED),
        }
    }

    /// Adds a fault for each key that was not read.
    pub fn finish(self) {
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let hint = did_you_mean(nearest(name, self.known.iter().copied()));
                let line = Some(self.reader.line(key.span().start));
                self.reader.fault(line, &format!("{}.{name}", self.path), format!("there is no such key{hint}"));
            }
        }
    }
}
