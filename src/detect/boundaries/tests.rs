use super::*;
use crate::model::manifest::LogMelParameters;

/// Noise with a tone of 1 kHz in it, at 16 kHz; times in seconds.
fn refiner(seconds: f64, tones: &[(f64, f64)]) -> BoundaryRefiner {
    let tones: Vec<(f64, f64, f64)> = tones.iter().map(|(from, to)| (*from, *to, 0.1)).collect();
    layered(seconds, &tones)
}

/// The same with an amplitude for each tone; the loudest of those that overlap counts.
fn layered(seconds: f64, tones: &[(f64, f64, f64)]) -> BoundaryRefiner {
    let parameters = LogMelParameters::of_ced();
    let mut log_mel = LogMel::new(&parameters, 16_000, 48_000);
    let mut refiner = BoundaryRefiner::new(64, 160, 16_000, 0);
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    for second in 0..(seconds * 10.0) as usize {
        let samples: Vec<f32> = (0..1_600)
            .map(|i| {
                let at = (second * 1_600 + i) as f64 / 16_000.0;
                let now = tones.iter().filter(|(from, to, _)| (*from..*to).contains(&at));
                let tone = now.map(|tone| tone.2).fold(0.0, f64::max);
                0.01 * noise() + (tone * (std::f64::consts::TAU * 1_000.0 * at).sin()) as f32
            })
            .collect();
        log_mel.push(&samples);
        refiner.follow(&log_mel);
    }
    refiner.decide_at(u64::MAX);
    refiner
}

fn refine(refiner: &BoundaryRefiner, onset: f64, offset: f64) -> (f64, f64, SegmentBounds) {
    let sample = |seconds: f64| (seconds * 16_000.0) as u64;
    let coarse =
        CoarseSegment { onset: sample(onset), offset: sample(offset), peak: 0.9, curve: &|_, _| 0.0, vanished: sample(offset) };
    let bounds = refiner.refine(&coarse, 4_800);
    (bounds.onset.at as f64 / 16_000.0, bounds.offset.at as f64 / 16_000.0, bounds)
}

#[test]
fn a_tone_s_boundaries_are_found_to_a_frame_or_two() {
    let refiner = refiner(12.0, &[(6.13, 7.31)]);
    for (from, to) in [(6.13, 7.31), (5.7, 7.8), (6.5, 7.0), (5.8, 6.9)] {
        let (onset, offset, bounds) = refine(&refiner, from, to);
        assert!((onset - 6.13).abs() <= 0.045 && (offset - 7.31).abs() <= 0.045, "{from}–{to}: {onset}–{offset}");
        assert!((bounds.onset.uncertainty as f64 / 16_000.0) < 0.1 && bounds.snr_db.unwrap() > 15.0);
    }
}

#[test]
fn a_clear_sound_ends_where_it_ends_however_long_the_window_holds_it() {
    let clear = refiner(12.0, &[(6.0, 6.6)]);
    let (onset, offset, _) = refine(&clear, 5.9, 8.6);
    assert!((onset - 6.0).abs() <= 0.045 && (offset - 6.6).abs() <= 0.045, "{onset}–{offset}");
    // A faint one may go on below the noise.
    let faint = layered(12.0, &[(6.0, 6.6, 0.0016)]);
    let (_, offset, bounds) = refine(&faint, 5.9, 8.6);
    assert!(bounds.snr_db.is_some_and(|snr| snr < 12.0) && offset > 7.0, "{offset} {bounds:?}");
}

#[test]
fn a_pause_in_a_sound_is_part_of_it_and_another_sound_is_not() {
    let refiner = refiner(12.0, &[(6.0, 6.4), (6.6, 7.0), (9.0, 9.5)]);
    let (onset, offset, _) = refine(&refiner, 5.9, 7.2);
    assert!((onset - 6.0).abs() <= 0.045 && (offset - 7.0).abs() <= 0.045, "{onset}–{offset}");
}

#[test]
fn in_a_steady_sound_the_segment_keeps_its_boundaries_and_says_how_uncertain_they_are() {
    let (onset, offset, bounds) = refine(&refiner(12.0, &[]), 6.0, 7.0);
    assert!((onset - 6.0).abs() < 1e-3 && (offset - 7.0).abs() < 1e-3);
    assert_eq!((bounds.onset.uncertainty, bounds.offset.uncertainty), (4_800, 4_800));
}

#[test]
fn a_sound_that_goes_on_began_at_its_onset() {
    let refiner = refiner(9.0, &[(8.5, 9.5)]);
    let began = refiner.began(9 * 16_000, 16_000).unwrap() as f64 / 16_000.0;
    assert!((began - 8.5).abs() <= 0.06, "{began}");
}

#[test]
fn nothing_is_known_of_what_was_skipped() {
    let mut refiner = refiner(9.0, &[(6.0, 7.0)]);
    refiner.skip_to(20 * 16_000);
    let (onset, _, bounds) = refine(&refiner, 6.2, 7.0);
    assert_eq!((onset, bounds.snr_db), (6.2, None));
}

#[test]
fn a_sound_that_begins_in_another_begins_where_the_energy_steps_up() {
    // A faint tone goes on all the time that a loud one of the same band lasts.
    let refiner = layered(16.0, &[(4.0, 14.0, 0.02), (7.0, 10.0, 0.3)]);
    for (from, to) in [(6.6, 9.4), (8.2, 10.4)] {
        let (onset, offset, _) = refine(&refiner, from, to);
        assert!((onset - 7.0).abs() <= 0.045 && (offset - 10.0).abs() <= 0.045, "{from}–{to}: {onset}–{offset}");
    }
}
