//! The payloads that an event has over MQTT: its line, as on the socket, and the flat object that a template of Home Assistant reads.

use serde_json::{Map, Value, json};

use crate::event::SoundEvent;
use crate::publish::hub::Published;
use crate::publish::wire::{level, milliseconds, score, time};

/// The line of an event, with the `event_type` that tells its beginning from its end.
pub fn line(published: &Published, event_type: &str) -> String {
    let mut line = json!(published.to_wire());
    line["event_type"] = event_type.into();
    line.to_string()
}

/// The event as an object without inner objects: the attributes of its label, and of the entity for all sounds.
pub fn flat(event: &SoundEvent) -> Map<String, Value> {
    let also: Vec<&str> = event.also.iter().map(|subject| &*subject.name).collect();
    let pairs = [
        ("label", json!(event.subject.name)),
        ("also", json!(also)),
        ("score", json!(score(event.peak_score))),
        ("confirmed", json!(event.is_confirmed)),
        ("onset", json!(time(event.onset))),
        ("offset", json!(event.offset.map(time))),
        ("duration_ms", json!(event.offset.map(|offset| milliseconds(event.onset, offset)))),
        ("source", json!(*event.source)),
        ("level_dbfs", json!(level(event.level_dbfs))),
        ("id", json!(event.id.to_string())),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::event::Report;
    use crate::publish::hub::{Delivery, Hub};

    #[test]
    fn an_event_is_its_line_and_a_flat_object_of_the_same_values() {
        let hub = Hub::new(Arc::default());
        let (mut subscription, _) = hub.connect();
        let event = SoundEvent {
            score: 0.123_45,
            level_dbfs: f32::NEG_INFINITY,
            offset: Timestamp::from_millisecond(1_500).ok(),
            ..SoundEvent::example(7, "Dog", "hall")
        };
        hub.publish(Report::EventStart(event.clone()), Timestamp::UNIX_EPOCH);
        let Some(Delivery::Published(published)) = subscription.try_next() else { panic!("it was published") };
        let mut expected: Value = serde_json::from_str(published.line()).unwrap();
        let flat = flat(&event);
        for key in ["label", "also", "confirmed", "onset", "offset", "duration_ms", "source", "level_dbfs", "id"] {
            assert_eq!(flat[key], expected["event"][key], "{key}");
        }
        assert_eq!(flat["score"], expected["event"]["peak_score"]);
        assert!(flat.values().all(|value| !value.is_object()));
        expected["event_type"] = "start".into();
        assert_eq!(line(&published, "start"), expected.to_string());
    }
}
