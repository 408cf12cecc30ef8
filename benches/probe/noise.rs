//! The sound that every benchmark hears. It measures nothing.

/// Noise at a moderate level: silence would be cheaper than real sound for some of the parts.
pub fn noise(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 655_360.0 - 0.05
        })
        .collect()
}
