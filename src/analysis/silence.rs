//! Digital silence: an open source delivers nothing but zeros, as a muted microphone does. Its length is a count of samples.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::stats::SourceStats;

/// Counts the zeros at the end of the samples so far.
pub(super) struct Silence {
    after_ms: Arc<AtomicU64>,
    zeros: u64,
    /// Whether the present silence has been reported.
    is_reported: bool,
}

impl Silence {
    /// A source without samples so far. It is silent after `after_ms` milliseconds of zeros, or never where that is 0.
    pub fn new(after_ms: Arc<AtomicU64>) -> Self {
        Self { after_ms, zeros: 0, is_reported: false }
    }

    /// The milliseconds of zeros after which the source is silent.
    pub fn after_ms(self) -> Arc<AtomicU64> {
        self.after_ms
    }

    /// Takes the next samples. Returns the length of a silence in seconds once, when it has become long enough.
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
        let was_reported = std::mem::replace(&mut self.is_reported, is_silent);
        let seconds = now_ms as f64 / 1e3;
        if is_silent && !was_reported {
            tracing::warn!(source = %stats.name, seconds, "the source delivers nothing but digital silence");
            return Some(seconds);
        }
        // A silence may also end because a longer one is asked for from now on.
        if was_reported && now_ms < before_ms {
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
    fn a_silence_is_reported_once_and_stands_in_the_status_until_it_ends() {
        let (mut silence, _, stats) = source();
        let reported: Vec<Option<f64>> = (0..8).map(|_| silence.hear(&[0.0; 100], 1_000, &stats)).collect();
        assert_eq!(reported, [None, None, None, None, Some(0.5), None, None, None]);
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
