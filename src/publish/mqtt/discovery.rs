//! The discovery documents for Home Assistant's device-based MQTT discovery: one device for the daemon, and one for each source.
//! Where the broker takes no message of that length, each entity has a document of its own.
//!
//! All functions are pure. A component that is gone is sent once more with its platform alone, by which Home Assistant removes
//! it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::commands::MIN_THRESHOLD;
use super::inventory::{Inventory, KnownSource, ReportedLabel};
use super::topics::{Topics, entity, id, words};

/// The documents that the broker is to retain, by topic. None is longer than `longest` bytes, where a document of a single entity
/// is not.
pub fn documents(topics: &Topics, inventory: &Inventory, longest: Option<usize>) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    let devices = [(None, of_node(topics, inventory))].into_iter();
    let sources = inventory.sources.iter().map(|source| (Some(source.name.as_str()), of_source(topics, inventory, source)));
    for (source, document) in devices.chain(sources) {
        if longest.is_some_and(|longest| document.to_string().len() > longest) {
            documents.extend(split(topics, source, &document));
        } else {
            documents.insert(topics.discovery(source), document);
        }
    }
    documents
}

/// A document for each entity of a device.
fn split(topics: &Topics, source: Option<&str>, document: &Value) -> Vec<(String, Value)> {
    let mut common = document.clone();
    let components = common.as_object_mut().and_then(|common| common.remove("components"));
    let Some(Value::Object(components)) = components else { return Vec::new() };
    let single = |(what, component): (String, Value)| {
        let (mut single, Value::Object(mut component)) = (common.clone(), component) else { return None };
        let Some(Value::String(platform)) = component.remove("platform") else { return None };
        // The keys of the component go before those of the document.
        single.as_object_mut()?.extend(component);
        Some((topics.discovery_of(&platform, source, &what), single))
    };
    components.into_iter().filter_map(single).collect()
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
    let entity_id = |what: &str| format!("mimid_{}_{what}", entity(&topics.node));
    components.insert(
        "pause".to_owned(),
        json!({
            "platform": "switch",
            "unique_id": unique("pause"),
            "default_entity_id": format!("switch.{}", entity_id("pause")),
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
            "default_entity_id": format!("binary_sensor.{}", entity_id("problem")),
            "name": "Problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.node("problem"),
            "json_attributes_topic": topics.node("health"),
        }),
    );
    for ReportedLabel { key, short, .. } in inventory.labels.iter().filter(|_| inventory.has_entities) {
        let component = format!("threshold_{key}");
        let number = json!({
            "platform": "number",
            "unique_id": unique(&component),
            "default_entity_id": format!("number.{}", entity_id(&component)),
            "name": format!("{short} threshold"),
            "enabled_by_default": false,
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
    let mut device = json!({
        "identifiers": [topics.node_id],
        "name": format!("mimid {}", words(&topics.node)),
        "manufacturer": "mimid",
        "model": "Sound event recognition",
        "model_id": inventory.model,
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    add_page(&mut device, inventory);
    document(device, vec![topics.node("availability")], components)
}

fn of_source(topics: &Topics, inventory: &Inventory, source: &KnownSource) -> Value {
    let mut components = Map::new();
    let name = source.name.as_str();
    let device_id = format!("{}_source_{}", topics.node_id, id(name));
    let entity_id = format!("{}_{}", entity(&topics.node), entity(name));
    let mut add = |what: &str, platform: &str, specific: Value| {
        let mut component = json!({
            "platform": platform,
            "unique_id": format!("{device_id}_{what}"),
            "default_entity_id": format!("{platform}.{entity_id}_{what}"),
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
            "state_topic": topics.source(name, "heard"),
            "event_types": inventory.labels.iter().map(|label| label.key.as_str()).collect::<Vec<_>>(),
            "qos": 1,
        }),
    );
    add(
        "level",
        "sensor",
        json!({
            "name": "Level",
            "icon": "mdi:volume-high",
            "state_topic": topics.source(name, "level"),
            "unit_of_measurement": "dBFS",
            "state_class": "measurement",
            "suggested_display_precision": 0,
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
            "state_topic": topics.source(name, "connectivity"),
            "json_attributes_topic": topics.source(name, "health"),
            // It says that the microphone is lost, and so must not be unavailable then.
            "availability": [{ "topic": topics.node("availability") }],
        }),
    );
    for ReportedLabel { key, short, is_enabled, .. } in inventory.labels.iter().filter(|_| inventory.has_entities) {
        let attributes = topics.label(name, key, "attributes");
        let mut label = json!({
            "name": short,
            "device_class": class(key),
            "default_entity_id": format!("binary_sensor.{entity_id}_{key}"),
            // The state and the attributes come in one message, so that Home Assistant writes them as one state. A message that
            // removes the topic is empty.
            "state_topic": attributes,
            "value_template": "{{ 'ON' if (value_json | default({})).heard | default(false) else 'OFF' }}",
            "json_attributes_topic": attributes,
            "json_attributes_template": "{{ value or '{}' }}",
        });
        if !is_enabled {
            label["enabled_by_default"] = false.into();
        }
        add(&format!("label_{key}"), "binary_sensor", label);
    }
    let mut device = json!({
        "identifiers": [device_id],
        "name": format!("{} {name}", words(&topics.node)),
        "manufacturer": "mimid",
        "model": "Microphone",
        "model_id": inventory.model,
        "sw_version": env!("CARGO_PKG_VERSION"),
        "via_device": topics.node_id,
    });
    if let Some(area) = &source.area {
        device["suggested_area"] = area.as_str().into();
    }
    add_page(&mut device, inventory);
    document(device, vec![topics.node("availability"), topics.source(name, "availability")], components)
}

fn add_page(device: &mut Value, inventory: &Inventory) {
    if let Some(page) = &inventory.page {
        device["configuration_url"] = page.as_str().into();
    }
}

/// A document of a device whose entities are available while all of these topics say so.
fn document(device: Value, availability: Vec<String>, components: Map<String, Value>) -> Value {
    let mut origin = json!({ "name": "mimid", "sw_version": env!("CARGO_PKG_VERSION") });
    let home = env!("CARGO_PKG_REPOSITORY");
    if !home.is_empty() {
        origin["support_url"] = home.into();
    }
    json!({
        "device": device,
        "origin": origin,
        "availability": availability.into_iter().map(|topic| json!({ "topic": topic })).collect::<Vec<_>>(),
        "availability_mode": "all",
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
    use crate::publish::mqtt::inventory::tests::label;
    use crate::publish::settings::MqttConfig;

    pub fn config() -> MqttConfig {
        MqttConfig {
            node: "kitchen-pi".to_owned(),
            page: Some("http://kitchen-pi:8787/".to_owned()),
            ..MqttConfig::plain("broker".to_owned(), 1883)
        }
    }

    pub fn topics() -> Topics {
        Topics::new(&config())
    }

    pub fn inventory() -> Inventory {
        let source = |name: &str, area: Option<&str>| KnownSource { name: name.to_owned(), area: area.map(str::to_owned) };
        let smoke = ReportedLabel { is_enabled: false, ..label("Smoke detector, smoke alarm", 0.1) };
        Inventory {
            sources: vec![source("kitchen", Some("Kitchen")), source("Küche/2", None)],
            labels: vec![ReportedLabel { short: "Baby cry".to_owned(), ..label("Baby cry, infant cry", 0.2) }, smoke],
            model: "ced-tiny".to_owned(),
            page: config().page,
            has_entities: true,
        }
    }

    #[test]
    fn what_home_assistant_is_told() {
        let documents = serde_json::to_string_pretty(&documents(&topics(), &inventory(), None)).unwrap();
        insta::assert_snapshot!(documents.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    }

    #[test]
    fn ids_are_unique() {
        let documents = documents(&topics(), &inventory(), None);
        let components = || documents.values().flat_map(|document| document["components"].as_object().unwrap().values());
        let ids =
            |name: &str| components().map(|component| component[name].to_string()).collect::<std::collections::BTreeSet<_>>();
        assert_eq!((ids("unique_id").len(), ids("default_entity_id").len()), (components().count(), components().count()));
    }

    #[test]
    fn a_document_that_the_broker_does_not_take_becomes_one_for_each_entity() {
        let (topics, inventory) = (topics(), inventory());
        let whole = documents(&topics, &inventory, None);
        let n_components: usize = whole.values().map(|document| document["components"].as_object().unwrap().len()).sum();
        let single = documents(&topics, &inventory, Some(1_500));
        assert_eq!(single.len(), n_components);
        assert!(single.keys().all(|topic| topics.is_discovery(topic)));
        assert!(single.values().all(|document| document.to_string().len() < 1_500));
        let connectivity = &single["homeassistant/binary_sensor/mimid_kitchen-pi/source_kitchen_connectivity/config"];
        assert_eq!(connectivity["availability"].as_array().unwrap().len(), 1);
        assert_eq!(connectivity["device"], whole["homeassistant/device/mimid_kitchen-pi/source_kitchen/config"]["device"]);
    }

    #[test]
    fn without_entities_of_labels_the_source_has_its_sound_its_level_and_its_microphone() {
        let inventory = Inventory { has_entities: false, ..inventory() };
        let documents = documents(&topics(), &inventory, None);
        let names = |topic: &str| documents[topic]["components"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names("homeassistant/device/mimid_kitchen-pi/source_kitchen/config"), ["connectivity", "level", "sound"]);
        assert_eq!(names("homeassistant/device/mimid_kitchen-pi/node/config"), ["pause", "problem"]);
    }

    #[test]
    fn a_component_that_is_gone_is_told_with_its_platform_alone() {
        let (topics, mut inventory) = (topics(), inventory());
        let topic = topics.discovery(Some("kitchen"));
        let old = documents(&topics, &inventory, None)[&topic].to_string();
        assert_eq!(removal(&old, &documents(&topics, &inventory, None)[&topic]), None);
        inventory.labels.remove(0);
        let new = &documents(&topics, &inventory, None)[&topic];
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
