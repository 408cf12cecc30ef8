//! The fit: the discriminant between a sound and everything else, and its place on the scale of scores.
//!
//! The discriminant is a direction in the space of embeddings. On it, 0 is the mean of everything else and 1 the mean of the sound;
//! the place of an embedding between the two is its likeness. The score is the logistic function of the likeness, half where the
//! boundary lies between the sound and the likest of everything else.

use super::example::mean;
use super::moments::Moments;
use crate::model::learnt::Head;

/// The part of the mean variance that is added to each variance, because few recordings say little of them. Of 0.03, 0.1 and 0.3 it
/// told recordings of ten kinds apart best; models/README.md has the table.
const SHRINK: f64 = 0.3;
/// The number of negative recordings of one's own that weigh as much as the whole bank.
const OWN_WEIGH: f64 = 10.0;
/// The quantile of everything else's likenesses that the boundary is kept above.
const LIKEST: f64 = 0.99;
/// The likeness that a recording of the sound is expected to have where only one is known, so that none can be left out.
const EXPECTED: f64 = 0.8;
/// The boundary's place between the likest of everything else, 0, and the expected likeness of the sound, 1: for recordings that differ, and
/// for plays of one and the same sound. A bark in the midst of other sounds is less like the recordings than those are like each other, so that
/// the boundary is nearer to everything else; a melody is always the same, and another melody is not it.
const PLACES: (f64, f64) = (0.15, 0.6);
/// The alikeness of recordings that differ, and of plays of one sound: the mean cosine of the recordings' mean embeddings, from everything
/// else's mean on. Recordings of six kinds of ESC-10 had 0.61 to 0.77, and plays of a melody in noise 0.98.
const ALIKE: (f64, f64) = (0.85, 0.97);
/// The lowest and the highest boundary.
const BOUNDARIES: (f64, f64) = (0.45, 0.85);
/// The greatest weight of a number of the embedding, which is some units large.
const MOST: f64 = 1e6;
/// The log odds that the score rises by from likeness 0 to 1. Of 8 to 24 it gave the best boundaries in time: a window that the sound
/// has left must score a small part of its peak.
const STEEPNESS: f64 = 18.0;

/// Everything but the sound: the moments, and each recording's embeddings.
#[derive(Debug, Clone)]
pub struct Others<'a> {
    size: usize,
    moments: Moments,
    /// Negatives of the household's own, which must not ring.
    own: Vec<&'a [f32]>,
    bank: Vec<&'a [f32]>,
}

impl<'a> Others<'a> {
    /// Negatives of one's own, recording by recording, and those of the bank, of embeddings of `size` numbers.
    pub fn new(own: Vec<&'a [f32]>, bank: Vec<&'a [f32]>, size: usize) -> Self {
        let (known, shipped) = (Moments::of(own.iter().copied(), size), Moments::of(bank.iter().copied(), size));
        let moments = match (own.is_empty(), bank.is_empty()) {
            (true, _) => shipped,
            (_, true) => known,
            _ => known.mixed(&shipped, OWN_WEIGH / (OWN_WEIGH + known.n())),
        };
        Self { size, moments, own, bank }
    }

    /// Whether there is nothing to tell a sound from.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.bank.is_empty()
    }

    /// The discriminant of a sound, given by the embeddings of its recordings.
    pub fn discriminant(&self, sound: &[&[f32]]) -> Discriminant {
        let mut centre = vec![0.0; self.size];
        for embeddings in sound {
            let mean = mean(embeddings, self.size);
            centre.iter_mut().zip(mean).for_each(|(centre, mean)| *centre += mean / sound.len() as f64);
        }
        let difference: Vec<f64> = centre.iter().zip(self.moments.mean()).map(|(centre, mean)| centre - mean).collect();
        let direction = self.moments.solve(&difference, SHRINK);
        let length: f64 = direction.iter().zip(&difference).map(|(a, b)| a * b).sum();
        // Where nothing scatters, or nothing differs, there is no direction, and the sound is like nothing.
        let is_one = length.is_normal() && direction.iter().all(|value| value.is_finite() && (value / length).abs() < MOST);
        let weights: Vec<f64> = direction.iter().map(|value| if is_one { value / length } else { 0.0 }).collect();
        let offset = -weights.iter().zip(self.moments.mean()).map(|(weight, mean)| weight * mean).sum::<f64>();
        Discriminant { weights, offset }
    }

    /// How alike the recordings of a sound are, −1…1: the mean cosine of their mean embeddings, from everything else's mean on; `None` where
    /// there is only one.
    pub fn alikeness(&self, sound: &[&[f32]]) -> Option<f64> {
        let away = |embeddings: &&[f32]| -> Vec<f64> {
            let mean = mean(embeddings, self.size);
            let away: Vec<f64> = mean.iter().zip(self.moments.mean()).map(|(value, mean)| value - mean).collect();
            let length = away.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            away.iter().map(|value| value / length).collect()
        };
        let away: Vec<Vec<f64>> = sound.iter().map(away).collect();
        let pairs = away.iter().enumerate().flat_map(|(at, one)| away[..at].iter().map(move |other| (one, other)));
        let cosines: Vec<f64> = pairs.map(|(one, other)| one.iter().zip(other).map(|(a, b)| a * b).sum()).collect();
        (!cosines.is_empty()).then(|| cosines.iter().sum::<f64>() / cosines.len() as f64)
    }

    /// The boundary for a discriminant: between the likest of everything else and `likenesses`, those of recordings of the sound
    /// that it was not made from; none where only one recording is known. `alikeness` says how alike the recordings are.
    pub fn boundary(&self, discriminant: &Discriminant, likenesses: &[f64], alikeness: Option<f64>) -> f64 {
        let mut others: Vec<f64> = self.own.iter().chain(&self.bank).map(|embeddings| discriminant.highest(embeddings)).collect();
        others.sort_by(f64::total_cmp);
        let likest = others.get((LIKEST * others.len().saturating_sub(1) as f64).round() as usize).copied().unwrap_or(0.0);
        let own = self.own.iter().map(|embeddings| discriminant.highest(embeddings)).fold(likest, f64::max);
        let mut likenesses = likenesses.to_vec();
        likenesses.sort_by(f64::total_cmp);
        let expected = likenesses.get(likenesses.len() / 2).copied().unwrap_or(EXPECTED).min(1.0);
        let tight = alikeness.map_or(0.0, |alike| ((alike - ALIKE.0) / (ALIKE.1 - ALIKE.0)).clamp(0.0, 1.0));
        let place = PLACES.0 + tight * (PLACES.1 - PLACES.0);
        (own + place * (expected - own)).clamp(BOUNDARIES.0, BOUNDARIES.1)
    }

    /// The highest likeness of each negative of one's own, in their order.
    pub fn own_likenesses(&self, discriminant: &Discriminant) -> Vec<f64> {
        self.own.iter().map(|embeddings| discriminant.highest(embeddings)).collect()
    }
}

/// A direction in the space of embeddings on which everything else has its mean at 0, and the sound at 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Discriminant {
    weights: Vec<f64>,
    offset: f64,
}

impl Discriminant {
    /// The likeness of an embedding.
    pub fn likeness(&self, embedding: &[f32]) -> f64 {
        self.offset + self.weights.iter().zip(embedding).map(|(weight, value)| weight * f64::from(*value)).sum::<f64>()
    }

    /// The highest likeness of embeddings, one after the other; 0 where there are none.
    pub fn highest(&self, embeddings: &[f32]) -> f64 {
        let likenesses = embeddings.chunks_exact(self.weights.len().max(1)).map(|embedding| self.likeness(embedding));
        likenesses.reduce(f64::max).unwrap_or(0.0)
    }

    /// The head that scores one half at a boundary.
    pub fn head(&self, boundary: f64) -> Head {
        Head {
            weights: self.weights.iter().map(|weight| (STEEPNESS * weight) as f32).collect(),
            offset: (STEEPNESS * (self.offset - boundary)) as f32,
        }
    }
}

/// The score of a likeness, 0…1, as a head with this boundary gives it.
pub fn score(likeness: f64, boundary: f64) -> f64 {
    1.0 / (1.0 + (-STEEPNESS * (likeness - boundary)).exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Embeddings of 4 numbers around a centre.
    fn around(centre: [f32; 4], seed: u64, n: usize) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..n).flat_map(|_| centre.map(|value| value + random.f32() - 0.5)).collect()
    }

    #[test]
    fn a_sound_is_told_from_everything_else() {
        let bank: Vec<Vec<f32>> =
            (0..30).map(|seed| around([0.0, (seed % 5) as f32, -((seed % 3) as f32), 0.0], seed, 3)).collect();
        let sound: Vec<Vec<f32>> = (100..105).map(|seed| around([3.0, 2.0, -1.0, 0.0], seed, 4)).collect();
        let others = Others::new(Vec::new(), bank.iter().map(Vec::as_slice).collect(), 4);
        let known: Vec<&[f32]> = sound[..3].iter().map(Vec::as_slice).collect();
        let discriminant = others.discriminant(&known);
        let boundary = others.boundary(&discriminant, &[0.9, 1.1], None);
        let head = discriminant.head(boundary);
        for held_out in &sound[3..] {
            let score = score(discriminant.highest(held_out), boundary);
            assert!(score > 0.7, "{score}");
            let highest = held_out.chunks(4).map(|embedding| head.log_odds(embedding)).fold(f32::MIN, f32::max);
            assert!((f64::from(1.0 / (1.0 + (-highest).exp())) - score).abs() < 1e-4, "{highest} {score}");
        }
        assert!(bank.iter().all(|embeddings| score(discriminant.highest(embeddings), boundary) < 0.5));
    }

    #[test]
    fn the_boundary_stays_above_ones_own_negatives_where_the_sound_allows_it() {
        let bank: Vec<Vec<f32>> = (0..30).map(|seed| around([0.0; 4], seed, 2)).collect();
        let own = [around([2.0, 0.0, 0.0, 0.0], 50, 2)];
        let bank: Vec<&[f32]> = bank.iter().map(Vec::as_slice).collect();
        let sound = around([3.0, 3.0, 0.0, 0.0], 60, 4);
        let without = Others::new(Vec::new(), bank.clone(), 4);
        let with = Others::new(own.iter().map(Vec::as_slice).collect(), bank, 4);
        let scored = |others: &Others| {
            let discriminant = others.discriminant(&[&sound]);
            score(discriminant.highest(&own[0]), others.boundary(&discriminant, &[], None))
        };
        assert!(scored(&with) < 0.5 && scored(&with) < scored(&without), "{} {}", scored(&with), scored(&without));
        assert_eq!(with.own_likenesses(&with.discriminant(&[&sound])).len(), 1);
    }

    #[test]
    fn plays_of_one_sound_are_told_from_more_than_recordings_that_differ() {
        let bank: Vec<Vec<f32>> = (0..30).map(|seed| around([0.0; 4], seed, 2)).collect();
        let others = Others::new(Vec::new(), bank.iter().map(Vec::as_slice).collect(), 4);
        let sound = around([3.0, 3.0, 0.0, 0.0], 60, 4);
        let different = [around([3.0, 0.5, 2.0, 0.0], 61, 4), around([0.5, 3.0, 0.0, -2.0], 62, 4)];
        let discriminant = others.discriminant(&[&sound]);
        let alike = others.alikeness(&[&sound, &sound]).unwrap();
        let unlike = others.alikeness(&[&different[0], &different[1]]).unwrap();
        assert!((alike - 1.0).abs() < 1e-9 && unlike < 0.6, "{alike} {unlike}");
        assert_eq!(others.alikeness(&[&sound]), None);
        let boundary = |alikeness| others.boundary(&discriminant, &[1.0], alikeness);
        assert!(boundary(Some(alike)) > boundary(Some(unlike)) && boundary(Some(unlike)) == boundary(None));
    }

    proptest! {
        #[test]
        fn numbers_stay_finite_whatever_is_learnt(values in prop::collection::vec(-100.0f32..100.0, 4..80), n in 1usize..4) {
            let rows: Vec<&[f32]> = values.chunks_exact(4).collect();
            let (sound, rest) = rows.split_at(n.min(rows.len()));
            let others = Others::new(rest.to_vec(), Vec::new(), 4);
            let discriminant = others.discriminant(sound);
            let boundary = others.boundary(&discriminant, &[], None);
            let head = discriminant.head(boundary);
            prop_assert!(head.weights.iter().all(|weight| weight.is_finite()) && head.offset.is_finite(), "{head:?}");
            prop_assert!((BOUNDARIES.0..=BOUNDARIES.1).contains(&boundary));
        }
    }
}
