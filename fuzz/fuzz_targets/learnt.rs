//! See [`mimid_fuzz::learnt`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::learnt(bytes));
