//! A message between worker and supervisor: see `injector::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector::fuzzing::link_message(bytes));
