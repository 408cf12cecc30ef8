//! See [`mimid_fuzz::discovery`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::discovery(bytes));
