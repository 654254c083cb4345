//! A frame in the delay line: see `injector_tests::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector_tests::fuzzing::held_frame(bytes));
