//! Requests of clients, and the refusals of those that cannot be taken.
//!
//! A request is read field by field, so that a refusal names the field, says what belongs there, and suggests the nearest right
//! name.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::MarkKind;
use crate::text::nearest;

/// The most entries in a list of a filter: more than there are labels, and few enough to be searched for each event.
const MAX_ENTRIES: usize = 1_024;

/// Each request with its fields.
const OPS: [(&str, &[&str]); 10] = [
    ("subscribe", &["labels", "sources", "types", "min_score", "confirmed", "since", "instance"]),
    ("status", &[]),
    ("top", &["k"]),
    ("set", &["label", "threshold", "start_threshold", "release"]),
    ("peaks", &["since", "floor"]),
    ("reload", &[]),
    ("pause", &["seconds"]),
    ("resume", &[]),
    ("test", &["label"]),
    ("mark", &["id", "mark", "label"]),
];

/// A line that a client sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Replaces the filter, and asks for a replay.
    Subscribe {
        /// The names, slugs or ids of labels and groups; none is all.
        #[serde(default)]
        #[schemars(length(max = MAX_ENTRIES))]
        labels: Vec<String>,
        /// The names of sources; none is all.
        #[serde(default)]
        #[schemars(length(max = MAX_ENTRIES))]
        sources: Vec<String>,
        /// Types, or their first parts such as `event`; none is all.
        #[serde(default)]
        #[schemars(length(max = MAX_ENTRIES))]
        types: Vec<String>,
        /// The lowest peak score of an event's line, 0…1.
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        min_score: f64,
        /// Whether only events come that are confirmed: each begins when it is.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        confirmed: bool,
        /// The number after which held reports are replayed; without it none are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
        /// The `instance` of the daemon that gave `since`; without it, the one that is asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        instance: Option<String>,
    },
    /// Asks for the daemon's health.
    Status {},
    /// Asks for the labels with the highest scores.
    Top {
        /// How many labels a source.
        #[serde(default = "five")]
        k: usize,
    },
    /// Sets thresholds until the configuration is loaded again. A threshold that is left out stays, or follows the others as it
    /// would in the configuration.
    #[schemars(extend("anyOf" = [{ "required": ["threshold"] }, { "required": ["start_threshold"] }, { "required": ["release"] }]))]
    Set {
        /// The name, slug or id of a label or a group.
        label: String,
        /// The threshold of the confirmed score, 0…1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 0.0, max = 1.0))]
        threshold: Option<f64>,
        /// The threshold of the causal score, 0…1, at which an event is announced at once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 0.0, max = 1.0))]
        start_threshold: Option<f64>,
        /// The score below which an event ends, 0…1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 0.0, max = 1.0))]
        release: Option<f64>,
    },
    /// Asks for the recent peaks of every label, which are kept from then on.
    Peaks {
        /// The number of the first peak that is wanted; without it those that are still to come.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<u64>,
        /// The lowest peak that is wanted, 0…1.
        #[serde(default)]
        floor: f64,
    },
    /// Asks to load the configuration again.
    Reload {},
    /// Asks to stop listening.
    Pause {
        /// For how many seconds, at most 366 days; without it until `resume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(max = 31_622_400.0), extend("exclusiveMinimum" = 0))]
        seconds: Option<f64>,
    },
    /// Asks to listen again.
    Resume {},
    /// Asks for a made-up event, so that an automation can be tried.
    Test {
        /// The name, slug or id of a label or a group.
        label: String,
    },
    /// Says what an event of the store was, or takes that back.
    Mark {
        /// The event's id.
        id: String,
        /// What it was.
        mark: MarkKind,
        /// The name, slug or id of the label that an `other` sound has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
}

fn five() -> usize {
    5
}

/// Why a line is not a valid request. Its display is the sentence for the client; sending the line again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// It is not text.
    #[error("the request is not UTF-8: {0}")]
    NotUtf8(std::str::Utf8Error),
    /// It is not JSON.
    #[error("the request is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but a list, a number or the like.
    #[error("the request is not a JSON object such as {{\"op\":\"status\"}}")]
    NotAnObject,
    /// It has no `op`.
    #[error("the request has no \"op\"; there are {}", ops())]
    NoOp,
    /// It has an `op` that does not exist.
    #[error("there is no op {op}; {hint}")]
    UnknownOp {
        /// The request's `op`.
        op: String,
        /// The nearest op, or all.
        hint: String,
    },
    /// It has a field that its op does not take.
    #[error("{op} has no field {field:?}; {hint}")]
    UnknownField {
        /// The request's `op`.
        op: &'static str,
        /// The field.
        field: String,
        /// The nearest field, or all.
        hint: String,
    },
    /// A field is missing.
    #[error("{op} needs the field {field:?}: {expected}")]
    NoField {
        /// The request's `op`.
        op: &'static str,
        /// The field.
        field: &'static str,
        /// The value that belongs there.
        expected: &'static str,
    },
    /// A field holds a value of another type.
    #[error("{field} must be {expected}, but it is {actual}")]
    WrongType {
        /// The field.
        field: &'static str,
        /// The value that belongs there.
        expected: &'static str,
        /// The value that is there.
        actual: String,
    },
    /// A list is too long.
    #[error("{field} has {actual} entries, but {MAX_ENTRIES} at most can be taken")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many entries it has.
        actual: usize,
    },
}

impl Request {
    /// A subscription to all reports of these types from now on.
    pub fn of_types(types: Vec<String>) -> Self {
        let (labels, sources) = (Vec::new(), Vec::new());
        Self::Subscribe { labels, sources, types, min_score: 0.0, confirmed: false, since: None, instance: None }
    }

    /// Reads a line without its end.
    pub fn parse(line: &[u8]) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(line).map_err(BadRequest::NotUtf8)?;
        // Nesting is bounded by the parser, so a deep request is an error and no overflow.
        let value = serde_json::from_str(text).map_err(|error| BadRequest::NotJson(without_place(&error)))?;
        let Value::Object(mut fields) = value else { return Err(BadRequest::NotAnObject) };
        let given = fields.remove("op").ok_or(BadRequest::NoOp)?;
        let Some((op, known)) = OPS.iter().copied().find(|(op, _)| given.as_str() == Some(op)) else {
            let hint = suggestion(given.as_str().unwrap_or_default(), OPS.map(|(op, _)| op).as_slice());
            return Err(BadRequest::UnknownOp { op: excerpt(&given), hint });
        };
        if let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) {
            let field: String = field.chars().take(40).collect();
            return Err(BadRequest::UnknownField { op, hint: suggestion(&field, known), field });
        }
        let mut fields = Fields(fields);
        Ok(match op {
            "subscribe" => Request::Subscribe {
                labels: fields.list("labels")?,
                sources: fields.list("sources")?,
                types: fields.list("types")?,
                min_score: fields.take("min_score", "a number from 0 to 1")?.unwrap_or(0.0),
                confirmed: fields.take("confirmed", "true or false")?.unwrap_or(false),
                since: fields.take("since", "a whole number")?,
                instance: fields.take("instance", "the instance that hello named")?,
            },
            "status" => Request::Status {},
            "top" => Request::Top { k: fields.take("k", "a whole number")?.unwrap_or_else(five) },
            "set" => {
                let number = "a number from 0 to 1";
                let (label, threshold) = (fields.label(op)?, fields.take("threshold", number)?);
                let (start_threshold, release) = (fields.take("start_threshold", number)?, fields.take("release", number)?);
                if threshold.or(start_threshold).or(release).is_none() {
                    return Err(BadRequest::NoField { op, field: "threshold", expected: number });
                }
                Request::Set { label, threshold, start_threshold, release }
            }
            "peaks" => Request::Peaks {
                since: fields.take("since", "a whole number")?,
                floor: fields.take("floor", "a number from 0 to 1")?.unwrap_or_default(),
            },
            "reload" => Request::Reload {},
            "pause" => Request::Pause { seconds: fields.take("seconds", "a number of seconds")? },
            "resume" => Request::Resume {},
            "test" => Request::Test { label: fields.label(op)? },
            _ => fields.mark(op)?,
        })
    }
}

/// The fields of a request that have not been read.
struct Fields(Map<String, Value>);

impl Fields {
    /// The value of a field; null is the same as none.
    fn take<T: DeserializeOwned>(&mut self, field: &'static str, expected: &'static str) -> Result<Option<T>, BadRequest> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let actual = excerpt(&value);
                serde_json::from_value(value).map(Some).map_err(|_| BadRequest::WrongType { field, expected, actual })
            }
        }
    }

    fn label(&mut self, op: &'static str) -> Result<String, BadRequest> {
        let expected = "the name of a label or a group";
        self.take("label", expected)?.ok_or(BadRequest::NoField { op, field: "label", expected })
    }

    fn mark(&mut self, op: &'static str) -> Result<Request, BadRequest> {
        let (id, mark) = ("the id of an event", "right, wrong, other or none");
        let none = |field, expected| BadRequest::NoField { op, field, expected };
        let id = self.take("id", id)?.ok_or(none("id", id))?;
        let mark = self.take("mark", mark)?.ok_or(none("mark", mark))?;
        let other = "the name of the label that it was";
        let label: Option<String> = self.take("label", other)?;
        match (mark, &label) {
            (MarkKind::Other, None) => Err(none("label", other)),
            (MarkKind::Right | MarkKind::Wrong | MarkKind::None, Some(label)) => {
                let (expected, actual) = ("left out but where mark is \"other\"", excerpt(&Value::from(&**label)));
                Err(BadRequest::WrongType { field: "label", expected, actual })
            }
            _ => Ok(Request::Mark { id, mark, label }),
        }
    }

    fn list(&mut self, field: &'static str) -> Result<Vec<String>, BadRequest> {
        let list: Vec<String> = self.take(field, "a list of names")?.unwrap_or_default();
        if list.len() > MAX_ENTRIES {
            return Err(BadRequest::TooMany { field, actual: list.len() });
        }
        Ok(list)
    }
}

fn ops() -> String {
    OPS.map(|(op, _)| op).join(", ")
}

fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "it takes none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    }
}

/// A value as JSON, cut where it is long: an error is shorter than what caused it.
fn excerpt(value: &Value) -> String {
    let json = value.to_string();
    match json.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json,
    }
}

/// The parser's message. A request is one line, so the line's number is left out.
fn without_place(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at byte ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        Request::parse(line.as_bytes()).expect_err(line).to_string()
    }

    #[test]
    fn what_a_client_sends_is_what_the_server_reads() {
        let subscribe = Request::Subscribe {
            labels: vec!["Dog".into()],
            sources: vec![],
            types: vec![],
            min_score: 0.3,
            confirmed: true,
            since: Some(7),
            instance: Some("a".into()),
        };
        let pause = Request::Pause { seconds: Some(0.5) };
        let test = Request::Test { label: "Dog".into() };
        let set = Request::Set { label: "Dog".into(), threshold: Some(0.25), start_threshold: None, release: Some(0.0) };
        let peaks = Request::Peaks { since: Some(7), floor: 0.01 };
        let mark = Request::Mark { id: "019".into(), mark: MarkKind::Other, label: Some("Dog".into()) };
        let [status, top, reload] = [Request::Status {}, Request::Top { k: 3 }, Request::Reload {}];
        let all = [subscribe, status, top, set, peaks, reload, pause, Request::Resume {}, test, mark];
        assert_eq!(all.len(), OPS.len());
        for request in all {
            assert_eq!(Request::parse(serde_json::to_string(&request).unwrap().as_bytes()), Ok(request));
        }
        assert_eq!(Request::parse(br#" {"op":"top","k":null} "#), Ok(Request::Top { k: 5 }));
    }

    #[test]
    fn a_refusal_names_what_is_wrong_and_what_would_be_right() {
        for (line, sentence) in [
            (r#"[1]"#, r#"the request is not a JSON object such as {"op":"status"}"#),
            (
                r#"{"labels":[]}"#,
                r#"the request has no "op"; there are subscribe, status, top, set, peaks, reload, pause, resume, test, mark"#,
            ),
            (r#"{"op":"subscrbe"}"#, r#"there is no op "subscrbe"; did you mean "subscribe"?"#),
            (r#"{"op":7}"#, "there is no op 7; there are subscribe, status, top, set, peaks, reload, pause, resume, test, mark"),
            (r#"{"op":"subscribe","lables":[]}"#, r#"subscribe has no field "lables"; did you mean "labels"?"#),
            (r#"{"op":"status","x":1}"#, r#"status has no field "x"; it takes none"#),
            (r#"{"op":"subscribe","labels":"Dog"}"#, r#"labels must be a list of names, but it is "Dog""#),
            (r#"{"op":"subscribe","labels":[1]}"#, "labels must be a list of names, but it is [1]"),
            (r#"{"op":"subscribe","since":-1}"#, "since must be a whole number, but it is -1"),
            (r#"{"op":"subscribe","min_score":"high"}"#, r#"min_score must be a number from 0 to 1, but it is "high""#),
            (r#"{"op":"set","label":"Dog"}"#, r#"set needs the field "threshold": a number from 0 to 1"#),
            (r#"{"op":"mark","id":"019"}"#, r#"mark needs the field "mark": right, wrong, other or none"#),
            (r#"{"op":"mark","id":"019","mark":"good"}"#, r#"mark must be right, wrong, other or none, but it is "good""#),
            (r#"{"op":"mark","id":"019","mark":"other"}"#, r#"mark needs the field "label": the name of the label that it was"#),
            (
                r#"{"op":"mark","id":"019","mark":"right","label":"Dog"}"#,
                r#"label must be left out but where mark is "other", but it is "Dog""#,
            ),
            (r#"{"op":"test"}"#, r#"test needs the field "label": the name of a label or a group"#),
        ] {
            assert_eq!(refused(line), sentence, "{line}");
        }
    }

    #[test]
    fn hostile_lines_are_refused_in_few_words() {
        let deep = format!("{{\"op\":{}", "[".repeat(60_000));
        let many = format!(r#"{{"op":"subscribe","labels":[{}"a"]}}"#, r#""a","#.repeat(2_000));
        let long = format!(r#"{{"op":"subscribe","labels":"{}"}}"#, "é".repeat(30_000));
        for (line, part) in [(deep, "not JSON"), (many, "labels has 2001 entries"), (long, "…"), ("\0".into(), "not JSON")] {
            let sentence = refused(&line);
            assert!(sentence.contains(part) && sentence.len() < 250, "{sentence}");
        }
        assert!(Request::parse(b"\xff\xfe").unwrap_err().to_string().contains("not UTF-8"));
    }
}
