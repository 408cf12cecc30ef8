//! The engine as a library, with a real ONNX Runtime and either a tiny model or the real one. The same sound gives the same
//! events in any chunking and batching, on any number of threads, and a gap does not shift the time.

use std::path::Path;
use std::thread::JoinHandle;

use crate::support::runtime::runtime;
use crate::support::{learnt, onnx};
use mimid::config::Raw;
use mimid::detect::Detection;
use mimid::detect::rule::{Announce, Rule};
use mimid::detect::step::Step;
use mimid::ear::{Ear, Settling};
use mimid::event::EndReason;
use mimid::features::FrontEnd;
use mimid::inference::helpers::helpers;
use mimid::inference::{Due, Inference, run_helper};
use mimid::learn::fit::Others;
use mimid::model::learnt::{Head, LearntSound};
use mimid::model::{Model, Scores, Tagger};
use proptest::prelude::*;

/// A piece of the input.
#[derive(Debug, Clone)]
enum Piece {
    /// A number of samples, and their amplitude.
    Sound(usize, f32),
    /// These samples.
    Samples(Vec<f32>),
    /// A number of lost samples.
    Gap(u64),
}

/// The rules for all labels of a model, of which every second one announces when confirmed.
fn mixed(model: &Model, threshold: f32) -> Vec<Rule> {
    let mut rules = rules(model, threshold);
    rules.iter_mut().step_by(2).for_each(|rule| rule.gate.announce = Announce::Confirmed);
    rules
}

/// The rules for all labels of a model, which announce at once.
fn rules(model: &Model, threshold: f32) -> Vec<Rule> {
    let config =
        format!("[report]\npreset = \"all\"\n[defaults]\nannounce = \"at once\"\nthreshold = {threshold}\nhangover_ms = 200");
    Raw::parse(&config, None).validate(&model.labels).unwrap().config.rules
}

/// Runs the pieces through an ear, in chunks of `chunk` samples, up to `batch` hops at a time.
fn hear(mut ear: Ear, inference: &mut Inference, pieces: &[Piece], chunk: usize, batch: usize) -> Vec<Detection> {
    let mut found = Vec::new();
    let mut infer = |ear: &mut Ear, found: &mut Vec<Detection>, least: usize| {
        while ear.n_due() >= least {
            let due: Vec<Due> = (0..ear.n_due().min(batch)).map(|ahead| Due { source: 0, ahead }).collect();
            inference.score(&mut [&mut *ear], |ear| ear, &due, 1).unwrap();
            for hop in 0..due.len() {
                let (scores, is_fresh) = inference.scores(hop);
                ear.take_scores(scores, is_fresh, found);
            }
        }
    };
    for piece in pieces {
        let samples = match piece {
            // A square wave low enough to survive the resampling.
            Piece::Sound(n, amplitude) => &(0..*n).map(|i| if i / 32 % 2 == 0 { *amplitude } else { -*amplitude }).collect(),
            Piece::Samples(samples) => samples,
            Piece::Gap(lost) => {
                infer(&mut ear, &mut found, 1);
                ear.gap(*lost, &mut found);
                infer(&mut ear, &mut found, 1);
                continue;
            }
        };
        for chunk in samples.chunks(chunk) {
            ear.push(chunk);
            infer(&mut ear, &mut found, batch);
        }
    }
    ear.end_input();
    while ear.settle() == Settling::More {
        infer(&mut ear, &mut found, batch);
    }
    infer(&mut ear, &mut found, 1);
    ear.close(EndReason::Decay, &mut found);
    found
}

/// A tiny model that knows these learnt sounds, and its inference on this thread and `n_helpers` others.
fn model(n_helpers: usize, sounds: &[LearntSound]) -> (Model, Inference, Vec<JoinHandle<()>>) {
    let folder = tempfile::tempdir().unwrap();
    onnx::folder(folder.path(), &onnx::graph_with_embedding(3), onnx::LABELS, |manifest| {
        manifest
            .replace("hop_ms = 100", "hop_ms = 100\nstrides = [1, 3]\nnoise_gate_dbfs = -70.0")
            .replace("kind = \"logits\"\n", "kind = \"logits\"\n[output.embedding]\nname = \"scaled\"\nsize = 3\n")
    });
    let mut model = Model::open(folder.path().to_str().unwrap()).unwrap();
    learnt::take_up(&mut model, sounds);
    let (inference, threads) = inference(&model, n_helpers);
    (model, inference, threads)
}

/// Learnt sounds of the tiny model: one that is heard in what is not quiet, one in what is loud, and one of a kind.
fn tiny_sounds() -> Vec<LearntSound> {
    let heads = [("Kettle", [0.2, 0.0, 0.1], -3.0), ("Bang", [0.02, 0.0, 0.03], -3.5), ("Gate", [0.1, 0.1, -0.15], -0.5)];
    heads
        .map(|(name, weights, offset)| LearntSound {
            is_a: (name == "Gate").then(|| "Loud".to_owned()),
            ..learnt::sound(name, Head { weights: weights.to_vec(), offset })
        })
        .to_vec()
}

/// The inference on this thread and `n_helpers` others.
fn inference(model: &Model, n_helpers: usize) -> (Inference, Vec<JoinHandle<()>>) {
    let (offers, helpers) = helpers();
    let inference = Inference::new(Tagger::open(model, runtime()).unwrap(), offers);
    let mut threads = Vec::new();
    for started in 0..n_helpers {
        let (model, helpers) = (model.clone(), helpers.clone());
        threads.push(std::thread::spawn(move || run_helper(&model, runtime(), helpers)));
        // A model's folder may be gone when this returns, so each must have opened its graph.
        while inference.n_helpers() <= started {
            std::thread::yield_now();
        }
    }
    (inference, threads)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_chunking_batching_and_number_of_threads_gives_the_same_events(
        pieces in prop::collection::vec(prop_oneof![
            8 => (1usize..20_000, prop::sample::select(vec![0.0f32, 0.05, 0.3, 0.8])).prop_map(|(n, amplitude)| Piece::Sound(n, amplitude)),
            1 => (1u64..60_000).prop_map(Piece::Gap),
        ], 1..12),
        rate in prop::sample::select(vec![16_000u32, 44_100, 48_000]),
        chunk in 1usize..5_000,
        batch in 1usize..33,
        n_helpers in 0usize..3,
        n_sounds in 0usize..4,
    ) {
        let (model, mut inference, threads) = model(n_helpers, &tiny_sounds()[..n_sounds]);
        let rules = mixed(&model, 0.5);
        let ear = || Ear::new(&model, rules.clone(), rate).unwrap();
        let first = hear(ear(), &mut inference, &pieces, 4_096, 1);
        let second = hear(ear(), &mut inference, &pieces, chunk, batch);
        drop(inference);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        prop_assert_eq!(&first, &second);
        // Begin and end pair, rule by rule, and no event lasts longer than the sound.
        let length: u64 = pieces.iter().map(|piece| match piece { Piece::Gap(n) => *n, Piece::Sound(n, _) => *n as u64, Piece::Samples(samples) => samples.len() as u64 }).sum();
        let end = length * 16_000 / u64::from(rate) + 1;
        let mut open = Vec::new();
        for detection in &first {
            // Of a label that announces when confirmed nothing is told before that, and nothing is taken back.
            if rules[detection.rule].gate.announce == Announce::Confirmed {
                let (Step::Start(so_far) | Step::Update(so_far) | Step::End { so_far, .. }) = detection.step;
                prop_assert!(so_far.is_confirmed, "{:?}", detection);
                prop_assert!(!matches!(detection.step, Step::End { reason: EndReason::Unconfirmed, .. }), "{:?}", detection);
            }
            match detection.step {
                Step::Start(_) => {
                    prop_assert!(!open.contains(&detection.event));
                    open.push(detection.event);
                }
                Step::Update(_) => prop_assert!(open.contains(&detection.event)),
                Step::End { so_far, offset, .. } => {
                    let at = open.iter().position(|event| *event == detection.event);
                    prop_assert!(at.is_some());
                    open.remove(at.unwrap());
                    prop_assert!(so_far.onset.at < offset.at && offset.at <= end, "{} {} {}", so_far.onset.at, offset.at, end);
                }
            }
        }
        prop_assert!(open.is_empty());
    }
}

#[test]
fn a_gap_moves_time_on_by_what_was_lost() {
    let (model, mut inference, _) = model(0, &[]);
    let mut onset = |gap: u64| {
        let pieces = [Piece::Sound(48_000, 0.0), Piece::Gap(gap), Piece::Sound(48_000, 0.0), Piece::Sound(48_000, 0.8)];
        let ear = Ear::new(&model, rules(&model, 0.5), 48_000).unwrap();
        let found = hear(ear, &mut inference, &pieces, 480, 4);
        found
            .iter()
            .find_map(|detection| if let Step::Start(so_far) = detection.step { Some(so_far.onset.at) } else { None })
            .unwrap()
    };
    let without = onset(0);
    // A short gap is silence, a long one begins anew; both are as long as they were. Onsets stand on the grid of windows, 100 ms.
    for lost in [4_800, 48_000, 480_000, 48_000 * 3_600] {
        assert_eq!(onset(lost), without + lost / 3, "{lost}");
    }
}

/// 12 s of beeps, a siren, noises of different levels, one of them below the model's noise gate, and digital silence.
fn scene(rate_hz: u32) -> Vec<f32> {
    let (mut state, mut phase) = (1u32, 0.0f64);
    let sample = |i: u32| {
        let at = f64::from(i) / f64::from(rate_hz);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = f64::from(state >> 8) / 8_388_608.0 - 1.0;
        // The amplitudes of the noise and of a tone, and its frequency in Hz.
        let (noisy, tonal, frequency) = match at {
            ..1.2 => (0.005, 0.0, 0.0),
            ..2.2 => (0.005, if at % 0.2 < 0.1 { 0.3 } else { 0.0 }, 2_000.0),
            ..2.6 => (0.01, 0.0, 0.0),
            // The loud sound begins in the block of the level that a window reaches into by its last frame.
            ..6.211 => (0.0001, 0.0, 0.0),
            ..7.2 => (0.4, 0.0, 0.0),
            ..7.5 => (0.0, 0.0, 0.0),
            ..9.0 => (0.01, 0.4, 900.0 + 400.0 * (at * 12.0).sin()),
            ..10.2 => (if at % 0.3 < 0.02 { 0.5 } else { 0.02 }, 0.0, 0.0),
            _ => (0.0, 0.0, 0.0),
        };
        phase += std::f64::consts::TAU * frequency / f64::from(rate_hz);
        (noisy * noise + tonal * phase.sin()) as f32
    };
    (0..12 * rate_hz).map(sample).collect()
}

#[test]
fn the_real_model_gives_the_same_events_in_any_chunking_batching_and_number_of_threads() {
    let model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny").to_str().unwrap()).unwrap();
    assert!(model.detection.strides.iter().any(|stride| *stride > 1) && model.detection.noise_gate_dbfs > Some(-78.0));
    same_events(&model, &mut |_| {});
}

/// The embeddings of the real model's windows of a scene that end in these stretches, in seconds.
fn embeddings(model: &Model, stretches: &[(f64, f64)]) -> Vec<Vec<f32>> {
    let rate_hz = model.input.sample_rate_hz;
    let mut tagger = Tagger::open(&Model { gives_embeddings: true, ..model.clone() }, runtime()).unwrap();
    let (sound, samples) = (scene(rate_hz), model.detection.windows_samples(rate_hz).next().unwrap());
    let mut front = FrontEnd::new(&model.input, sound.len() + 1);
    sound.chunks(1_000).for_each(|chunk| front.push(chunk));
    let (mut window, mut scores) = (vec![0.0; tagger.window_len(0)], Scores::default());
    let of = |(from, to): &(f64, f64)| {
        let ends = (0..).map(|i| from + 0.1 * f64::from(i)).take_while(|end| end < to);
        ends.flat_map(|end| {
            front.copy_window((end * f64::from(rate_hz)) as u64, samples, &mut window);
            tagger.score(0, 1, &window, &mut scores).unwrap();
            scores.embeddings.clone()
        })
        .collect()
    };
    stretches.iter().map(of).collect()
}

#[test]
fn the_real_model_hears_learnt_sounds_the_same_in_any_chunking_batching_and_number_of_threads() {
    let mut model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny").to_str().unwrap()).unwrap();
    // The beeps of the scene are learnt from the windows in which they are, and told from the others.
    let heard = embeddings(&model, &[(1.9, 2.3), (1.1, 1.3), (4.0, 6.0), (6.8, 7.2), (8.5, 9.0), (9.9, 10.2)]);
    let (beeps, others) = heard.split_first().unwrap();
    let size = model.output.embedding.as_ref().unwrap().size;
    let others = Others::new(others.iter().map(Vec::as_slice).collect(), Vec::new(), size);
    let discriminant = others.discriminant(&[beeps]);
    let head = discriminant.head(others.boundary(&discriminant, &[], None));
    learnt::take_up(&mut model, &[learnt::sound("Beeps", head)]);
    let beeps = model.labels.find("Beeps").unwrap();
    same_events(&model, &mut |found| assert!(found.contains(&beeps), "{found:?}"));
}

/// Hears the scene in some ways, which must give the same events, of which `check` gets the labels.
fn same_events(model: &Model, check: &mut dyn FnMut(&[usize])) {
    for (rate_hz, ways) in
        [(16_000, &[(1, 32, 0), (997, 7, 1), (8_192, 32, 2)][..]), (44_100, &[(313, 32, 1), (4_800, 3, 0), (2_048, 20, 2)][..])]
    {
        let sound = [Piece::Samples(scene(rate_hz))];
        let hear = |chunk: usize, batch: usize, n_helpers: usize| {
            let (mut inference, threads) = inference(model, n_helpers);
            let ear = Ear::new(model, mixed(model, 0.1), rate_hz).unwrap();
            let found = hear(ear, &mut inference, &sound, chunk, batch);
            let n_windows = inference.n_windows();
            drop(inference);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            (n_windows, found)
        };
        // Each hop is scored as soon as it can be.
        let (n_windows, found) = hear(64, 1, 0);
        // There is something to be different: every kind of step, edges that were sharpened, windows that needed no inference.
        let sharp = |step: &Step| matches!(step, Step::End { offset, .. } if offset.uncertainty < 800);
        let n = |is: fn(&Step) -> bool| found.iter().filter(|detection| is(&detection.step)).count();
        let n_starts = n(|step| matches!(step, Step::Start(_)));
        assert!(n_starts >= 5 && n_starts == n(|step| matches!(step, Step::End { .. })), "{found:?}");
        assert!(n(|step| matches!(step, Step::Update(_))) > 0, "{found:?}");
        assert!(found.iter().any(|detection| sharp(&detection.step)), "{found:?}");
        assert!((60..200).contains(&n_windows), "{n_windows}");
        let rules = mixed(model, 0.1);
        check(&found.iter().flat_map(|detection| rules[detection.rule].members.clone()).collect::<Vec<_>>());
        for (chunk, batch, n_helpers) in ways {
            let (n_again, again) = hear(*chunk, *batch, *n_helpers);
            let way = format!("{rate_hz} Hz in chunks of {chunk}, {batch} hops at a time, {n_helpers} helpers");
            assert_eq!(n_again, n_windows, "{way}");
            assert_eq!(again, found, "{way}");
        }
    }
}
