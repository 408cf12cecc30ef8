//! The real-time body of a capture and the engine, under a counting allocator.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

mod callback;
mod engine;
#[path = "../support/learnt.rs"]
mod learnt;
#[path = "../support/runtime.rs"]
mod runtime;
#[path = "../support/wait.rs"]
mod wait;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static RELEASES: Cell<u64> = const { Cell::new(0) };
    /// Whether [`WATCHED`] counts the allocations of this thread.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// The number of allocations of the watched thread, for other threads to read.
static WATCHED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it is; counting touches thread-local cells and a counter and nothing else.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        if IS_WATCHED.get() {
            WATCHED.fetch_add(1, Relaxed);
        }
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        RELEASES.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The number of allocations of this thread while `work` ran.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The number of allocations and releases of memory by this thread while `work` ran.
fn calls(work: impl FnOnce()) -> u64 {
    let before = RELEASES.get();
    let allocations = allocations(work);
    allocations + RELEASES.get() - before
}

#[test]
fn the_allocator_counts() {
    assert!(allocations(|| drop(vec![1u8; 10])) > 0 && calls(|| drop(vec![1u8; 10])) > allocations(|| drop(vec![1u8; 10])));
}
