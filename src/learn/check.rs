//! The check: leaves out one recording at a time, and says what a head from the others makes of it.

use super::fit::{Discriminant, Others, score};

/// A sound that was fitted, with its check.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The discriminant from all recordings.
    pub discriminant: Discriminant,
    /// The likeness at which the score is one half.
    pub boundary: f64,
    /// For each recording the score that a head from the others gives it, 0…1; `None` where it is the only one.
    pub left_out: Vec<Option<f64>>,
    /// For each negative recording of one's own its highest score, 0…1.
    pub negatives: Vec<f64>,
}

/// Fits a sound, given by the embeddings of its recordings, and leaves out one recording at a time.
pub fn fit(sound: &[&[f32]], others: &Others) -> Fitted {
    let likenesses: Vec<f64> = match sound.len() {
        0 | 1 => Vec::new(),
        n => (0..n)
            .map(|left_out| {
                let rest: Vec<&[f32]> = (0..n).filter(|at| *at != left_out).map(|at| sound[at]).collect();
                others.discriminant(&rest).highest(sound[left_out])
            })
            .collect(),
    };
    let discriminant = others.discriminant(sound);
    let boundary = others.boundary(&discriminant, &likenesses, others.alikeness(sound));
    let left_out = (0..sound.len()).map(|at| likenesses.get(at).map(|likeness| score(*likeness, boundary))).collect();
    let negatives = others.own_likenesses(&discriminant).into_iter().map(|likeness| score(likeness, boundary)).collect();
    Fitted { discriminant, boundary, left_out, negatives }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_unlike_the_others_is_found_out() {
        let bank: Vec<[f32; 3]> =
            (0..40).map(|at| [(at % 7) as f32 - 3.0, (at % 5) as f32 - 2.0, (at % 3) as f32 - 1.0]).collect();
        let others = Others::new(Vec::new(), bank.iter().map(<[f32; 3]>::as_slice).collect(), 3);
        let sound: [&[f32]; 4] = [&[6.0, 0.0, 1.0], &[6.5, 0.5, 1.0], &[5.5, 0.0, 1.5], &[-6.0, 1.0, 0.0]];
        let fitted = fit(&sound, &others);
        let left_out: Vec<f64> = fitted.left_out.iter().copied().flatten().collect();
        assert!(left_out[..3].iter().all(|score| *score > 0.5) && left_out[3] < 0.1, "{left_out:?}");
        assert_eq!(fit(&sound[..1], &others).left_out, [None]);
        assert_eq!(fit(&sound, &others), fitted);
    }
}
