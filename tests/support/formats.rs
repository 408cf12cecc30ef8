//! Judges of formats that are not ours: JSON Schema, as far as the description of the interface uses it, and OpenMetrics.

use std::collections::BTreeMap;

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

/// Samples by name and labels, of a text that is strictly OpenMetrics: each family described once and before its samples, which have the
/// suffixes of its type, in one block, none twice.
pub fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut family, mut known): (_, (String, String), Vec<String>) =
        (BTreeMap::new(), Default::default(), Vec::new());
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let [kind, name, rest] = comment.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            match kind {
                "HELP" => assert!(!known.contains(&name.to_owned()), "{name} twice"),
                "TYPE" => {
                    known.push(name.to_owned());
                    family = (name.to_owned(), rest.to_owned());
                }
                "UNIT" => assert!(name == family.0 && name.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let name = key.split('{').next().unwrap();
        let suffix = name.strip_prefix(&family.0).unwrap_or_else(|| panic!("{line} is not of {}", family.0));
        let allowed: &[&str] = match &*family.1 {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("{other}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
        if let Some(labels) = key.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let inner = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix("\"}")).expect(line);
            assert!(
                inner.split("\",").all(|pair| pair
                    .split_once("=\"")
                    .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))),
                "{line}"
            );
        }
        let value: f64 = value.parse().expect(line);
        assert!(value.is_finite() && (family.1 != "counter" || value >= 0.0), "{line}");
        assert!(samples.insert(key.to_owned(), value).is_none(), "{key} twice");
    }
    samples
}
