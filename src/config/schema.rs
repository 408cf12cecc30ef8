//! The JSON Schema of the configuration file, for editors: made from the declarations in `raw` and kept in
//! `config/mimid.schema.json`.
//!
//! The schema describes types, ranges and words. Only `validate` knows the labels, and which keys go together.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Raw;

/// The schema, as the text of the file.
pub fn schema() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Raw>().to_value();
    tidy(&mut schema);
    // A key that a label or a group leaves out has the value of [defaults], and no default of its own.
    for tables in ["/properties/labels", "/properties/groups"] {
        let properties = schema.pointer_mut(&format!("{tables}/additionalProperties/properties")).and_then(Value::as_object_mut);
        for key in properties.into_iter().flat_map(|properties| properties.values_mut()).filter_map(Value::as_object_mut) {
            key.remove("default");
        }
    }
    format!("{schema:#}\n")
}

/// Removes what does not apply to TOML: null, because a key without a value is left out, and the widths of numbers. Line breaks
/// in descriptions go too, because an editor breaks lines itself.
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
