//! `cargo fuzz run request`: see `portward_fuzz::request`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portward_fuzz::request::check(data));
