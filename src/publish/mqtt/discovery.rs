//! The discovery documents for Home Assistant's device-based MQTT discovery: one device for the daemon, and one for each source.
//!
//! All functions are pure. A component that is gone is sent once more with its platform alone, by which Home Assistant removes
//! it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::commands::MIN_THRESHOLD;
use super::inventory::{Inventory, ReportedLabel};
use super::topics::{Topics, id};

/// The values of Home Assistant's `event_type`.
pub const EVENT_TYPES: [&str; 3] = ["start", "update", "end"];

/// The documents that the broker is to retain, by topic.
pub fn documents(topics: &Topics, inventory: &Inventory) -> BTreeMap<String, Value> {
    let sources = inventory.sources.iter().map(|source| (topics.discovery(Some(source)), of_source(topics, inventory, source)));
    [(topics.discovery(None), of_node(topics, inventory))].into_iter().chain(sources).collect()
}

/// The new document with the components of the old one that are to be removed; `None` where there are none.
pub fn removal(old: &str, new: &Value) -> Option<Value> {
    let old: Value = serde_json::from_str(old).ok()?;
    let (old, is) = (old["components"].as_object()?, new["components"].as_object()?);
    let gone: Vec<_> =
        old.iter().filter(|(name, component)| !is.contains_key(*name) && component["platform"].is_string()).collect();
    if gone.is_empty() {
        return None;
    }
    let mut document = new.clone();
    for (name, component) in gone {
        document["components"][name] = json!({ "platform": component["platform"] });
    }
    Some(document)
}

fn of_node(topics: &Topics, inventory: &Inventory) -> Value {
    let mut components = Map::new();
    let unique = |what: &str| format!("{}_{what}", topics.node_id);
    components.insert(
        "pause".to_owned(),
        json!({
            "platform": "switch",
            "unique_id": unique("pause"),
            "default_entity_id": format!("switch.{}", unique("pause")),
            "name": "Pause",
            "icon": "mdi:microphone-off",
            "command_topic": topics.node("pause/set"),
            "state_topic": topics.node("pause/state"),
        }),
    );
    components.insert(
        "problem".to_owned(),
        json!({
            "platform": "binary_sensor",
            "unique_id": unique("problem"),
            "default_entity_id": format!("binary_sensor.{}", unique("problem")),
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.node("problem"),
            "json_attributes_topic": topics.node("health"),
        }),
    );
    for ReportedLabel { key, name, .. } in &inventory.labels {
        let component = format!("threshold_{key}");
        let number = json!({
            "platform": "number",
            "unique_id": unique(&component),
            "default_entity_id": format!("number.{}", unique(&component)),
            "name": format!("{name} threshold"),
            "entity_category": "config",
            "icon": "mdi:tune-vertical",
            "command_topic": topics.threshold(key, "set"),
            "state_topic": topics.threshold(key, "state"),
            "min": MIN_THRESHOLD,
            "max": 1,
            "step": MIN_THRESHOLD,
            "mode": "box",
        });
        components.insert(component, number);
    }
    let device = json!({
        "identifiers": [topics.node_id],
        "name": format!("mimid {}", topics.node),
        "manufacturer": "mimid",
        "model": inventory.model,
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    document(topics, device, components)
}

fn of_source(topics: &Topics, inventory: &Inventory, source: &str) -> Value {
    let mut components = Map::new();
    let source_id = id(source);
    let device_id = format!("{}_source_{source_id}", topics.node_id);
    let mut add = |what: &str, platform: &str, specific: Value| {
        let mut component = json!({
            "platform": platform,
            "unique_id": format!("{device_id}_{what}"),
            "default_entity_id": format!("{platform}.{source_id}_{what}"),
        });
        if let (Some(component), Value::Object(specific)) = (component.as_object_mut(), specific) {
            component.extend(specific);
        }
        components.insert(what.to_owned(), component);
    };
    add(
        "sound",
        "event",
        json!({
            "name": "Sound",
            "icon": "mdi:ear-hearing",
            "state_topic": topics.source(source, "event"),
            "event_types": EVENT_TYPES,
            "qos": 1,
        }),
    );
    add(
        "level",
        "sensor",
        json!({
            "name": "Level",
            "icon": "mdi:volume-high",
            "state_topic": topics.source(source, "level"),
            "unit_of_measurement": "dBFS",
            "state_class": "measurement",
            "suggested_display_precision": 1,
            "expire_after": 60,
            "entity_category": "diagnostic",
        }),
    );
    add(
        "connectivity",
        "binary_sensor",
        json!({
            "name": "Microphone",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "state_topic": topics.source(source, "connectivity"),
            "json_attributes_topic": topics.source(source, "health"),
        }),
    );
    for ReportedLabel { key, name, .. } in &inventory.labels {
        add(
            &format!("label_{key}"),
            "binary_sensor",
            json!({
                "name": name,
                "device_class": class(key),
                "default_entity_id": format!("binary_sensor.{source_id}_{key}"),
                "state_topic": topics.label(source, key, "state"),
                "json_attributes_topic": topics.label(source, key, "attributes"),
            }),
        );
    }
    let device = json!({
        "identifiers": [device_id],
        "name": source,
        "manufacturer": "mimid",
        "model": inventory.model,
        "sw_version": env!("CARGO_PKG_VERSION"),
        "via_device": topics.node_id,
    });
    document(topics, device, components)
}

fn document(topics: &Topics, device: Value, components: Map<String, Value>) -> Value {
    json!({
        "device": device,
        "origin": { "name": "mimid", "sw_version": env!("CARGO_PKG_VERSION") },
        "availability_topic": topics.node("availability"),
        "components": components,
    })
}

/// The device class of a label in Home Assistant: that of the alarm whose sound it is, or `sound`.
fn class(key: &str) -> &'static str {
    let is = |words: &[&str]| words.iter().any(|word| key.contains(word));
    if is(&["carbon_monoxide"]) {
        "carbon_monoxide"
    } else if is(&["smoke_detector", "smoke_alarm", "fire_alarm"]) {
        "smoke"
    } else if is(&["gas_detector", "gas_alarm", "gas_leak"]) {
        "gas"
    } else {
        "sound"
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::publish::settings::{MqttConfig, MqttVersion};

    pub fn topics() -> Topics {
        Topics::new(&MqttConfig {
            host: "broker".to_owned(),
            port: 1883,
            tls: false,
            version: MqttVersion::V5,
            node: "pi".to_owned(),
            prefix: "mimid".to_owned(),
            username: None,
            password_file: None,
            ca_file: None,
            discovery: true,
            discovery_prefix: "homeassistant".to_owned(),
            queue: 100,
        })
    }

    pub fn inventory() -> Inventory {
        let label = |key: &str, name: &str, threshold| ReportedLabel { key: key.to_owned(), name: name.to_owned(), threshold };
        Inventory {
            sources: vec!["kitchen".to_owned(), "Küche/2".to_owned()],
            labels: vec![
                label("baby_cry_infant_cry", "Baby cry, infant cry", 0.2),
                label("smoke_detector_smoke_alarm", "Smoke detector, smoke alarm", 0.1),
            ],
            model: "ced-tiny".to_owned(),
        }
    }

    #[test]
    fn what_home_assistant_is_told() {
        let documents = serde_json::to_string_pretty(&documents(&topics(), &inventory())).unwrap();
        insta::assert_snapshot!(documents.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    #[test]
    fn ids_are_unique() {
        let documents = documents(&topics(), &inventory());
        let components = || documents.values().flat_map(|document| document["components"].as_object().unwrap().values());
        let ids =
            |name: &str| components().map(|component| component[name].to_string()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!((ids("unique_id").len(), ids("default_entity_id").len()), (components().count(), components().count()));
    }

    #[test]
    fn a_component_that_is_gone_is_told_with_its_platform_alone() {
        let (topics, mut inventory) = (topics(), inventory());
        let topic = topics.discovery(Some("kitchen"));
        let old = documents(&topics, &inventory)[&topic].to_string();
        assert_eq!(removal(&old, &documents(&topics, &inventory)[&topic]), None);
        inventory.labels.remove(0);
        let new = &documents(&topics, &inventory)[&topic];
        let mut removing = removal(&old, new).unwrap();
        let gone = removing["components"].as_object_mut().unwrap().remove("label_baby_cry_infant_cry");
        assert_eq!(gone, Some(json!({"platform": "binary_sensor"})));
        assert_eq!(removing, *new);
        assert_eq!(removal("no JSON", new), None);
    }

    #[test]
    fn an_alarm_is_more_than_a_sound() {
        for (key, expected) in [
            ("smoke_detector_smoke_alarm", "smoke"),
            ("fire_alarm", "smoke"),
            ("carbon_monoxide_alarm", "carbon_monoxide"),
            ("gas_alarm", "gas"),
            ("car_alarm", "sound"),
            ("fire", "sound"),
        ] {
            assert_eq!(class(key), expected, "{key}");
        }
    }
}
