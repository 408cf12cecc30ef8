//! Composes the messages to the broker from the hub's deliveries and the daemon's health. It never touches the connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::inventory::{Inventory, ReportedLabel};
use super::outbox::Outbox;
use super::sounding::{OpenSounds, sources_of};
use super::topics::Topics;
use super::{commands, discovery};
use crate::analysis::query::SourceTop;
use crate::event::{Report, SoundEvent, Subject};
use crate::publish::hub::{Delivery, Published};
use crate::publish::settings::MqttConfig;
use crate::publish::shared::Shared;
use crate::publish::wire::{SourceState, SourceStatus};

/// Turns reports and health into messages, and knows what the broker retains.
#[derive(Debug)]
pub struct Composer {
    /// The topics of this daemon.
    pub topics: Topics,
    /// The messages that wait to be sent.
    pub outbox: Outbox,
    /// Whether reports were missed, so that the analysis must be asked for the open events.
    pub is_unsure: bool,
    /// The topics of the configuration before this one. Messages that are retained there are removed.
    former: Option<Topics>,
    shared: Arc<Shared>,
    discovery: bool,
    inventory: Inventory,
    open: OpenSounds,
    /// The last known health, as far as a change of it is worth a message.
    health: Option<Value>,
}

impl Composer {
    /// A composer that has sent nothing yet. `former` is the configuration that was in force before.
    pub fn new(config: &MqttConfig, former: Option<&MqttConfig>, shared: Arc<Shared>) -> Self {
        let mut composer = Self {
            topics: Topics::new(config),
            outbox: Outbox::new(config.queue),
            is_unsure: true,
            former: former.map(Topics::new),
            shared,
            discovery: config.discovery,
            inventory: Inventory::default(),
            open: OpenSounds::default(),
            health: None,
        };
        composer.outbox.retain(composer.topics.node("availability"), "online".to_owned());
        composer.refresh();
        composer
    }

    /// Composes the messages that follow from a delivery of the hub.
    pub fn take(&mut self, delivery: &Delivery) {
        let Delivery::Published(published) = delivery else {
            self.is_unsure = true;
            return;
        };
        let changed = self.open.take(&published.report);
        match &published.report {
            Report::EventStart(event) => self.event(published, event, "start", &changed),
            Report::EventUpdate(event) => self.event(published, event, "update", &changed),
            Report::EventEnd(event, _) => self.event(published, event, "end", &changed),
            _ => {
                self.refresh();
                self.compose_states();
            }
        }
    }

    /// Takes the events that are open now, after reports were missed.
    pub fn correct(&mut self, tops: &[SourceTop]) {
        self.is_unsure = false;
        self.open.replace(tops);
        self.compose_states();
    }

    /// Composes messages about changes of the sources, the labels, and the health.
    pub fn refresh(&mut self) {
        let inventory = Inventory::of(&self.shared);
        if inventory != self.inventory {
            self.inventory = inventory;
            self.apply_inventory();
        }
        self.compose_health();
    }

    /// Composes a message with the level of each live source.
    pub fn compose_levels(&mut self) {
        for source in self.shared.status().sources {
            if let Some(level) = source.level_dbfs.filter(|_| source.state == SourceState::Live) {
                self.outbox.fleeting(self.topics.source(&source.name, "level"), format!("{level:.1}"));
            }
        }
    }

    /// Sends the discovery documents to Home Assistant again.
    pub fn announce(&mut self) {
        let topics: Vec<String> =
            self.outbox.topics().filter(|topic| self.topics.is_discovery(topic)).map(str::to_owned).collect();
        for topic in topics {
            self.outbox.repeat(&topic);
        }
    }

    /// Composes the last messages: no label is heard any more, and the daemon is offline.
    pub fn compose_goodbye(&mut self) {
        self.open.clear();
        self.compose_states();
        self.outbox.retain(self.topics.node("availability"), "offline".to_owned());
    }

    /// The command of a message from the broker; `None` where it is none.
    pub fn command(&self, topic: &str, payload: &str) -> Option<commands::MqttCommand> {
        commands::parse(topic, payload, &self.topics, &self.inventory)
    }

    /// The filters to subscribe to for a while after connecting, to find messages that were retained before.
    pub fn own_filters(&self) -> BTreeSet<String> {
        self.names().flat_map(Topics::own_filters).collect()
    }

    fn names(&self) -> impl Iterator<Item = &Topics> {
        std::iter::once(&self.topics).chain(&self.former)
    }

    /// Takes a message that the broker retained from before, and removes it if it is obsolete.
    pub fn take_retained(&mut self, topic: &str, payload: &str) {
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
            self.outbox.retain_once(topic.to_owned(), removing.to_string());
            self.outbox.repeat(topic);
        }
    }

    /// Has the broker retain the messages of the present sources and labels, and no others.
    fn apply_inventory(&mut self) {
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
                self.outbox.retain_once(topic.clone(), removing.to_string());
            }
            self.outbox.retain(topic, document.to_string());
        }
        for label in &self.inventory.labels {
            self.outbox.retain(self.topics.threshold(&label.key, "state"), label.threshold.to_string());
        }
        // The health of new sources is worth a message, too.
        self.health = None;
        self.compose_states();
    }

    /// Composes the messages of an event: itself, the attributes of its label, and the states of the labels that change with it.
    fn event(&mut self, published: &Published, event: &SoundEvent, event_type: &str, changed: &[Arc<Subject>]) {
        let (payload, attributes) = payload_and_attributes(published, event_type);
        let key = self.inventory.named(&event.subject.name).map(|label| label.key.clone());
        let sources: Vec<String> = sources_of(&event.source, &self.inventory).into_iter().map(str::to_owned).collect();
        for source in sources {
            self.outbox.event(self.topics.source(&source, "event"), payload.clone());
            let is_known = self.inventory.sources.contains(&source);
            if let Some(key) = key.as_ref().filter(|_| is_known && event_type != "update") {
                self.outbox.retain(self.topics.label(&source, key, "attributes"), attributes.clone());
            }
            if is_known {
                let is_changed = |label: &ReportedLabel| changed.iter().any(|subject| subject.name == label.name);
                self.compose_states_of(&source, is_changed);
            }
        }
    }

    fn compose_states(&mut self) {
        for source in self.inventory.sources.clone() {
            self.compose_states_of(&source, |_| true);
        }
    }

    fn compose_states_of(&mut self, source: &str, is_wanted: impl Fn(&ReportedLabel) -> bool) {
        let heard = self.open.names(source, &self.inventory);
        for label in self.inventory.labels.iter().filter(|label| is_wanted(label)) {
            let state = if heard.contains(label.name.as_str()) { "ON" } else { "OFF" };
            self.outbox.retain(self.topics.label(source, &label.key, "state"), state.to_owned());
        }
    }

    /// Composes messages about the health of the daemon and its sources, where it has changed.
    fn compose_health(&mut self) {
        let status = self.shared.status();
        // A reason may hold a time that grows, so only its presence counts as a change.
        let sources: Vec<_> =
            status.sources.iter().map(|source| json!([source.name, source.state, source.reason.is_some()])).collect();
        let health = json!([status.paused, sources, status.hop_ms, status.dropped_reports]);
        if self.health.replace(health.clone()).is_some_and(|known| known == health) {
            return;
        }
        let own = |source: &SourceStatus| json!({ "name": source.name, "state": source.state, "reason": source.reason });
        let message = json!({
            "version": status.version,
            "model": status.model.name,
            "paused": status.paused,
            "sources": status.sources.iter().map(own).collect::<Vec<_>>(),
            "hop_ms": status.hop_ms,
            "dropped_reports": status.dropped_reports,
        });
        let on = |is: bool| if is { "ON" } else { "OFF" }.to_owned();
        let is_amiss = |source: &SourceStatus| match source.state {
            SourceState::Lost => true,
            SourceState::Live => source.reason.is_some(),
            _ => false,
        };
        self.outbox.retain(self.topics.node("health"), message.to_string());
        self.outbox.retain(self.topics.node("problem"), on(status.sources.iter().any(is_amiss)));
        self.outbox.retain(self.topics.node("pause/state"), on(status.paused.is_some()));
        for source in status.sources.iter().filter(|source| self.inventory.sources.contains(&source.name)) {
            let is_there = matches!(source.state, SourceState::Live | SourceState::Paused);
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
