//! `cargo fuzz run config`: see `portward_fuzz::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portward_fuzz::config::check(data));
