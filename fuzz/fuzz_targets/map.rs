//! See [`mimid_fuzz::map`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::map(bytes));
