//! The evidence of a segment: the probability that the label's sound was there, from all that is known of the segment.
//!
//! Whether and where are two questions. The confirmed score says where a sound begins and ends, and is too severe as evidence for
//! it: a sound that is shorter than the long window, or begins with the recording, never has both windows for itself. The
//! evidence is therefore a logistic regression on the peaks of both curves, the duration, the signal-to-noise ratio, and the
//! label's background. Its weights belong to the model's manifest; without them the peak of the confirmed score is the evidence.
//!
//! The background of a label is the mean log odds of its causal score over the last 30 s. It lowers the score that announces an
//! event as well (`rises`), so that a sound that is always there is not announced again and again.

use super::scoring::Scoring;
use super::segments::Segment;
use super::tracker::{BRIDGED_PART, LONGEST_BRIDGE_MS};
use crate::model::manifest::Evidence;
use crate::model::odds::{log_odds, probability};

/// The number of hops whose causal scores and backgrounds are remembered.
const MEMORY: u64 = 160;
/// The number of hops over which the background is a mean with exponentially falling weights.
const BACKGROUND_HOPS: f32 = 300.0;
/// The log odds of a background in which the label is not heard, and the least that counts: a score of 0.01.
pub(crate) const QUIET: f32 = -4.6;
/// The signal-to-noise ratio that a sound is taken to have where none could be measured, in dB.
const UNKNOWN_SNR_DB: f32 = 6.0;
/// The greatest signal-to-noise ratio that counts, in dB.
const GREATEST_SNR_DB: f32 = 40.0;
/// The longest pause between two segments of a short sound, in seconds: the second one has the background of the first.
const PAUSE_S: f32 = 1.0;
/// The shortest and the longest duration that count, in seconds.
const DURATIONS_S: (f32, f32) = (0.1, 10.0);

/// The facts about a segment from which its evidence follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct EvidenceParts {
    /// The peak of the confirmed score, 0…1.
    pub confirmed: f32,
    /// The highest causal score while the sound lasted, 0…1.
    pub causal: f32,
    /// The duration so far in seconds.
    pub duration_s: f32,
    /// The signal-to-noise ratio in dB; `None` where it is not known.
    pub snr_db: Option<f32>,
    /// The label's background before the segment, in log odds.
    pub background: f32,
}

impl Evidence {
    /// The evidence that a segment is a sound of its label, 0…1.
    pub(crate) fn of(&self, parts: &EvidenceParts) -> f32 {
        probability(self.offset + self.weighed(parts).iter().sum::<f32>())
    }

    /// The log odds that each part adds: those of the confirmed score, the causal score, the duration, the signal-to-noise ratio
    /// and the background, in this order.
    pub(crate) fn weighed(&self, parts: &EvidenceParts) -> [f32; 5] {
        let snr_db = parts.snr_db.unwrap_or(UNKNOWN_SNR_DB).clamp(0.0, GREATEST_SNR_DB);
        [
            self.confirmed * log_odds(parts.confirmed),
            self.causal * log_odds(parts.causal),
            self.duration * parts.duration_s.clamp(DURATIONS_S.0, DURATIONS_S.1).ln(),
            self.snr * snr_db / 10.0,
            self.background * (parts.background - QUIET),
        ]
    }

    /// The highest evidence of a label whose scores do not exceed `score`.
    pub(crate) fn highest(&self, score: f32) -> f32 {
        let (duration_s, snr_db) = (1.0, Some(GREATEST_SNR_DB));
        self.of(&EvidenceParts { confirmed: score, causal: score, duration_s, snr_db, background: QUIET })
    }

    /// The confirmed score at which a segment of a second has this evidence, where the causal score is as high.
    pub(crate) fn confirmed_at(&self, evidence: f32) -> f32 {
        let beside = self.offset + self.snr * UNKNOWN_SNR_DB / 10.0;
        probability((log_odds(evidence) - beside) / (self.confirmed + self.causal).max(f32::EPSILON))
    }

    /// The causal score as far as it rises above the label's background, 0…1.
    pub(crate) fn rises(&self, causal: f32, background: f32) -> f32 {
        let above = background - QUIET;
        // Nearly every score is low, and most backgrounds are quiet.
        if above < 0.01 { causal } else { probability(log_odds(causal) - self.start_background * above) }
    }
}

/// The recent causal scores and backgrounds of several curves.
#[derive(Debug, Clone)]
pub(crate) struct CausalPast {
    /// `[curves, MEMORY]`; those of hop h are in column h % MEMORY.
    scores: Vec<f32>,
    backgrounds: Vec<f32>,
    /// The present background of each curve.
    background: Vec<f32>,
    n_hops: u64,
}

impl CausalPast {
    /// The past of `n_curves` curves on which nothing was heard.
    pub fn new(n_curves: usize) -> Self {
        let size = n_curves * MEMORY as usize;
        Self { scores: vec![0.0; size], backgrounds: vec![QUIET; size], background: vec![QUIET; n_curves], n_hops: 0 }
    }

    /// Takes the causal scores of the next hop, one a curve.
    pub fn push(&mut self, causal: &[f32]) {
        let column = (self.n_hops % MEMORY) as usize;
        let rows = self.scores.chunks_exact_mut(MEMORY as usize).zip(self.backgrounds.chunks_exact_mut(MEMORY as usize));
        for (((scores, backgrounds), background), score) in rows.zip(&mut self.background).zip(causal) {
            scores[column] = *score;
            backgrounds[column] = *background;
            // Nearly every score is below the least that counts, and needs no logarithm.
            let odds = if *score <= 0.01 { QUIET } else { log_odds(*score).max(QUIET) };
            *background += (odds - *background) / BACKGROUND_HOPS;
        }
        self.n_hops += 1;
    }

    /// The present background of a curve in log odds.
    pub fn background(&self, curve: usize) -> f32 {
        self.background[curve]
    }

    /// Sets the present background of a curve, in log odds.
    pub fn set_background(&mut self, curve: usize, background: f32) {
        self.background[curve] = if background.is_nan() { QUIET } else { background.clamp(QUIET, -QUIET) };
    }

    /// The background of a curve before a hop, in log odds; `None` where the hop is forgotten.
    pub fn background_before(&self, curve: usize, hop: u64) -> Option<f32> {
        let is_known = hop < self.n_hops && hop + MEMORY >= self.n_hops;
        is_known.then(|| self.backgrounds[curve * MEMORY as usize + (hop % MEMORY) as usize])
    }

    /// The highest remembered causal score of a curve from one hop until before another one, 0…1.
    pub fn highest(&self, curve: usize, from: u64, to: u64) -> f32 {
        let scores = &self.scores[curve * MEMORY as usize..][..MEMORY as usize];
        let hops = from.max(self.n_hops.saturating_sub(MEMORY))..to.min(self.n_hops);
        hops.map(|hop| scores[(hop % MEMORY) as usize]).fold(0.0, f32::max)
    }

    /// Forgets the scores, and keeps the backgrounds: the sound goes on elsewhere in time, and the place is the same.
    pub fn reset(&mut self) {
        self.n_hops = 0;
    }

    /// The past of other curves at the same moment. Each new curve continues the one that `kept` names, or one on which nothing
    /// was heard.
    pub fn rearranged(&self, kept: &[Option<usize>]) -> Self {
        let memory = MEMORY as usize;
        let mut new = Self { n_hops: self.n_hops, ..Self::new(kept.len()) };
        for (to, from) in kept.iter().enumerate().filter_map(|(to, from)| Some((to, (*from)?))) {
            new.scores[to * memory..][..memory].copy_from_slice(&self.scores[from * memory..][..memory]);
            new.backgrounds[to * memory..][..memory].copy_from_slice(&self.backgrounds[from * memory..][..memory]);
            new.background[to] = self.background[from];
        }
        new
    }
}

/// The evidence of the segments of several curves: the weights, and the causal past where there are weights.
#[derive(Debug, Clone)]
pub(crate) struct EvidenceOf {
    weights: Option<(Evidence, CausalPast)>,
    /// The hops after the end of a segment in which the causal score still shows its sound.
    reach: u64,
    /// The longest pause between two segments of a short sound in hops.
    pause: u64,
    /// The same of the longest sounds.
    longest_pause: u64,
    hop_s: f32,
}

impl EvidenceOf {
    /// The evidence of `n_curves` curves without a past.
    pub fn new(scoring: &Scoring, n_curves: usize, sample_rate_hz: u32) -> Self {
        let weights = scoring.evidence().map(|weights| (*weights, CausalPast::new(n_curves)));
        let hop_s = scoring.hop_samples() as f32 / sample_rate_hz as f32;
        let longest_pause = LONGEST_BRIDGE_MS * u64::from(sample_rate_hz) / 1_000 / scoring.hop_samples();
        Self { weights, reach: scoring.shortest_hops(), pause: (PAUSE_S / hop_s) as u64, longest_pause, hop_s }
    }

    /// Takes the causal scores of the next hop, one a curve.
    pub fn push(&mut self, causal: &[f32]) {
        if let Some((_, past)) = &mut self.weights {
            past.push(causal);
        }
    }

    /// Forgets the scores, and keeps the backgrounds.
    pub fn reset(&mut self) {
        if let Some((_, past)) = &mut self.weights {
            past.reset();
        }
    }

    /// The evidence of other curves at the same moment; see [`CausalPast::rearranged`].
    pub fn rearranged(&self, kept: &[Option<usize>]) -> Self {
        Self { weights: self.weights.as_ref().map(|(weights, past)| (*weights, past.rearranged(kept))), ..*self }
    }

    /// The evidence that follows from the facts about a segment, 0…1.
    pub fn of(&self, parts: &EvidenceParts) -> f32 {
        self.weights.as_ref().map_or(parts.confirmed, |(weights, _)| weights.of(parts))
    }

    /// The evidence that a segment with these facts would have if it stood out of the noise as far as a sound can.
    pub fn at_most(&self, parts: &EvidenceParts) -> f32 {
        self.of(&EvidenceParts { snr_db: Some(GREATEST_SNR_DB), ..*parts })
    }

    /// The newest causal score of a curve as far as it rises above the background, 0…1.
    pub fn rises(&self, curve: usize, causal: f32) -> f32 {
        self.weights.as_ref().map_or(causal, |(weights, past)| weights.rises(causal, past.background(curve)))
    }

    /// The log odds that the parts of the evidence add, as [`Evidence::weighed`] has them; `None` where there are no weights.
    pub fn weighed(&self, parts: &EvidenceParts) -> Option<[f32; 5]> {
        self.weights.as_ref().map(|(weights, _)| weights.weighed(parts))
    }

    /// The evidence of a segment of a second with this confirmed score, the newest of `n_values`.
    pub fn of_value(&self, curve: usize, confirmed: f32, n_values: u64) -> f32 {
        let Some((weights, past)) = &self.weights else { return confirmed };
        let at = n_values.saturating_sub(1);
        let causal = past.highest(curve, at, at + self.reach);
        let background = past.background_before(curve, at).unwrap_or(past.background(curve));
        weights.of(&EvidenceParts { confirmed, causal, duration_s: 1.0, snr_db: None, background })
    }

    /// Sets the present background of a curve, in log odds.
    pub fn set_background(&mut self, curve: usize, background: f32) {
        if let Some((_, past)) = &mut self.weights {
            past.set_background(curve, background);
        }
    }

    /// The present background of a curve in log odds; `None` where there are no weights.
    pub fn background(&self, curve: usize) -> Option<f32> {
        self.weights.as_ref().map(|(_, past)| past.background(curve))
    }
}

/// The facts about the segment of one curve that goes on, as far as they must be kept until it ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentEvidence {
    /// The background before it.
    background: Option<f32>,
    /// The segments before it that are of the same sound.
    last: Option<EarlierSound>,
}

/// The segments of one sound, in values of the curve.
#[derive(Debug, Clone, Copy)]
struct EarlierSound {
    onset: u64,
    offset: u64,
    /// The background before the first of them.
    background: f32,
}

impl EarlierSound {
    /// Until when a segment that begins is of the same sound: a long sound has longer pauses, as in the tracker.
    fn until(&self, of: &EvidenceOf) -> u64 {
        self.offset + ((self.offset - self.onset) / BRIDGED_PART).clamp(of.pause, of.longest_pause)
    }
}

impl SegmentEvidence {
    /// Follows a segment that goes on.
    pub fn follow(&mut self, of: &EvidenceOf, curve: usize, segment: &Segment) {
        let past = of.weights.as_ref().map(|(_, past)| past);
        match (self.last, past.and_then(|past| past.background_before(curve, segment.onset))) {
            // A steady sound has one segment after another, and is not its own background.
            (Some(earlier), _) if segment.onset <= earlier.until(of) => self.background = Some(earlier.background),
            // The onset moves as long as the peak rises; the background before a forgotten one stays.
            (_, Some(background)) => self.background = Some(background),
            (_, None) => {}
        }
    }

    /// The facts about a segment that goes on.
    pub fn parts(&mut self, of: &EvidenceOf, curve: usize, segment: &Segment) -> EvidenceParts {
        self.follow(of, curve, segment);
        let past = of.weights.as_ref().map(|(_, past)| past);
        EvidenceParts {
            confirmed: segment.peak,
            causal: past.map_or(0.0, |past| past.highest(curve, segment.onset, segment.offset + of.reach)),
            duration_s: (segment.offset - segment.onset) as f32 * of.hop_s,
            snr_db: None,
            background: self.background.unwrap_or(QUIET),
        }
    }

    /// The facts about a segment that has ended.
    pub fn close(&mut self, of: &EvidenceOf, curve: usize, segment: &Segment) -> EvidenceParts {
        let parts = self.parts(of, curve, segment);
        self.background = None;
        let onset = self.last.filter(|earlier| segment.onset <= earlier.until(of)).map_or(segment.onset, |earlier| earlier.onset);
        self.last = Some(EarlierSound { onset, offset: segment.offset, background: parts.background });
        parts
    }
}

#[cfg(test)]
mod tests;
