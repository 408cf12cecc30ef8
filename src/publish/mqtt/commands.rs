//! Commands over MQTT, as the requests that other clients make on the socket.

use super::inventory::Inventory;
use super::topics::Topics;
use crate::publish::wire::Request;

/// The lowest threshold that may be set, and the step between two thresholds, 0…1.
pub const MIN_THRESHOLD: f64 = 0.001;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub enum MqttCommand {
    /// Have the request done. The topic is that of the state which the request changes.
    Ask(Request, String),
    /// Send the discovery documents again: Home Assistant has started.
    Announce,
    /// It cannot be done, for the reason in the sentence. The topic is that of the unchanged state, which is sent again.
    Refuse(String, String),
}

/// The command of a message; `None` where it is none.
pub fn parse(topic: &str, payload: &str, topics: &Topics, inventory: &Inventory) -> Option<MqttCommand> {
    let payload = payload.trim();
    if topic == topics.birth() {
        return (payload == "online").then_some(MqttCommand::Announce);
    }
    let what = topics.under_node(topic)?.strip_suffix("/set")?;
    let state = topics.node(&format!("{what}/state"));
    if what == "pause" {
        let seconds = payload.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        return Some(match (payload, seconds) {
            ("ON", _) => MqttCommand::Ask(Request::Pause { seconds: None }, state),
            ("OFF", _) => MqttCommand::Ask(Request::Resume {}, state),
            (_, Some(seconds)) => MqttCommand::Ask(Request::Pause { seconds: Some(seconds) }, state),
            _ => MqttCommand::Refuse(format!("{topic} takes ON, OFF or seconds, and not {payload:?}"), state),
        });
    }
    let key = what.strip_prefix("threshold/")?;
    let Some(label) = inventory.labels.iter().find(|label| label.key == key) else {
        return Some(MqttCommand::Refuse(format!("{topic} is of no label that is reported"), state));
    };
    let threshold = payload.parse::<f64>().ok().filter(|threshold| (MIN_THRESHOLD..=1.0).contains(threshold));
    Some(match threshold {
        Some(_) => {
            let request = Request::Set { label: label.name.clone(), threshold, start_threshold: None, release: None };
            MqttCommand::Ask(request, state)
        }
        None => MqttCommand::Refuse(format!("{topic} takes a number from {MIN_THRESHOLD} to 1, and not {payload:?}"), state),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::mqtt::discovery::tests::{inventory, topics};

    fn command(topic: &str, payload: &str) -> Option<MqttCommand> {
        parse(topic, payload, &topics(), &inventory())
    }

    #[test]
    fn a_switch_pauses_and_resumes_and_a_number_pauses_for_so_long() {
        for (payload, request) in [
            ("ON", Request::Pause { seconds: None }),
            ("OFF", Request::Resume {}),
            ("600", Request::Pause { seconds: Some(600.0) }),
        ] {
            let expected = MqttCommand::Ask(request, "mimid/kitchen-pi/pause/state".to_owned());
            assert_eq!(command("mimid/kitchen-pi/pause/set", payload), Some(expected));
        }
        assert!(
            matches!(command("mimid/kitchen-pi/pause/set", "maybe"), Some(MqttCommand::Refuse(why, _)) if why.contains("maybe"))
        );
    }

    #[test]
    fn a_number_sets_the_threshold_of_a_label_that_is_reported() {
        let request = Request::Set {
            label: "Baby cry, infant cry".to_owned(),
            threshold: Some(0.25),
            start_threshold: None,
            release: None,
        };
        let state = "mimid/kitchen-pi/threshold/baby_cry_infant_cry/state".to_owned();
        assert_eq!(command("mimid/kitchen-pi/threshold/baby_cry_infant_cry/set", "0.25"), Some(MqttCommand::Ask(request, state)));
        for (key, payload) in
            [("cat", "0.5"), ("baby_cry_infant_cry", "0"), ("baby_cry_infant_cry", "NaN"), ("baby_cry_infant_cry", "2")]
        {
            let told = command(&format!("mimid/kitchen-pi/threshold/{key}/set"), payload);
            assert!(matches!(told, Some(MqttCommand::Refuse(..))), "{key} {payload}: {told:?}");
        }
    }

    #[test]
    fn home_assistant_is_heard_when_it_comes_up_and_nothing_else_is_a_command() {
        assert_eq!(command("homeassistant/status", "online"), Some(MqttCommand::Announce));
        for (topic, payload) in
            [("homeassistant/status", "offline"), ("mimid/kitchen-pi/pause/state", "ON"), ("other/kitchen-pi/pause/set", "ON")]
        {
            assert_eq!(command(topic, payload), None, "{topic}");
        }
    }
}
