//! See [`mimid_fuzz::tuning`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::tuning(bytes));
