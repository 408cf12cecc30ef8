//! The JSON Schema of the configuration file, for editors: made from the declaration in `raw` and kept in `config/mimid.schema.json`.
//!
//! It knows shapes, ranges and words; which labels there are, and what makes sense together, only `validate` knows.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Raw;

/// The schema as the file holds it.
pub fn schema() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Raw>().to_value();
    tidy(&mut schema);
    // A number that is missing for a label or a group is that of [defaults], whatever it is.
    for tables in ["/properties/labels", "/properties/groups"] {
        let properties = schema.pointer_mut(&format!("{tables}/additionalProperties/properties")).and_then(Value::as_object_mut);
        for key in properties.into_iter().flat_map(|properties| properties.values_mut()).filter_map(Value::as_object_mut) {
            key.remove("default");
        }
    }
    format!("{schema:#}\n")
}

/// TOML has no null, for a key without a value is left out, and no numbers of different widths; an editor breaks lines by itself.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            if let Some(Value::String(description)) = object.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
