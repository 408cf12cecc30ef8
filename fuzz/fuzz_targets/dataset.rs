//! See [`mimid_fuzz::dataset`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::dataset(bytes));
