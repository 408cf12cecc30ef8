//! The state of one source: its level, its open events, its labels with their last minute, and the order of the rows.
//!
//! Times are hops; it reads no clock and draws nothing.

use std::collections::{HashMap, HashSet};

use super::history::{History, HopSpan};
use crate::detect::why;
use crate::publish::wire::{OpenEvent, SourceState, Top, TopLabel, Why};
use crate::text::visible;

/// The time span that is drawn, in seconds.
pub const MINUTE_S: u64 = 60;
/// How long a label keeps its row after it was among the strongest, and its place on top after its event, in seconds.
const HELD_S: u64 = 5;
/// A label moves above another only if its score is higher by this factor.
const STRONGER: f32 = 1.25;

/// The state of a source.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name as the daemon spells it.
    pub key: String,
    /// Its name with control characters replaced, to be shown.
    pub name: String,
    /// Its state; `None` before the daemon's first status.
    pub state: Option<SourceState>,
    /// The daemon's last answer without its labels; `None` before the first.
    pub snapshot: Option<Snapshot>,
    /// Every known label, by its name as the daemon spells it.
    labels: HashMap<String, Label>,
    /// The labels that are shown, from above.
    order: Vec<String>,
    /// The label that the user has chosen; with `None`, the label on top is chosen.
    chosen: Option<String>,
}

/// The daemon's last answer about a source, without its labels. The fields are those of [`Top`].
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The level, in dBFS.
    pub level_dbfs: f64,
    /// The noise floor, in dBFS.
    pub noise_floor_dbfs: f64,
    /// The samples at full scale within the current 10 seconds.
    pub clipped_samples: u64,
    /// The number of hops that have been scored.
    pub hops: u64,
    /// The hop, in milliseconds; never zero.
    pub hop_ms: u64,
    /// The time from a moment until its confirmed score is known, in milliseconds.
    pub confirmed_lag_ms: u64,
    /// The open events.
    pub open: Vec<OpenEvent>,
}

/// The state of a label.
#[derive(Debug, Clone)]
pub struct Label {
    /// Its name with control characters replaced, to be shown.
    pub shown: String,
    /// The daemon's last answer about it.
    pub now: TopLabel,
    /// Its scores over the last minute.
    pub history: History,
    /// The hop of the last answer that named it.
    seen: u64,
    /// The hop until which it stays above labels without an event.
    above_until: u64,
}

impl Snapshot {
    /// A number of seconds, in hops.
    pub fn hops_of(&self, seconds: u64) -> u64 {
        seconds * 1_000 / self.hop_ms
    }

    /// The time span that is drawn, where an answer comes every `interval_ms` milliseconds.
    pub fn span(&self, interval_ms: u64) -> HopSpan {
        let hold = (interval_ms * 2).div_ceil(self.hop_ms) + self.hops_of(1);
        HopSpan { now: self.hops, length: self.hops_of(MINUTE_S).max(1), hold }
    }
}

impl Label {
    /// Resets the scores and the reason: the label was not among the strongest in the last answer, so the ones before are out of
    /// date.
    fn fade(&mut self, open: &[OpenEvent]) {
        if self.now.threshold.is_none() {
            // The reason why a label is not reported does not depend on its score.
            return;
        }
        let event = open.iter().find(|event| event.label == self.now.label);
        (self.now.score, self.now.two_sided) = (0.0, None);
        (self.now.why, self.now.because) = match event {
            Some(event) => (Why::Open, why::Why::Open { is_confirmed: event.confirmed }.because()),
            None => (Why::Below, "not among the strongest".to_owned()),
        };
    }
}

impl Source {
    /// A source before its first answer.
    pub fn new(name: &str) -> Self {
        let (labels, order) = (HashMap::new(), Vec::new());
        Self { key: name.to_owned(), name: visible(name), state: None, snapshot: None, labels, order, chosen: None }
    }

    /// The state as a word, with control characters replaced; empty before the daemon's first status.
    pub fn state_word(&self) -> String {
        self.state.as_ref().map(|state| visible(&state.to_string())).unwrap_or_default()
    }

    /// Takes an answer of the daemon. Labels in `kept` keep their rows whatever their scores.
    pub fn take(&mut self, top: Top, kept: &HashSet<&str>) {
        let Top {
            level_dbfs,
            noise_floor_dbfs,
            clipped_samples,
            hops,
            hop_ms,
            two_sided_lag_ms: confirmed_lag_ms,
            open,
            labels,
            ..
        } = top;
        let before = self.snapshot.as_ref().map(|snapshot| snapshot.hops);
        // A source that was opened again counts hops from 0; its older scores have no place on the axis any more.
        if before.is_some_and(|before| hops < before) {
            self.labels.values_mut().for_each(|label| (label.history, label.above_until) = (History::default(), 0));
            self.labels.values_mut().for_each(|label| label.seen = hops);
        }
        let hop_ms = u64::from(hop_ms.max(1));
        let snapshot = Snapshot { level_dbfs, noise_floor_dbfs, clipped_samples, hops, hop_ms, confirmed_lag_ms, open };
        let (held, keep) = (snapshot.hops_of(HELD_S), snapshot.hops_of(MINUTE_S) + snapshot.hops_of(HELD_S));
        for now in labels {
            let is_open = now.why == Why::Open;
            let label = match self.labels.get_mut(&now.label) {
                Some(label) => {
                    label.now = now;
                    label
                }
                None => self.labels.entry(now.label.clone()).or_insert_with(|| Label {
                    shown: visible(&now.label),
                    history: History::default(),
                    seen: hops,
                    above_until: 0,
                    now,
                }),
            };
            label.seen = hops;
            if is_open {
                label.above_until = hops + held;
            }
            if before != Some(hops) {
                label.history.push(hops, keep, label.now.score as f32, label.now.two_sided.map(|score| score as f32));
            }
        }
        for label in self.labels.values_mut().filter(|label| label.seen != hops) {
            label.fade(&snapshot.open);
        }
        let chosen = self.chosen.as_deref();
        let stays = |name: &str| kept.contains(name) || chosen == Some(name);
        self.labels.retain(|name, label| label.seen + keep >= hops || stays(name));
        let shows = |name: &str, label: &Label| label.seen + held >= hops || label.above_until > hops || stays(name);
        self.order.retain(|name| self.labels.get(name).is_some_and(|label| shows(name, label)));
        let mut new: Vec<&String> = self
            .labels
            .iter()
            .filter(|(name, label)| shows(name, label) && !self.order.contains(name))
            .map(|(name, _)| name)
            .collect();
        new.sort();
        let new: Vec<String> = new.into_iter().cloned().collect();
        self.order.extend(new);
        self.snapshot = Some(snapshot);
        self.arrange(hops.saturating_sub(held), hops);
    }

    /// Orders the labels by their strength over the last seconds. A label passes another only if it is clearly stronger, so that
    /// rows do not jump while they are read.
    fn arrange(&mut self, since: u64, hops: u64) {
        let mut ranked: Vec<(bool, f32, String)> = std::mem::take(&mut self.order)
            .into_iter()
            .filter_map(|name| {
                let label = self.labels.get(&name)?;
                Some((label.above_until > hops, label.history.peak(since), name))
            })
            .collect();
        let outranks = |a: &(bool, f32, String), b: &(bool, f32, String)| (a.0 && !b.0) || (a.0 == b.0 && a.1 > b.1 * STRONGER);
        for end in 1..ranked.len() {
            let mut at = end;
            while at > 0 && outranks(&ranked[at], &ranked[at - 1]) {
                ranked.swap(at, at - 1);
                at -= 1;
            }
        }
        self.order = ranked.into_iter().map(|(_, _, name)| name).collect();
    }

    /// The labels that are shown, from above.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Label> {
        self.order.iter().map(|name| &self.labels[name])
    }

    /// The index of the chosen row.
    pub fn chosen_row(&self) -> usize {
        self.chosen.as_ref().and_then(|chosen| self.order.iter().position(|name| name == chosen)).unwrap_or(0)
    }

    /// The chosen label.
    pub fn chosen(&self) -> Option<&Label> {
        self.order.get(self.chosen_row()).and_then(|name| self.labels.get(name))
    }

    /// Chooses the label `by` rows below, and follows it when rows move.
    pub fn choose(&mut self, by: isize) {
        let last = self.order.len().saturating_sub(1);
        let row = self.chosen_row().saturating_add_signed(by).min(last);
        self.chosen = self.order.get(row).cloned();
    }

    /// Chooses the label on top from now on.
    pub fn follow(&mut self) {
        self.chosen = None;
    }

    /// The label of this name, where it is known.
    pub fn label_mut(&mut self, name: &str) -> Option<&mut Label> {
        self.labels.get_mut(name)
    }
}

impl Label {
    /// Whether the last answer named it; otherwise its numbers are older.
    pub fn is_fresh(&self, snapshot: &Snapshot) -> bool {
        self.seen == snapshot.hops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, score: f64, why: &str) -> TopLabel {
        TopLabel {
            label: name.to_owned(),
            slug: name.to_lowercase(),
            score,
            two_sided: Some(score / 2.0),
            background: Some(0.01),
            threshold: Some(0.2),
            start_threshold: Some(0.14),
            release: Some(0.02),
            why: why.into(),
            because: String::new(),
        }
    }

    fn heard(source: &mut Source, hops: u64, labels: &[(&str, f64, &str)]) -> Vec<String> {
        let labels = labels.iter().map(|(name, score, why)| label(name, *score, why)).collect();
        let top = Top {
            source: "kitchen".into(),
            level_dbfs: -30.0,
            noise_floor_dbfs: -60.0,
            clipped_samples: 0,
            hops,
            hop_ms: 100,
            two_sided_lag_ms: 2_700,
            open: vec![],
            labels,
        };
        source.take(top, &HashSet::from(["Kept"]));
        source.rows().map(|row| row.shown.clone()).collect()
    }

    #[test]
    fn a_label_that_is_not_named_any_more_is_reset() {
        let mut source = Source::new("kitchen");
        heard(&mut source, 1, &[("Ding", 0.5, "open"), ("Music", 0.3, "cooling_down")]);
        heard(&mut source, 3, &[("Music", 0.3, "cooling_down")]);
        let of = |source: &Source, name: &str| {
            source
                .rows()
                .find(|row| row.shown == name)
                .map(|row| (row.now.why.clone(), row.now.because.clone(), row.now.two_sided))
        };
        assert_eq!(of(&source, "Ding"), Some((Why::Below, "not among the strongest".to_owned(), None)));
        assert_eq!(of(&source, "Music").map(|now| now.0), Some(Why::CoolingDown));
    }

    #[test]
    fn a_row_holds_its_place_until_another_is_clearly_stronger() {
        let mut source = Source::new("kitchen");
        assert_eq!(heard(&mut source, 1, &[("A", 0.5, "below"), ("B", 0.3, "below")]), ["A", "B"]);
        assert_eq!(heard(&mut source, 3, &[("B", 0.6, "below"), ("A", 0.1, "below")]), ["A", "B"]);
        assert_eq!(heard(&mut source, 5, &[("B", 0.7, "below"), ("A", 0.1, "below")]), ["B", "A"]);
        assert_eq!(heard(&mut source, 40, &[("A", 0.6, "below"), ("B", 0.1, "below")]), ["B", "A"], "B was 0.7 a moment ago");
        assert_eq!(heard(&mut source, 60, &[("A", 0.6, "below"), ("B", 0.1, "below")]), ["A", "B"]);
    }

    #[test]
    fn an_event_is_on_top_and_stays_there_for_a_moment() {
        let mut source = Source::new("kitchen");
        assert_eq!(heard(&mut source, 1, &[("A", 0.9, "not_reported"), ("B", 0.2, "open")]), ["B", "A"]);
        assert_eq!(heard(&mut source, 40, &[("A", 0.9, "not_reported"), ("B", 0.1, "below")]), ["B", "A"]);
        assert_eq!(heard(&mut source, 60, &[("A", 0.9, "not_reported"), ("B", 0.1, "below")]), ["A", "B"]);
    }

    #[test]
    fn a_weak_label_goes_after_a_moment_unless_it_is_chosen_or_kept() {
        let mut source = Source::new("kitchen");
        heard(&mut source, 1, &[("A", 0.9, "below"), ("Kept", 0.5, "below"), ("B", 0.3, "below"), ("C", 0.1, "below")]);
        source.choose(2);
        assert_eq!(heard(&mut source, 50, &[("A", 0.9, "below")]), ["A", "Kept", "B", "C"]);
        assert_eq!(heard(&mut source, 60, &[("A", 0.9, "below")]), ["A", "Kept", "B"]);
        assert_eq!(heard(&mut source, 9_999, &[("A", 0.9, "below")]), ["A", "Kept", "B"]);
        assert_eq!(source.chosen().unwrap().shown, "B");
        assert!(!source.chosen().unwrap().is_fresh(source.snapshot.as_ref().unwrap()));
        source.follow();
        assert_eq!(heard(&mut source, 10_000, &[("A", 0.9, "below")]), ["A", "Kept"]);
        assert_eq!(source.chosen_row(), 0);
    }

    #[test]
    fn a_source_that_counts_anew_begins_anew() {
        let mut source = Source::new("kitchen");
        heard(&mut source, 5_000, &[("A", 0.9, "open"), ("B", 0.5, "below")]);
        assert_eq!(heard(&mut source, 2, &[("B", 0.4, "below")]), ["B", "A"]);
        assert_eq!(heard(&mut source, 60, &[("B", 0.4, "below")]), ["B"]);
    }

    #[test]
    fn the_choice_stays_within_the_rows() {
        let mut source = Source::new("a\u{7}");
        assert_eq!(source.name, "a\u{fffd}");
        source.choose(-3);
        assert!(source.chosen().is_none());
        heard(&mut source, 1, &[("A", 0.9, "below"), ("B", 0.3, "below")]);
        source.choose(isize::MAX);
        assert_eq!(source.chosen_row(), 1);
        source.choose(isize::MIN);
        assert_eq!(source.chosen_row(), 0);
    }
}
