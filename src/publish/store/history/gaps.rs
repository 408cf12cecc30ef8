//! Gaps in hearing: when a source was lost, when all were paused, and when no daemon ran. Where nothing was heard nothing is known, so
//! that a gap is never silence. They are made of the reports of health and of the sessions; it only reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::History;
use crate::publish::store::db::DbError;
use crate::publish::store::rows::{from_milliseconds, from_nanoseconds, nanoseconds};

/// The reports before a stretch that are looked at for what held when it began.
const BEFORE: i64 = 500;
/// A daemon that was away for less was only started anew, in milliseconds.
const RESTART_MS: i64 = 2_000;

/// A time in which something was not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The source; `None` for all.
    pub source: Option<Arc<str>>,
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; `None` while it lasts.
    pub until: Option<Timestamp>,
    /// Why nothing was heard.
    pub why: GapKind,
    /// The reason in words, where there is one.
    pub reason: Option<String>,
}

/// Why nothing was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapKind {
    /// A source was lost.
    Lost,
    /// A pause, asked for or by quiet hours.
    Paused,
    /// No daemon ran.
    Stopped,
}

impl GapKind {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            GapKind::Lost => "lost",
            GapKind::Paused => "paused",
            GapKind::Stopped => "stopped",
        }
    }
}

/// A change of what is heard.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    /// Another daemon begins; the one before was there until this moment, if that is known.
    Begun(Option<Timestamp>),
    Lost(Arc<str>, Option<String>),
    Restored(Arc<str>),
    Paused(Option<String>),
    Resumed,
}

impl History {
    /// The gaps that touch a stretch of time, in the order of their beginnings.
    pub fn gaps(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Gap>, DbError> {
        let mut changes = self.begun(from, until)?;
        let columns =
            "SELECT at, kind, line FROM health WHERE kind IN ('source.lost', 'source.restored', 'paused', 'resumed') AND";
        let mut add = |sql: &str, values: &[crate::publish::store::db::Cell]| -> Result<(), DbError> {
            let found = self.db.rows(sql, values, |row| (from_nanoseconds(row.int(0)), change(&row.text(1), &row.text(2))))?;
            changes.extend(found.into_iter().filter_map(|(at, change)| Some((at, change?))));
            Ok(())
        };
        let (first, last) = (nanoseconds(from), nanoseconds(until));
        add(&format!("{columns} at < ? ORDER BY at DESC LIMIT ?"), &[first.into(), BEFORE.into()])?;
        add(&format!("{columns} at >= ? AND at < ? ORDER BY at"), &[first.into(), last.into()])?;
        changes.sort_by_key(|(at, _)| *at);
        let touches = |gap: &Gap| gap.from < until && gap.until.is_none_or(|end| end > from);
        Ok(between(&changes).into_iter().filter(touches).collect())
    }

    /// The beginnings of daemons in a stretch, and the last one before it. The daemon before each is known to have run until its last
    /// sign of life, or its last report.
    fn begun(&self, from: Timestamp, until: Timestamp) -> Result<Vec<(Timestamp, Change)>, DbError> {
        let sql = "SELECT began, instance, alive, \
                   (SELECT at / 1000000 FROM lines WHERE seq < first_seq ORDER BY seq DESC LIMIT 1), \
                   (SELECT at / 1000000 FROM health WHERE seq < first_seq ORDER BY seq DESC LIMIT 1) FROM sessions \
                   WHERE began < ? AND id >= coalesce((SELECT max(id) FROM sessions WHERE began < ?), 0) - 1 ORDER BY id";
        let values = [until.as_millisecond().into(), from.as_millisecond().into()];
        let sessions =
            self.db.rows(sql, &values, |row| (row.int(0), row.text(1), row.maybe(2), row.maybe(3).max(row.maybe(4))))?;
        let pairs = sessions.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        let begun = pairs.map(|pair| {
            let alive = pair[0].2.max(pair[1].3).map(|at| from_milliseconds(at.min(pair[1].0)));
            (from_milliseconds(pair[1].0), Change::Begun(alive))
        });
        Ok(begun.collect())
    }
}

/// The change that a line about health tells.
fn change(kind: &str, line: &str) -> Option<Change> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| line[key].as_str();
    let reason = || text("reason").map(str::to_owned);
    Some(match kind {
        "source.lost" => Change::Lost(text("source")?.into(), reason()),
        "source.restored" => Change::Restored(text("source")?.into()),
        "paused" => Change::Paused(reason()),
        "resumed" => Change::Resumed,
        _ => return None,
    })
}

/// The gaps between changes that are in order.
fn between(changes: &[(Timestamp, Change)]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    // The open gap of each source, and that of all.
    let mut open: BTreeMap<Option<Arc<str>>, Gap> = BTreeMap::new();
    for (at, change) in changes {
        let mut close = |open: &mut BTreeMap<_, Gap>, of: &Option<Arc<str>>, at: Timestamp| {
            if let Some(gap) = open.remove(of) {
                gaps.push(Gap { until: Some(at.max(gap.from)), ..gap });
            }
        };
        match change {
            Change::Begun(alive) => {
                let until = alive.unwrap_or(*at).min(*at);
                for of in open.keys().cloned().collect::<Vec<_>>() {
                    close(&mut open, &of, until);
                }
                if at.as_millisecond() - until.as_millisecond() > RESTART_MS {
                    gaps.push(Gap { source: None, from: until, until: Some(*at), why: GapKind::Stopped, reason: None });
                }
            }
            Change::Lost(source, reason) => {
                let gap =
                    Gap { source: Some(source.clone()), from: *at, until: None, why: GapKind::Lost, reason: reason.clone() };
                open.entry(Some(source.clone())).or_insert(gap);
            }
            Change::Restored(source) => close(&mut open, &Some(source.clone()), *at),
            Change::Paused(reason) => {
                let gap = Gap { source: None, from: *at, until: None, why: GapKind::Paused, reason: reason.clone() };
                open.entry(None).or_insert(gap);
            }
            Change::Resumed => close(&mut open, &None, *at),
        }
    }
    gaps.extend(open.into_values());
    // The store knows the last sign of life by the millisecond alone. Of those that begin in one, the one that ends first comes first.
    let order = |gap: &Gap| (gap.from.as_millisecond(), gap.until.unwrap_or(Timestamp::MAX), gap.source.clone());
    gaps.sort_by_cached_key(order);
    gaps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + s).unwrap()
    }

    fn seen(gaps: &[Gap]) -> Vec<(Option<&str>, i64, Option<i64>, &'static str)> {
        let s = |at: Timestamp| at.as_second() - 1_790_000_000;
        gaps.iter().map(|gap| (gap.source.as_deref(), s(gap.from), gap.until.map(s), gap.why.name())).collect()
    }

    #[test]
    fn losses_pauses_and_times_without_a_daemon_are_gaps() {
        let line = |kind: &str, line: &str| change(kind, line).unwrap();
        let lost = r#"{"type":"source.lost","source":"a","reason":"gone"}"#;
        let changes = [
            (at(0), line("source.lost", lost)),
            // A second report of the same loss begins nothing.
            (at(5), line("source.lost", lost)),
            (at(10), line("source.restored", r#"{"source":"a"}"#)),
            (at(20), line("paused", r#"{"reason":"quiet hours"}"#)),
            (at(21), line("source.lost", r#"{"source":"b"}"#)),
            (at(60), Change::Begun(Some(at(40)))),
            (at(70), Change::Begun(Some(at(69)))),
            (at(80), line("paused", "{}")),
        ];
        let gaps = between(&changes);
        assert_eq!(gaps[0].reason.as_deref(), Some("gone"));
        assert_eq!(
            seen(&gaps),
            [
                (Some("a"), 0, Some(10), "lost"),
                (None, 20, Some(40), "paused"),
                (Some("b"), 21, Some(40), "lost"),
                (None, 40, Some(60), "stopped"),
                (None, 80, None, "paused"),
            ]
        );
        assert_eq!((change("source.lost", "no JSON"), change("source.lost", "{}"), change("overrun", "{}")), (None, None, None));
    }

    #[test]
    fn a_pause_in_the_last_millisecond_of_a_daemon_comes_before_the_time_without_one() {
        let within = |microseconds: u64| at(0) + std::time::Duration::from_micros(microseconds);
        let changes = [
            (within(300), change("paused", "{}").unwrap()),
            (within(400), change("resumed", "{}").unwrap()),
            (at(60), Change::Begun(Some(at(0)))),
        ];
        assert_eq!(seen(&between(&changes)), [(None, 0, Some(0), "paused"), (None, 0, Some(60), "stopped")]);
    }

    proptest! {
        #[test]
        fn gaps_of_one_source_never_overlap(steps in prop::collection::vec((0..6_u8, 0..2_u8, 1..100_i64), 0..60)) {
            let mut now = 0;
            let changes: Vec<_> = steps.iter().map(|(what, source, after)| {
                now += after;
                let source: Arc<str> = format!("s{source}").into();
                (at(now), match what {
                    0 | 1 => Change::Lost(source, None),
                    2 => Change::Restored(source),
                    3 => Change::Paused(None),
                    4 => Change::Resumed,
                    _ => Change::Begun(Some(at(now - after / 2))),
                })
            }).collect();
            let gaps = between(&changes);
            for source in [Some("s0"), Some("s1"), None] {
                let own: Vec<&Gap> = gaps.iter().filter(|gap| gap.source.as_deref() == source).collect();
                for pair in own.windows(2) {
                    prop_assert!(pair[0].until.is_some_and(|until| until <= pair[1].from), "{:?}", own);
                }
            }
            prop_assert!(gaps.iter().all(|gap| gap.until.is_none_or(|until| until >= gap.from)));
        }
    }
}
