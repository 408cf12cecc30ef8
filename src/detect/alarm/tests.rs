use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::model::manifest::{Alarms, InputKind, LogMelParameters};

const RATE_HZ: usize = 16_000;
/// The silence before each sound, in seconds.
const BEFORE_S: f64 = 2.0;

fn input(log_mel: Option<LogMelParameters>) -> Input {
    Input { kind: InputKind::LogMel, name: String::new(), shape: Vec::new(), sample_rate_hz: 16_000, log_mel }
}

fn detection() -> Detection {
    let alarms = Alarms { labels: vec!["Smoke".to_owned()], without: -1.75, with: 6.0 };
    Detection { alarms: Some(alarms), ..Detection::of_tests() }
}

fn labels() -> Labels {
    Labels::new([("/a", "Any"), ("/s", "Smoke")].map(|(id, name)| (id.to_owned(), name.to_owned())), Vec::new())
}

fn watch() -> AlarmWatch {
    AlarmWatch::new(&detection(), &input(Some(LogMelParameters::of_ced())), &labels(), 64 * RATE_HZ as u64).unwrap()
}

fn log_mel() -> LogMel {
    LogMel::new(&LogMelParameters::of_ced(), 16_000, RATE_HZ)
}

/// The strength of the patterns after every tenth of a second of a sound that is pushed in such pieces.
fn strengths_in(sound: &[f32], pieces: &[usize]) -> Vec<f32> {
    let (mut watch, mut log_mel, mut rest) = (watch(), log_mel(), sound);
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (now, later) = rest.split_at((*piece).min(rest.len()));
        log_mel.push(now);
        watch.follow(&log_mel);
        rest = later;
    }
    (1..watch.n_frames / 10).map(|hop| watch.strengths[hop as usize * 10]).collect()
}

fn strengths(sound: &[f32]) -> Vec<f32> {
    strengths_in(sound, &[1_600])
}

/// The time from the end of the first silence to the moment at which a pattern is recognised, in seconds.
fn recognised(sound: &[f32]) -> Option<f64> {
    let hop = strengths(sound).iter().position(|strength| *strength >= RECOGNISED)?;
    Some((hop + 1) as f64 / 10.0 - BEFORE_S)
}

/// The pitch at a time, in Hz; `None` in a pause.
type Pitch<'a> = &'a dyn Fn(f64) -> Option<f64>;

/// A tone with these harmonics' amplitudes after a silence, over faint noise.
fn sound(seconds: f64, harmonics: &[f64], noise: f64, pitch: Pitch) -> Vec<f32> {
    let (mut state, mut phase, mut level) = (1u32, 0.0, 0.0);
    let sample = |i: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(state >> 8) / 16_777_216.0 - 0.5;
        let at = i as f64 / RATE_HZ as f64 - BEFORE_S;
        let now = if at < 0.0 { None } else { pitch(at) };
        phase += TAU * now.unwrap_or(0.0) / RATE_HZ as f64;
        // An edge of two milliseconds makes no click.
        level += (f64::from(u8::from(now.is_some())) - level) / 32.0;
        let audible = |k: &usize| now.unwrap_or(0.0) * (*k as f64) < 7_800.0;
        let tone: f64 = (1..=harmonics.len()).filter(audible).map(|k| harmonics[k - 1] * (phase * k as f64).sin()).sum();
        (0.1 * level * tone + noise * hiss) as f32
    };
    (0..((BEFORE_S + seconds) * RATE_HZ as f64) as usize).map(sample).collect()
}

/// The sound in a room whose echo falls by 60 dB in 0.6 s and is as strong as the sound itself.
fn in_a_room(dry: &[f32]) -> Vec<f32> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / 16_777_216.0
    };
    let echoes: Vec<(usize, f64)> = (0..500)
        .map(|_| (0.004 + 0.6 * next(), next() - 0.5))
        .map(|(delay, gain)| ((delay * RATE_HZ as f64) as usize, 2.0 * gain * 10f64.powf(-3.0 * delay / 0.6)))
        .collect();
    let energy: f64 = echoes.iter().map(|(_, gain)| gain * gain).sum();
    let mut wet = dry.to_vec();
    for (delay, gain) in echoes {
        let gain = (gain / energy.sqrt()) as f32;
        for (wet, dry) in wet[delay.min(dry.len())..].iter_mut().zip(dry) {
            *wet += gain * dry;
        }
    }
    wet
}

const SINE: &[f64] = &[1.0];
const SQUARE: &[f64] = &[1.0, 0.0, 0.33, 0.0, 0.2, 0.0, 0.14, 0.0, 0.11, 0.0, 0.09];
const RICH: &[f64] = &[1.0, 0.5, 0.33, 0.25];

/// Beeps: `count` of them, `on` seconds each `period`, again after `cycle` seconds.
fn beeps(hz: f64, on: f64, period: f64, count: usize, cycle: f64) -> impl Fn(f64) -> Option<f64> {
    move |at| {
        let (beep, within) = (((at % cycle) / period) as usize, (at % cycle) % period);
        (beep < count && within < on).then_some(hz)
    }
}

fn din(at: f64) -> Option<f64> {
    Some(1_200.0 - 700.0 * (at % 1.0))
}

fn whoop(at: f64) -> Option<f64> {
    (at % 4.0 < 3.5).then(|| 500.0 + 200.0 * (at % 4.0))
}

fn triangle(low: f64, high: f64, period: f64) -> impl Fn(f64) -> Option<f64> {
    move |at| Some(low + (high - low) * (1.0 - (2.0 * (at / period % 1.0) - 1.0).abs()))
}

fn in_turn(low: f64, high: f64, each: f64) -> impl Fn(f64) -> Option<f64> {
    move |at| Some(if ((at / each) as u64).is_multiple_of(2) { low } else { high })
}

#[test]
fn every_standard_pattern_is_recognised_in_quiet_in_noise_and_in_a_room() {
    let (smoke, low, monoxide) =
        (beeps(3_100.0, 0.5, 1.0, 3, 4.0), beeps(520.0, 0.5, 1.0, 3, 4.0), beeps(3_200.0, 0.1, 0.2, 4, 5.7));
    let sweeping = |at: f64| smoke(at).map(|_| 500.0 + 1_400.0 * (at % 1.0));
    let (turns, warble) = (in_turn(800.0, 970.0, 0.25), |at: f64| Some(800.0 + 170.0 * (at % 1.0)));
    let alarms: [(&str, &[f64], Pitch, f64); 9] = [
        ("three pulses of 3.1 kHz", SINE, &smoke, 3.2),
        ("three pulses of 520 Hz", SQUARE, &low, 3.2),
        ("three sweeps", RICH, &sweeping, 3.2),
        ("four pulses", SQUARE, &monoxide, 2.5),
        ("falling sweeps", RICH, &din, 2.2),
        ("a falling sine", SINE, &din, 2.2),
        ("slow whoops", RICH, &whoop, 3.0),
        ("two tones in turn", SQUARE, &turns, 2.2),
        ("a warble", RICH, &warble, 2.2),
    ];
    for (name, harmonics, pitch, latest) in &alarms {
        // The power of the noise is a twelfth of its square: 0.08 is some 10 dB below a sine.
        for noise in [0.0005, 0.03, 0.08] {
            let at = recognised(&sound(5.0, harmonics, noise, pitch));
            assert!(at.is_some_and(|at| (1.0..=*latest).contains(&at)), "{name} in noise of {noise}: {at:?}");
        }
    }
    // An echo may fill what parts the short tones of the last two.
    for (name, harmonics, pitch, latest) in &alarms[..7] {
        let at = recognised(&in_a_room(&sound(5.0, harmonics, 0.001, pitch)));
        assert!(at.is_some_and(|at| (1.0..=latest + 0.1).contains(&at)), "{name} in a room: {at:?}");
    }
}

#[test]
fn a_pattern_holds_over_its_pauses_and_ends_soon_after_its_last_pulse() {
    for (name, pitch, from, until) in [
        ("three pulses", &beeps(3_100.0, 0.5, 1.0, 3, 4.0) as Pitch, 3.2, 10.6),
        ("four pulses", &beeps(3_100.0, 0.1, 0.2, 4, 5.7), 2.5, 12.2),
        ("whoops", &whoop, 3.0, 11.5),
        ("falls", &din, 2.2, 12.0),
    ] {
        let over = |at: f64| if at < until { pitch(at) } else { None };
        let found = strengths(&sound(22.0, SQUARE, 0.001, &over));
        let hop = |at: f64| ((at + BEFORE_S) * 10.0) as usize;
        let held = found[hop(from)..hop(until)].iter().all(|strength| *strength >= RECOGNISED);
        assert!(held, "{name}: {:?}", &found[hop(from)..hop(until)]);
        assert!(found[hop(until + 7.0)..].iter().all(|strength| *strength < RECOGNISED), "{name}: {:?}", &found[hop(until)..]);
    }
}

#[test]
fn nothing_that_is_taken_for_an_alarm_has_the_pattern_of_one() {
    let trill = |at: f64| (at % 6.0 < 2.0).then_some(if ((at * 22.0) as u64).is_multiple_of(2) { 1_300.0 } else { 1_600.0 });
    let (bird, vibrato) = (
        |at: f64| (at % 0.7 < 0.2).then(|| 3_500.0 + 800.0 * (TAU * 9.0 * at).sin()),
        |at: f64| Some(880.0 + 60.0 * (TAU * 5.5 * at).sin()),
    );
    let whistle = |at: f64| (at % 2.3 < 0.7).then(|| 2_600.0 + 60.0 * (TAU * 6.0 * at).sin());
    let melody = |at: f64| Some([880.0, 988.0, 1_047.0, 988.0, 880.0, 784.0][(at / 0.4) as usize % 6]);
    let lookalikes: [(&str, &[f64], Pitch); 21] = [
        ("a telephone", RICH, &beeps(440.0, 2.0, 6.0, 1, 6.0)),
        ("a double ring", RICH, &beeps(425.0, 0.4, 0.6, 2, 3.0)),
        ("an electronic ring", RICH, &trill),
        ("an engaged line", SINE, &beeps(425.0, 0.48, 0.96, 99, 99.0)),
        ("an alarm clock", SQUARE, &beeps(2_048.0, 0.0625, 0.125, 4, 1.0)),
        ("a slower alarm clock", SQUARE, &beeps(2_048.0, 0.1, 0.2, 4, 1.4)),
        ("a microwave oven", SINE, &beeps(2_000.0, 1.0, 2.0, 3, 99.0)),
        ("its shorter beeps", SQUARE, &beeps(2_000.0, 0.5, 1.0, 5, 99.0)),
        ("four beeps", SQUARE, &beeps(2_400.0, 0.5, 1.0, 4, 7.0)),
        ("two beeps", SQUARE, &beeps(2_400.0, 0.5, 1.0, 2, 5.0)),
        ("three short beeps", SQUARE, &beeps(3_000.0, 0.12, 0.25, 3, 1.5)),
        ("a lorry that reverses", SQUARE, &beeps(1_100.0, 0.5, 1.0, 99, 99.0)),
        ("a quicker one", SQUARE, &beeps(1_400.0, 0.3, 0.6, 99, 99.0)),
        ("a wailing siren", RICH, &triangle(600.0, 1_500.0, 5.0)),
        ("a yelping siren", RICH, &triangle(600.0, 1_500.0, 0.35)),
        ("a slow yelp", RICH, &triangle(500.0, 1_200.0, 1.0)),
        ("a horn of two tones", RICH, &in_turn(435.0, 580.0, 0.55)),
        ("a bird", SINE, &bird),
        ("a vibrato", RICH, &vibrato),
        ("a whistle", SINE, &whistle),
        ("a melody", RICH, &melody),
    ];
    for (name, harmonics, pitch) in lookalikes {
        for sound in [sound(14.0, harmonics, 0.001, pitch), sound(14.0, harmonics, 0.05, pitch)] {
            assert_eq!(recognised(&sound), None, "{name}");
        }
        assert_eq!(recognised(&in_a_room(&sound(14.0, harmonics, 0.001, pitch))), None, "{name} in a room");
    }
}

#[test]
fn a_bell_that_strikes_three_times_is_no_train() {
    let strike = beeps(1_000.0, 0.9, 1.0, 3, 5.0);
    let mut struck = sound(10.0, RICH, 0.0005, &strike);
    for (i, sample) in struck.iter_mut().enumerate() {
        let at = i as f64 / RATE_HZ as f64 - BEFORE_S;
        *sample *= (-3.0 * (at.max(0.0) % 5.0 % 1.0)).exp() as f32;
    }
    assert_eq!(recognised(&struck), None);
}

#[test]
fn beeps_of_which_the_first_were_not_heard_are_no_train() {
    // A reversing lorry comes into earshot for its last three beeps, but two fainter ones precede them.
    let mut beeping = sound(9.0, SQUARE, 0.0005, &beeps(1_100.0, 0.5, 1.0, 5, 99.0));
    for sample in &mut beeping[..((BEFORE_S + 1.9) * RATE_HZ as f64) as usize] {
        *sample *= 0.55;
    }
    assert_eq!(recognised(&beeping), None);
}

#[test]
fn what_was_heard_before_a_gap_counts_no_more() {
    let alarm = sound(9.0, SINE, 0.001, &beeps(3_100.0, 0.5, 1.0, 3, 4.0));
    let (mut watch, mut log_mel) = (watch(), log_mel());
    let hear = |watch: &mut AlarmWatch, log_mel: &mut LogMel, sound: &[f32]| {
        for piece in sound.chunks(1_600) {
            log_mel.push(piece);
            watch.follow(log_mel);
        }
    };
    hear(&mut watch, &mut log_mel, &alarm[..(BEFORE_S as usize + 4) * RATE_HZ]);
    assert!(watch.strengths[590] >= RECOGNISED);
    let at = 20 * RATE_HZ as u64 + 77;
    log_mel.skip_to(at);
    watch.skip_to(at);
    hear(&mut watch, &mut log_mel, &vec![0.0; RATE_HZ]);
    let (scores, _) = watch.add_evidence(21 * RATE_HZ as u64, &[0.3, 0.3], &[true]);
    assert!((scores[1] - 0.069).abs() < 0.002, "{scores:?}");
    // An alarm that goes on after the gap is recognised again.
    hear(&mut watch, &mut log_mel, &alarm[RATE_HZ..]);
    let (scores, changed) = watch.add_evidence(28 * RATE_HZ as u64, &[0.3, 0.02], &[false]);
    assert!(scores[0] == 0.3 && scores[1] > 0.5 && changed == [true], "{scores:?} {changed:?}");
}

#[test]
fn sound_after_the_moment_that_is_decided_changes_nothing() {
    let alarm = sound(9.0, SQUARE, 0.001, &beeps(3_100.0, 0.5, 1.0, 3, 4.0));
    let decide = |ahead: usize| {
        let (mut watch, mut log_mel, mut decided, mut scores) = (watch(), log_mel(), 0, Vec::new());
        for (n, hop) in alarm.chunks(1_600).enumerate() {
            log_mel.push(hop);
            watch.follow(&log_mel);
            while decided + ahead < n {
                decided += 1;
                scores.push(watch.add_evidence(decided as u64 * 1_600, &[0.1, 0.1], &[true]).0[1]);
            }
        }
        scores
    };
    let (at_once, later) = (decide(1), decide(30));
    assert_eq!(at_once[..later.len()], later);
    assert!(later.iter().any(|score| *score > 0.5));
}

#[test]
fn a_model_without_alarms_or_without_a_log_mel_has_no_watch() {
    let log_mel = Some(LogMelParameters::of_ced());
    assert!(AlarmWatch::new(&Detection::of_tests(), &input(log_mel), &labels(), 0).is_none());
    assert!(AlarmWatch::new(&detection(), &input(None), &labels(), 0).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_chunking_gives_the_same_evidence(pieces in prop::collection::vec(1usize..4_000, 1..8), hz in 450.0..4_000.0f64) {
        let alarm = sound(4.5, RICH, 0.01, &beeps(hz, 0.5, 1.0, 3, 4.0));
        prop_assert_eq!(strengths_in(&alarm, &pieces), strengths(&alarm));
    }

    #[test]
    fn noise_has_no_pattern(seed in 1u32.., shape in 0.0..0.99f32) {
        let (mut state, mut last) = (seed, 0.0);
        let noise: Vec<f32> = (0..20 * RATE_HZ).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            last = shape * last + ((state >> 8) as f32 / 16_777_216.0 - 0.5);
            0.1 * last
        }).collect();
        prop_assert_eq!(recognised(&noise), None);
    }

    #[test]
    fn any_frames_give_a_strength_between_0_and_1(
        levels in prop::collection::vec(prop_oneof![-120.0..60.0f32, Just(f32::NAN), Just(f32::INFINITY), Just(-1e30f32)], 64..2_000),
        repeats in 1usize..60,
        skip in 0u64..100_000,
    ) {
        let mut watch = watch();
        for frame in levels.chunks_exact(64).cycle().take(repeats * 40) {
            watch.levels.copy_from_slice(frame);
            watch.take_frame();
            let place = (watch.n_frames - 1) as usize % watch.strengths.len();
            prop_assert!((0.0..=1.0).contains(&watch.strengths[place]));
        }
        watch.skip_to(watch.n_frames * 160 + skip);
        watch.take_frame();
    }
}
