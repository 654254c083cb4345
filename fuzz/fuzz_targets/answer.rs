//! What a Prometheus server answers: see `injector_tests::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector_tests::fuzzing::prometheus_answer(bytes));
