//! What is told: takes the hub's lines and the daemon's health, and says what goes to the broker. It never touches the connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::inventory::Inventory;
use super::queue::Outbox;
use super::states::{self, States};
use super::topics::Topics;
use super::{commands, discovery};
use crate::control::SourceTop;
use crate::event::{Report, SoundEvent};
use crate::publish::hub::{Delivery, Published};
use crate::publish::settings::MqttConfig;
use crate::publish::shared::Shared;
use crate::publish::wire::SourceStatus;

/// What is told, and to whom it was.
#[derive(Debug)]
pub struct Told {
    /// The names of the topics.
    pub topics: Topics,
    /// What waits to be sent.
    pub outbox: Outbox,
    /// Lines are missing, so what is open must be asked for.
    pub is_unsure: bool,
    /// What the topics were called until just now; what is retained there is removed.
    former: Option<Topics>,
    shared: Arc<Shared>,
    discovery: bool,
    inventory: Inventory,
    states: States,
    /// What of the daemon's health is worth a new message.
    health: Option<Value>,
}

impl Told {
    /// Nothing is told yet, or it was told as `former` says.
    pub fn new(config: &MqttConfig, former: Option<&MqttConfig>, shared: Arc<Shared>) -> Self {
        let mut told = Self {
            topics: Topics::new(config),
            outbox: Outbox::new(config.queue),
            is_unsure: true,
            former: former.map(Topics::new),
            shared,
            discovery: config.discovery,
            inventory: Inventory::default(),
            states: States::default(),
            health: None,
        };
        told.outbox.retain(told.topics.node("availability"), "online".to_owned());
        told.refresh();
        told
    }

    /// Takes a delivery of the hub.
    pub fn hear(&mut self, delivery: &Delivery) {
        let Delivery::Published(published) = delivery else {
            self.is_unsure = true;
            return;
        };
        self.states.hear(&published.report);
        match &published.report {
            Report::EventStart(event) => self.event(published, event, "start"),
            Report::EventUpdate(event) => self.event(published, event, "update"),
            Report::EventEnd(event, _) => self.event(published, event, "end"),
            _ => {
                self.refresh();
                self.say_states();
            }
        }
    }

    /// Takes what is open just now, after lines were missed.
    pub fn correct(&mut self, tops: &[SourceTop]) {
        self.is_unsure = false;
        self.states.replace(tops);
        self.say_states();
    }

    /// Looks at what there is and how it stands with it, and says what is new.
    pub fn refresh(&mut self) {
        let inventory = Inventory::of(&self.shared);
        if inventory != self.inventory {
            self.inventory = inventory;
            self.take_stock();
        }
        self.say_health();
    }

    /// Says how loud it is.
    pub fn say_levels(&mut self) {
        for source in self.shared.status().sources {
            if let Some(level) = source.level_dbfs.filter(|_| source.state == "live") {
                self.outbox.fleeting(self.topics.source(&source.name, "level"), format!("{level:.1}"));
            }
        }
    }

    /// Tells Home Assistant again what there is.
    pub fn announce(&mut self) {
        let topics: Vec<String> =
            self.outbox.topics().filter(|topic| self.topics.is_discovery(topic)).map(str::to_owned).collect();
        for topic in topics {
            self.outbox.repeat(&topic);
        }
    }

    /// The daemon goes: nothing is heard any more, and everybody may know.
    pub fn say_goodbye(&mut self) {
        self.states.clear();
        self.say_states();
        self.outbox.retain(self.topics.node("availability"), "offline".to_owned());
    }

    /// What a message asks for.
    pub fn command(&self, topic: &str, payload: &str) -> Option<commands::Command> {
        commands::parse(topic, payload, &self.topics, &self.inventory)
    }

    /// What is subscribed to for a moment, to find what was retained before.
    pub fn own(&self) -> BTreeSet<String> {
        self.names().flat_map(Topics::own).collect()
    }

    fn names(&self) -> impl Iterator<Item = &Topics> {
        std::iter::once(&self.topics).chain(&self.former)
    }

    /// Takes what the broker had retained from before: what is no longer there is removed.
    pub fn find(&mut self, topic: &str, payload: &str) {
        let is_own = self.names().any(|topics| topics.is_own(topic));
        if !is_own || payload.is_empty() || topic.ends_with("/set") {
            return;
        }
        let Some(ours) = self.outbox.retained(topic) else {
            self.outbox.clear(topic);
            return;
        };
        if self.topics.is_discovery(topic)
            && let Ok(ours) = serde_json::from_str(ours)
            && let Some(removing) = discovery::removal(payload, &ours)
        {
            self.outbox.pass(topic.to_owned(), removing.to_string());
            self.outbox.repeat(topic);
        }
    }

    /// Has the broker retain what belongs to the sources and labels that there are, and nothing else.
    fn take_stock(&mut self) {
        let (topics, inventory) = (&self.topics, &self.inventory);
        let documents = if self.discovery { discovery::documents(topics, inventory) } else { BTreeMap::new() };
        let pairs = || inventory.sources.iter().flat_map(|source| inventory.labels.iter().map(move |label| (source, label)));
        let mut kept: Vec<String> = ["availability", "health", "problem", "pause/state"].map(|what| topics.node(what)).into();
        for source in &inventory.sources {
            kept.extend(["connectivity", "health"].map(|what| topics.source(source, what)));
        }
        for (source, label) in pairs() {
            kept.extend(["state", "attributes"].map(|what| topics.label(source, &label.key, what)));
        }
        kept.extend(inventory.labels.iter().map(|label| topics.threshold(&label.key, "state")));
        kept.extend(documents.keys().cloned());
        kept.sort_unstable();
        let gone: Vec<String> = self
            .outbox
            .topics()
            .filter(|topic| kept.binary_search_by(|kept| kept.as_str().cmp(topic)).is_err())
            .map(str::to_owned)
            .collect();
        for topic in gone {
            self.outbox.clear(&topic);
        }
        for (topic, document) in documents {
            if let Some(removing) = self.outbox.retained(&topic).and_then(|old| discovery::removal(old, &document)) {
                self.outbox.pass(topic.clone(), removing.to_string());
            }
            self.outbox.retain(topic, document.to_string());
        }
        for label in &self.inventory.labels {
            self.outbox.retain(self.topics.threshold(&label.key, "state"), label.threshold.to_string());
        }
        // How it stands with new sources is said, too.
        self.health = None;
        self.say_states();
    }

    /// Says an event, the states that follow from it, and what is known of it beside the state of its label.
    fn event(&mut self, published: &Published, event: &SoundEvent, event_type: &str) {
        let (payload, attributes) = payload_and_attributes(published, event_type);
        let key = self.inventory.named(&event.subject.name).map(|label| label.key.clone());
        let sources: Vec<String> = states::sources_of(&event.source, &self.inventory).into_iter().map(str::to_owned).collect();
        for source in sources {
            self.outbox.event(self.topics.source(&source, "event"), payload.clone());
            let is_known = self.inventory.sources.contains(&source);
            if let Some(key) = key.as_ref().filter(|_| is_known && event_type != "update") {
                self.outbox.retain(self.topics.label(&source, key, "attributes"), attributes.clone());
            }
            if is_known {
                self.say_states_of(&source);
            }
        }
    }

    fn say_states(&mut self) {
        for source in self.inventory.sources.clone() {
            self.say_states_of(&source);
        }
    }

    fn say_states_of(&mut self, source: &str) {
        let heard = self.states.heard(source, &self.inventory);
        for label in &self.inventory.labels {
            let state = if heard.contains(label.name.as_str()) { "ON" } else { "OFF" };
            self.outbox.retain(self.topics.label(source, &label.key, "state"), state.to_owned());
        }
    }

    /// Says how it stands with the daemon and its sources, where that is new.
    fn say_health(&mut self) {
        let status = self.shared.status();
        // A reason may hold a time that grows; that there is one is what counts.
        let sources: Vec<_> =
            status.sources.iter().map(|source| json!([source.name, source.state, source.reason.is_some()])).collect();
        let health = json!([status.paused, sources, status.hop_ms, status.dropped_reports]);
        if self.health.replace(health.clone()).is_some_and(|known| known == health) {
            return;
        }
        let own = |source: &SourceStatus| json!({ "name": source.name, "state": source.state, "reason": source.reason });
        let told = json!({
            "version": status.version,
            "model": status.model.name,
            "paused": status.paused,
            "sources": status.sources.iter().map(own).collect::<Vec<_>>(),
            "hop_ms": status.hop_ms,
            "dropped_reports": status.dropped_reports,
        });
        let on = |is: bool| if is { "ON" } else { "OFF" }.to_owned();
        let is_amiss = |source: &SourceStatus| source.state == "lost" || (source.state == "live" && source.reason.is_some());
        self.outbox.retain(self.topics.node("health"), told.to_string());
        self.outbox.retain(self.topics.node("problem"), on(status.sources.iter().any(is_amiss)));
        self.outbox.retain(self.topics.node("pause/state"), on(status.paused.is_some()));
        for source in status.sources.iter().filter(|source| self.inventory.sources.contains(&source.name)) {
            let is_there = matches!(source.state.as_str(), "live" | "paused");
            self.outbox.retain(self.topics.source(&source.name, "connectivity"), on(is_there));
            self.outbox.retain(self.topics.source(&source.name, "health"), own(source).to_string());
        }
    }
}

/// An event's payload, which is its line and `event_type`, and the attributes of its label, which are the line's `event`.
fn payload_and_attributes(published: &Published, event_type: &str) -> (String, String) {
    let mut line = json!(published.to_wire());
    let attributes = line["event"].to_string();
    line["event_type"] = event_type.into();
    (line.to_string(), attributes)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::publish::hub::Hub;

    #[test]
    fn an_events_payload_is_its_line_and_the_type_that_home_assistant_reads() {
        let hub = Hub::new(Arc::default());
        let (mut subscription, _) = hub.connect();
        let event = SoundEvent { score: 0.123_45, level_dbfs: f32::NEG_INFINITY, ..SoundEvent::example(7, "Dog", "hall") };
        hub.publish(Report::EventStart(event), Timestamp::UNIX_EPOCH);
        let Some(Delivery::Published(published)) = subscription.try_next() else { panic!("it was published") };
        let (payload, attributes) = payload_and_attributes(&published, "start");
        let mut line: Value = serde_json::from_str(published.line()).unwrap();
        assert_eq!(attributes, line["event"].to_string());
        line["event_type"] = "start".into();
        assert_eq!(payload, line.to_string());
    }
}
