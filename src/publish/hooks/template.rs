//! Texts with fields, such as `{label}`: how they are read, and how values stand in JSON, in forms, in addresses and in plain text. It knows
//! no report.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::text::{did_you_mean, nearest};

/// The fields that a text may name.
pub const FIELDS: [&str; 23] = [
    "hook",
    "type",
    "label",
    "slug",
    "source",
    "node",
    "text",
    "time",
    "date",
    "id",
    "onset",
    "offset",
    "duration_s",
    "score",
    "percent",
    "level_dbfs",
    "confirmed",
    "also",
    "reason",
    "seq",
    "ts",
    "clip",
    "secret",
];
/// Signs that stand in an address as they are.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// A secret may be a part of a path with several segments.
const PLAIN_SECRET: &AsciiSet = &PLAIN.remove(b'/').remove(b':').remove(b'=');

/// What stands around a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Around {
    /// Nothing of its own: an argument, a header, plain text. Control characters become spaces.
    Plain,
    /// The quotation marks of a string in JSON.
    Json,
    /// An address, or a form.
    Address,
}

/// A text with fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The text as it was written.
    pub text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(&'static str),
}

impl Template {
    /// Reads a text. Only a word of small letters directly between braces is a field; all other braces are themselves.
    ///
    /// # Errors
    /// The word that is no field, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            plain.push_str(before);
            let word = after[1..].split_once('}').map_or("", |(word, _)| word);
            if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
                plain.push('{');
                rest = &after[1..];
                continue;
            }
            let Some(field) = FIELDS.iter().find(|field| **field == word) else {
                let hint = did_you_mean(nearest(word, FIELDS));
                return Err(format!("{{{word}}} is no field{hint}"));
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Field(field));
            rest = &after[word.len() + 2..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether the text names a field.
    pub fn has(&self, field: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(name) if *name == field))
    }

    /// The text with the values that `value` gives.
    pub fn fill(&self, around: Around, value: impl Fn(&str) -> String) -> String {
        let written = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(field) => written(&value(field), field, around),
        };
        self.parts.iter().map(written).collect()
    }
}

fn written(value: &str, field: &str, around: Around) -> String {
    match around {
        Around::Plain => value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Around::Json => {
            let quoted = serde_json::to_string(value).unwrap_or_default();
            quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
        }
        Around::Address if field == "secret" => utf8_percent_encode(value, PLAIN_SECRET).to_string(),
        Around::Address => utf8_percent_encode(value, PLAIN).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, around: Around, value: &str) -> String {
        Template::parse(text).unwrap().fill(around, |_| value.to_owned())
    }

    #[test]
    fn fields_are_words_in_braces_and_nothing_else_is() {
        assert_eq!(filled("{label}!", Around::Plain, "a\nb"), "a b!");
        assert_eq!(filled(r#"{"a": {"b": "{label}"}, "c": {}}"#, Around::Json, "x"), r#"{"a": {"b": "x"}, "c": {}}"#);
        assert_eq!(filled("{{ states }} {{label}} {", Around::Plain, "x"), "{{ states }} {x} {");
        assert_eq!(filled("/{label}?t={secret}", Around::Address, "a b/ü"), "/a%20b%2F%C3%BC?t=a%20b/%C3%BC");
        assert_eq!(Template::parse("{labl}").unwrap_err(), "{labl} is no field; did you mean \"label\"?");
        assert!(Template::parse("{secret}").unwrap().has("secret") && !Template::parse("secret").unwrap().has("secret"));
    }

    proptest! {
        #[test]
        fn whatever_a_value_is_the_json_around_it_stays_the_same(value in ".*") {
            let json = filled(r#"{"a":"{label}"}"#, Around::Json, &value);
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, serde_json::json!({ "a": value }));
        }

        #[test]
        fn no_value_leaves_its_place_in_an_address(value in ".*") {
            let filled = filled("{label}", Around::Address, &value);
            prop_assert!(filled.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(template.fill(Around::Plain, |field| format!("{{{field}}}")), text);
            }
        }
    }
}
