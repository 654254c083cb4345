//! What connections say: see `injector_tests::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector_tests::fuzzing::observed_plaintext(bytes));
