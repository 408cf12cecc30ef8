//! Composes the messages to the broker from the hub's deliveries and the daemon's health. It never touches the connection.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::found::Found;
use super::inventory::Inventory;
use super::levels::Levels;
use super::outbox::Outbox;
use super::sounding::{Change, OpenSounds, sources_of};
use super::topics::{Topics, key};
use super::{commands, discovery, payloads};
use crate::analysis::query::SourceTop;
use crate::event::{EndReason, Report, SoundEvent};
use crate::publish::hub::{Delivery, Published};
use crate::publish::settings::MqttConfig;
use crate::publish::shared::Shared;
use crate::publish::wire::{SourceState, SourceStatus};
use crate::systemd::machine_name;

/// The bytes of a packet beside its topic and its payload, at most.
const FRAME: usize = 32;
/// The bytes of the topic of a discovery document, at most.
const TOPIC: usize = 256;

/// Turns reports and health into messages, and knows what the broker retains.
#[derive(Debug)]
pub struct Composer {
    /// The topics of this daemon.
    pub topics: Topics,
    /// The messages that wait to be sent.
    pub outbox: Outbox,
    /// Whether reports were missed, so that the analysis must be asked for the open events.
    pub is_unsure: bool,
    /// What the broker retained under the names of this daemon before.
    pub found: Found,
    /// The topics that an earlier configuration or an earlier run had retained here, until they are removed.
    pub leftovers: BTreeSet<String>,
    shared: Arc<Shared>,
    config: MqttConfig,
    /// The longest document that the broker takes, in bytes; `None` where it has told no limit.
    longest: Option<usize>,
    inventory: Inventory,
    open: OpenSounds,
    levels: Levels,
    /// The last known health, as far as a change of it is worth a message.
    health: Option<Value>,
}

impl Composer {
    /// A composer that has sent nothing yet. `remembered` are the topics that this daemon had the broker retain before.
    pub fn new(config: &MqttConfig, remembered: BTreeSet<String>, shared: Arc<Shared>) -> Self {
        let mut composer = Self {
            topics: Topics::new(config),
            outbox: Outbox::new(config.queue),
            is_unsure: true,
            found: Found::new(shared.hub.instance.to_string()),
            leftovers: remembered,
            shared,
            config: config.clone(),
            longest: None,
            inventory: Inventory::default(),
            open: OpenSounds::default(),
            levels: Levels::default(),
            health: None,
        };
        composer.outbox.retain(composer.topics.node("availability"), "online".to_owned());
        composer.refresh();
        composer
    }

    /// Begins with a new connection, on which the broker takes packets of so many bytes.
    pub fn connected(&mut self, largest: Option<u32>) {
        let largest = largest.map(|largest| (largest as usize).saturating_sub(FRAME));
        self.outbox.largest = largest;
        let longest = largest.map(|largest| largest.saturating_sub(TOPIC));
        if longest != self.longest {
            self.longest = longest;
            self.apply_inventory();
        }
        self.levels.repeat();
        // The last one that is told is that everything else is true.
        self.outbox.connected(&self.topics.node("availability"));
        self.leftovers.retain(|topic| self.outbox.retained(topic).is_none());
        clear(&mut self.outbox, self.leftovers.iter().cloned());
    }

    /// Composes the messages that follow from a delivery of the hub.
    pub fn take(&mut self, delivery: &Delivery) {
        let Delivery::Published(published) = delivery else {
            self.is_unsure = true;
            return;
        };
        // A sensor that cannot hear is unavailable before it is off.
        match &published.report {
            Report::EventEnd(_, EndReason::SourceLost | EndReason::Paused) | Report::SourceLost { .. } | Report::Paused(_) => {
                self.refresh();
            }
            Report::EventEnd(_, EndReason::Shutdown) => self.go_offline(),
            _ => {}
        }
        let change = self.open.take(&published.report);
        match &published.report {
            Report::EventStart(event) => self.event(published, event, "start", &change),
            Report::EventUpdate(event) => self.event(published, event, "update", &change),
            Report::EventEnd(event, _) => self.event(published, event, "end", &change),
            Report::Summary(_) => self.outbox.event(self.topics.node("summary"), published.line().trim_end().to_owned()),
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
        let inventory = Inventory::of(&self.shared, &self.config);
        if inventory != self.inventory {
            self.inventory = inventory;
            self.apply_inventory();
        }
        self.compose_health();
    }

    /// Composes messages with the levels of the live sources, as far as they are worth one; to be called once a second.
    pub fn compose_levels(&mut self) {
        for source in self.shared.status().sources {
            let level = source.level_dbfs.filter(|_| source.state == SourceState::Live);
            if let Some(level) = level.and_then(|level| self.levels.take(&source.name, level)) {
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
        self.levels.repeat();
    }

    /// Composes the last messages: the daemon is offline, and no label is heard any more.
    pub fn compose_goodbye(&mut self) {
        self.go_offline();
        self.open.clear();
        self.compose_states();
    }

    /// Removes everything that this daemon had the broker retain: another configuration follows, which has other names or no MQTT.
    pub fn compose_farewell(&mut self) {
        self.go_offline();
        let topics: Vec<String> = self.outbox.topics().map(str::to_owned).collect();
        clear(&mut self.outbox, topics.into_iter());
    }

    /// The topics at which the broker retains something, or will, or has not yet removed it.
    pub fn announced(&self) -> BTreeSet<String> {
        self.outbox.topics().map(str::to_owned).chain(self.leftovers.iter().cloned()).collect()
    }

    fn go_offline(&mut self) {
        self.outbox.retain(self.topics.node("availability"), "offline".to_owned());
        for source in &self.inventory.sources {
            self.outbox.retain(self.topics.source(&source.name, "availability"), "offline".to_owned());
        }
    }

    /// The command of a message from the broker; `None` where it is none.
    pub fn command(&self, topic: &str, payload: &str) -> Option<commands::MqttCommand> {
        commands::parse(topic, payload, &self.topics, &self.inventory)
    }

    /// Takes a message that the broker retained from before. The last event of a label is taken over.
    pub fn take_retained(&mut self, topic: &str, payload: &str) {
        if !self.topics.is_own(topic) || payload.is_empty() || topic.ends_with("/set") {
            return;
        }
        if topic == self.topics.node("health") {
            self.found.take_health(&object(payload));
        }
        match self.outbox.retained(topic) {
            Some(ours) if topic.ends_with("/attributes") => {
                let (mut ours, mut theirs) = (object(ours), object(payload));
                if !ours.contains_key("id") && theirs.contains_key("id") {
                    theirs.insert("heard".to_owned(), ours.remove("heard").unwrap_or(false.into()));
                    self.outbox.retain(topic.to_owned(), Value::Object(theirs).to_string());
                }
            }
            Some(_) if !self.topics.is_discovery(topic) => {}
            _ => self.found.messages.push((topic.to_owned(), payload.to_owned())),
        }
    }

    /// Removes what was found and is obsolete, if this machine wrote it.
    pub fn remove_found(&mut self) {
        let messages = std::mem::take(&mut self.found.messages);
        if !self.found.is_by_this_machine {
            return;
        }
        let (present, gone): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|(topic, _)| self.outbox.retained(topic).is_some());
        for (topic, payload) in present {
            let ours: Option<Value> = self.outbox.retained(&topic).and_then(|ours| serde_json::from_str(ours).ok());
            if let Some(removing) = ours.and_then(|ours| discovery::removal(&payload, &ours)) {
                self.outbox.retain_once(topic.clone(), removing.to_string());
                self.outbox.repeat(&topic);
            }
        }
        clear(&mut self.outbox, gone.into_iter().map(|(topic, _)| topic));
    }

    /// Has the broker retain the messages of the present sources and labels, and no others.
    fn apply_inventory(&mut self) {
        let (topics, inventory) = (&self.topics, &self.inventory);
        let documents =
            if self.config.discovery { discovery::documents(topics, inventory, self.longest) } else { BTreeMap::new() };
        let mut kept: Vec<String> = ["availability", "health", "problem", "pause/state"].map(|what| topics.node(what)).into();
        for source in &inventory.sources {
            kept.extend(["availability", "connectivity", "health"].map(|what| topics.source(&source.name, what)));
            for label in &inventory.labels {
                kept.extend(["state", "attributes"].map(|what| topics.label(&source.name, &label.key, what)));
            }
        }
        kept.extend(inventory.labels.iter().map(|label| topics.threshold(&label.key, "state")));
        kept.extend(documents.keys().cloned());
        kept.sort_unstable();
        let is_gone = |topic: &&str| kept.binary_search_by(|kept| kept.as_str().cmp(topic)).is_err();
        let gone = self.outbox.topics().filter(is_gone).map(str::to_owned);
        // Entities go before their topics do.
        let (documents_gone, gone): (Vec<_>, Vec<_>) = gone.partition(|topic| self.topics.is_discovery(topic));
        for topic in documents_gone {
            self.outbox.clear(&topic);
        }
        for (topic, document) in documents {
            if let Some(removing) = self.outbox.retained(&topic).and_then(|old| discovery::removal(old, &document)) {
                self.outbox.retain_once(topic.clone(), removing.to_string());
            }
            self.outbox.retain(topic, document.to_string());
        }
        for topic in gone {
            self.outbox.clear(&topic);
        }
        for label in &self.inventory.labels {
            self.outbox.retain(self.topics.threshold(&label.key, "state"), label.threshold.to_string());
        }
        // The health of new sources is worth a message, too.
        self.health = None;
        self.compose_states();
    }

    /// Composes the messages of an event: itself, and the states of the labels that change with it.
    fn event(&mut self, published: &Published, event: &SoundEvent, event_type: &str, change: &Change) {
        let (line, flat) = (payloads::line(published, event_type), payloads::flat(event));
        let is_news = change.is_news || change.is_turn || event_type == "end";
        let sources: Vec<String> = sources_of(&event.source, &self.inventory).into_iter().map(str::to_owned).collect();
        for source in sources {
            self.outbox.event(self.topics.source(&source, "event"), line.clone());
            if !self.inventory.has_source(&source) {
                continue;
            }
            if change.is_news && self.inventory.named(&event.subject.name).is_some() {
                let mut heard = flat.clone();
                heard.insert("event_type".to_owned(), key(&event.subject).into());
                self.outbox.event(self.topics.source(&source, "heard"), Value::Object(heard).to_string());
            }
            let names: BTreeSet<&str> = change.subjects.iter().map(|subject| subject.name.as_str()).collect();
            self.compose_states_of(&source, Some(&names), is_news.then_some(&flat));
        }
    }

    fn compose_states(&mut self) {
        for source in self.inventory.sources.clone() {
            self.compose_states_of(&source.name, None, None);
        }
    }

    /// Composes the states of the labels of these names, or of all, with the event that changed them.
    fn compose_states_of(&mut self, source: &str, names: Option<&BTreeSet<&str>>, event: Option<&Map<String, Value>>) {
        let heard = self.open.names(source, &self.inventory);
        for label in &self.inventory.labels {
            if names.is_some_and(|names| !names.contains(label.name.as_str())) {
                continue;
            }
            let is_heard = heard.contains(label.name.as_str());
            let state = if is_heard { "ON" } else { "OFF" };
            let [topic, attributes] = ["state", "attributes"].map(|what| self.topics.label(source, &label.key, what));
            if event.is_none() && self.outbox.retained(&topic) == Some(state) {
                continue;
            }
            let mut last = match event {
                Some(event) => event.clone(),
                None => self.outbox.retained(&attributes).map(object).unwrap_or_default(),
            };
            last.insert("heard".to_owned(), is_heard.into());
            self.outbox.retain(attributes, Value::Object(last).to_string());
            self.outbox.retain(topic, state.to_owned());
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
        let on = |is: bool| if is { "ON" } else { "OFF" }.to_owned();
        let online = |is: bool| if is { "online" } else { "offline" }.to_owned();
        for known in &self.inventory.sources {
            let state = status.sources.iter().find(|source| source.name == known.name).map(|source| &source.state);
            let is_hearing = state == Some(&SourceState::Live) && status.paused.is_none();
            self.outbox.retain(self.topics.source(&known.name, "availability"), online(is_hearing));
        }
        let own = |source: &SourceStatus| json!({ "name": source.name, "state": source.state, "reason": source.reason });
        let message = json!({
            "instance": status.instance,
            "machine": machine_name(),
            "version": status.version,
            "model": status.model.name,
            "paused": status.paused,
            "sources": status.sources.iter().map(own).collect::<Vec<_>>(),
            "hop_ms": status.hop_ms,
            "dropped_reports": status.dropped_reports,
        });
        let is_amiss = |source: &SourceStatus| match source.state {
            SourceState::Lost => true,
            SourceState::Live => source.reason.is_some(),
            _ => false,
        };
        self.outbox.retain(self.topics.node("health"), message.to_string());
        self.outbox.retain(self.topics.node("problem"), on(status.sources.iter().any(is_amiss)));
        self.outbox.retain(self.topics.node("pause/state"), on(status.paused.is_some()));
        for source in status.sources.iter().filter(|source| self.inventory.has_source(&source.name)) {
            let is_there = matches!(source.state, SourceState::Live | SourceState::Paused);
            self.outbox.retain(self.topics.source(&source.name, "connectivity"), on(is_there));
            self.outbox.retain(self.topics.source(&source.name, "health"), own(source).to_string());
        }
    }
}

/// Removes retained messages: the entities of Home Assistant before their topics.
fn clear(outbox: &mut Outbox, topics: impl Iterator<Item = String>) {
    let (documents, others): (Vec<_>, Vec<_>) = topics.partition(|topic| topic.ends_with("/config"));
    for topic in documents.into_iter().chain(others) {
        outbox.clear(&topic);
    }
}

/// The object in the text; an empty one where it is none.
fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}
