//! Digital silence: a source that is open and delivers nothing but zeros, as a microphone does that is muted. Its length is a count of
//! samples, not of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::stats::SourceStats;

/// The zeros at the end of what a source has delivered.
pub(super) struct Silence {
    after_ms: Arc<AtomicU64>,
    zeros: u64,
    /// It has been told that it lasts.
    is_told: bool,
}

impl Silence {
    /// A source that has delivered nothing yet, and is silent after so many milliseconds of zeros, or never where that is 0.
    pub fn new(after_ms: Arc<AtomicU64>) -> Self {
        Self { after_ms, zeros: 0, is_told: false }
    }

    /// What it was made with.
    pub fn after_ms(self) -> Arc<AtomicU64> {
        self.after_ms
    }

    /// Takes what was heard, and says how long the silence has lasted, in seconds, when that is first worth a word.
    pub fn hear(&mut self, samples: &[f32], rate_hz: u32, stats: &SourceStats) -> Option<f64> {
        let milliseconds = |zeros: u64| zeros * 1_000 / u64::from(rate_hz);
        let before_ms = milliseconds(self.zeros);
        match samples.iter().rposition(|sample| *sample != 0.0) {
            None => self.zeros += samples.len() as u64,
            Some(last) => self.zeros = (samples.len() - 1 - last) as u64,
        }
        let (now_ms, after_ms) = (milliseconds(self.zeros), self.after_ms.load(Relaxed));
        let is_silent = after_ms > 0 && now_ms >= after_ms;
        stats.record_silence(if is_silent { now_ms } else { 0 });
        let was_told = std::mem::replace(&mut self.is_told, is_silent);
        let seconds = now_ms as f64 / 1e3;
        if is_silent && !was_told {
            tracing::warn!(source = %stats.name, seconds, "the source delivers nothing but digital silence");
            return Some(seconds);
        }
        // It may also be silent no longer because that takes longer from now on.
        if was_told && now_ms < before_ms {
            tracing::info!(source = %stats.name, silent_s = before_ms as f64 / 1e3, "the source delivers sound again");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::SourceState;

    /// A source at 1 kHz that is silent after half a second.
    fn source() -> (Silence, Arc<AtomicU64>, SourceStats) {
        let after_ms = Arc::new(AtomicU64::new(500));
        let stats = SourceStats::new("kitchen".into());
        stats.record_state(SourceState::Live);
        (Silence::new(after_ms.clone()), after_ms, stats)
    }

    #[test]
    fn a_silence_is_told_once_and_stands_in_the_status_until_it_ends() {
        let (mut silence, _, stats) = source();
        let told: Vec<Option<f64>> = (0..8).map(|_| silence.hear(&[0.0; 100], 1_000, &stats)).collect();
        assert_eq!(told, [None, None, None, None, Some(0.5), None, None, None]);
        assert_eq!(stats.silence_ms(), Some(800));
        // A source that is lost has another reason for its silence.
        stats.record_state(SourceState::Lost);
        assert_eq!(stats.silence_ms(), None);
        stats.record_state(SourceState::Live);
        assert_eq!(silence.hear(&[0.0, 0.1, 0.0], 1_000, &stats), None);
        assert_eq!(stats.silence_ms(), None);
        assert_eq!(silence.hear(&[0.0; 498], 1_000, &stats), None);
        assert_eq!(silence.hear(&[0.0; 1], 1_000, &stats), Some(0.5));
    }

    #[test]
    fn another_length_counts_at_once_and_none_is_never() {
        let (mut silence, after_ms, stats) = source();
        after_ms.store(0, Relaxed);
        assert_eq!(silence.hear(&[0.0; 100_000], 1_000, &stats), None);
        after_ms.store(2_000, Relaxed);
        assert_eq!(silence.hear(&[0.0; 100], 1_000, &stats), Some(100.1));
        after_ms.store(200_000, Relaxed);
        assert_eq!(silence.hear(&[0.0; 100], 1_000, &stats), None);
        assert_eq!(stats.silence_ms(), None);
    }
}
