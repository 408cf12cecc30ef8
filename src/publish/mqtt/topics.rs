//! The names of the topics, and how the names of sources and labels are written in them.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::event::Subject;
use crate::model::labels::slug;
use crate::publish::settings::MqttConfig;

/// The names that topics of the daemon have at the level of the sources. A source with such a name is renamed in topics.
const RESERVED: [&str; 6] = ["availability", "health", "problem", "pause", "threshold", "summary"];

/// The topics of one daemon.
#[derive(Debug, Clone)]
pub struct Topics {
    base: String,
    /// The name of this machine.
    pub node: String,
    /// The name of this machine as an id of Home Assistant.
    pub node_id: String,
    discovery_prefix: String,
}

impl Topics {
    /// The topics of a configuration.
    pub fn new(config: &MqttConfig) -> Self {
        Self {
            base: format!("{}/{}", config.prefix, config.node),
            node: config.node.clone(),
            node_id: format!("mimid_{}", id(&config.node)),
            discovery_prefix: config.discovery_prefix.clone(),
        }
    }

    /// A topic of the whole daemon, such as `availability` or `pause/set`.
    pub fn node(&self, what: &str) -> String {
        format!("{}/{what}", self.base)
    }

    /// A topic of a source, such as `level`.
    pub fn source(&self, source: &str, what: &str) -> String {
        format!("{}/{}/{what}", self.base, level(source))
    }

    /// A topic of a label at a source, such as `state`.
    pub fn label(&self, source: &str, key: &str, what: &str) -> String {
        format!("{}/{}/{key}/{what}", self.base, level(source))
    }

    /// A topic of a label's threshold: `set` or `state`.
    pub fn threshold(&self, key: &str, what: &str) -> String {
        format!("{}/threshold/{key}/{what}", self.base)
    }

    /// The topic of a device's discovery document: the device of a source, or with `None` that of the daemon.
    pub fn discovery(&self, source: Option<&str>) -> String {
        self.single("device", &Self::device(source))
    }

    /// The topic of the discovery document of one entity, where that of its device is too large for the broker.
    pub fn discovery_of(&self, platform: &str, source: Option<&str>, what: &str) -> String {
        self.single(platform, &format!("{}_{what}", Self::device(source)))
    }

    fn device(source: Option<&str>) -> String {
        source.map_or_else(|| "node".to_owned(), |source| format!("source_{}", id(source)))
    }

    fn single(&self, platform: &str, object: &str) -> String {
        format!("{}/{platform}/{}/{object}/config", self.discovery_prefix, self.node_id)
    }

    /// The topic of Home Assistant's birth message.
    pub fn birth(&self) -> String {
        format!("{}/status", self.discovery_prefix)
    }

    /// The filters to subscribe to as long as there is a connection: commands, and Home Assistant's birth message.
    pub fn command_filters(&self) -> Vec<String> {
        vec![self.node("pause/set"), self.node("threshold/+/set"), self.birth()]
    }

    /// The filters to subscribe to for a while, to find messages that an earlier run left retained.
    pub fn own_filters(&self) -> Vec<String> {
        vec![self.node("#"), format!("{}/+/{}/+/config", self.discovery_prefix, self.node_id)]
    }

    /// Whether [`Self::own_filters`] match this topic.
    pub fn is_own(&self, topic: &str) -> bool {
        self.under_node(topic).is_some() || self.is_discovery(topic)
    }

    /// The rest of a topic after this daemon's prefix; `None` where it does not begin with it.
    pub fn under_node<'t>(&self, topic: &'t str) -> Option<&'t str> {
        topic.strip_prefix(&self.base)?.strip_prefix('/')
    }

    /// Whether it is the topic of one of this daemon's discovery documents.
    pub fn is_discovery(&self, topic: &str) -> bool {
        let rest = topic.strip_prefix(&self.discovery_prefix).and_then(|rest| rest.strip_prefix('/'));
        let levels: Vec<&str> = rest.unwrap_or_default().split('/').collect();
        matches!(levels[..], [_, node, _, "config"] if node == self.node_id)
    }
}

/// The name of a label or a group in topics; never empty.
pub fn key(subject: &Subject) -> String {
    if subject.slug.is_empty() { id(&subject.name) } else { subject.slug.clone() }
}

/// A source's name as one level of a topic. Different names stay different.
fn level(name: &str) -> String {
    let is_bad = |letter: char| matches!(letter, '/' | '+' | '#') || letter.is_control();
    if !name.is_empty() && !name.contains(is_bad) && !name.starts_with('$') && !RESERVED.contains(&name) {
        return name.to_owned();
    }
    format!("{}_{}", name.replace(|letter| is_bad(letter) || letter == '$', "_"), fingerprint(name))
}

/// A name as part of an id of Home Assistant: letters, digits, `_` and `-`. Different names stay different.
pub fn id(name: &str) -> String {
    if !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-')) {
        return name.to_owned();
    }
    format!("{}_{}", slug(name), fingerprint(name)).trim_start_matches('_').to_owned()
}

/// A name as part of the id of an entity: small letters, digits and `_`. Home Assistant tells names apart that become the same.
pub fn entity(name: &str) -> String {
    let slug = slug(name);
    if slug.is_empty() { fingerprint(name) } else { slug }
}

/// A name of a machine as people write it: `Kitchen Pi` for `kitchen-pi`.
pub fn words(name: &str) -> String {
    let words = name.split(|letter: char| letter.is_whitespace() || "-_.".contains(letter)).filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    };
    let words: Vec<String> = words.map(capital).collect();
    if words.is_empty() { name.to_owned() } else { words.join(" ") }
}

/// Six hexadecimal digits of the name's hash.
fn fingerprint(name: &str) -> String {
    Sha256::digest(name).iter().take(3).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_name_stays_as_it_is() {
        assert_eq!((level("kitchen"), id("kitchen")), ("kitchen".to_owned(), "kitchen".to_owned()));
        assert_eq!((id("kitchen-pi").as_str(), entity("kitchen-pi").as_str()), ("kitchen-pi", "kitchen_pi"));
        assert_eq!((words("kitchen-pi").as_str(), words("..").as_str()), ("Kitchen Pi", ".."));
        assert_eq!(level("台所"), "台所");
    }

    #[test]
    fn a_name_that_divides_or_matches_topics_or_is_taken_gets_another() {
        for name in ["a/b", "a+b", "a#b", "$a", "health", "threshold", "", "a\nb"] {
            let level = level(name);
            assert!(level != name && !level.contains(['/', '+', '#', '$', '\n']), "{name:?} is {level}");
        }
        assert_ne!(level("a/b"), level("a+b"));
    }

    #[test]
    fn a_group_without_a_latin_letter_has_a_key() {
        let subject = Subject { name: "犬".to_owned(), slug: String::new(), id: String::new() };
        assert!(!key(&subject).is_empty() && key(&subject).chars().all(|c| c.is_ascii_alphanumeric()));
    }

    proptest! {
        #[test]
        fn every_name_is_one_level_and_an_id(name in "\\PC{0,12}") {
            let (level, id) = (level(&name), id(&name));
            prop_assert!(!level.is_empty() && !level.contains(['/', '+', '#']));
            prop_assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
            prop_assert!(entity(&name).chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        }

        #[test]
        fn names_that_differ_stay_different(a in "[a-c/+ A]{0,3}", b in "[a-c/+ A]{0,3}") {
            prop_assert!(a == b || (level(&a) != level(&b) && id(&a) != id(&b)), "{a:?} {b:?}");
        }
    }
}
