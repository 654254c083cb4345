//! The limits of a host: see `injector::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector::fuzzing::configuration(bytes));
