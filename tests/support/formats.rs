//! Judges of formats that are not ours: JSON Schema, as far as the description of the interface uses it, and OpenMetrics.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What of `value` the schema does not allow: enough of JSON Schema for what the description uses.
pub fn faults(value: &Value, schema: &Value, root: &Value, at: &str, out: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        faults(value, root.pointer(&reference[1..]).expect(reference), root, at, out);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        faults(value, part, root, at, out);
    }
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let fits = |choice| {
            let mut found = Vec::new();
            faults(value, choice, root, at, &mut found);
            found.is_empty()
        };
        if !choices.iter().any(fits) {
            out.push(format!("{at}: {value} fits none of {choices:?}"));
        }
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    if !kinds.is_empty() && !kinds.into_iter().any(is) {
        out.push(format!("{at}: {value} is not of type {}", schema["type"]));
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        out.push(format!("{at}: {value} is not {}", schema["const"]));
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        out.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            out.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            faults(value, schema, root, &format!("{at}/{name}"), out);
        }
    }
    for item in value.as_array().into_iter().flatten() {
        faults(item, &schema["items"], root, &format!("{at}/*"), out);
    }
}

/// The names that a schema gives to fields, at any depth of `allOf`.
pub fn named<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a String> {
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
    let behind = schema["$ref"].as_str().and_then(|reference| root.pointer(&reference[1..]));
    let parts = behind.into_iter().chain(schema["allOf"].as_array().into_iter().flatten());
    own.chain(parts.flat_map(|part| named(part, root))).collect()
}

/// Samples by name and labels, as Prometheus' own reader of OpenMetrics takes a text, which refuses what is not strictly that.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    const READER: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
samples = [sample for family in text_string_to_metric_families(sys.stdin.read()) for sample in family.samples]
label = lambda pair: pair[0] + '=' + json.dumps(pair[1], ensure_ascii=False)
key = lambda sample: sample.name + ('{' + ','.join(map(label, sample.labels.items())) + '}' if sample.labels else '')
print(json.dumps([[key(sample), sample.value] for sample in samples]))";
    // The system's own Python, which alone knows the system's packages.
    let mut reader = Command::new("/usr/bin/python3");
    reader.args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut reader = reader.spawn().expect("python3 is needed, and python3-prometheus-client; `make test` installs them");
    reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {text}", String::from_utf8_lossy(&output.stderr));
    let all: Vec<(String, f64)> = serde_json::from_slice(&output.stdout).unwrap();
    let samples: BTreeMap<String, f64> = all.iter().cloned().collect();
    assert_eq!(samples.len(), all.len(), "a sample twice");
    samples
}
