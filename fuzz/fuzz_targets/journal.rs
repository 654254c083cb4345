//! A journal: see `injector::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector::fuzzing::journal_file(bytes));
