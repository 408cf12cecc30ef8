//! What the broker retained under the names of this daemon before it connected, and who wrote it: an earlier run, or another daemon
//! of the same name. Nothing here sends messages.

use serde_json::{Map, Value};

use crate::systemd::machine_name;

/// The messages that were found after connecting, and their author.
#[derive(Debug)]
pub struct Found {
    /// The topics and payloads that this daemon may have to remove.
    pub messages: Vec<(String, String)>,
    /// Whether the daemon of this machine wrote them, or those of another run of it.
    pub is_by_this_machine: bool,
    /// Another daemon of the same name, which has written since this one had.
    pub rival: Option<Rival>,
    instance: String,
    /// Whether the broker has taken everything that this daemon has to say. What is found later of another one is newer.
    has_told: bool,
}

/// Another daemon that is connected under the name of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// Its machine.
    pub machine: String,
    /// Whether it was started before this one, which then gives way.
    pub is_older: bool,
}

impl Found {
    /// Nothing found yet. `instance` is the id of this start of the daemon.
    pub fn new(instance: String) -> Self {
        Self { messages: Vec::new(), is_by_this_machine: false, rival: None, instance, has_told: false }
    }

    /// Takes that the broker has taken everything.
    pub fn has_told(&mut self) {
        self.has_told = true;
    }

    /// Takes the health that somebody had the broker retain.
    pub fn take_health(&mut self, health: &Map<String, Value>) {
        let text = |key: &str| health.get(key).and_then(Value::as_str);
        let (Some(machine), Some(instance)) = (text("machine"), text("instance")) else { return };
        self.is_by_this_machine = machine == machine_name();
        if self.has_told && instance != self.instance {
            // The ids of starts sort by time.
            self.rival = Some(Rival { machine: machine.to_owned(), is_older: instance < self.instance.as_str() });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn health(machine: &str, instance: &str) -> Map<String, Value> {
        json!({ "machine": machine, "instance": instance }).as_object().unwrap().clone()
    }

    #[test]
    fn an_earlier_run_is_no_rival_and_another_daemon_is_one_once_this_one_has_told() {
        let mut found = Found::new("5".to_owned());
        found.take_health(&health(&machine_name(), "4"));
        assert!(found.is_by_this_machine && found.rival.is_none());
        found.has_told();
        found.take_health(&health(&machine_name(), "5"));
        assert_eq!(found.rival, None);
        found.take_health(&health("other", "4"));
        assert!(!found.is_by_this_machine);
        assert_eq!(found.rival.take(), Some(Rival { machine: "other".to_owned(), is_older: true }));
        found.take_health(&health("other", "6"));
        assert!(!found.rival.as_ref().unwrap().is_older);
    }

    #[test]
    fn what_has_no_author_is_not_of_this_machine() {
        let mut found = Found::new("5".to_owned());
        found.take_health(&Map::new());
        assert!(!found.is_by_this_machine);
    }
}
