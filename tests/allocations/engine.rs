//! The engine under a counting allocator: after it has heard each kind of sound once, it allocates nothing more. Only the details
//! of an event that begins, rises or ends are allocated.
//!
//! Each run of ONNX Runtime allocates the names and handles of its tensors in ort, and the library's own memory does not go
//! through this allocator at all. So the allocations of the runs alone are counted first, and the engine must make exactly as
//! many.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mimid::analysis::clips::{ClipPolicy, Handover};
use mimid::analysis::{Analysis, Attachment, Command, Ruleset};
use mimid::capture::Pace;
use mimid::config::Raw;
use mimid::detect::rule::Rule;
use mimid::detect::step::Step;
use mimid::ear::Ear;
use mimid::inference::helpers::helpers;
use mimid::inference::{Due, Inference};
use mimid::model::{Model, Scores, Tagger};
use mimid::ring::ring;
use mimid::stats::{SourceStats, Stats};

use crate::learnt;
use crate::runtime::runtime;
use crate::wait::until;
use crate::{IS_WATCHED, WATCHED, allocations};

const RATE_HZ: usize = 48_000;
/// The sounds of each round, from second to second: a short one, and one so long that its onset is refined while it lasts.
const SOUNDS: [(f64, f64); 2] = [(4.0, 5.0), (10.0, 19.0)];
const ROUND_S: usize = 30;

/// A hop of a tone in faint noise, or of the noise alone.
fn hop(is_sound: bool, state: &mut u32) -> Vec<f32> {
    let noise = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    let tone = if is_sound { 0.3 } else { 0.0 };
    (0..RATE_HZ / 10).map(|i| 0.01 * noise(state) + tone * (i as f32 * 0.13).sin()).collect()
}

/// The real model. A steady sound is scored on the same grid as any other, so the number of a hop determines which windows are
/// scored.
fn model() -> Model {
    let mut model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny").to_str().unwrap()).unwrap();
    model.detection.steady_stride = None;
    model
}

/// The real model with so many learnt sounds.
fn model_with(n_sounds: usize) -> Model {
    let mut model = model();
    let size = model.output.embedding.as_ref().unwrap().size;
    learnt::take_up(&mut model, &learnt::silent(n_sounds, size));
    model
}

fn rules(model: &Model, report: &str) -> Vec<Rule> {
    Raw::parse(report, None).validate(&model.labels).unwrap().config.rules
}

fn tagger(model: &Model) -> Tagger {
    Tagger::open(model, runtime()).unwrap()
}

/// The number of allocations of one run of the model. It is the same for windows of any length and in any number.
fn cost_of_a_run(model: &Model) -> u64 {
    let mut tagger = tagger(model);
    let (input, mut scores) = (vec![-60.0; 8 * tagger.longest_window_len()], Scores::default());
    let costs: Vec<u64> = (0..3)
        .flat_map(|_| [(0, 1), (1, 1), (0, 3), (1, 3), (0, 8), (1, 8)])
        .map(|(length, batch)| {
            let input = &input[..batch * tagger.window_len(length)];
            allocations(|| tagger.score(length, batch, input, &mut scores).unwrap())
        })
        .skip(6)
        .collect();
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    costs[0]
}

/// A number of hops of steady noise at the model's rate, in which no event begins.
fn noise(model: &Model, n_hops: usize) -> Vec<f32> {
    let mut state = 1u32;
    let n = n_hops * model.detection.hop_samples(model.input.sample_rate_hz);
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / 16_777_216.0 - 0.5) * 0.1
        })
        .collect()
}

/// A rule whose thresholds noise does not come near.
const FAR: &str = "[report]\nlabels = [\"Smoke detector, smoke alarm\"]\n[defaults]\nstart_threshold = 0.9\nthreshold = 0.9";

#[test]
fn the_inference_takes_no_memory_but_what_its_runs_take() {
    let model = model();
    inference_takes_no_memory(&model, cost_of_a_run(&model));
}

#[test]
fn learnt_sounds_take_no_memory_but_what_the_embedding_takes() {
    // One sound asks for the embedding; after that their number does not matter, nor whether the embedding is given as well.
    let cost = cost_of_a_run(&model_with(1));
    assert!(cost >= cost_of_a_run(&model()));
    for gives_embeddings in [false, true] {
        let model = Model { gives_embeddings, ..model_with(100) };
        assert_eq!(cost_of_a_run(&model), cost);
        inference_takes_no_memory(&model, cost);
    }
}

fn inference_takes_no_memory(model: &Model, cost: u64) {
    let (hop, strides) = (model.detection.hop_samples(model.input.sample_rate_hz), &model.detection.strides);
    // One hop of one source at a time, several of one, and several of several: each hop of all is scored.
    for (n_sources, ahead) in [(1, 1), (1, 7), (3, 2)] {
        let (offers, _reliefs) = helpers();
        let mut inference = Inference::new(tagger(model), offers);
        let mut ears: Vec<Ear> =
            (0..n_sources).map(|_| Ear::new(model, rules(model, FAR), model.input.sample_rate_hz).unwrap()).collect();
        let (mut found, sound) = (Vec::with_capacity(100), noise(model, 90));
        let due: Vec<Due> = (0..ahead).flat_map(|ahead| (0..n_sources).map(move |source| Due { source, ahead })).collect();
        let mut steps = 0;
        for hops in sound.chunks(hop) {
            let mut runs = 0;
            let before = inference.n_windows();
            let taken = allocations(|| {
                ears.iter_mut().for_each(|ear| ear.push(hops));
                if ears.iter().any(|ear| ear.n_due() < ahead) {
                    return;
                }
                // In steady noise the grid alone says which windows are scored, in batches of at most eight.
                let at = |due: &Due| (ears[due.source].now() / hop as u64) + due.ahead as u64 + 1;
                for stride in strides {
                    let n = due.iter().filter(|due| at(due).is_multiple_of(*stride as u64)).count();
                    runs += n.div_ceil(8) as u64;
                }
                inference.score(&mut ears, |ear| ear, &due, 1).unwrap();
                for (hop, Due { source, .. }) in due.iter().enumerate() {
                    let (scores, is_fresh) = inference.scores(hop);
                    ears[*source].take_scores(scores, is_fresh, &mut found);
                }
            });
            steps += usize::from(runs > 0);
            assert_eq!(runs > 0, inference.n_windows() > before);
            // By then every buffer is as large as it has to be.
            if steps > 5 {
                assert_eq!(taken, runs * cost, "{n_sources} sources, {ahead} hops ahead, step {steps}");
            }
        }
        assert!(found.is_empty() && steps >= 12, "{steps} {found:?}");
    }
}

#[test]
fn the_analysis_thread_takes_no_memory_but_what_its_runs_take() {
    analysis_takes_no_memory(model(), None);
}

#[test]
fn the_analysis_thread_takes_no_memory_for_learnt_sounds() {
    analysis_takes_no_memory(model_with(20), None);
}

#[test]
fn clips_that_wait_for_an_event_take_no_memory() {
    let policy = ClipPolicy {
        names: vec!["Smoke detector, smoke alarm".to_owned()],
        before_s: 1.0,
        after_s: 1.0,
        max_s: 3.0,
        voice_threshold: Some(0.1),
    };
    let (handover, handed) = Handover::new(policy, &model().labels, Arc::default()).unwrap();
    analysis_takes_no_memory(model(), Some(handover));
    assert!(handed.is_empty());
}

fn analysis_takes_no_memory(model: Model, clips: Option<Handover>) {
    let cost = cost_of_a_run(&model);
    let (rate_hz, hop) = (model.input.sample_rate_hz, model.detection.hop_samples(model.input.sample_rate_hz));
    let (offers, _reliefs) = helpers();
    let (command, commands) = crossbeam_channel::unbounded();
    let ((reports, told), (outcomes, _ended)) = (crossbeam_channel::bounded(100), crossbeam_channel::bounded(1));
    let (mut writer, reader) = ring(rate_hz as usize);
    let (source, stats): (Arc<str>, _) = ("noise".into(), Arc::new(SourceStats::new("noise".into())));
    let analysis = Analysis {
        backgrounds: Default::default(),
        inference: Inference::new(tagger(&model), offers),
        ruleset: Ruleset { rules: rules(&model, FAR), ignored: Vec::new() },
        model: model.clone(),
        commands,
        reports,
        outcomes,
        stats: Arc::new(Stats::default()),
    };
    let attachment = Attachment {
        source,
        rate_hz,
        // Nothing that comes as it is written is late, however slow this machine is.
        pace: Pace::AsWritten,
        reader,
        device_latency_ns: Arc::default(),
        is_held_up: Arc::new(true.into()),
        silent_after_ms: Arc::new(10_000.into()),
        stats: stats.clone(),
        report: None,
    };
    command.send(Command::Clips(clips)).unwrap();
    command.send(Command::Attach(Box::new(attachment))).unwrap();
    let thread = std::thread::spawn(move || {
        IS_WATCHED.set(true);
        analysis.run();
    });
    // Hops come one by one, so that their numbers alone say how many runs each takes. By the time that a hop is counted its runs are
    // over; what the thread takes after that shows at the next.
    let n_runs = |hop: u64| model.detection.strides.iter().filter(|stride| hop.is_multiple_of(**stride as u64)).count() as u64;
    let mut taken = 0;
    for (hop, samples) in (0u64..).zip(noise(&model, 90).chunks(hop)) {
        // The first hop needs a little of the one after it, so that there is none yet at the first piece of the sound.
        writer.push(samples);
        until(&format!("hop {hop} to be scored"), || stats.windows.load(Relaxed) >= hop);
        let before = std::mem::replace(&mut taken, WATCHED.load(Relaxed));
        // By then every buffer is as large as it has to be.
        if hop > 40 {
            assert_eq!(taken - before, n_runs(hop) * cost, "hop {hop}");
        }
    }
    command.send(Command::Shutdown).unwrap();
    thread.join().unwrap();
    assert!(told.is_empty(), "nothing begins in noise");
}

#[test]
fn an_ear_that_hears_on_does_not_allocate() {
    let model = model();
    for report in ["", "[report]\npreset = \"all\""] {
        let rules = rules(&model, report);
        let (n_labels, n_lengths) = (model.labels.len(), model.detection.windows_ms.len());
        let dog = model.labels.find("Dog").unwrap();
        let mut ear = Ear::new(&model, rules, RATE_HZ as u32).unwrap();
        let (mut found, mut window) = (Vec::with_capacity(1_000), vec![0.0; 1 << 16]);
        let mut rows = vec![0.001; n_labels * n_lengths];
        let (mut state, mut begun, mut ended, mut hops_while_open) = (1, 0, 0, 0);
        for round in 0..2 {
            for at in 0..ROUND_S * 10 {
                let second = at as f64 / 10.0;
                let is_sound = SOUNDS.iter().any(|(from, to)| (*from..*to).contains(&second));
                let samples = hop(is_sound, &mut state);
                rows.chunks_exact_mut(n_labels).for_each(|row| row[dog] = if is_sound { 0.8 } else { 0.001 });
                found.clear();
                let taken = allocations(|| {
                    ear.push(&samples);
                    while ear.n_due() > 0 {
                        for length in 0..n_lengths {
                            ear.copy_window(length, 0, &mut window);
                        }
                        ear.take_scores(&rows, &[true, at % 4 == 0], &mut found);
                    }
                });
                begun += found.iter().filter(|detection| matches!(detection.step, Step::Start(_))).count();
                ended += found.iter().filter(|detection| matches!(detection.step, Step::End { .. })).count();
                hops_while_open += usize::from(begun > ended);
                // The first round makes every buffer as large as it has to be.
                if round > 0 && found.is_empty() {
                    assert_eq!(taken, 0, "round {round} at {second} s, {report:?}");
                }
            }
        }
        assert!(begun >= 4 && ended == begun && hops_while_open > 130, "{begun} {ended} {hops_while_open}");
    }
}

#[test]
fn an_ear_that_hears_the_pattern_of_an_alarm_does_not_allocate() {
    let model = model();
    let (n_labels, n_lengths) = (model.labels.len(), model.detection.windows_ms.len());
    let mut ear = Ear::new(&model, rules(&model, FAR), RATE_HZ as u32).unwrap();
    let mut found = Vec::with_capacity(100);
    // Scores so low that no pattern makes an event of them.
    let rows = vec![1e-6; n_labels * n_lengths];
    let mut state = 1;
    for at in 0..200 {
        let second = at as f64 / 10.0;
        // Three pulses of half a second, and a pause.
        let samples = hop(second % 4.0 < 3.0 && second % 1.0 < 0.5, &mut state);
        let taken = allocations(|| {
            ear.push(&samples);
            while ear.n_due() > 0 {
                ear.take_scores(&rows, &[true, at % 4 == 0], &mut found);
            }
        });
        // The first hops make every buffer as large as it has to be.
        if at > 20 {
            assert_eq!(taken, 0, "at {second} s");
        }
    }
    assert!(found.is_empty(), "{found:?}");
}
