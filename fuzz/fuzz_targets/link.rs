//! A message between worker and supervisor: see `injector_tests::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector_tests::fuzzing::link_message(bytes));
