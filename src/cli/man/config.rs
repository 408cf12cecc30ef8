//! The keys of the configuration for a manual page, made from its JSON Schema: the schema's descriptions are the comments of the
//! keys.

use clap_mangen::roff::{Roff, bold, roman};
use serde_json::Value;

use super::markdown;
use crate::config::raw::SECTIONS;
use crate::config::schema::schema;

/// Appends a section for each table of the configuration file, with each of its keys.
pub(super) fn append(roff: &mut Roff) -> serde_json::Result<()> {
    let schema: Value = serde_json::from_str(&schema())?;
    let defaults = &schema["properties"]["defaults"]["properties"];
    for name in SECTIONS {
        let section = &schema["properties"][name];
        let (items, named) = (&section["items"], &section["additionalProperties"]);
        if items.is_object() {
            table(roff, &format!("[[{name}]]"), section, &items["properties"], &Value::Null);
        } else if named.is_object() {
            table(roff, &format!("[{name}.NAME]"), section, &named["properties"], defaults);
        } else if name == "sinks" {
            for (sink, section) in section["properties"].as_object().into_iter().flatten() {
                table(roff, &format!("[{name}.{sink}]"), section, &section["properties"], &Value::Null);
            }
        } else {
            table(roff, &format!("[{name}]"), section, &section["properties"], &Value::Null);
        }
    }
    Ok(())
}

/// One table of the file. Keys that `inherited` has are named together.
fn table(roff: &mut Roff, title: &str, section: &Value, keys: &Value, inherited: &Value) {
    roff.control("SH", [title]);
    markdown::append(roff, section["description"].as_str().unwrap_or_default());
    for (key, schema) in keys.as_object().into_iter().flatten().filter(|(key, _)| inherited[key].is_null()) {
        roff.control("TP", []).text([bold(key), roman(format!("  ({})", kind_and_default(schema)))]);
        roff.text(markdown::words(schema["description"].as_str().unwrap_or_default()));
    }
    if inherited.is_object() {
        markdown::append(roff, "It takes every key of `[defaults]`.");
    }
}

/// The values that a key takes, and its default where it has one.
fn kind_and_default(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => kind(schema),
        // JSON's strings, numbers and lists are spelt as TOML's.
        default => format!("{}; default {default}", kind(schema)),
    }
}

/// The values that a schema lets pass.
fn kind(schema: &Value) -> String {
    let list = |values: &Value, to_string: fn(&Value) -> String| {
        values.as_array().into_iter().flatten().map(to_string).collect::<Vec<_>>().join(" or ")
    };
    if schema["anyOf"].is_array() {
        return list(&schema["anyOf"], kind);
    }
    if schema["enum"].is_array() {
        return list(&schema["enum"], Value::to_string);
    }
    if !schema["const"].is_null() {
        return schema["const"].to_string();
    }
    match schema["type"].as_str().unwrap_or_default() {
        "integer" => format!("whole number{}", range(schema)),
        "number" => format!("number{}", range(schema)),
        "boolean" => "true or false".to_owned(),
        "array" => {
            let each = kind(&schema["items"]);
            format!("list of {}", each.replacen("number", "numbers", 1).replacen("text", "texts", 1))
        }
        _ => "text".to_owned(),
    }
}

/// The bounds of a number.
fn range(schema: &Value) -> String {
    let bound = |key: &str| schema[key].as_f64();
    if let (Some(least), Some(most)) = (bound("minimum"), bound("maximum")) {
        return format!(" from {least} to {most}");
    }
    let bounds = [("minimum", "at least"), ("exclusiveMinimum", "above"), ("maximum", "at most"), ("exclusiveMaximum", "below")];
    let words = bounds.iter().filter_map(|(key, word)| Some(format!("{word} {}", bound(key)?)));
    let range = words.collect::<Vec<_>>().join(" and ");
    if range.is_empty() { range } else { format!(" {range}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_schema_stands_under_its_table() {
        let mut roff = Roff::new();
        append(&mut roff).unwrap();
        let page = roff.to_roff();
        for part in [
            ".SH [[source]]\n",
            ".SH [labels.NAME]\n",
            ".SH [groups.NAME]\n",
            ".SH [sinks.http]\n",
            "\\fBgain_db\\fR  (number from \\-60 to 60; default 0.0)\n",
            "\\fBpreset\\fR  (\"home\" or \"all\"; default \"home\")\n",
            "\\fBchannel\\fR  (\"mix\" or whole number from 1 to 1024; default \"mix\")\n",
            "\\fBwindows_ms\\fR  (list of whole numbers from 10 to 60000)\n",
            "\\fBlevel\\fR  (\"error\" or ",
            "\\fBthreshold\\fR  (number above 0 and at most 1)\n",
        ] {
            assert!(page.contains(part), "{part}{page}");
        }
        // The keys that [labels.NAME] and [groups.NAME] share with [defaults] stand there once.
        assert_eq!(page.matches("\\fBhangover_ms\\fR").count(), 1);
        assert!(!page.contains('`'), "{page}");
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        let mut keys = Vec::new();
        collect(&schema, &mut keys);
        assert!(keys.len() > 40, "{keys:?}");
        for key in keys {
            assert!(page.contains(&format!("\\fB{key}\\fR  (")), "{key}");
        }
    }

    /// The keys that hold a value and no table.
    fn collect(schema: &Value, keys: &mut Vec<String>) {
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let nested = [inner, &inner["items"], &inner["additionalProperties"]];
            match nested.into_iter().find(|inner| inner["properties"].is_object()) {
                Some(inner) => collect(inner, keys),
                None => keys.push(key.clone()),
            }
        }
    }
}
