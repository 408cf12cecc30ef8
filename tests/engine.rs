//! The engine as a library, with a real ONNX Runtime and a model that costs nothing: any chunking and any batching of the same sound
//! gives the same events, and a gap keeps time.

mod support;

use std::path::Path;
use std::sync::OnceLock;

use mimid::config::Raw;
use mimid::detect::Detection;
use mimid::detect::step::Step;
use mimid::ear::{Ear, Settling};
use mimid::event::EndReason;
use mimid::model::onnx::Runtime;
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

/// Runs the pieces through an ear, in chunks of `chunk` samples and batches of `batch` windows.
fn hear(model: &Model, tagger: &mut Tagger, pieces: &[Piece], rate_hz: u32, chunk: usize, batch: usize) -> Vec<Detection> {
    let raw = Raw::parse("[report]\npreset = \"all\"\n[defaults]\nthreshold = 0.5\nhangover_ms = 200", None);
    let rules = raw.validate(&model.labels).unwrap().config.rules;
    let mut ear = Ear::new(model, rules, rate_hz).unwrap();
    let (mut found, mut scores) = (Vec::new(), Vec::new());
    let mut input = vec![0.0; tagger.longest_window_len() * batch];
    let mut rows = vec![0.0; tagger.n_lengths() * tagger.n_labels() * batch];
    let mut infer = |ear: &mut Ear, found: &mut Vec<Detection>, least: usize| {
        while ear.n_due() >= least {
            let n = ear.n_due().min(batch);
            let copy = |length: usize, window: usize, place: &mut [f32]| ear.copy_window(length, window, place);
            tagger.score_hops(n, &mut input, &mut scores, &mut rows, copy).unwrap();
            for rows in rows.chunks_exact(tagger.n_lengths() * tagger.n_labels()).take(n) {
                ear.take_scores(rows, found);
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

fn model() -> (Model, Tagger) {
    let folder = tempfile::tempdir().unwrap();
    onnx::folder(folder.path(), &onnx::graph(3), onnx::LABELS, |manifest| manifest);
    let model = Model::open(folder.path().to_str().unwrap()).unwrap();
    let tagger = Tagger::open(&model, runtime(), 1).unwrap();
    (model, tagger)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_chunking_and_batching_gives_the_same_events(
        pieces in prop::collection::vec(prop_oneof![
            8 => (1usize..20_000, prop::sample::select(vec![0.0f32, 0.05, 0.3, 0.8])).prop_map(|(n, amplitude)| Piece::Sound(n, amplitude)),
            1 => (1u64..60_000).prop_map(Piece::Gap),
        ], 1..12),
        rate in prop::sample::select(vec![16_000u32, 44_100, 48_000]),
        chunk in 1usize..5_000,
        batch in 1usize..9,
    ) {
        let (model, mut tagger) = model();
        let first = hear(&model, &mut tagger, &pieces, rate, 4_096, 1);
        let second = hear(&model, &mut tagger, &pieces, rate, chunk, batch);
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
    let (model, mut tagger) = model();
    let mut onset = |gap: u64| {
        let pieces = [Piece::Sound(48_000, 0.0), Piece::Gap(gap), Piece::Sound(48_000, 0.0), Piece::Sound(48_000, 0.8)];
        let found = hear(&model, &mut tagger, &pieces, 48_000, 480, 4);
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
