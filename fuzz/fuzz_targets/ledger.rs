//! The two lists of a ledger: see `injector_tests::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector_tests::fuzzing::ledger_lists(bytes));
