//! The schema is the file's, and says what the checks say.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::config::raw::SECTIONS;
use crate::model::Labels;

const SHIPPED: &str = include_str!("../../../config/mimid.toml");
const PAGES: [&str; 6] = [
    include_str!("../../../README.md"),
    include_str!("../../../docs/configuration.md"),
    include_str!("../../../docs/history.md"),
    include_str!("../../../docs/hooks.md"),
    include_str!("../../../docs/http.md"),
    include_str!("../../../docs/mqtt.md"),
];
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/mimid.schema.json");

fn parsed() -> Value {
    serde_json::from_str(&schema()).unwrap()
}

/// The faults of a configuration for the schema alone: where, and the keyword that it breaks.
fn faults(text: &str) -> Vec<String> {
    let (schema, configuration) = (jsonschema::validator_for(&parsed()).unwrap(), toml::from_str(text).unwrap());
    schema.iter_errors(&configuration).map(|error| format!("{}: {}", error.instance_path(), error.kind().keyword())).collect()
}

#[test]
fn the_file_is_kept_equal_to_the_declaration() {
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(KEPT, schema()).unwrap();
    }
    let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
    assert!(kept == schema(), "config/mimid.schema.json is out of date: UPDATE_SCHEMA=1 cargo test --lib schema");
    assert!(SHIPPED.starts_with("#:schema ./mimid.schema.json\n"));
}

#[test]
fn every_section_is_described() {
    let schema = parsed();
    let sections: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(sections, SECTIONS.into());
    // And every key, for editors show it.
    fn described(schema: &Value, path: &str) {
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            let description = schema["description"].as_str().unwrap_or_default();
            assert!(description.ends_with('.') && description.len() > 15, "{path}.{key}: {description:?}");
            described(schema, &format!("{path}.{key}"));
            for inner in ["items", "additionalProperties"] {
                described(&schema[inner], &format!("{path}.{key}"));
            }
        }
    }
    described(&schema, "");
}

/// A keyword that JSON Schema does not know is passed over by whoever checks with it.
#[test]
fn it_uses_no_keyword_that_is_not_one() {
    const KEYWORDS: [&str; 16] = [
        "$schema",
        "title",
        "description",
        "default",
        "type",
        "const",
        "enum",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minLength",
        "minItems",
        "maxItems",
        "pattern",
        "required",
    ];
    fn look(schema: &Value) {
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            match keyword.as_str() {
                "properties" => value.as_object().unwrap().values().for_each(look),
                "anyOf" => value.as_array().unwrap().iter().for_each(look),
                "items" | "additionalProperties" => look(value),
                other => assert!(KEYWORDS.contains(&other), "{other}"),
            }
        }
    }
    look(&parsed());
}

#[test]
fn the_shipped_file_and_those_in_the_pages_are_valid() {
    assert_eq!(faults(SHIPPED), [""; 0]);
    for page in PAGES {
        let blocks: Vec<&str> = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!blocks.is_empty());
        for block in blocks {
            assert_eq!(faults(block), [""; 0], "{block}");
        }
    }
}

#[test]
fn what_is_wrong_in_a_file_is_wrong_for_the_schema() {
    for (text, fault) in [
        ("[mqqt]", ": additionalProperties"),
        ("[defaults]\ntreshold = 0.4", "/defaults: additionalProperties"),
        ("[labels.Dog]\ntreshold = 0.4", "/labels/Dog: additionalProperties"),
        ("[[source]]\ninputs = \"-\"", "/source/0: additionalProperties"),
        ("[groups.a]\nlabels = [\"Dog\"]\ncolour = 3", "/groups/a: additionalProperties"),
        ("[groups.a]\nthreshold = 0.3", "/groups/a: required"),
        ("[groups.a]\nlabels = []", "/groups/a/labels: minItems"),
        ("[source]\nname = \"a\"", "/source: type"),
        ("[[source]]\nchannel = \"left\"", "/source/0/channel: anyOf"),
        ("[[source]]\nchannel = 0", "/source/0/channel: anyOf"),
        ("[socket]\nmode = \"0888\"", "/socket/mode: pattern"),
        ("[defaults]\nconfirm = \"twice\"", "/defaults/confirm: pattern"),
        ("[defaults]\nthreshold = \"0.4\"", "/defaults/threshold: type"),
        ("[report]\npreset = \"hom\"", "/report/preset: enum"),
        ("[log]\nlevel = \"loud\"", "/log/level: enum"),
        ("[privacy]\nstore_audio = 1", "/privacy/store_audio: type"),
        ("[privacy]\nquiet_hours = [\"22:00-6:30\", \"at night\"]", "/privacy/quiet_hours/1: pattern"),
        ("[detection]\nwindows_ms = []", "/detection/windows_ms: minItems"),
        ("[detection]\nmedian = 2", "/detection/median: enum"),
    ] {
        assert_eq!(faults(text), [fault], "{text}");
    }
}

/// At each bound of each number, and just beyond it, the schema and the checks say the same.
#[test]
fn its_ranges_are_those_of_the_checks() {
    let labels = Labels::new([("/m/0".to_owned(), "Dog".to_owned())], Vec::new());
    let schema = parsed();
    let mut compared = 0;
    for (section, tables) in schema["properties"].as_object().unwrap() {
        // Whether [detection] suits a model is asked where that is opened.
        let (header, properties) = match section.as_str() {
            "detection" => continue,
            "source" => ("[[source]]\ninput = \"-\"".to_owned(), &tables["items"]["properties"]),
            "hooks" => ("[[hooks]]\nname = \"a\"\nexec = [\"true\"]".to_owned(), &tables["items"]["properties"]),
            "labels" | "groups" => continue,
            section => (format!("[{section}]"), &tables["properties"]),
        };
        for (key, rules) in properties.as_object().unwrap() {
            let step = if rules["type"] == "integer" { 1.0 } else { 0.001 };
            let bounds = ["minimum", "maximum", "exclusiveMinimum"].iter().filter_map(|bound| rules[bound].as_f64());
            for value in bounds.flat_map(|bound| [bound - step, bound, bound + step]) {
                let value = if rules["type"] == "integer" { format!("{value}") } else { format!("{value:?}") };
                // The example may need other keys beside it.
                let beside = match key.as_str() {
                    "release" => "threshold = 1.0\n",
                    "min_duration_ms" => "max_duration_s = 0\n",
                    _ => "",
                };
                let report = if section == "report" { "" } else { "[report]\n" };
                let text = format!("{header}\n{beside}{key} = {value}\n{report}labels = [\"Dog\"]\n");
                let is_valid = Raw::parse(&text, None).validate(&labels).is_ok();
                assert_eq!(faults(&text).is_empty(), is_valid, "{text}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 60, "{compared}");
}
