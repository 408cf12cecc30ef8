//! The JSON Schema of the protocol accepts every line and every request, and refuses everything else.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{REQUESTS, lines};

/// Checks values against one definition of the schema that is kept in `config/`.
fn validator(definition: &str) -> Validator {
    let mut schema: Value = serde_json::from_str(include_str!("../../../config/protocol.schema.json")).unwrap();
    schema["anyOf"] = json!([{ "$ref": format!("#/$defs/{definition}") }]);
    jsonschema::validator_for(&schema).unwrap()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_line_is_valid_and_none_without_one_of_its_fields() {
    let validator = validator("Line");
    for line in lines() {
        let whole = parsed(&line);
        assert!(
            validator.is_valid(&whole),
            "{:?}: {line}",
            validator.iter_errors(&whole).map(|error| error.to_string()).collect::<Vec<_>>()
        );
        // Not every line has a number; every other field is there in each line of the type.
        for field in whole.as_object().unwrap().keys().filter(|field| !["seq", "ts"].contains(&field.as_str())) {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(field);
            assert!(!validator.is_valid(&part), "without {field}: {line}");
        }
    }
}

#[test]
fn a_word_or_a_field_of_another_type_is_not_valid() {
    let validator = validator("Line");
    for (pointer, value) in [
        ("/v", json!(2)),
        ("/type", json!("event.guess")),
        ("/event/reason", json!("boredom")),
        ("/event/score", json!("high")),
        ("/event/onset", json!(7)),
        ("/reason", json!("holiday")),
        ("/state", json!("asleep")),
        ("/sources/0/state", json!("asleep")),
        ("/sinks/0/state", json!("asleep")),
        ("/sources/0/labels/0/why", json!("because")),
        ("/peaks/0/kind", json!("summit")),
        ("/threshold", Value::Null),
    ] {
        let changed = lines().into_iter().map(|line| parsed(&line)).filter_map(|mut line| {
            // The reason of a lost source is a sentence, and that of a clip which is not kept.
            let is_sentence =
                pointer == "/reason" && line.pointer("/type").is_some_and(|kind| *kind == "source.lost" || *kind == "clip");
            let place = (!is_sentence).then(|| line.pointer_mut(pointer))??;
            *place = value.clone();
            Some(line)
        });
        let changed: Vec<Value> = changed.collect();
        assert!(!changed.is_empty(), "{pointer}");
        changed.iter().for_each(|line| assert!(!validator.is_valid(line), "{pointer}: {line}"));
    }
}

#[test]
fn a_field_that_is_added_changes_no_line_and_spoils_a_request() {
    for (definition, text, is_valid) in [("Line", lines()[0].as_str(), true), ("Request", REQUESTS[0], false)] {
        let mut value = parsed(text);
        value["colour"] = json!("red");
        assert_eq!(validator(definition).is_valid(&value), is_valid, "{value}");
    }
}

#[test]
fn requests_are_valid_as_they_are_taken() {
    let validator = validator("Request");
    for text in REQUESTS {
        assert!(validator.is_valid(&parsed(text)), "{text}");
    }
    for text in [
        r#"{}"#,
        r#"{"op":"listen"}"#,
        r#"{"op":"status","k":5}"#,
        r#"{"op":"top","k":-1}"#,
        r#"{"op":"subscribe","labels":"Dog"}"#,
        r#"{"op":"subscribe","min_score":2}"#,
        r#"{"op":"set","label":"Dog"}"#,
        r#"{"op":"set","threshold":0.2}"#,
        r#"{"op":"set","label":"Dog","threshold":1.5}"#,
        r#"{"op":"pause","seconds":0}"#,
        r#"{"op":"test"}"#,
    ] {
        assert!(!validator.is_valid(&parsed(text)), "{text}");
    }
}
