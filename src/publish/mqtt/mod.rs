//! The MQTT sink: publishes events, states and health to a broker, with discovery for Home Assistant.
//!
//! `composer` turns the hub's deliveries into messages: `topics` names their topics, `sounding` knows the open events,
//! `inventory` the sources and labels, `payloads` writes events and `discovery` the documents for Home Assistant, and `levels` says when
//! a level is worth a message. `outbox` holds the messages,
//! `connection` carries them, `link` opens it again and again, `reasons` says why a broker refuses, and `commands` parses messages
//! from the broker. `found` judges what it retained before, `memory` remembers what it was told to retain, and `clean` removes that.
//! The loop in this file joins them.
//!
//! Invariant: a broker that is away or slow costs no more than the bound of the outbox, and nothing outside the sink waits for
//! it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::answer::Refusal;
use super::hub::Subscription;
use super::shared::{Shared, down};
use super::sinks::Context;
use super::wire::Request;
use crate::publish::settings::MqttConfig;
use crate::stats::sink::{SinkState, SinkStats};
use commands::MqttCommand;
use composer::Composer;
use connection::{LinkEvent, Received};
use found::Rival;
use link::BrokerLink;

pub mod clean;
mod commands;
mod composer;
mod connection;
mod discovery;
mod found;
mod inventory;
mod levels;
mod link;
mod memory;
mod outbox;
mod payloads;
mod reasons;
mod sounding;
mod topics;

/// The interval at which the sources, labels and health are checked for changes.
const CHECK: Duration = Duration::from_secs(1);
/// The time in which the pipeline must answer which events are open.
const ANSWER: Duration = Duration::from_millis(500);
/// The time for the last messages to arrive.
const GOODBYE: Duration = Duration::from_millis(700);
/// The same where everything is taken away.
const FAREWELL: Duration = Duration::from_secs(5);
/// The length of the queue of requests to the pipeline.
const REQUESTS: usize = 64;

/// Runs the sink until it is to stop.
pub async fn run(config: MqttConfig, context: Context) {
    let Context { shared, stats, stop, leaves } = context;
    // From here on no report is missed. The first check asks the analysis for the events that are open already.
    let (subscription, _) = shared.hub.connect();
    let (asked, requests) = mpsc::channel(REQUESTS);
    let (refuse, refused) = mpsc::channel(REQUESTS);
    let mut obeying = JoinSet::new();
    obeying.spawn(obey(shared.clone(), requests, refuse));
    let remembered = memory::of(&config).await;
    let composer = Composer::new(&config, remembered.clone(), shared.clone());
    let link = BrokerLink::new(config, &composer);
    let told_refusals = BTreeSet::new();
    let sink = MqttSink { shared, stats, subscription, composer, link, asked, refused, remembered, told_refusals };
    if sink.run(stop).await.end(leaves.load(Relaxed)).await {
        tracing::info!("what was announced over MQTT is removed");
    }
}

/// Has requests done, one after the other. After a refusal, the unchanged state is sent again to its topic. After a success, the
/// reports of the hub bring the new state.
async fn obey(shared: Arc<Shared>, mut requests: mpsc::Receiver<(Request, String)>, refused: mpsc::Sender<String>) {
    while let Some((request, topic)) = requests.recv().await {
        if let Err(Refusal(_, why)) = shared.answer(request).await {
            tracing::warn!(state = topic, why, "a request over MQTT is refused");
            if refused.send(topic).await.is_err() {
                return;
            }
        }
    }
}

struct MqttSink {
    shared: Arc<Shared>,
    stats: Arc<SinkStats>,
    subscription: Subscription,
    composer: Composer,
    link: BrokerLink,
    asked: mpsc::Sender<(Request, String)>,
    refused: mpsc::Receiver<String>,
    /// The topics that are remembered.
    remembered: BTreeSet<String>,
    /// The refusals of the broker that were told already.
    told_refusals: BTreeSet<String>,
}

impl MqttSink {
    async fn run(mut self, mut stop: watch::Receiver<bool>) -> Self {
        let mut checks = interval(CHECK);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(delivery) = self.subscription.next() => self.composer.take(&delivery),
                event = self.link.next() => self.take(event),
                Some(topic) = self.refused.recv() => self.composer.outbox.repeat(&topic),
                _ = checks.tick() => self.check().await,
                () = down(&mut stop) => break,
            }
            self.hand_over();
        }
        self
    }

    /// Takes a change on the way to the broker.
    fn take(&mut self, event: LinkEvent) {
        if self.link.is_waiting() {
            return self.link.take_waiting(event);
        }
        match event {
            LinkEvent::Connected(largest) => {
                if self.stats.rise() {
                    tracing::info!(broker = self.link.config.host, "connected to the MQTT broker");
                }
                self.link.is_up(&self.composer);
                self.composer.connected(largest);
            }
            LinkEvent::Sent(number) => self.composer.outbox.sent(number),
            LinkEvent::Acknowledged(number) => {
                let is_sent = self.composer.outbox.acknowledged(number).is_some();
                self.stats.sent.fetch_add(u64::from(is_sent), Relaxed);
            }
            LinkEvent::Refused(number, why) => {
                if let Some(message) = self.composer.outbox.acknowledged(number) {
                    self.tell_refusal(why, &message.topic);
                }
            }
            // A retained message is no command, even at a topic of commands: it may be long out of date.
            LinkEvent::Received(Received { topic, payload, is_retained: true }) => {
                self.composer.take_retained(&topic, &payload);
                if let Some(rival) = self.composer.found.rival.take() {
                    self.face(&rival);
                }
            }
            LinkEvent::Received(Received { topic, payload, .. }) => match self.composer.command(&topic, &payload) {
                Some(MqttCommand::Announce) => self.composer.announce(),
                Some(MqttCommand::Ask(request, topic)) => self.ask(request, topic),
                None => {}
                Some(MqttCommand::Refuse(why, topic)) => {
                    tracing::warn!(why, "a request over MQTT is refused");
                    self.composer.outbox.repeat(&topic);
                }
            },
            LinkEvent::Lost(why) => {
                self.composer.outbox.lost();
                self.link.is_down();
                if self.stats.fall(why.clone()) {
                    tracing::warn!(why, "MQTT is down, and is tried again");
                }
            }
        }
    }

    /// Takes that another daemon is connected under the same name: the one that was started later gives way.
    fn face(&mut self, rival: &Rival) {
        let Self { link, composer, .. } = self;
        let other = format!(
            "another mimid, on the machine {}, is connected to the broker as the node {:?}: give one of them another node under \
             [sinks.mqtt]",
            rival.machine, link.config.node
        );
        if rival.is_older {
            composer.outbox.lost();
            link.give_way(&self.shared.hub.instance.to_string());
            if self.stats.fall(other.clone()) {
                tracing::error!(why = other, "MQTT is down, and is tried again when the other one is gone");
            }
        } else if self.told_refusals.insert(rival.machine.clone()) {
            tracing::warn!("{other}; it was started later and gives way");
        }
    }

    /// Tells once why the broker takes no messages of a kind.
    fn tell_refusal(&mut self, why: &str, topic: &str) {
        if self.told_refusals.insert(why.to_owned()) {
            tracing::error!(topic, why, "the broker refuses messages");
        }
    }

    fn ask(&self, request: Request, topic: String) {
        if self.asked.try_send((request, topic)).is_err() {
            tracing::warn!("too many requests come over MQTT; one is left out");
        }
    }

    /// Takes changes into account that no report announces.
    async fn check(&mut self) {
        if let Some(missed) = self.subscription.missed() {
            self.composer.take(&missed);
        }
        if self.composer.is_unsure {
            // Reports wait in the queue meanwhile, so that a report newer than the answer is taken after it.
            if let Ok(Ok(tops)) = timeout(ANSWER, self.shared.top(0)).await {
                self.composer.correct(&tops);
            }
        }
        self.composer.refresh();
        self.link.end_waiting();
        if self.link.end_finding(&self.composer) {
            self.composer.remove_found();
        }
        self.composer.compose_levels();
        if self.stats.state().0 == SinkState::Up && self.composer.outbox.is_empty() {
            self.composer.found.has_told();
            self.composer.leftovers.clear();
        }
        self.remember().await;
    }

    async fn remember(&mut self) {
        let announced = self.composer.announced();
        if announced != self.remembered {
            self.remembered.clone_from(&announced);
            memory::remember(&self.link.config, announced).await;
        }
    }

    fn hand_over(&mut self) {
        let outbox = &mut self.composer.outbox;
        if let Some(connection) = self.link.connection.as_ref().filter(|_| !self.link.is_waiting()) {
            while let Some(message) = outbox.hand_over() {
                connection.send(message);
            }
        }
        if let Some(topic) = outbox.too_large.take() {
            self.tell_refusal("a message is larger than the broker's limit for packets", &topic);
        }
        let outbox = &mut self.composer.outbox;
        self.stats.set_queued(outbox.len());
        self.stats.dropped.store(outbox.given_up, Relaxed);
    }

    /// Sends the last messages, as far as the broker acknowledges them in time. One that leaves for good takes everything away with
    /// it; returns whether all of that is gone.
    async fn end(mut self, leaves: bool) -> bool {
        while let Some(delivery) = self.subscription.try_next() {
            self.composer.take(&delivery);
        }
        if self.link.is_waiting() {
            return false;
        }
        let time = if leaves { FAREWELL } else { GOODBYE };
        if leaves {
            self.composer.compose_farewell();
        } else {
            self.composer.compose_goodbye();
        }
        let deadline = Instant::now() + time;
        self.hand_over();
        let is_up = |stats: &SinkStats| stats.state().0 == SinkState::Up;
        while is_up(&self.stats) && !self.composer.outbox.is_empty() {
            tokio::select! {
                event = self.link.next() => self.take(event),
                () = sleep_until(deadline) => break,
            }
            self.hand_over();
        }
        let is_gone = leaves && is_up(&self.stats) && self.composer.outbox.is_empty();
        if is_gone {
            memory::remember(&self.link.config, BTreeSet::new()).await;
        }
        // A connection that is cut instead has the broker publish the last will, and retain it.
        if let Some(connection) = self.link.connection.take() {
            let _ = timeout(time / 4, connection.close()).await;
        }
        is_gone
    }
}
