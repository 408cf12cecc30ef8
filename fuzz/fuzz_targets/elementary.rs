//! See [`mimid_fuzz::recording`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::recording(bytes));
