//! The engine as a library, with a real ONNX Runtime and a model that costs nothing: any chunking, any batching and any number of
//! threads give the same events of the same sound, and a gap keeps time.

mod support;

use std::path::Path;
use std::sync::OnceLock;
use std::thread::JoinHandle;

use mimid::config::Raw;
use mimid::detect::Detection;
use mimid::detect::step::Step;
use mimid::ear::{Ear, Settling};
use mimid::event::EndReason;
use mimid::inference::{Due, Inference, relieve};
use mimid::model::onnx::Runtime;
use mimid::model::relief::reliefs;
use mimid::model::{Model, Tagger};
use proptest::prelude::*;
use support::onnx;

/// The process has one ONNX Runtime for life.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/runtime/libonnxruntime.so");
    RUNTIME.get_or_init(|| Runtime::load(&library).expect("`make setup` gets it"))
}

/// What a piece of the input is.
#[derive(Debug, Clone)]
enum Piece {
    /// So many samples at this amplitude.
    Sound(usize, f32),
    /// So many samples that were lost.
    Gap(u64),
}

/// Runs the pieces through an ear, in chunks of `chunk` samples, up to `batch` hops at a time.
fn hear(model: &Model, inference: &mut Inference, pieces: &[Piece], rate_hz: u32, chunk: usize, batch: usize) -> Vec<Detection> {
    let raw = Raw::parse("[report]\npreset = \"all\"\n[defaults]\nthreshold = 0.5\nhangover_ms = 200", None);
    let rules = raw.validate(&model.labels).unwrap().config.rules;
    let mut ear = Ear::new(model, rules, rate_hz).unwrap();
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
        match piece {
            Piece::Sound(n, amplitude) => {
                // A square wave low enough to survive the resampling.
                let samples: Vec<f32> = (0..*n).map(|i| if i / 32 % 2 == 0 { *amplitude } else { -*amplitude }).collect();
                for chunk in samples.chunks(chunk) {
                    ear.push(chunk);
                    infer(&mut ear, &mut found, batch);
                }
            }
            Piece::Gap(lost) => {
                infer(&mut ear, &mut found, 1);
                ear.gap(*lost, &mut found);
                infer(&mut ear, &mut found, 1);
            }
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

/// A model, and its inference on this thread and `n_reliefs` others.
fn model(n_reliefs: usize) -> (Model, Inference, Vec<JoinHandle<()>>) {
    let folder = tempfile::tempdir().unwrap();
    onnx::folder(folder.path(), &onnx::graph(3), onnx::LABELS, |manifest| {
        manifest.replace("hop_ms = 100", "hop_ms = 100\nstrides = [1, 3]\nnoise_gate_dbfs = -70.0")
    });
    let model = Model::open(folder.path().to_str().unwrap()).unwrap();
    let (offers, reliefs) = reliefs();
    let inference = Inference::new(Tagger::open(&model, runtime()).unwrap(), offers);
    let mut threads = Vec::new();
    for started in 0..n_reliefs {
        let (model, reliefs) = (model.clone(), reliefs.clone());
        threads.push(std::thread::spawn(move || relieve(&model, runtime(), reliefs)));
        // The folder is gone when this returns, so each must have opened its graph.
        while inference.n_idle() <= started {
            std::thread::yield_now();
        }
    }
    (model, inference, threads)
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
        n_reliefs in 0usize..3,
    ) {
        let (model, mut inference, threads) = model(n_reliefs);
        let first = hear(&model, &mut inference, &pieces, rate, 4_096, 1);
        let second = hear(&model, &mut inference, &pieces, rate, chunk, batch);
        drop(inference);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        prop_assert_eq!(&first, &second);
        // Begin and end pair, rule by rule, and no event lasts longer than the sound.
        let length: u64 = pieces.iter().map(|piece| match piece { Piece::Sound(n, _) => *n as u64, Piece::Gap(n) => *n }).sum();
        let end = length * 16_000 / u64::from(rate) + 1;
        let mut open = Vec::new();
        for detection in &first {
            match detection.step {
                Step::Start(_) => {
                    prop_assert!(!open.contains(&detection.event));
                    open.push(detection.event);
                }
                Step::Update(_) => prop_assert!(open.contains(&detection.event)),
                Step::End { heard, offset, .. } => {
                    let at = open.iter().position(|event| *event == detection.event);
                    prop_assert!(at.is_some());
                    open.remove(at.unwrap());
                    prop_assert!(heard.onset.at < offset.at && offset.at <= end, "{} {} {}", heard.onset.at, offset.at, end);
                }
            }
        }
        prop_assert!(open.is_empty());
    }
}

#[test]
fn a_gap_moves_time_on_by_what_was_lost() {
    let (model, mut inference, _) = model(0);
    let mut onset = |gap: u64| {
        let pieces = [Piece::Sound(48_000, 0.0), Piece::Gap(gap), Piece::Sound(48_000, 0.0), Piece::Sound(48_000, 0.8)];
        let found = hear(&model, &mut inference, &pieces, 48_000, 480, 4);
        found
            .iter()
            .find_map(|detection| if let Step::Start(heard) = detection.step { Some(heard.onset.at) } else { None })
            .unwrap()
    };
    let without = onset(0);
    // A short gap is silence, a long one begins anew; both are as long as they were. Onsets stand on the grid of windows, 100 ms.
    for lost in [4_800, 48_000, 480_000, 48_000 * 3_600] {
        assert_eq!(onset(lost), without + lost / 3, "{lost}");
    }
}
