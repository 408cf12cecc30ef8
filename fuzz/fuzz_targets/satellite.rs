//! See [`mimid_fuzz::satellite`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mimid_fuzz::satellite(bytes));
