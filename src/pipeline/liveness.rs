//! Liveness: whether the daemon hears. It is judged by the results of the analysis, not by threads that are alive.
//!
//! The check runs about once a second. Checks are counted instead of time, because a machine that was suspended has missed
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::stats::{SourceState, Stats};

/// The interval of two checks in seconds.
pub const EVERY_S: u64 = 1;
/// The length of sound in seconds that a source may deliver before one of its windows must have been scored.
const UNHEARD_S: u64 = 3;
/// The number of checks over which the windows a second are averaged, approximately.
const SMOOTHING: f64 = 5.0;

/// The state of the last check.
#[derive(Debug, Default)]
pub struct Liveness {
    steps: u64,
    sources: HashMap<Arc<str>, Progress>,
    /// The number of checks in a row without progress.
    standing: u32,
}

/// The progress of a source.
#[derive(Debug, Default)]
struct Progress {
    windows: u64,
    /// The samples that had been taken when a window was last scored.
    samples: u64,
    windows_per_s: Option<f64>,
}

impl Liveness {
    /// Checks the counters, and returns the number of checks in a row, including this one, at which the analysis stood still; 0
    /// means that the daemon hears.
    pub fn look(&mut self, stats: &Stats) -> u32 {
        let steps = stats.steps.load(Relaxed);
        let mut is_moving = std::mem::replace(&mut self.steps, steps) != steps;
        let sources = stats.all();
        self.sources.retain(|name, _| sources.iter().any(|source| source.name == *name));
        for source in sources {
            let progress = self.sources.entry(source.name.clone()).or_default();
            let (windows, samples) = (source.windows.load(Relaxed), source.samples.load(Relaxed));
            let new = windows.saturating_sub(progress.windows) as f64 / EVERY_S as f64;
            let mean = progress.windows_per_s.map_or(new, |mean| mean + (new - mean) / SMOOTHING);
            progress.windows_per_s = Some(mean);
            source.windows_per_100_s.store((mean * 100.0).round() as u64, Relaxed);
            if windows != progress.windows || source.state() != SourceState::Live {
                (progress.windows, progress.samples) = (windows, samples);
            }
            let rate_hz = u64::from(source.rate_hz.load(Relaxed).max(1));
            is_moving &= samples.saturating_sub(progress.samples) < UNHEARD_S * rate_hz;
        }
        self.standing = if is_moving { 0 } else { self.standing + 1 };
        self.standing
    }
}

/// Whether the start is over: a window of a source was scored, or no source can be heard.
pub fn is_settled(stats: &Stats) -> bool {
    let sources = stats.all();
    sources.iter().any(|source| source.windows.load(Relaxed) > 0)
        || sources.iter().all(|source| !matches!(source.state(), SourceState::Opening | SourceState::Live))
}

/// The states of the sources in one line.
pub fn summary(stats: &Stats, n_rules: usize) -> String {
    let sources = stats.all();
    let of = |state| sources.iter().filter(move |source| source.state() == state);
    let names = |state| of(state).map(|source| source.name.to_string()).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if of(SourceState::Live).next().is_some() {
        parts.push(format!("hearing {n_rules} kinds of sound on {}", names(SourceState::Live)));
    }
    parts.extend(of(SourceState::Live).filter(|source| source.silence_ms().is_some()).map(|source| {
        let name = &source.name;
        format!("{name} delivers nothing but digital silence")
    }));
    for (state, word) in [(SourceState::Opening, "opening"), (SourceState::Paused, "paused"), (SourceState::Ended, "ended")] {
        if let Some(first) = of(state).next() {
            let reason = first.reason().map(|reason| format!(" ({reason})")).unwrap_or_default();
            parts.push(format!("{word}: {}{reason}", names(state)));
        }
    }
    let lost = of(SourceState::Lost).map(|source| match source.reason() {
        Some(reason) => format!("{} is lost: {reason}", source.name),
        None => format!("{} is lost", source.name),
    });
    parts.extend(lost);
    if parts.is_empty() { "no source".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> Stats {
        let stats = Stats::default();
        for name in ["kitchen", "garage"] {
            stats.source(&name.into()).rate_hz.store(48_000, Relaxed);
        }
        stats
    }

    fn source(stats: &Stats, index: usize) -> Arc<crate::stats::SourceStats> {
        stats.all()[index].clone()
    }

    /// A second of a source that is heard, or only taken.
    fn pass(stats: &Stats, index: usize, windows: u64) {
        stats.steps.fetch_add(10, Relaxed);
        source(stats, index).record_samples(48_000, -30.0);
        source(stats, index).windows.fetch_add(windows, Relaxed);
    }

    #[test]
    fn an_analysis_whose_loop_stands_still_is_deaf() {
        let (stats, mut liveness) = (stats(), Liveness::default());
        source(&stats, 0).record_state(SourceState::Live);
        pass(&stats, 0, 10);
        let looks: Vec<u32> = (0..4).map(|_| liveness.look(&stats)).collect();
        assert_eq!(looks, [0, 1, 2, 3]);
        pass(&stats, 0, 10);
        assert_eq!(liveness.look(&stats), 0);
    }

    #[test]
    fn a_loop_that_turns_without_scoring_what_it_takes_is_deaf() {
        let (stats, mut liveness) = (stats(), Liveness::default());
        source(&stats, 0).record_state(SourceState::Live);
        source(&stats, 1).record_state(SourceState::Live);
        let looks: Vec<u32> = (0..6)
            .map(|_| {
                // The other source goes on being heard.
                pass(&stats, 1, 10);
                pass(&stats, 0, 0);
                liveness.look(&stats)
            })
            .collect();
        assert_eq!(looks, [0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn nothing_to_hear_is_not_deafness() {
        let (stats, mut liveness) = (stats(), Liveness::default());
        // Standard input that nobody writes to, and a source that is lost while its samples lie about.
        source(&stats, 0).record_state(SourceState::Live);
        source(&stats, 1).record_state(SourceState::Lost);
        source(&stats, 1).record_samples(480_000, -30.0);
        for _ in 0..100 {
            stats.steps.fetch_add(1, Relaxed);
            assert_eq!(liveness.look(&stats), 0);
        }
    }

    #[test]
    fn the_windows_a_second_follow_what_is_scored() {
        let (stats, mut liveness) = (stats(), Liveness::default());
        source(&stats, 0).record_state(SourceState::Live);
        for _ in 0..30 {
            pass(&stats, 0, 10);
            liveness.look(&stats);
        }
        assert_eq!(source(&stats, 0).windows_per_100_s.load(Relaxed), 1_000);
        assert_eq!(source(&stats, 1).windows_per_100_s.load(Relaxed), 0);
    }

    #[test]
    fn it_is_settled_with_the_first_window_or_when_all_are_lost() {
        let stats = stats();
        assert!(!is_settled(&stats));
        source(&stats, 0).record_state(SourceState::Live);
        source(&stats, 1).record_state(SourceState::Lost);
        assert!(!is_settled(&stats));
        source(&stats, 0).windows.store(1, Relaxed);
        assert!(is_settled(&stats));
        source(&stats, 0).windows.store(0, Relaxed);
        source(&stats, 0).record_state(SourceState::Lost);
        assert!(is_settled(&stats));
    }

    #[test]
    fn the_summary_names_what_is_heard_and_what_is_lost_and_why() {
        let stats = stats();
        insta::assert_snapshot!(summary(&stats, 25), @"opening: kitchen, garage");
        source(&stats, 0).record_state(SourceState::Live);
        source(&stats, 1).record_state(SourceState::Lost);
        source(&stats, 1).record_reason(Some("there is no device \"hw:7\"".to_owned()));
        insta::assert_snapshot!(summary(&stats, 25), @r#"hearing 25 kinds of sound on kitchen; garage is lost: there is no device "hw:7""#);
        source(&stats, 0).record_silence(12_000);
        source(&stats, 1).record_state(SourceState::Paused);
        source(&stats, 1).record_reason(Some("quiet hours until 06:30".to_owned()));
        insta::assert_snapshot!(summary(&stats, 25), @"hearing 25 kinds of sound on kitchen; kitchen delivers nothing but digital silence; paused: garage (quiet hours until 06:30)");
        insta::assert_snapshot!(summary(&Stats::default(), 25), @"no source");
    }
}
