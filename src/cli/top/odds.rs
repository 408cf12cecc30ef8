//! Steps of a threshold, even in log-odds: a step has about the same effect near 0, in the middle and near 1.

/// The finer step in log-odds: about a twentieth of a small threshold.
const FINE: f64 = 0.05;
/// The fine steps of a coarse step.
pub const COARSE: i32 = 4;
/// The lowest threshold that steps lead to. The protocol has four decimals, and steps near 0 and 1 would be lost there.
const LEAST: f64 = 0.002;
/// The highest threshold that steps lead to.
const MOST: f64 = 0.998;

/// The threshold `steps` fine steps away from `from`, with four decimals; with no steps, exactly `from`.
pub fn step(from: f64, steps: i32) -> f64 {
    if steps == 0 {
        return from;
    }
    let from = from.clamp(LEAST, MOST);
    let odds = (from / (1.0 - from)).ln() + f64::from(steps) * FINE;
    let threshold = (1.0 / (1.0 + (-odds).exp())).clamp(LEAST, MOST);
    (threshold * 1e4).round() / 1e4
}

/// Whether another step in the direction of `steps` would change anything.
pub fn may_step(from: f64, steps: i32, by: i32) -> bool {
    step(from, steps.saturating_add(by)) != step(from, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_even_in_log_odds() {
        assert_eq!([-2, -1, 0, 1, 2].map(|n| step(0.2, n * COARSE)), [0.1435, 0.1699, 0.2, 0.2339, 0.2716]);
        assert_eq!([-1, 0, 1].map(|n| step(0.01, n)), [0.0095, 0.01, 0.0105]);
        assert_eq!([-1, 0, 1].map(|n| step(0.97, n)), [0.9685, 0.97, 0.9714]);
    }

    #[test]
    fn steps_end_at_both_ends() {
        for from in [0.0001, 0.002, 0.3, 0.998, 1.0] {
            assert_eq!(step(from, 0), from);
            assert_eq!(step(from, i32::MAX), MOST);
            assert_eq!(step(from, i32::MIN), LEAST);
            assert!(!may_step(from, 1_000_000, COARSE) && may_step(from, 0, if from < 0.5 { 1 } else { -1 }), "{from}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_step_up_is_higher_until_the_end(from in 0.002f64..0.998, steps in -300i32..300) {
            let (here, next) = (step(from, steps), step(from, steps + 1));
            proptest::prop_assert!(next > here || next == MOST || here == LEAST, "{here} {next}");
        }
    }
}
