//! A model of Home Assistant after its documentation: the keys that a document of device discovery may hold, and the entities
//! that are made of it.
//!
//! The keys are copied by hand from its pages on MQTT and on the platforms that are used. Home Assistant silently ignores other
//! keys.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::mqtt::Retained;

/// The keys of a document beside its components, which apply to all of them.
const DOCUMENT: [&str; 13] = [
    "device",
    "origin",
    "components",
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "payload_available",
    "payload_not_available",
    "command_topic",
    "state_topic",
    "qos",
    "encoding",
];

/// The keys of a device.
const DEVICE: [&str; 12] = [
    "configuration_url",
    "connections",
    "hw_version",
    "identifiers",
    "manufacturer",
    "model",
    "model_id",
    "name",
    "serial_number",
    "suggested_area",
    "sw_version",
    "via_device",
];

/// The device classes of binary sensors.
const BINARY_SENSOR_CLASSES: [&str; 28] = [
    "battery",
    "battery_charging",
    "carbon_monoxide",
    "cold",
    "connectivity",
    "door",
    "garage_door",
    "gas",
    "heat",
    "light",
    "lock",
    "moisture",
    "motion",
    "moving",
    "occupancy",
    "opening",
    "plug",
    "power",
    "presence",
    "problem",
    "running",
    "safety",
    "smoke",
    "sound",
    "tamper",
    "update",
    "vibration",
    "window",
];

/// The documented keys of every entity over MQTT, and for each platform the further keys that it may have and those that it must
/// have.
fn documented(platform: &str) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut may = vec![
        "platform",
        "availability",
        "availability_mode",
        "availability_template",
        "availability_topic",
        "default_entity_id",
        "enabled_by_default",
        "encoding",
        "entity_category",
        "entity_picture",
        "icon",
        "json_attributes_template",
        "json_attributes_topic",
        "name",
        "payload_available",
        "payload_not_available",
        "qos",
        "unique_id",
    ];
    let (own, must): (&[&str], &[&str]) = match platform {
        "binary_sensor" => (
            &[
                "device_class",
                "expire_after",
                "force_update",
                "off_delay",
                "payload_off",
                "payload_on",
                "state_topic",
                "value_template",
            ],
            &["state_topic"],
        ),
        "sensor" => (
            &[
                "device_class",
                "expire_after",
                "force_update",
                "last_reset_value_template",
                "options",
                "state_class",
                "state_topic",
                "suggested_display_precision",
                "unit_of_measurement",
                "value_template",
            ],
            &["state_topic"],
        ),
        "event" => (&["device_class", "event_types", "state_topic", "value_template"], &["state_topic", "event_types"]),
        "switch" => (
            &[
                "command_template",
                "command_topic",
                "device_class",
                "optimistic",
                "payload_off",
                "payload_on",
                "retain",
                "state_off",
                "state_on",
                "state_topic",
                "value_template",
            ],
            &["command_topic"],
        ),
        "number" => (
            &[
                "command_template",
                "command_topic",
                "device_class",
                "max",
                "min",
                "mode",
                "optimistic",
                "payload_reset",
                "retain",
                "state_topic",
                "step",
                "unit_of_measurement",
                "value_template",
            ],
            &["command_topic"],
        ),
        other => panic!("{other} is no platform that is used"),
    };
    may.extend(own);
    // In a device's document each component needs these two.
    let must = must.iter().copied().chain(["platform", "unique_id"]).collect();
    (may, must)
}

/// Entities by platform and unique id.
pub type Entities = BTreeMap<(String, String), Value>;

/// The number of components in all documents, or `None` while one of them is being removed.
pub fn n_entities(retained: &Retained) -> Option<usize> {
    let documents = retained.values().map(|payload| serde_json::from_str::<Value>(payload).unwrap());
    let counts = documents.map(|document| {
        let Some(components) = document["components"].as_object() else { return Some(1) };
        // A component with nothing but its platform is one that is to be removed.
        components.values().all(|component| component.as_object().unwrap().len() > 1).then_some(components.len())
    });
    counts.sum()
}

/// The entities that Home Assistant makes of the retained messages under its prefix, by platform and unique id.
pub fn entities(retained: &Retained) -> Entities {
    let mut entities = BTreeMap::new();
    let (mut known, mut hubs) = (BTreeSet::new(), BTreeSet::new());
    let is_id = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    for (topic, payload) in retained {
        let levels: Vec<&str> = topic.split('/').collect();
        let ["homeassistant", kind, node, object, "config"] = levels[..] else { panic!("{topic}") };
        assert!(is_id(node) && is_id(object), "{topic}");
        let document = whole(kind, object, serde_json::from_str(payload).unwrap());
        holds(&document, &DOCUMENT, &["device", "origin", "components"]);
        holds(&document["device"], &DEVICE, &["identifiers", "name"]);
        holds(&document["origin"], &["name", "sw_version", "support_url"], &["name"]);
        assert!(!document["device"]["identifiers"].as_array().unwrap().is_empty());
        hubs.extend(document["device"]["via_device"].as_str().map(str::to_owned));
        known.extend(document["device"]["identifiers"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()));
        for component in document["components"].as_object().unwrap().values() {
            let platform = component["platform"].as_str().unwrap().to_owned();
            if component.as_object().unwrap().len() == 1 {
                // This is how a component is taken away; what is retained at last holds none.
                panic!("{topic} still removes {component}");
            }
            let (may, must) = documented(&platform);
            holds(component, &may, &must);
            check_values(&platform, component);
            let name = component["default_entity_id"].as_str().unwrap().strip_prefix(&format!("{platform}.")).unwrap();
            assert!(is_id(name) && name == name.to_lowercase(), "{name}");
            let mut entity = component.clone();
            // A key of the component goes before that of the document.
            let topics = component.get("availability").unwrap_or(&document["availability"]).as_array().unwrap();
            assert!(topics.iter().all(|of| of["topic"].is_string()) && document["availability_mode"] == "all", "{document}");
            entity["availability"] = Value::Array(topics.clone());
            entity["device"] = document["device"].clone();
            let id = component["unique_id"].as_str().unwrap().to_owned();
            assert!(entities.insert((platform, id), entity).is_none(), "{component} has the id of another");
        }
    }
    assert!(hubs.is_subset(&known), "{hubs:?} are no devices");
    entities
}

/// The document of a device; that of a single entity is made into one with a single component.
fn whole(kind: &str, object: &str, document: Value) -> Value {
    if kind == "device" {
        return document;
    }
    let Value::Object(mut component) = document else { panic!("{document}") };
    let mut whole = serde_json::Map::new();
    for key in ["device", "origin"] {
        whole.insert(key.to_owned(), component.remove(key).unwrap());
    }
    for key in ["availability", "availability_mode"] {
        whole.insert(key.to_owned(), component[key].clone());
    }
    component.insert("platform".to_owned(), kind.into());
    whole.insert("components".to_owned(), serde_json::json!({ object: component }));
    Value::Object(whole)
}

/// The state and the attributes that Home Assistant reads from a message to a label's sensor by its templates.
pub fn label_state(entity: &Value, payload: &str) -> (&'static str, Value) {
    // The templates in words, so that a change of one is a change here.
    assert_eq!(entity["value_template"], "{{ 'ON' if (value_json | default({})).heard | default(false) else 'OFF' }}");
    assert_eq!(entity["json_attributes_template"], "{{ value or '{}' }}");
    assert_eq!(entity["state_topic"], entity["json_attributes_topic"]);
    let attributes: Value = serde_json::from_str(if payload.is_empty() { "{}" } else { payload }).unwrap();
    (if attributes["heard"] == true { "ON" } else { "OFF" }, attributes)
}

/// Requires that an object has all the keys that it must have, and only those that it may have.
fn holds(object: &Value, may: &[&str], must: &[&str]) {
    let given: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(given.iter().all(|key| may.contains(key)) && must.iter().all(|key| given.contains(key)), "{object}");
}

/// Requires that each value is one that is documented for its key.
fn check_values(platform: &str, component: &Value) {
    let one_of = |key: &str, values: &[&str]| {
        assert!(component.get(key).is_none_or(|value| values.contains(&value.as_str().unwrap())), "{component}: {key}");
    };
    match platform {
        // An entity that only reports has nothing to configure.
        "binary_sensor" | "sensor" => one_of("entity_category", &["diagnostic"]),
        _ => one_of("entity_category", &["config", "diagnostic"]),
    }
    match platform {
        "binary_sensor" => one_of("device_class", &BINARY_SENSOR_CLASSES),
        "sensor" => {
            one_of("state_class", &["measurement", "measurement_angle", "total", "total_increasing"]);
            assert!(component["suggested_display_precision"].is_u64(), "{component}");
        }
        "event" => assert!(component["event_types"].as_array().unwrap().iter().all(Value::is_string), "{component}"),
        "number" => {
            one_of("mode", &["auto", "box", "slider"]);
            let number = |key: &str| component[key].as_f64().unwrap();
            assert!(number("min") < number("max") && number("step") >= 0.001, "{component}");
        }
        _ => {}
    }
    assert!(component.get("icon").is_none_or(|icon| icon.as_str().unwrap().starts_with("mdi:")), "{component}");
    assert!(component.get("qos").is_none_or(|qos| qos.as_u64().is_some_and(|qos| qos <= 2)), "{component}");
    for (key, topic) in component.as_object().unwrap().iter().filter(|(key, _)| key.ends_with("_topic")) {
        assert!(topic.as_str().is_some_and(|topic| !topic.is_empty() && !topic.contains(['+', '#'])), "{key}: {topic}");
    }
}
