//! Gaps and ends: a gap in a source's samples, the end of its sound, and the silence that settles the last scores.

use super::Ear;
use crate::detect::step::Step;
use crate::detect::{Detection, SoundMeasures};
use crate::event::EndReason;

/// The number of hops of silence after the end of a sound in which its last segment ends.
const SETTLING_HOPS: u64 = 5;

/// Whether the silence after the end of a sound is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// More windows are to come.
    More,
    /// Every score has settled.
    Done,
}

impl Ear {
    /// Takes a gap of `lost` samples at the source's rate; time goes on by as much.
    ///
    /// A gap that is shorter than the longest window counts as silence; a longer one ends the open events.
    pub fn gap(&mut self, lost: u64, found: &mut Vec<Detection>) {
        self.flush_resampler();
        self.input_samples += lost;
        let target = self.at_model_rate(self.input_samples).max(self.position);
        let (missing, hop) = (target - self.position, self.scoring.hop_samples());
        if missing <= self.scoring.longest_samples() && self.n_due() + (missing / hop) as usize + 1 < self.max_due {
            self.push_silence(missing);
            return;
        }
        let base = target / hop * hop;
        self.finish(self.position, base, EndReason::SourceLost, found);
        self.front.skip_to(target);
        self.meter.skip_to(target);
        if let Some(refiner) = &mut self.refiner {
            refiner.skip_to(target);
        }
        if let Some(alarms) = &mut self.alarms {
            alarms.skip_to(target);
        }
        self.position = target;
        self.next_end = base + hop;
    }

    /// Ends the sound: the resampler lets out the rest of it. [`settle`](Self::settle) then appends the silence that settles the
    /// last scores.
    pub fn end_input(&mut self) {
        if self.end_of_input.is_some() {
            return;
        }
        self.flush_resampler();
        if let Some(refiner) = &mut self.refiner {
            refiner.end_input();
        }
        self.end_of_input = Some(self.position);
    }

    /// Appends the next piece of the settling silence after [`end_input`](Self::end_input), and says whether more windows are to
    /// come.
    pub fn settle(&mut self) -> Settling {
        let Some(end) = self.end_of_input else { return Settling::Done };
        let until =
            end + self.scoring.lag_samples() + SETTLING_HOPS * self.scoring.hop_samples() + self.front.lookahead_samples() as u64;
        if self.position >= until {
            return Settling::Done;
        }
        let piece = self.scoring.hop_samples().min(until - self.position);
        self.push_silence(piece);
        Settling::More
    }

    /// Ends every open event for `reason`.
    pub fn close(&mut self, reason: EndReason, found: &mut Vec<Detection>) {
        let first = found.len();
        let (now, base) = (self.end_of_input.unwrap_or(self.position), self.now());
        self.finish(now, base, reason, found);
        self.clamp(first, found);
    }

    /// Ends the open events at the sample index `now`; the next window ends a hop after `base`.
    fn finish(&mut self, now: u64, base: u64, reason: EndReason, found: &mut Vec<Detection>) {
        self.scheduler.reset();
        if let Some(refiner) = &mut self.refiner {
            refiner.decide_at(now);
        }
        let measures = SoundMeasures { meter: &self.meter, refiner: self.refiner.as_ref() };
        self.detector.finish(now, base, reason, measures, found);
        if let Some(curves) = &mut self.curves {
            curves.finish(base, self.refiner.as_ref());
        }
        if let Some(peaks) = &mut self.peaks {
            peaks.finish(base, self.refiner.as_ref());
        }
    }

    /// Takes the samples that the resampler holds back, and resets it.
    fn flush_resampler(&mut self) {
        self.resampled.clear();
        self.resampler.flush(&mut self.resampled);
        self.take_resampled();
    }

    fn push_silence(&mut self, n_samples: u64) {
        const SILENCE: [f32; 1_024] = [0.0; 1_024];
        let mut rest = n_samples;
        while rest > 0 {
            let piece = rest.min(SILENCE.len() as u64);
            self.front.push(&SILENCE[..piece as usize]);
            self.meter.push(&SILENCE[..piece as usize]);
            rest -= piece;
            self.follow();
        }
        self.position += n_samples;
    }

    fn at_model_rate(&self, input_samples: u64) -> u64 {
        (u128::from(input_samples) * u128::from(self.model_rate_hz) / u128::from(self.input_rate_hz)) as u64
    }

    /// Ends every event no later than the sound, and removes the events that would begin in the silence after it.
    pub(super) fn clamp(&mut self, first: usize, found: &mut Vec<Detection>) {
        let Some(end) = self.end_of_input else { return };
        let mut at = first;
        while at < found.len() {
            let event = found[at].event;
            let begins_beyond = matches!(found[at].step, Step::Start(so_far) if so_far.onset.at >= end);
            if begins_beyond {
                self.beyond.push(event);
            }
            if self.beyond.contains(&event) {
                found.remove(at);
                continue;
            }
            if let Step::End { so_far, offset, .. } = &mut found[at].step {
                so_far.onset.at = so_far.onset.at.min(end.saturating_sub(1));
                offset.at = offset.at.min(end).max(so_far.onset.at + 1);
            }
            at += 1;
        }
    }
}
