//! What a Prometheus server answers: see `injector::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector::fuzzing::prometheus_answer(bytes));
