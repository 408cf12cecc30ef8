//! What somebody says to the daemon over MQTT, as requests that it takes from its other clients as well.

use super::inventory::Inventory;
use super::topics::Topics;
use crate::publish::wire::Request;

/// The lowest threshold that may be set, and the step of what may be, 0…1.
pub const LEAST: f64 = 0.001;

/// What a message asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Have this done; what is in force afterwards is said at the topic.
    Ask(Request, String),
    /// Home Assistant has come up.
    Announce,
    /// It cannot be done, as one sentence; what is in force is said at the topic.
    Refuse(String, String),
}

/// What a message asks for; `None` where it is no command.
pub fn parse(topic: &str, payload: &str, topics: &Topics, inventory: &Inventory) -> Option<Command> {
    let payload = payload.trim();
    if topic == topics.birth() {
        return (payload == "online").then_some(Command::Announce);
    }
    let what = topics.under_node(topic)?.strip_suffix("/set")?;
    let state = topics.node(&format!("{what}/state"));
    if what == "pause" {
        let seconds = payload.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        return Some(match (payload, seconds) {
            ("ON", _) => Command::Ask(Request::Pause { seconds: None }, state),
            ("OFF", _) => Command::Ask(Request::Resume {}, state),
            (_, Some(seconds)) => Command::Ask(Request::Pause { seconds: Some(seconds) }, state),
            _ => Command::Refuse(format!("{topic} takes ON, OFF or seconds, and not {payload:?}"), state),
        });
    }
    let key = what.strip_prefix("threshold/")?;
    let Some(label) = inventory.labels.iter().find(|label| label.key == key) else {
        return Some(Command::Refuse(format!("{topic} is of no label that is reported"), state));
    };
    let threshold = payload.parse::<f64>().ok().filter(|threshold| (LEAST..=1.0).contains(threshold));
    Some(match threshold {
        Some(_) => {
            let request = Request::Set { label: label.name.clone(), threshold, start_threshold: None, release: None };
            Command::Ask(request, state)
        }
        None => Command::Refuse(format!("{topic} takes a number from {LEAST} to 1, and not {payload:?}"), state),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::mqtt::discovery::tests::{inventory, topics};

    fn command(topic: &str, payload: &str) -> Option<Command> {
        parse(topic, payload, &topics(), &inventory())
    }

    #[test]
    fn a_switch_pauses_and_resumes_and_a_number_pauses_for_so_long() {
        for (payload, request) in [
            ("ON", Request::Pause { seconds: None }),
            ("OFF", Request::Resume {}),
            ("600", Request::Pause { seconds: Some(600.0) }),
        ] {
            let expected = Command::Ask(request, "mimid/pi/pause/state".to_owned());
            assert_eq!(command("mimid/pi/pause/set", payload), Some(expected));
        }
        assert!(matches!(command("mimid/pi/pause/set", "maybe"), Some(Command::Refuse(why, _)) if why.contains("maybe")));
    }

    #[test]
    fn a_number_sets_the_threshold_of_a_label_that_is_reported() {
        let request = Request::Set {
            label: "Baby cry, infant cry".to_owned(),
            threshold: Some(0.25),
            start_threshold: None,
            release: None,
        };
        let state = "mimid/pi/threshold/baby_cry_infant_cry/state".to_owned();
        assert_eq!(command("mimid/pi/threshold/baby_cry_infant_cry/set", "0.25"), Some(Command::Ask(request, state)));
        for (key, payload) in
            [("cat", "0.5"), ("baby_cry_infant_cry", "0"), ("baby_cry_infant_cry", "NaN"), ("baby_cry_infant_cry", "2")]
        {
            let told = command(&format!("mimid/pi/threshold/{key}/set"), payload);
            assert!(matches!(told, Some(Command::Refuse(..))), "{key} {payload}: {told:?}");
        }
    }

    #[test]
    fn home_assistant_is_heard_when_it_comes_up_and_nothing_else_is_a_command() {
        assert_eq!(command("homeassistant/status", "online"), Some(Command::Announce));
        for (topic, payload) in
            [("homeassistant/status", "offline"), ("mimid/pi/pause/state", "ON"), ("other/pi/pause/set", "ON")]
        {
            assert_eq!(command(topic, payload), None, "{topic}");
        }
    }
}
