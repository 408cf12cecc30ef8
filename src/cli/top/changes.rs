//! The thresholds that the user has changed and not written: the old ones, the requested ones, and the effective ones of the
//! daemon.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::odds;
use crate::publish::wire::{Request, Thresholds};

/// The shortest interval of two requests while a key is held down.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// A changed threshold. Its steps are counted, so that the same number of steps back leads to exactly the old threshold.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    before: Thresholds,
    /// The threshold that the user asks for, in steps.
    wanted: i32,
    /// The threshold that the daemon has set, in steps.
    taken: i32,
    /// The effective thresholds in its answer.
    in_force: Option<Thresholds>,
}

/// The changed thresholds, by the label's name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    labels: BTreeMap<String, Change>,
    /// For a label whose change was taken back, thresholds whose proportions its numbers follow: all of them have been set since.
    followed: BTreeMap<String, Thresholds>,
    /// The label whose change is to be sent, and when.
    due: Option<(String, Instant)>,
}

/// A request that was sent, and the steps that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The label.
    pub label: String,
    steps: i32,
}

impl Changes {
    /// Moves a label's threshold by some steps. Returns the request of another label whose change was waiting, which has to be
    /// sent first.
    pub fn step(&mut self, label: &str, now: Thresholds, by: i32, at: Instant) -> Option<(Request, Asked)> {
        let wanted = self.labels.get(label).map_or(0, |change| change.wanted);
        let before = self.labels.get(label).map_or(now, |change| change.before);
        if !odds::may_step(before.threshold, wanted, by) {
            return None;
        }
        self.want(label, before, wanted + by, at)
    }

    /// Takes a label's change back.
    pub fn take_back(&mut self, label: &str, at: Instant) -> Option<(Request, Asked)> {
        let before = self.labels.get(label)?.before;
        self.want(label, before, 0, at)
    }

    fn want(&mut self, label: &str, before: Thresholds, wanted: i32, at: Instant) -> Option<(Request, Asked)> {
        let waiting = self.due.take_if(|(waiting, _)| waiting != label).and_then(|(waiting, _)| self.request(&waiting));
        self.labels.entry(label.to_owned()).or_insert(Change { before, wanted, taken: 0, in_force: None }).wanted = wanted;
        self.due.get_or_insert_with(|| (label.to_owned(), at + DEBOUNCE));
        waiting
    }

    /// When the next request is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.as_ref().map(|(_, at)| *at)
    }

    /// The request that is due.
    pub fn due(&mut self, now: Instant) -> Option<(Request, Asked)> {
        let (label, _) = self.due.take_if(|(_, at)| *at <= now)?;
        self.request(&label)
    }

    /// Requests for every change, for a daemon that knows of none.
    pub fn again(&mut self) -> Vec<(Request, Asked)> {
        self.due = None;
        self.labels.values_mut().for_each(|change| (change.taken, change.in_force) = (0, None));
        self.followed.clear();
        self.labels.retain(|_, change| change.wanted != 0);
        self.labels.keys().filter_map(|label| self.request(label)).collect()
    }

    fn request(&self, label: &str) -> Option<(Request, Asked)> {
        let Change { before, wanted, .. } = self.labels.get(label)?;
        let threshold = odds::step(before.threshold, *wanted);
        // The start threshold and the release follow the threshold, as in the configuration. To take a change back all three are
        // set. From then on they no longer follow, so each request sets them in proportion.
        let exactly = |of: fn(&Thresholds) -> f64| match self.followed.get(label) {
            _ if *wanted == 0 => Some(of(before)),
            Some(followed) if of(followed) == of(before) => Some(of(before)),
            Some(followed) => Some((of(followed) / followed.threshold * threshold * 1e4).round() / 1e4),
            None => None,
        };
        let request = Request::Set {
            label: label.to_owned(),
            threshold: Some(threshold),
            start_threshold: exactly(|thresholds| thresholds.start_threshold),
            release: exactly(|thresholds| thresholds.release),
        };
        Some((request, Asked { label: label.to_owned(), steps: *wanted }))
    }

    /// Takes the daemon's answer with the effective thresholds.
    pub fn taken(&mut self, asked: &Asked, in_force: Thresholds) {
        let Some(change) = self.labels.get_mut(&asked.label) else { return };
        let before = (change.taken, change.in_force);
        (change.taken, change.in_force) = (asked.steps, Some(in_force));
        if let (true, (1.. | ..=-1, Some(followed))) = (asked.steps == 0, before) {
            self.followed.entry(asked.label.clone()).or_insert(followed);
        }
        if change.taken == 0 && change.wanted == 0 {
            self.labels.remove(&asked.label);
        }
    }

    /// Forgets a change if the effective thresholds are not those that the daemon set for it: another client has set them, or the
    /// configuration was loaded again. Returns whether the change was forgotten.
    pub fn forget_unless(&mut self, label: &str, in_force: Thresholds) -> bool {
        let is_other = self.labels.get(label).is_some_and(|change| change.in_force.is_some_and(|known| known != in_force));
        if is_other {
            self.labels.remove(label);
            self.followed.remove(label);
            self.due.take_if(|(waiting, _)| waiting == label);
        }
        is_other
    }

    /// Takes the daemon's refusal. The threshold that it has set before stays.
    pub fn refused(&mut self, asked: &Asked) {
        if let Some(change) = self.labels.get_mut(&asked.label) {
            change.wanted = change.taken;
            if change.taken == 0 {
                self.labels.remove(&asked.label);
            }
            self.due.take_if(|(label, _)| *label == asked.label);
        }
    }

    /// Forgets all changes: they are written, or another configuration is effective.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The threshold that the user asks for, where the label is changed.
    pub fn wanted(&self, label: &str) -> Option<f64> {
        self.labels
            .get(label)
            .filter(|change| change.wanted != 0)
            .map(|change| odds::step(change.before.threshold, change.wanted))
    }

    /// Every changed label with the threshold that is asked for.
    pub fn all(&self) -> impl Iterator<Item = (&str, f64)> {
        self.labels.keys().filter_map(|label| Some((label.as_str(), self.wanted(label)?)))
    }

    /// The names of all labels with a change, including those that are being taken back.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.labels.keys().map(String::as_str)
    }

    /// The number of changed labels.
    pub fn len(&self) -> usize {
        self.all().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Thresholds = Thresholds { threshold: 0.2, start_threshold: 0.15, release: 0.02 };

    fn set(request: Option<(Request, Asked)>) -> (String, [Option<f64>; 3], Asked) {
        match request {
            Some((Request::Set { label, threshold, start_threshold, release }, asked)) => {
                (label, [threshold, start_threshold, release], asked)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn many_steps_are_one_request() {
        let (mut changes, at) = (Changes::default(), Instant::now());
        for step in 0..5 {
            assert_eq!(changes.step("Dog", BEFORE, odds::COARSE, at + step * Duration::from_millis(10)), None);
        }
        assert_eq!(changes.due(at + Duration::from_millis(99)), None);
        let (label, numbers, asked) = set(changes.due(at + DEBOUNCE));
        assert_eq!((label.as_str(), numbers), ("Dog", [Some(0.4046), None, None]));
        changes.taken(&asked, BEFORE);
        assert_eq!(changes.all().collect::<Vec<_>>(), [("Dog", 0.4046)]);
        assert_eq!(changes.due(at + DEBOUNCE * 9), None);
    }

    #[test]
    fn what_is_taken_back_is_exactly_what_it_was() {
        let (mut changes, at) = (Changes::default(), Instant::now());
        let followed = Thresholds { threshold: 0.2251, start_threshold: 0.1576, release: 0.0225 };
        changes.step("Dog", BEFORE, 3, at);
        let asked = set(changes.due(at + DEBOUNCE)).2;
        changes.taken(&asked, followed);
        changes.step("Dog", followed, -3, at);
        assert_eq!(changes.len(), 0);
        let (_, numbers, asked) = set(changes.due(at + DEBOUNCE));
        assert_eq!(numbers, [Some(0.2), Some(0.15), Some(0.02)]);
        changes.taken(&asked, BEFORE);
        assert_eq!(changes.names().count(), 0);
        assert_eq!(changes.take_back("Dog", at), None);
        // The daemon has set all three, so the other two do not follow the threshold by themselves any more.
        changes.step("Dog", BEFORE, 8, at);
        assert_eq!(set(changes.due(at + DEBOUNCE)).1, [Some(0.2716), Some(0.1902), Some(0.0271)]);
    }

    #[test]
    fn a_refusal_leaves_the_threshold_that_was_set_before() {
        let (mut changes, at) = (Changes::default(), Instant::now());
        changes.step("Dog", BEFORE, 1, at);
        let asked = set(changes.due(at + DEBOUNCE)).2;
        changes.taken(&asked, BEFORE);
        changes.step("Dog", BEFORE, 1, at);
        let asked = set(changes.due(at + DEBOUNCE)).2;
        changes.refused(&asked);
        assert_eq!(changes.wanted("Dog"), Some(0.2081));
        changes.step("Cat", BEFORE, 1, at);
        let asked = set(changes.due(at + DEBOUNCE)).2;
        changes.refused(&asked);
        assert_eq!(changes.wanted("Cat"), None);
    }

    #[test]
    fn what_somebody_else_has_set_is_no_change_of_ours() {
        let (mut changes, at) = (Changes::default(), Instant::now());
        changes.step("Dog", BEFORE, 1, at);
        assert!(!changes.forget_unless("Dog", BEFORE), "it has not even been asked for");
        let asked = set(changes.due(at + DEBOUNCE)).2;
        let ours = Thresholds { threshold: 0.2081, ..BEFORE };
        changes.taken(&asked, ours);
        assert!(!changes.forget_unless("Dog", ours) && !changes.forget_unless("Cat", BEFORE));
        assert!(changes.forget_unless("Dog", BEFORE));
        assert_eq!(changes.len(), 0);
    }

    #[test]
    fn another_label_does_not_hold_up_the_first() {
        let (mut changes, at) = (Changes::default(), Instant::now());
        changes.step("Dog", BEFORE, 1, at);
        assert_eq!(set(changes.step("Cat", BEFORE, 1, at)).0, "Dog");
        assert_eq!(set(changes.due(at + DEBOUNCE)).0, "Cat");
    }

    #[test]
    fn a_new_daemon_is_told_everything_again() {
        let (mut changes, at) = (Changes::default(), Instant::now());
        changes.step("Dog", BEFORE, 1, at);
        changes.step("Cat", BEFORE, 2, at);
        changes.step("Owl", BEFORE, 2, at);
        changes.take_back("Owl", at);
        let labels: Vec<String> = changes.again().into_iter().map(|request| set(Some(request)).0).collect();
        assert_eq!(labels, ["Cat", "Dog"]);
        assert_eq!(changes.next(), None);
    }
}
