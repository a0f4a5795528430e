//! `cargo fuzz run plan`: see `portward_fuzz::plan`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portward_fuzz::plan::check(data));
