//! See [`mimid_fuzz::model`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::model(bytes));
