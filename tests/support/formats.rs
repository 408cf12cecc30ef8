//! Checks of foreign formats: JSON Schema and OpenMetrics.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// The parts of `value` that a schema of this description does not allow.
pub fn faults(value: &Value, schema: &Value, description: &Value) -> Vec<String> {
    // The references of a schema point into the description.
    let whole = json!({"allOf": [schema], "components": description["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The names that a schema gives to fields, at any depth of `allOf`.
pub fn named<'a>(schema: &'a Value, root: &'a Value) -> Vec<&'a String> {
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
    let behind = schema["$ref"].as_str().and_then(|reference| root.pointer(&reference[1..]));
    let parts = behind.into_iter().chain(schema["allOf"].as_array().into_iter().flatten());
    own.chain(parts.flat_map(|part| named(part, root))).collect()
}

/// The samples of a text by name and labels, as read by Prometheus' own parser of OpenMetrics, which is strict.
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
