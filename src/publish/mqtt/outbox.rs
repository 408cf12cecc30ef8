//! The messages that wait to be sent: events in their order, and the newest of each message that the broker is to retain.
//!
//! While there is no connection, events wait; if too many wait, the oldest is given up. Retained messages are not queued
//! meanwhile: the newest of each topic is known, and sent when the broker is back.
//!
//! Invariant: the number of waiting events is bounded, an event leaves only by being acknowledged or given up, and a retained
//! message is never given up.

use std::collections::{BTreeMap, VecDeque};

/// The most messages without an acknowledgement: fewer than the 20 that brokers accept by default.
pub const IN_FLIGHT: usize = 16;

/// A message to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerMessage {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: String,
    /// How it is kept.
    pub retention: Retention,
}

/// How a message is kept, here and at the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// It waits while the broker is away.
    Event,
    /// The broker keeps it, and sends it to every new subscriber.
    Retained,
    /// It is dropped while the broker is away.
    Fleeting,
}

/// The messages that wait to be sent.
#[derive(Debug)]
pub struct Outbox {
    bound: usize,
    is_connected: bool,
    waiting: VecDeque<BrokerMessage>,
    /// The messages that were handed over and are not acknowledged, each with its packet number once that is known.
    in_flight: VecDeque<(Option<u16>, BrokerMessage)>,
    retained: BTreeMap<String, String>,
    /// The number of events that were given up.
    pub given_up: u64,
    /// The most bytes of a message's topic and payload that the broker takes; `None` where it has told no limit.
    pub largest: Option<usize>,
    /// The topic of a message that was larger than that, and has been left out.
    pub too_large: Option<String>,
}

impl Outbox {
    /// An empty outbox in which at most `bound` messages wait.
    pub fn new(bound: usize) -> Self {
        Self {
            bound: bound.max(1),
            is_connected: false,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            retained: BTreeMap::new(),
            given_up: 0,
            largest: None,
            too_large: None,
        }
    }

    /// The number of messages that are not acknowledged.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// Whether every message is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload that the broker is to retain at this topic.
    pub fn retained(&self, topic: &str) -> Option<&str> {
        self.retained.get(topic).map(String::as_str)
    }

    /// The topics of all retained messages.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.retained.keys().map(String::as_str)
    }

    /// Queues an event.
    pub fn event(&mut self, topic: String, payload: String) {
        self.push(BrokerMessage { topic, payload, retention: Retention::Event });
    }

    /// Sends a message that is dropped while there is no connection.
    pub fn fleeting(&mut self, topic: String, payload: String) {
        if self.is_connected {
            self.push(BrokerMessage { topic, payload, retention: Retention::Fleeting });
        }
    }

    /// Has the broker retain a message from now on. It is sent only if it differs from the one before.
    pub fn retain(&mut self, topic: String, payload: String) {
        if self.retained(&topic) != Some(&payload) {
            self.retained.insert(topic.clone(), payload);
            self.repeat(&topic);
        }
    }

    /// Sends the retained message of this topic again.
    pub fn repeat(&mut self, topic: &str) {
        if let Some(payload) = self.retained.get(topic).cloned() {
            self.retain_once(topic.to_owned(), payload);
        }
    }

    /// Sends a retained message that the next one of its topic replaces. It is not sent again after a lost connection.
    pub fn retain_once(&mut self, topic: String, payload: String) {
        if self.is_connected {
            self.push(BrokerMessage { topic, payload, retention: Retention::Retained });
        }
    }

    /// Removes the retained message of this topic.
    pub fn clear(&mut self, topic: &str) {
        self.retained.remove(topic);
        self.retain_once(topic.to_owned(), String::new());
    }

    /// Begins with a new connection: all retained messages go first, that of the topic `last` after the others, then the events that
    /// waited.
    pub fn connected(&mut self, last: &str) {
        self.lost();
        self.is_connected = true;
        let (before, after): (Vec<_>, Vec<_>) = self.retained.iter().partition(|(topic, _)| *topic != last);
        let again = before.into_iter().chain(after).map(|(topic, payload)| BrokerMessage {
            topic: topic.clone(),
            payload: payload.clone(),
            retention: Retention::Retained,
        });
        self.waiting = again.chain(std::mem::take(&mut self.waiting)).collect();
    }

    /// Takes the loss of the connection: events that were not acknowledged wait again, all other messages are dropped.
    pub fn lost(&mut self) {
        self.is_connected = false;
        let unacknowledged = std::mem::take(&mut self.in_flight).into_iter().map(|(_, message)| message);
        let all = unacknowledged.chain(std::mem::take(&mut self.waiting));
        self.waiting = all.filter(|message| message.retention == Retention::Event).collect();
        while self.waiting.len() > self.bound {
            self.waiting.pop_front();
            self.given_up += 1;
        }
    }

    /// The next message to hand over to the connection; `None` while too many are not acknowledged.
    pub fn hand_over(&mut self) -> Option<BrokerMessage> {
        if !self.is_connected || self.in_flight.len() >= IN_FLIGHT {
            return None;
        }
        let message = loop {
            let message = self.waiting.pop_front()?;
            if self.largest.is_none_or(|largest| message.topic.len() + message.payload.len() <= largest) {
                break message;
            }
            self.given_up += u64::from(message.retention == Retention::Event);
            self.too_large = Some(message.topic);
        };
        self.in_flight.push_back((None, message.clone()));
        Some(message)
    }

    /// Takes the packet number of the oldest message without one.
    pub fn sent(&mut self, number: u16) {
        if let Some(unnumbered) = self.in_flight.iter_mut().find(|(known, _)| known.is_none()) {
            unnumbered.0 = Some(number);
        }
    }

    /// Takes the acknowledgement of this packet number, and returns the message that had it.
    pub fn acknowledged(&mut self, number: u16) -> Option<BrokerMessage> {
        let found = self.in_flight.iter().position(|(known, _)| *known == Some(number));
        found.and_then(|at| self.in_flight.remove(at)).map(|(_, message)| message)
    }

    fn push(&mut self, message: BrokerMessage) {
        if self.waiting.len() >= self.bound {
            match message.retention {
                // The new message replaces the old one of its topic, so the number of topics is the bound.
                Retention::Retained => {
                    self.waiting.retain(|old| old.retention != Retention::Retained || old.topic != message.topic)
                }
                Retention::Event | Retention::Fleeting => {
                    let oldest = self.waiting.iter().position(|old| old.retention != Retention::Retained);
                    let Some(lost) = oldest.and_then(|at| self.waiting.remove(at)) else {
                        self.given_up += u64::from(message.retention == Retention::Event);
                        return;
                    };
                    self.given_up += u64::from(lost.retention == Retention::Event);
                }
            }
        }
        self.waiting.push_back(message);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(outbox: &mut Outbox) -> Vec<String> {
        let mut sent = Vec::new();
        let mut number = 0;
        while let Some(message) = outbox.hand_over() {
            number += 1;
            outbox.sent(number);
            assert!(outbox.acknowledged(number).is_some() && outbox.acknowledged(number).is_none());
            sent.push(format!("{} {}", message.topic, message.payload));
        }
        sent
    }

    #[test]
    fn events_wait_for_the_broker_and_states_are_said_anew_before_them() {
        let mut outbox = Outbox::new(10);
        for n in 0..3 {
            outbox.event("e".to_owned(), n.to_string());
            outbox.retain("s".to_owned(), n.to_string());
        }
        outbox.fleeting("l".to_owned(), "1".to_owned());
        outbox.retain("z".to_owned(), "1".to_owned());
        assert!(outbox.hand_over().is_none());
        outbox.connected("s");
        assert_eq!(drain(&mut outbox), ["z 1", "s 2", "e 0", "e 1", "e 2"]);
    }

    #[test]
    fn a_message_that_the_broker_does_not_take_is_left_out_and_told() {
        let mut outbox = Outbox::new(10);
        outbox.largest = Some(5);
        outbox.connected("");
        outbox.event("e".to_owned(), "12345".to_owned());
        outbox.event("e".to_owned(), "1234".to_owned());
        assert_eq!(drain(&mut outbox), ["e 1234"]);
        assert_eq!((outbox.given_up, outbox.too_large.as_deref()), (1, Some("e")));
    }

    #[test]
    fn while_it_is_there_everything_goes_in_its_order() {
        let mut outbox = Outbox::new(10);
        outbox.connected("");
        outbox.retain("s".to_owned(), "ON".to_owned());
        outbox.event("e".to_owned(), "1".to_owned());
        outbox.retain("s".to_owned(), "OFF".to_owned());
        outbox.retain("s".to_owned(), "OFF".to_owned());
        outbox.clear("s");
        assert_eq!(drain(&mut outbox), ["s ON", "e 1", "s OFF", "s "]);
        assert_eq!(outbox.topics().count(), 0);
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_and_nothing_else() {
        let mut outbox = Outbox::new(10);
        outbox.connected("");
        for n in 0..3 {
            outbox.event("e".to_owned(), n.to_string());
        }
        let handed: Vec<_> = std::iter::from_fn(|| outbox.hand_over()).collect();
        assert_eq!(handed.len(), 3);
        outbox.sent(7);
        outbox.sent(8);
        assert!(outbox.acknowledged(7).is_some());
        outbox.lost();
        outbox.connected("");
        assert_eq!(drain(&mut outbox), ["e 1", "e 2"]);
    }

    #[test]
    fn the_oldest_event_is_given_up_and_counted() {
        let mut outbox = Outbox::new(2);
        for n in 0..5 {
            outbox.event("e".to_owned(), n.to_string());
        }
        assert_eq!((outbox.len(), outbox.given_up), (2, 3));
        outbox.connected("");
        assert_eq!(drain(&mut outbox), ["e 3", "e 4"]);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Event,
        Retain(u8, u8),
        Clear(u8),
        Connect,
        Lose,
        HandOver,
        Acknowledge,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Event),
            3 => (0..4u8, 0..3u8).prop_map(|(topic, value)| Step::Retain(topic, value)),
            1 => (0..4u8).prop_map(Step::Clear),
            1 => Just(Step::Connect),
            1 => Just(Step::Lose),
            4 => Just(Step::HandOver),
            4 => Just(Step::Acknowledge),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_events_arrive_in_order_or_are_counted_and_the_broker_retains_the_newest(
            steps in prop::collection::vec(step(), 0..300)
        ) {
            let mut outbox = Outbox::new(5);
            let (mut made, mut number) = (0u64, 0u16);
            let mut flying: VecDeque<(u16, BrokerMessage)> = VecDeque::new();
            let (mut arrived, mut broker) = (Vec::new(), BTreeMap::new());
            let take = |message: BrokerMessage, arrived: &mut Vec<u64>, broker: &mut BTreeMap<String, String>| match message.retention {
                Retention::Event => arrived.push(message.payload.parse().unwrap()),
                _ if message.payload.is_empty() => drop(broker.remove(&message.topic)),
                _ => drop(broker.insert(message.topic, message.payload)),
            };
            // At last the broker is back and takes everything.
            let end = [Step::Connect].into_iter().chain(std::iter::repeat_n([Step::HandOver, Step::Acknowledge], 60).flatten());
            for step in steps.into_iter().chain(end) {
                match step {
                    Step::Event => { outbox.event("e".to_owned(), made.to_string()); made += 1; }
                    Step::Retain(topic, value) => outbox.retain(format!("t{topic}"), format!("v{value}")),
                    Step::Clear(topic) => outbox.clear(&format!("t{topic}")),
                    // The broker forgets everything with the connection.
                    Step::Connect => { broker.clear(); flying.clear(); outbox.connected(""); }
                    Step::Lose => { flying.clear(); outbox.lost(); }
                    Step::HandOver => if let Some(message) = outbox.hand_over() {
                        number = number.wrapping_add(1).max(1);
                        outbox.sent(number);
                        flying.push_back((number, message));
                    },
                    Step::Acknowledge => if let Some((number, message)) = flying.pop_front() {
                        prop_assert!(outbox.acknowledged(number).is_some());
                        take(message, &mut arrived, &mut broker);
                    },
                }
                prop_assert!(outbox.waiting.iter().filter(|message| message.retention == Retention::Event).count() <= 5);
                prop_assert!(outbox.in_flight.len() <= IN_FLIGHT);
            }
            prop_assert!(arrived.is_sorted_by(|a, b| a < b), "{arrived:?}");
            prop_assert_eq!(arrived.len() as u64 + outbox.given_up, made);
            prop_assert_eq!(broker, outbox.retained);
        }
    }
}
