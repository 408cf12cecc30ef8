//! Log odds: the scale on which the evidence of scores is added up.

/// The log odds of a probability. One that is nearer to 0 or 1 than 0.0001 counts as being that far.
pub(crate) fn log_odds(probability: f32) -> f32 {
    let probability = probability.clamp(1e-4, 0.9999);
    (probability / (1.0 - probability)).ln()
}

/// The probability with these log odds.
pub(crate) fn probability(log_odds: f32) -> f32 {
    1.0 / (1.0 + (-log_odds).exp())
}
