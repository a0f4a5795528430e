//! `cargo fuzz run reply`: see `portward_fuzz::reply`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portward_fuzz::reply::check(data));
