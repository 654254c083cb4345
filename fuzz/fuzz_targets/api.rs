//! The body of a request: see `injector::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| injector::fuzzing::api_request(bytes));
