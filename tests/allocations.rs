//! The engine under an allocator that counts: once it has heard each kind of thing, hearing on takes no memory. Only what an event
//! tells of itself when it begins, rises or ends is made anew.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use mimid::config::Raw;
use mimid::detect::step::Step;
use mimid::ear::Ear;
use mimid::model::Model;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; counting touches a thread-local cell and nothing else.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread asked for memory while `work` ran.
fn count(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const RATE_HZ: usize = 48_000;
/// Seconds of each round in which there is sound: a short one, and one so long that its onset is sharpened while it lasts.
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

#[test]
fn an_ear_that_hears_on_does_not_allocate() {
    assert!(count(|| drop(vec![1u8; 10])) > 0, "the allocator does not count");
    let model = Model::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/ced-tiny").to_str().unwrap()).unwrap();
    for report in ["", "[report]\npreset = \"all\""] {
        let rules = Raw::parse(report, None).validate(&model.labels).unwrap().config.rules;
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
                let allocations = count(|| {
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
                    assert_eq!(allocations, 0, "round {round} at {second} s, {report:?}");
                }
            }
        }
        assert!(begun >= 4 && ended == begun && hops_while_open > 130, "{begun} {ended} {hops_while_open}");
    }
}
