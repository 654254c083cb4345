//! An experiment file: see `injector::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector::fuzzing::experiment_file(bytes));
