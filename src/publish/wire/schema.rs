//! The JSON Schema of the protocol, for programs in any language: made from the wire types and kept in
//! `config/protocol.schema.json`.
//!
//! A line is described as the daemon writes it, with all its fields; a request as the daemon reads it, with those that may be
//! left out.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::{Line, Request};

/// The schema as the file holds it: an object of the protocol is a `Line` or a `Request`.
pub fn schema() -> String {
    let mut definitions = Map::new();
    define::<Line>(SchemaSettings::draft2020_12().for_serialize(), &mut definitions);
    define::<Request>(SchemaSettings::draft2020_12().for_deserialize(), &mut definitions);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mimid protocol 1",
        "description": "One JSON object a line, both ways: the daemon sends a Line, a client sends a Request. A later version of the \
            daemon may add fields, types and words, and takes none away.",
        "anyOf": [{ "$ref": "#/$defs/Line" }, { "$ref": "#/$defs/Request" }],
        "$defs": definitions,
    });
    unwrap_lines(&mut schema);
    format!("{schema:#}\n")
}

/// Adds the definition of a type, and those that it refers to.
fn define<T: JsonSchema>(settings: SchemaSettings, definitions: &mut Map<String, Value>) {
    let mut generator: SchemaGenerator = settings.into_generator();
    generator.subschema_for::<T>();
    definitions.extend(generator.take_definitions(true));
}

/// Makes one line of each description, for a reader breaks lines by itself.
fn unwrap_lines(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(description)) = object.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            object.values_mut().for_each(unwrap_lines);
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/protocol.schema.json");

    #[test]
    fn the_file_is_kept_equal_to_the_wire_types() {
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(KEPT, schema()).unwrap();
        }
        let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
        assert!(kept == schema(), "config/protocol.schema.json is out of date: UPDATE_SCHEMA=1 cargo test --lib schema");
    }

    #[test]
    fn everything_is_described() {
        fn look(schema: &Value, path: &str) {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                let is_tag = property.get("const").is_some();
                let is_described = property["description"].as_str().is_some_and(|text| text.ends_with('.'));
                assert!(is_tag || is_described, "{path}.{key}: {property}");
            }
            for (key, inner) in schema.as_object().into_iter().flatten() {
                match inner {
                    Value::Object(_) => look(inner, &format!("{path}.{key}")),
                    Value::Array(items) => items.iter().for_each(|item| look(item, &format!("{path}.{key}"))),
                    _ => {}
                }
            }
        }
        look(&serde_json::from_str(&schema()).unwrap(), "");
    }
}
