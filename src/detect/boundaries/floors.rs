//! The noise floor of a band: a quantile of its levels over the recent past, estimated anew as the past moves on.

use super::quantile;

/// The greatest distance from the floor before, in levels, at which the new floor is found by counting; beyond it by selection.
const FURTHEST: usize = 6;
/// The number of levels that are compared side by side.
const LANES: usize = 8;

/// The quantile `q` of `levels`, whose order is lost; 0 of none.
///
/// Few levels come and go between two estimates. The quantile is therefore `before` or one of the next levels, and a few passes
/// that count and compare are cheaper than any sorting.
pub(super) fn floor(levels: &mut [f32], q: f64, before: f32) -> f32 {
    let rank = (levels.len().saturating_sub(1) as f64 * q).round() as u32;
    let mut floor = before;
    for _ in 0..FURTHEST {
        let (below, up_to) = count(levels, floor);
        if below <= rank && rank < up_to {
            return floor;
        }
        floor = if up_to <= rank {
            lowest(levels, |level| if level > floor { level } else { f32::INFINITY })
        } else {
            -lowest(levels, |level| if level < floor { -level } else { f32::INFINITY })
        };
    }
    quantile(levels, q)
}

/// The number of levels below the floor, and of those at or below it.
fn count(levels: &[f32], floor: f32) -> (u32, u32) {
    let (mut below, mut up_to) = (0, 0);
    for level in levels {
        below += u32::from(*level < floor);
        up_to += u32::from(*level <= floor);
    }
    (below, up_to)
}

/// The least of the mapped levels, by lanes: the compiler may not reorder a minimum of floats by itself.
fn lowest(levels: &[f32], map: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = levels.as_chunks::<LANES>();
    let mut lowest = [f32::INFINITY; LANES];
    for chunk in chunks {
        for (lowest, level) in lowest.iter_mut().zip(chunk) {
            let level = map(*level);
            *lowest = if level < *lowest { level } else { *lowest };
        }
    }
    lowest.into_iter().chain(rest.iter().map(|level| map(*level))).fold(f32::INFINITY, f32::min)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_quantile_of_the_sorted_levels(
            // Half decibels, so that many levels are equal.
            levels in prop::collection::vec((-190i16..0).prop_map(|level| f32::from(level) / 2.0), 0..300),
            before in -100.0f32..0.0,
            n_newer in 0usize..20,
        ) {
            let mut sorted = levels.clone();
            sorted.sort_unstable_by(f32::total_cmp);
            let expected = |sorted: &[f32]| sorted.get(((sorted.len().max(1) - 1) as f64 * 0.2).round() as usize).copied();
            let found = floor(&mut levels.clone(), 0.2, before);
            prop_assert_eq!(found, expected(&sorted).unwrap_or(0.0));
            // A floor that is near is found from there.
            let mut fewer = levels[n_newer.min(levels.len())..].to_vec();
            let near = floor(&mut fewer, 0.2, found);
            fewer.sort_unstable_by(f32::total_cmp);
            prop_assert_eq!(near, expected(&fewer).unwrap_or(0.0));
        }
    }
}
